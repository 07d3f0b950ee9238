"""Training rows: what of the generations is kept, in which form, and several of them in one row.

Reads   the generations, answers.jsonl and majority.jsonl of all folders; <results>/contamination/checked.jsonl
        or a data set of the hub, or files
Writes  <results>/{data}.jsonl, {data}.counts.json                                   rows, and the funnel that led to them
        <results>/packed/{data}/packed_{capacity}_seed{seed}.{input_ids,loss_mask,seq_start_id}.npy and .json
        <results>/packed/{data}/packed_{capacity}_seed{seed}.{tokens,sequences,answers,rows}.npy and .flat.json
        (with context parallelism over N GPUs packed_{capacity}_cpN_seed{seed}: samples are padded to be shared out)
"""


rule prepare_sft_data:
    """Keep what is right, clean, new and of a fit length; count what falls out, by reason."""
    input:
        script=script("prepare_sft_data.py"),
        generations=sft_generations,
        answers=[f"{folder}/answers.jsonl" for folder in sft_folders()],
        majority=[
            f"{folder}/majority.jsonl"
            for name in config["synthesis"]["datasets"]
            for folder in new_solution_folders(name)
        ],
        contamination="<results>/contamination/checked.jsonl",
        prompt=set_file("prompt"),
        template=set_file("template"),
        tokenizer=model_manifest(config["sft"]["tokenizer"]),
    output:
        data="<results>/{data}.jsonl",
        counts="<results>/{data}.counts.json",
    log:
        "<logs>/prepare_sft_data/{data}.log",
    benchmark:
        "<benchmarks>/prepare_sft_data/{data}.jsonl"
    wildcard_constraints:
        data=one_of(sets_of(released=False)),
    conda:
        "../envs/core.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=720,
    params:
        folders=[glob.escape(path(folder)) for folder in sft_folders()],
        tokenizer=folder_of("tokenizer"),
        options=set_options,
        conventions=convention_options(),
    shell:
        """
        python {input.script[0]:q} \
            --folders {params.folders:q} \
            --contamination {input.contamination:q} \
            {params.conventions} \
            --prompt {input.prompt:q} \
            --template {input.template:q} \
            --tokenizer {params.tokenizer:q} \
            {params.options} \
            --workers {threads} \
            --output {output.data:q} \
            --counts {output.counts:q} \
            >{log:q} 2>&1
        """


rule prepare_released_data:
    """Bring a released data set into the form of training rows."""
    input:
        script=script("prepare_sft_data.py"),
        prompt=set_file("prompt"),
        template=set_file("template"),
        tokenizer=released_tokenizer,
    output:
        data="<results>/{data}.jsonl",
        counts="<results>/{data}.counts.json",
    log:
        "<logs>/prepare_released_data/{data}.log",
    benchmark:
        "<benchmarks>/prepare_released_data/{data}.jsonl"
    wildcard_constraints:
        data=one_of(sets_of(released=True)),
    conda:
        "../envs/hub.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=720,
    params:
        released=lambda wildcards: quote_options(config["sft"]["sets"][wildcards.data]["released"]),
        tokenizer=option_of_folder("tokenizer"),
        options=set_options,
    shell:
        """
        python {input.script[0]:q} \
            {params.released} \
            --prompt {input.prompt:q} \
            --template {input.template:q} \
            {params.tokenizer} \
            {params.options} \
            --workers {threads} \
            --output {output.data:q} \
            --counts {output.counts:q} \
            >{log:q} 2>&1
        """


rule pack_sequences:
    """Put several training rows into one of a fixed length, in NeMo's layout."""
    input:
        script=script("pack_sequences.py"),
        data="<results>/{data}.jsonl",
        tokenizer=model_manifest(config["sft"]["tokenizer"]),
    output:
        input_ids="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.input_ids.npy",
        loss_mask="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.loss_mask.npy",
        seq_start_id="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.seq_start_id.npy",
        manifest="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.json",
    log:
        "<logs>/pack_sequences/{data}-{capacity}{cp}-{seed}.log",
    benchmark:
        "<benchmarks>/pack_sequences/{data}-{capacity}{cp}-{seed}.jsonl"
    wildcard_constraints:
        data=one_of(config["sft"]["sets"]),
    conda:
        "../envs/core.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        layout="nemo",
        tokenizer=folder_of("tokenizer"),
        options=packing_options,
        prefix=packed_prefix,
    shell:
        """
        python {input.script[0]:q} \
            --data {input.data:q} \
            --tokenizer {params.tokenizer:q} \
            --capacity {wildcards.capacity} \
            --seed {wildcards.seed} \
            --layout {params.layout} \
            {params.options} \
            --workers {threads} \
            --output-prefix {params.prefix:q} \
            >{log:q} 2>&1
        """


use rule pack_sequences as pack_flat with:
    output:
        tokens="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.tokens.npy",
        sequences="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.sequences.npy",
        answers="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.answers.npy",
        rows="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.rows.npy",
        manifest="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.flat.json",
    log:
        "<logs>/pack_flat/{data}-{capacity}{cp}-{seed}.log",
    benchmark:
        "<benchmarks>/pack_flat/{data}-{capacity}{cp}-{seed}.jsonl"
    params:
        layout="flat",
        tokenizer=folder_of("tokenizer"),
        options=packing_options,
        prefix=packed_prefix,


rule merge_packs:
    """The packed rows of several sets, one after the other."""
    input:
        script=script("merge_packs.py"),
        manifests=packs_to_merge(".json"),
    output:
        input_ids="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.input_ids.npy",
        loss_mask="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.loss_mask.npy",
        seq_start_id="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.seq_start_id.npy",
        manifest="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.json",
    log:
        "<logs>/merge_packs/{data}-{capacity}{cp}-{seed}.log",
    benchmark:
        "<benchmarks>/merge_packs/{data}-{capacity}{cp}-{seed}.jsonl"
    wildcard_constraints:
        data=one_of(config["sft"]["merged"]),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        layout="nemo",
        inputs=packs_of_inputs,
        prefix=packed_prefix,
    shell:
        """
        python {input.script[0]:q} \
            --inputs {params.inputs:q} \
            --layout {params.layout} \
            --output-prefix {params.prefix:q} \
            >{log:q} 2>&1
        """


use rule merge_packs as merge_flat_packs with:
    input:
        script=script("merge_packs.py"),
        manifests=packs_to_merge(".flat.json"),
    output:
        tokens="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.tokens.npy",
        sequences="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.sequences.npy",
        answers="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.answers.npy",
        rows="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.rows.npy",
        manifest="<results>/packed/{data}/packed_{capacity}{cp}_seed{seed}.flat.json",
    log:
        "<logs>/merge_flat_packs/{data}-{capacity}{cp}-{seed}.log",
    benchmark:
        "<benchmarks>/merge_flat_packs/{data}-{capacity}{cp}-{seed}.jsonl"
    params:
        layout="flat",
        inputs=packs_of_inputs,
        prefix=packed_prefix,
