"""The final table, beside the published figures.

Reads   <results>/evaluation/{model}/{benchmark}/metrics.json of every model and benchmark that is evaluated
Writes  <results>/openmath2_metrics.tsv, and openmath2_metrics.txt as the source documents print it
"""


rule tabulate_results:
    """Put our figures beside the published ones."""
    input:
        script=script("tabulate_results.py"),
        metrics=[
            f"<results>/evaluation/{model}/{benchmark}/metrics.json"
            for model in config["evaluation"]["models"]
            for benchmark in config["evaluation"]["benchmarks"]
        ],
        published=config["published_results"],
    output:
        table=report(
            "<results>/openmath2_metrics.tsv",
            caption="../docs/captions/openmath2_metrics.rst",
            category="Results",
        ),
        text="<results>/openmath2_metrics.txt",
    log:
        "<logs>/tabulate_results.log",
    benchmark:
        "<benchmarks>/tabulate_results.jsonl"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        """
        python {input.script[0]:q} \
            --metrics {input.metrics:q} \
            --published {input.published:q} \
            --table {output.table:q} \
            --text {output.text:q} \
            >{log:q} 2>&1
        """
