"""Contamination of the new problems with the benchmarks (OpenMathInstruct-2, section 2.3).

Reads   <results>/problem-augmentation/{dataset}/problem-set{i}.jsonl, the test splits of the benchmarks
Writes  <results>/contamination/retrieved.jsonl     the test problems most like each new problem
        <results>/contamination/checked.jsonl       whether one of them is the same problem, as a model sees it
"""


rule retrieve_similar:
    """Find the test problems nearest to each new problem, by the cosine of their embeddings."""
    input:
        script=script("retrieve_similar.py"),
        problems=[file for dataset in config["synthesis"]["datasets"] for file in problem_sets(dataset)],
        benchmarks=list(benchmarks_to_protect().values()),
        model=model_manifest(config["contamination"]["embedding_model"]),
    output:
        retrieved="<results>/contamination/retrieved.jsonl",
        counts="<results>/contamination/retrieved.counts.json",
    log:
        "<logs>/retrieve_similar.log",
    benchmark:
        "<benchmarks>/retrieve_similar.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        benchmarks=[f"{name}={path(file)}" for name, file in benchmarks_to_protect().items()],
        model=folder_of("model"),
        top_k=lookup("contamination/top_k", within=config),
        min_similarity=lookup("contamination/min_similarity", within=config),
    shell:
        """
        python {input.script[0]:q} \
            --problems {input.problems:q} \
            --benchmarks {params.benchmarks:q} \
            --embedding-model {params.model:q} \
            --top-k {params.top_k} \
            --min-similarity {params.min_similarity} \
            --output {output.retrieved:q} \
            --counts {output.counts:q} \
            >{log:q} 2>&1
        """


rule check_contamination:
    """Ask a model whether a new problem and a test problem are the same."""
    input:
        script=script_alone("check_contamination.py"),
        retrieved="<results>/contamination/retrieved.jsonl",
        model=stage_model("contamination"),
        prompt=config["contamination"]["prompt"],
        template=optional_file(config["contamination"]["template"]),
    output:
        checked="<results>/contamination/checked.jsonl",
        counts="<results>/contamination/checked.counts.json",
        manifest="<results>/contamination/checked.manifest.json",
    log:
        "<logs>/check_contamination.log",
    benchmark:
        "<benchmarks>/check_contamination.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        **stage_resources("contamination"),
        runtime=240,
    params:
        server=stage_server("contamination"),
        sampling=sampling("contamination"),
        both_ways=quote_options({"both_ways": config["contamination"]["both_ways"]}),
        template=template_option("contamination"),
        work=path("<results>/work/contamination"),
    shell:
        """
        python {input.script:q} \
            --retrieved {input.retrieved:q} \
            --output {output.checked:q} \
            --counts {output.counts:q} \
            --manifest {output.manifest:q} \
            --work {params.work:q} \
            {params.server} \
            {resources.engine_options} \
            --prompt {input.prompt:q} \
            {params.template} \
            {params.both_ways} \
            {params.sampling} \
            --concurrency {resources.concurrency} \
            --stop-after-minutes $(({resources.runtime} - {resources.margin})) \
            >{log:q} 2>&1
        """
