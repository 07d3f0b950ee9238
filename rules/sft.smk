"""Training rows: what of the generations is kept, in which form, and several of them in one row.

Reads   the generations, answers.jsonl and majority.jsonl of all folders; <results>/contamination/checked.jsonl
        or a data set of the hub, or files
Writes  <results>/{data}.jsonl, {data}.counts.json                                   rows, and the funnel that led to them
        <results>/packed/{data}/packed_{capacity}_seed{seed}.{input_ids,loss_mask,seq_start_id}.npy and its manifest
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
        input_ids="<results>/packed/{data}/packed_{capacity}_seed{seed}.input_ids.npy",
        loss_mask="<results>/packed/{data}/packed_{capacity}_seed{seed}.loss_mask.npy",
        seq_start_id="<results>/packed/{data}/packed_{capacity}_seed{seed}.seq_start_id.npy",
        manifest="<results>/packed/{data}/packed_{capacity}_seed{seed}.json",
    log:
        "<logs>/pack_sequences/{data}-{capacity}-{seed}.log",
    benchmark:
        "<benchmarks>/pack_sequences/{data}-{capacity}-{seed}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        tokenizer=folder_of("tokenizer"),
        algorithm=lookup("sft/packing_algorithm", within=config),
        prefix=lambda wildcards, output: os.path.splitext(output.manifest)[0],
    shell:
        """
        python {input.script[0]:q} \
            --data {input.data:q} \
            --tokenizer {params.tokenizer:q} \
            --capacity {wildcards.capacity} \
            --algorithm {params.algorithm} \
            --seed {wildcards.seed} \
            --output-prefix {params.prefix:q} \
            >{log:q} 2>&1
        """
