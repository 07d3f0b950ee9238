"""Problem sets and benchmarks, prepared as NeMo-Skills prepares them (commit e718d393).

Reads   resources/datasets.tsv                                    the sources, their hashes and alternates
Writes  <resources>/datasets/{dataset}/{split}.jsonl              one line per problem
        <resources>/datasets/{dataset}/{split}.manifest.json      source, hash, repairs applied and not found
"""


rule prepare_dataset:
    """Download the source of a problem set (or take it from OPENMATH_SOURCES) and bring it into our form."""
    input:
        script=script("prepare_dataset.py"),
        registry="resources/datasets.tsv",
        repairs="resources/repairs.yaml",
    output:
        problems="<resources>/datasets/{dataset}/{split}.jsonl",
        manifest="<resources>/datasets/{dataset}/{split}.manifest.json",
    log:
        "<logs>/prepare_dataset/{dataset}-{split}.log",
    benchmark:
        "<benchmarks>/prepare_dataset/{dataset}-{split}.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        recipe=dataset_value("recipe"),
        options=recipe_options,
        cache=path("<resources>/datasets/.sources"),
    shell:
        """
        python {input.script[0]:q} \
            --dataset {wildcards.dataset} \
            --recipe {params.recipe} \
            --split {wildcards.split} \
            {params.options} \
            --registry {input.registry:q} \
            --repairs {input.repairs:q} \
            --cache {params.cache:q} \
            --output {output.problems:q} \
            --manifest {output.manifest:q} \
            >{log:q} 2>&1
        """
