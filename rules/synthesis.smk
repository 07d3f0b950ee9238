"""New data from the training sets (OpenMathInstruct-2, section 2): solutions, new problems, and solutions of those.

Reads   <resources>/datasets/{dataset}/{split}.jsonl
Writes  <results>/solution-augmentation/{dataset}/output-rs{seed}.<generations>
        <results>/problem-augmentation/{dataset}/output-rs{seed}.<generations>, problem-set{i}.jsonl
        <results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/output-rs{seed}.<generations>
        answers.jsonl in every folder of solutions; majority.jsonl where the problems are new

<generations> is jsonl or jsonl.zst. One job, one file a seed. Finished rows are kept in <results>/work, which no rule
declares, so that an interrupted job goes on with the rows that are missing.
"""


rule augment_solutions:
    """Sample one solution of every training problem."""
    input:
        script=script_alone("generate.py"),
        problems=training_problems,
        model=stage_model("solution_augmentation"),
        prompt=config["solution_augmentation"]["prompt"],
        template=optional_file(config["solution_augmentation"]["template"]),
        examples=dataset_file("solution_examples"),
    output:
        generations="<results>/solution-augmentation/{dataset}/output-rs{seed}.<generations>",
        manifest="<results>/solution-augmentation/{dataset}/output-rs{seed}.manifest.json",
    log:
        "<logs>/augment_solutions/{dataset}-rs{seed}.log",
    benchmark:
        "<benchmarks>/augment_solutions/{dataset}-rs{seed}.jsonl"
    group:
        share_server("augment_solutions", "dataset")
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        **stage_resources("solution_augmentation"),
        runtime=240,
    params:
        server=stage_server("solution_augmentation"),
        sampling=sampling("solution_augmentation"),
        seed="--seed {seed}",
        template=template_option("solution_augmentation"),
        examples=option_of("examples"),
        work=path("<results>/work/solution-augmentation/{dataset}/rs{seed}"),
    shell:
        """
        python {input.script:q} \
            --input {input.problems:q} \
            --output {output.generations:q} \
            --manifest {output.manifest:q} \
            --work {params.work:q} \
            {params.server} \
            {resources.engine_options} \
            --prompt {input.prompt:q} \
            {params.template} \
            {params.examples} \
            {params.sampling} \
            {params.seed} \
            --concurrency {resources.concurrency} \
            --stop-after-minutes $(({resources.runtime} - {resources.margin})) \
            >{log:q} 2>&1
        """


use rule augment_solutions as augment_problems with:
    input:
        script=script_alone("generate.py"),
        problems=training_problems,
        model=stage_model("problem_augmentation"),
        prompt=dataset_file("problem_prompt"),
        template=optional_file(config["problem_augmentation"]["template"]),
        examples=dataset_file("problem_examples"),
    output:
        generations="<results>/problem-augmentation/{dataset}/output-rs{seed}.<generations>",
        manifest="<results>/problem-augmentation/{dataset}/output-rs{seed}.manifest.json",
    log:
        "<logs>/augment_problems/{dataset}-rs{seed}.log",
    benchmark:
        "<benchmarks>/augment_problems/{dataset}-rs{seed}.jsonl"
    group:
        share_server("augment_problems", "dataset")
    resources:
        **stage_resources("problem_augmentation"),
        runtime=240,
    params:
        server=stage_server("problem_augmentation"),
        sampling=sampling("problem_augmentation"),
        seed="--seed {seed}",
        template=template_option("problem_augmentation"),
        examples=option_of("examples"),
        work=path("<results>/work/problem-augmentation/{dataset}/rs{seed}"),


rule clean_problems:
    """Turn what was generated into problems: reject what is none, and what an earlier seed already has."""
    input:
        script=script("clean_problems.py"),
        raw=lambda wildcards: seed_files(f"<results>/problem-augmentation/{wildcards.dataset}", int(wildcards.i) + 1),
        seed_problems=training_problems,
        tokenizer=model_manifest(config["sft"]["tokenizer"]),
    output:
        problems="<results>/problem-augmentation/{dataset}/problem-set{i}.jsonl",
        counts="<results>/problem-augmentation/{dataset}/problem-set{i}.counts.json",
    log:
        "<logs>/clean_problems/{dataset}-{i}.log",
    benchmark:
        "<benchmarks>/clean_problems/{dataset}-{i}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        tokenizer=folder_of("tokenizer"),
        max_problem_tokens=lookup("problem_augmentation/max_problem_tokens", within=config),
    shell:
        """
        python {input.script[0]:q} \
            --dataset {wildcards.dataset} \
            --seed {wildcards.i} \
            --raw {input.raw:q} \
            --seed-problems {input.seed_problems:q} \
            --tokenizer {params.tokenizer:q} \
            --max-problem-tokens {params.max_problem_tokens} \
            --output {output.problems:q} \
            --counts {output.counts:q} \
            >{log:q} 2>&1
        """


