"""The prompts and few-shot examples of the paper, as NeMo-Skills has them (commit e718d393).

Reads   resources/originals.tsv                      the originals, their sums and licences
Writes  <resources>/originals/{name}.yaml            a prompt, or few_shot/{set}: a list of examples
"""


rule fetch_original:
    """Fetch an original, check its sum and bring it into our form."""
    input:
        script=script("fetch_original.py"),
        registry="resources/originals.tsv",
    output:
        prompt="<resources>/originals/{name}.yaml",
    log:
        "<logs>/fetch_original/{name}.log",
    benchmark:
        "<benchmarks>/fetch_original/{name}.jsonl"
    wildcard_constraints:
        name=one_of(original_names()),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        cache=path("<resources>/originals/.sources"),
    shell:
        """
        python {input.script[0]:q} \
            --name {wildcards.name} \
            --registry {input.registry:q} \
            --cache {params.cache:q} \
            --output {output.prompt:q} \
            >{log:q} 2>&1
        """
