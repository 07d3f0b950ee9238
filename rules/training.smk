"""Training in legs that resume, and the average of the checkpoints (OpenMathInstruct-2, section 4).

Reads   <results>/{data}.jsonl or its packed rows, the base model
Writes  <results>/training/{run}/batch.json                     packed rows of a step, where samples are asked for
        <results>/training/{run}/legs/{leg}.json                 how far the leg came: {step, finished, ...}
        <results>/training/{run}/checkpoints/step={n}/           saved by the legs on their way
        <results>/training/{run}/model-averaged-{hf,nemo}/       the mean of the checkpoints of average_steps, in the
                                                                 form that the back end writes

Another leg is asked for only while the run is not finished, up to num_training_jobs.
"""


checkpoint train_leg:
    """Train until the run is finished, the leg's steps are done or its time is over."""
    input:
        script=training_script,
        previous=previous_leg,
        data=training_data,
        batch_file=suggested_batch,
        base_model=base_model,
        checkout=training_checkout,
    output:
        leg="<results>/training/{run}/legs/{leg}.json",
    log:
        "<logs>/train_leg/{run}-{leg}.log",
    benchmark:
        "<benchmarks>/train_leg/{run}-{leg}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        **for_each(run_resources, "run", config["training"]),
        runtime=240,
    params:
        previous=option_of("previous"),
        base_model=folder_of("base_model"),
        data=training_data_options,
        batch=option_of("batch_file"),
        checkout=option_of_folder("checkout"),
        options=training_options,
        folder=path("<results>/training/{run}"),
    shell:
        """
        python {input.script:q} \
            --run {wildcards.run} \
            --leg {wildcards.leg} \
            {params.previous} \
            --base-model {params.base_model:q} \
            {params.data} \
            {params.batch} \
            {params.checkout} \
            {params.options} \
            {resources.placement} \
            --deadline-minutes $(({resources.runtime} - {resources.margin})) \
            --work {params.folder:q}/work \
            --checkpoints {params.folder:q}/checkpoints \
            --output {output.leg:q} \
            >{log:q} 2>&1
        """


rule suggest_batch:
    """How many packed rows a step sees, so that it sees the samples that are asked for."""
    input:
        script=script("suggest_batch.py"),
        manifest=lambda wildcards: training_data(wildcards)[0],
    output:
        batch="<results>/training/{run}/batch.json",
    log:
        "<logs>/suggest_batch/{run}.log",
    benchmark:
        "<benchmarks>/suggest_batch/{run}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        options=batch_options,
    shell:
        """
        python {input.script[0]:q} \
            --manifest {input.manifest:q} \
            {params.options} \
            --output {output.batch:q} \
            >{log:q} 2>&1
        """


rule average_checkpoints:
    """The mean of the checkpoints of a run with `transformers` is its model."""
    input:
        script=script("average_checkpoints.py"),
        legs=legs_until_finished,
    output:
        manifest="<results>/training/{run}/model-averaged-hf/manifest.json",
    log:
        "<logs>/average_checkpoints/{run}.log",
    benchmark:
        "<benchmarks>/average_checkpoints/{run}.jsonl"
    wildcard_constraints:
        run=one_of(runs_with("transformers")),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        steps=lambda wildcards: config["training"][wildcards.run]["average_steps"],
        checkpoints=path("<results>/training/{run}/checkpoints"),
        folder=lambda wildcards, output: os.path.dirname(output.manifest),
    shell:
        """
        python {input.script[0]:q} \
            --checkpoints {params.checkpoints:q} \
            --steps {params.steps} \
            --output-folder {params.folder:q} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """


rule average_nemo_checkpoints:
    """The mean of the checkpoints of a run with NeMo, as NeMo-Skills takes it."""
    input:
        script=script_alone("average_nemo_checkpoints.py"),
        legs=legs_until_finished,
        base_model=base_model,
        checkout=NEMO_SKILLS,
    output:
        manifest="<results>/training/{run}/model-averaged-nemo/manifest.json",
    log:
        "<logs>/average_nemo_checkpoints/{run}.log",
    benchmark:
        "<benchmarks>/average_nemo_checkpoints/{run}.jsonl"
    wildcard_constraints:
        run=one_of(runs_with("nemo_aligner")),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        launcher=nemo_launcher,
        gres=lambda wildcards: f"gpu:{config['training'][wildcards.run]['num_gpus']}",
        mem_mb=64000,
        runtime=240,
    params:
        steps=lambda wildcards: config["training"][wildcards.run]["average_steps"],
        checkpoints=path("<results>/training/{run}/checkpoints"),
        base_model=folder_of("base_model"),
        checkout=folder_of("checkout"),
        folder=lambda wildcards, output: os.path.dirname(output.manifest),
    shell:
        """
        python {input.script:q} \
            --checkpoints {params.checkpoints:q} \
            --steps {params.steps} \
            --base-model {params.base_model:q} \
            --checkout {params.checkout:q} \
            {resources.launcher} \
            --output-folder {params.folder:q} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """
