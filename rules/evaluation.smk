"""Evaluation of models on benchmarks: greedy and sampled answers, the vote, the judge, the metrics.

Reads   <resources>/datasets/{benchmark}/test.jsonl, the model
Writes  <results>/evaluation/{model}/{benchmark}/output.<generations>             greedy; jsonl or jsonl.zst
        <results>/evaluation/{model}/{benchmark}/output-rs{seed}.<generations>   one sample of every problem
        answers.jsonl, majority.jsonl, judged.jsonl, judged-majority.jsonl, metrics.json and curves.tsv beside them
        audit.tsv, audit.examples.jsonl beside them                      our verdicts beside another grader's, on demand
        <results>/comparisons/{model}-vs-{other}/{benchmark}.json        two models on the same problems, on demand

Judged are the greedy answers and the winners of the vote, as the source does.
"""


use rule augment_solutions as evaluate_greedy with:
    input:
        script=script_alone("generate.py"),
        problems="<resources>/datasets/{benchmark}/test.jsonl",
        model=lambda wildcards: served_manifest(wildcards.model),
        prompt=config["evaluation"]["prompt"],
        template=optional_file(config["evaluation"]["template"]),
        examples=[],
    output:
        generations="<results>/evaluation/{model}/{benchmark}/output.<generations>",
        manifest="<results>/evaluation/{model}/{benchmark}/output.manifest.json",
    log:
        "<logs>/evaluate_greedy/{model}-{benchmark}.log",
    benchmark:
        "<benchmarks>/evaluate_greedy/{model}-{benchmark}.jsonl"
    group:
        share_server("evaluate_greedy", "model", "benchmark")
    resources:
        **for_each(asking_resources, "model", served_models()),
        runtime=240,
    params:
        server=lambda wildcards: server_options(wildcards.model),
        sampling=sampling("evaluation", "greedy"),
        seed="",
        template=template_option("evaluation"),
        examples="",
        work=path("<results>/work/evaluation/{model}/{benchmark}/greedy"),


use rule evaluate_greedy as evaluate_samples with:
    output:
        generations="<results>/evaluation/{model}/{benchmark}/output-rs{seed}.<generations>",
        manifest="<results>/evaluation/{model}/{benchmark}/output-rs{seed}.manifest.json",
    log:
        "<logs>/evaluate_samples/{model}-{benchmark}-rs{seed}.log",
    benchmark:
        "<benchmarks>/evaluate_samples/{model}-{benchmark}-rs{seed}.jsonl"
    group:
        share_server("evaluate_samples", "model", "benchmark")
    params:
        server=lambda wildcards: server_options(wildcards.model),
        sampling=sampling("evaluation"),
        seed="--seed {seed}",
        template=template_option("evaluation"),
        examples="",
        work=path("<results>/work/evaluation/{model}/{benchmark}/rs{seed}"),


use rule grade_solutions as grade_evaluation with:
    input:
        script=script("grade_answers.py"),
        generations=lambda wildcards: [
            f"{evaluation_folder(wildcards)}/output.<generations>",
            *seed_files(evaluation_folder(wildcards), samples_of(wildcards.model)),
        ],
    output:
        answers="<results>/evaluation/{model}/{benchmark}/answers.jsonl",
        counts="<results>/evaluation/{model}/{benchmark}/answers.counts.json",
    log:
        "<logs>/grade_evaluation/{model}-{benchmark}.log",
    benchmark:
        "<benchmarks>/grade_evaluation/{model}-{benchmark}.jsonl"
    params:
        files=lambda wildcards: f"--greedy --num-seeds {samples_of(wildcards.model)}",
        grading=grading_options(),


rule audit_grading:
    """Hold our verdicts on answers against those of Math-Verify; on demand only."""
    input:
        script=script("audit_grading.py"),
        answers="<results>/evaluation/{model}/{benchmark}/answers.jsonl",
        problems="<resources>/datasets/{benchmark}/test.jsonl",
    output:
        table="<results>/evaluation/{model}/{benchmark}/audit.tsv",
        examples="<results>/evaluation/{model}/{benchmark}/audit.examples.jsonl",
    log:
        "<logs>/audit_grading/{model}-{benchmark}.log",
    benchmark:
        "<benchmarks>/audit_grading/{model}-{benchmark}.jsonl"
    conda:
        "../envs/audit.yaml"
    threads: 2
    resources:
        mem_mb=10000,
        runtime=240,
    shell:
        """
        python {input.script[0]:q} \
            --answers {input.answers:q} \
            --problems {input.problems:q} \
            --workers {threads} \
            --table {output.table:q} \
            --examples {output.examples:q} \
            >{log:q} 2>&1
        """


rule vote_answers:
    """The answer that most samples of a benchmark problem agree on, and whether it is right."""
    input:
        script=script("vote_answers.py"),
        answers="<results>/evaluation/{model}/{benchmark}/answers.jsonl",
        problems="<resources>/datasets/{benchmark}/test.jsonl",
    output:
        majority="<results>/evaluation/{model}/{benchmark}/majority.jsonl",
        counts="<results>/evaluation/{model}/{benchmark}/majority.counts.json",
    log:
        "<logs>/vote_answers/{model}-{benchmark}.log",
    benchmark:
        "<benchmarks>/vote_answers/{model}-{benchmark}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        seeds=lambda wildcards: samples_of(wildcards.model),
        vote_by=lookup("majority/vote_by", within=config),
        conventions=convention_options(),
    shell:
        """
        python {input.script[0]:q} \
            --answers {input.answers:q} \
            --reference {input.problems:q} \
            --num-seeds {params.seeds} \
            --majority {output.majority:q} \
            --counts {output.counts:q} \
            --vote-by {params.vote_by} \
            {params.conventions} \
            >{log:q} 2>&1
        """


rule judge_answers:
    """Ask a model whether the greedy answers mean what is expected."""
    input:
        script=script_alone("judge_answers.py"),
        problems="<resources>/datasets/{benchmark}/test.jsonl",
        candidates="<results>/evaluation/{model}/{benchmark}/answers.jsonl",
        model=stage_model("judge"),
        prompt=config["judge"]["prompt"],
        template=optional_file(config["judge"]["template"]),
    output:
        judged="<results>/evaluation/{model}/{benchmark}/judged.jsonl",
        counts="<results>/evaluation/{model}/{benchmark}/judged.counts.json",
        manifest="<results>/evaluation/{model}/{benchmark}/judged.manifest.json",
    log:
        "<logs>/judge_answers/{model}-{benchmark}.log",
    benchmark:
        "<benchmarks>/judge_answers/{model}-{benchmark}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        **stage_resources("judge"),
        runtime=240,
    params:
        kind="greedy",
        server=stage_server("judge"),
        sampling=sampling("judge"),
        template=template_option("judge"),
        work=path("<results>/work/judge/{model}/{benchmark}/greedy"),
        cache=path("<results>/work/judge"),
    shell:
        """
        python {input.script:q} \
            --problems {input.problems:q} \
            --candidates {input.candidates:q} \
            --kind {params.kind} \
            --output {output.judged:q} \
            --counts {output.counts:q} \
            --manifest {output.manifest:q} \
            --work {params.work:q} \
            --cache {params.cache:q} \
            {params.server} \
            {resources.engine_options} \
            --prompt {input.prompt:q} \
            {params.template} \
            {params.sampling} \
            --concurrency {resources.concurrency} \
            --stop-after-minutes $(({resources.runtime} - {resources.margin})) \
            >{log:q} 2>&1
        """


# After the greedy answers, so that a winner that is the greedy answer is not asked about again.
use rule judge_answers as judge_majority with:
    input:
        script=script_alone("judge_answers.py"),
        problems="<resources>/datasets/{benchmark}/test.jsonl",
        candidates="<results>/evaluation/{model}/{benchmark}/majority.jsonl",
        after=ancient("<results>/evaluation/{model}/{benchmark}/judged.jsonl"),
        model=stage_model("judge"),
        prompt=config["judge"]["prompt"],
        template=optional_file(config["judge"]["template"]),
    output:
        judged="<results>/evaluation/{model}/{benchmark}/judged-majority.jsonl",
        counts="<results>/evaluation/{model}/{benchmark}/judged-majority.counts.json",
        manifest="<results>/evaluation/{model}/{benchmark}/judged-majority.manifest.json",
    log:
        "<logs>/judge_majority/{model}-{benchmark}.log",
    benchmark:
        "<benchmarks>/judge_majority/{model}-{benchmark}.jsonl"
    params:
        kind="majority",
        server=stage_server("judge"),
        sampling=sampling("judge"),
        template=template_option("judge"),
        work=path("<results>/work/judge/{model}/{benchmark}/majority"),
        cache=path("<results>/work/judge"),


rule compute_metrics:
    """Greedy, majority@k and pass@k of one model on one benchmark, by the fields of its problems, and against k."""
    input:
        script=script("compute_metrics.py"),
        problems="<resources>/datasets/{benchmark}/test.jsonl",
        answers="<results>/evaluation/{model}/{benchmark}/answers.jsonl",
        judged="<results>/evaluation/{model}/{benchmark}/judged.jsonl",
        majority=with_samples("majority.jsonl"),
        judged_majority=with_samples("judged-majority.jsonl"),
    output:
        metrics="<results>/evaluation/{model}/{benchmark}/metrics.json",
        table="<results>/evaluation/{model}/{benchmark}/metrics.txt",
        curves="<results>/evaluation/{model}/{benchmark}/curves.tsv",
    log:
        "<logs>/compute_metrics/{model}-{benchmark}.log",
    benchmark:
        "<benchmarks>/compute_metrics/{model}-{benchmark}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        samples=lambda wildcards: samples_of(wildcards.model),
        vote_by=lookup("majority/vote_by", within=config),
        conventions=convention_options(),
        majority=option_of("majority"),
        judged_majority=option_of("judged_majority"),
    shell:
        """
        python {input.script[0]:q} \
            --model {wildcards.model} \
            --benchmark {wildcards.benchmark} \
            --problems {input.problems:q} \
            --answers {input.answers:q} \
            --num-samples {params.samples} \
            --vote-by {params.vote_by} \
            {params.conventions} \
            --judged {input.judged:q} \
            {params.majority} \
            {params.judged_majority} \
            --metrics {output.metrics:q} \
            --table {output.table:q} \
            --curves {output.curves:q} \
            >{log:q} 2>&1
        """


rule compare_models:
    """Whether one model is better than another on the problems of a benchmark."""
    input:
        script=script("compare_models.py"),
        answers="<results>/evaluation/{model}/{benchmark}/answers.jsonl",
        other="<results>/evaluation/{other}/{benchmark}/answers.jsonl",
    output:
        comparison="<results>/comparisons/{model}-vs-{other}/{benchmark}.json",
        table="<results>/comparisons/{model}-vs-{other}/{benchmark}.txt",
    log:
        "<logs>/compare_models/{model}-vs-{other}-{benchmark}.log",
    benchmark:
        "<benchmarks>/compare_models/{model}-vs-{other}-{benchmark}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        """
        python {input.script[0]:q} \
            --model {wildcards.model} \
            --other {wildcards.other} \
            --benchmark {wildcards.benchmark} \
            --answers {input.answers:q} \
            --other-answers {input.other:q} \
            --comparison {output.comparison:q} \
            --table {output.table:q} \
            >{log:q} 2>&1
        """