use rule augment_solutions as solve_new_problems with:
    input:
        script=script_alone("generate.py"),
        problems="<results>/problem-augmentation/{dataset}/problem-set{i}.jsonl",
        model=stage_model("new_problems_solution_augmentation"),
        prompt=config["new_problems_solution_augmentation"]["prompt"],
        template=optional_file(config["new_problems_solution_augmentation"]["template"]),
        examples=dataset_file("solution_examples"),
    output:
        generations="<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/output-rs{seed}.<generations>",
        manifest="<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/output-rs{seed}.manifest.json",
    log:
        "<logs>/solve_new_problems/{dataset}-{i}-rs{seed}.log",
    benchmark:
        "<benchmarks>/solve_new_problems/{dataset}-{i}-rs{seed}.jsonl"
    group:
        share_server("solve_new_problems", "dataset", "i")
    resources:
        **stage_resources("new_problems_solution_augmentation"),
        runtime=240,
    params:
        server=stage_server("new_problems_solution_augmentation"),
        sampling=sampling("new_problems_solution_augmentation"),
        seed="--seed {seed}",
        template=template_option("new_problems_solution_augmentation"),
        examples=option_of("examples"),
        work=path("<results>/work/new-problems-solution-augmentation/{dataset}/problem-set{i}/rs{seed}"),


rule grade_solutions:
    """Extract and grade the answers of all solutions of a training set."""
    input:
        script=script("grade_answers.py"),
        generations=lambda wildcards: seed_files(
            solution_folder(wildcards.dataset), config["datasets"][wildcards.dataset]["solution_seeds"]
        ),
    output:
        answers="<results>/solution-augmentation/{dataset}/answers.jsonl",
        counts="<results>/solution-augmentation/{dataset}/answers.counts.json",
    log:
        "<logs>/grade_solutions/{dataset}.log",
    benchmark:
        "<benchmarks>/grade_solutions/{dataset}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        files=lambda wildcards: f"--num-seeds {config['datasets'][wildcards.dataset]['solution_seeds']}",
        grading=grading_options(),
    shell:
        """
        python {input.script[0]:q} \
            --folder $(dirname {output.answers:q}) \
            {params.files} \
            {params.grading} \
            --workers {threads} \
            --answers {output.answers:q} \
            --counts {output.counts:q} \
            >{log:q} 2>&1
        """


use rule grade_solutions as grade_new_solutions with:
    input:
        script=script("grade_answers.py"),
        generations=lambda wildcards: seed_files(
            f"<results>/new-problems-solution-augmentation/{wildcards.dataset}/problem-set{wildcards.i}",
            config["datasets"][wildcards.dataset]["new_solution_seeds"],
        ),
    output:
        answers="<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/answers.jsonl",
        counts="<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/answers.counts.json",
    log:
        "<logs>/grade_new_solutions/{dataset}-{i}.log",
    benchmark:
        "<benchmarks>/grade_new_solutions/{dataset}-{i}.jsonl"
    params:
        files=lambda wildcards: f"--num-seeds {config['datasets'][wildcards.dataset]['new_solution_seeds']}",
        grading=grading_options(),


rule vote_new_answers:
    """Give each new problem the answer that most of its solutions agree on."""
    input:
        script=script("vote_answers.py"),
        answers="<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/answers.jsonl",
    output:
        majority="<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/majority.jsonl",
        counts="<results>/new-problems-solution-augmentation/{dataset}/problem-set{i}/majority.counts.json",
    log:
        "<logs>/vote_new_answers/{dataset}-{i}.log",
    benchmark:
        "<benchmarks>/vote_new_answers/{dataset}-{i}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        seeds=dataset_value("new_solution_seeds"),
        vote_by=lookup("majority/vote_by", within=config),
        conventions=convention_options(),
        min_votes=lookup("majority/min_votes", within=config),
        min_share=lookup("majority/min_share", within=config),
    shell:
        """
        python {input.script[0]:q} \
            --answers {input.answers:q} \
            --num-seeds {params.seeds} \
            --majority {output.majority:q} \
            --counts {output.counts:q} \
            --vote-by {params.vote_by} \
            {params.conventions} \
            --min-votes {params.min_votes} \
            --min-share {params.min_share} \
            >{log:q} 2>&1
        """
