"""Training in legs that resume, and the average of the checkpoints (OpenMathInstruct-2, section 4).

Reads   <results>/{data}.jsonl or its packed rows, the base model
Writes  <results>/training/{run}/legs/{leg}.json                 how far the leg came: {step, finished, ...}
        <results>/training/{run}/checkpoints/step={n}/           saved by the legs on their way
        <results>/training/{run}/model-averaged-hf/              the mean of the checkpoints of average_steps

Another leg is asked for only while the run is not finished, up to num_training_jobs.
"""


checkpoint train_leg:
    """Train until the run is finished, the leg's steps are done or its time is over."""
    input:
        script=script_alone("train_leg.py"),
        previous=previous_leg,
        data=training_data,
        base_model=base_model,
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
        mem_mb=8000,
        runtime=240,
        margin=lookup("margins/training", within=config),
    params:
        previous=option_of("previous"),
        base_model=lambda wildcards, input: os.path.dirname(input.base_model),
        data=lambda wildcards, input: (
            f"--{'unpacked' if input.data[0].endswith('.jsonl') else 'packed'} "
            f"--data {shlex.quote(re.sub(r'[.]json$', '', input.data[0]))}"
        ),
        options=training_options,
        folder=path("<results>/training/{run}"),
    shell:
        """
        python {input.script[0]:q} \
            --run {wildcards.run} \
            --leg {wildcards.leg} \
            {params.previous} \
            --base-model {params.base_model:q} \
            {params.data} \
            {params.options} \
            --deadline-minutes $(({resources.runtime} - {resources.margin})) \
            --work {params.folder:q}/work \
            --checkpoints {params.folder:q}/checkpoints \
            --output {output.leg:q} \
            >{log:q} 2>&1
        """


rule average_checkpoints:
    """The mean of a run's checkpoints is its model."""
    input:
        script=script("average_checkpoints.py"),
        legs=legs_until_finished,
    output:
        manifest="<results>/training/{run}/model-averaged-hf/manifest.json",
    log:
        "<logs>/average_checkpoints/{run}.log",
    benchmark:
        "<benchmarks>/average_checkpoints/{run}.jsonl"
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
