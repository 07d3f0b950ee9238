"""Other forms of a model: TensorRT-LLM engines, and NeMo checkpoints, which NeMo-Skills trains.

Reads   <resources>/models/{model}/hf/, <results>/training/{run}/model-averaged-nemo/
Writes  <resources>/nemo-skills/                               NeMo-Skills at the pinned commit: trainer and converters
        <resources>/models/{model}/trtllm-tp{tp}-pp{pp}/       an engine, for tp GPUs on each of pp nodes
        <resources>/models/{model}/nemo/                       a checkpoint of NeMo
        <results>/training/{run}/model-averaged-{hf,trtllm}/   the trained model, to be served

A folder is declared by its manifest, which is written last. Where a program is missing, the job says so at once.
"""


rule fetch_nemo_skills:
    """Fetch NeMo-Skills at the commit of the configuration."""
    input:
        script=script("fetch_checkout.py"),
    output:
        manifest=NEMO_SKILLS,
    log:
        "<logs>/fetch_nemo_skills.log",
    benchmark:
        "<benchmarks>/fetch_nemo_skills.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        source=quote_options({key: config["nemo"][key] for key in ("repository", "revision")}),
    shell:
        """
        python {input.script[0]:q} \
            {params.source} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """


rule convert_hf_to_trtllm:
    """Build the TensorRT-LLM engine of a model."""
    input:
        script=script_alone("convert_model.py"),
        model="<resources>/models/{model}/hf/manifest.json",
        checkout=NEMO_SKILLS,
    output:
        manifest="<resources>/models/{model}/trtllm-tp{tp}-pp{pp}/manifest.json",
    log:
        "<logs>/convert_hf_to_trtllm/{model}-tp{tp}-pp{pp}.log",
    benchmark:
        "<benchmarks>/convert_hf_to_trtllm/{model}-tp{tp}-pp{pp}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        gres=lambda wildcards: f"gpu:{wildcards.tp}",
        mem_mb=64000,
        runtime=240,
        launcher=launcher_option("tensorrt_llm"),
    params:
        model=folder_of("model"),
        checkout=folder_of("checkout"),
        options=lambda wildcards: engine_options(int(wildcards.tp), int(wildcards.pp)),
    shell:
        """
        python {input.script:q} \
            --from hf \
            --to trtllm \
            --model-folder {params.model:q} \
            --checkout {params.checkout:q} \
            {params.options} \
            {resources.launcher} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """


use rule convert_hf_to_trtllm as convert_trained_to_trtllm with:
    input:
        script=script_alone("convert_model.py"),
        model="<results>/training/{run}/model-averaged-hf/manifest.json",
        checkout=NEMO_SKILLS,
    output:
        manifest="<results>/training/{run}/model-averaged-trtllm/manifest.json",
    log:
        "<logs>/convert_trained_to_trtllm/{run}.log",
    benchmark:
        "<benchmarks>/convert_trained_to_trtllm/{run}.jsonl"
    resources:
        gres=lambda wildcards: f"gpu:{served_sizes(wildcards.run)[0]}",
        mem_mb=64000,
        runtime=240,
        launcher=launcher_option("tensorrt_llm"),
    params:
        model=folder_of("model"),
        checkout=folder_of("checkout"),
        options=lambda wildcards: engine_options(*served_sizes(wildcards.run)),


rule convert_hf_to_nemo:
    """Bring a model into the form that NeMo trains."""
    input:
        script=script_alone("convert_model.py"),
        model="<resources>/models/{model}/hf/manifest.json",
        checkout=NEMO_SKILLS,
    output:
        manifest="<resources>/models/{model}/nemo/manifest.json",
    log:
        "<logs>/convert_hf_to_nemo/{model}.log",
    benchmark:
        "<benchmarks>/convert_hf_to_nemo/{model}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        gres="gpu:1",
        mem_mb=64000,
        runtime=240,
        launcher=launcher_option("nemo"),
    params:
        model=folder_of("model"),
        checkout=folder_of("checkout"),
        options=lambda wildcards: nemo_options(wildcards.model),
    shell:
        """
        python {input.script:q} \
            --from hf \
            --to nemo \
            --model-folder {params.model:q} \
            --checkout {params.checkout:q} \
            {params.options} \
            {resources.launcher} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """


rule convert_nemo_to_hf:
    """Bring a model that NeMo trained into Hugging Face layout."""
    input:
        script=script_alone("convert_model.py"),
        model="<results>/training/{run}/model-averaged-nemo/manifest.json",
        base_model=lambda wildcards: model_manifest(config["training"][wildcards.run]["base_model"]),
        checkout=NEMO_SKILLS,
    output:
        manifest="<results>/training/{run}/model-averaged-hf/manifest.json",
    log:
        "<logs>/convert_nemo_to_hf/{run}.log",
    benchmark:
        "<benchmarks>/convert_nemo_to_hf/{run}.jsonl"
    wildcard_constraints:
        run=one_of(runs_with("nemo_aligner")),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        gres=lambda wildcards: f"gpu:{config['training'][wildcards.run]['num_gpus']}",
        mem_mb=64000,
        runtime=240,
        launcher=nemo_launcher,
    params:
        model=folder_of("model"),
        base_model=folder_of("base_model"),
        checkout=folder_of("checkout"),
        options=lambda wildcards: nemo_options(config["training"][wildcards.run]["base_model"]),
    shell:
        """
        python {input.script:q} \
            --from nemo \
            --to hf \
            --model-folder {params.model:q} \
            --hf-model-folder {params.base_model:q} \
            --checkout {params.checkout:q} \
            {params.options} \
            {resources.launcher} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """
