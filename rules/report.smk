"""The final table, beside the published figures, and the curves over the number of samples.

Reads   <results>/evaluation/{model}/{benchmark}/metrics.json and curves.tsv of every evaluated model and benchmark
Writes  <results>/openmath2_metrics.tsv, openmath2_metrics.txt as the source documents print it, openmath2_curves.tsv
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
        curves=[
            f"<results>/evaluation/{model}/{benchmark}/curves.tsv"
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
        curve_table=report(
            "<results>/openmath2_curves.tsv",
            caption="../docs/captions/openmath2_curves.rst",
            category="Results",
        ),
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
            --curves {input.curves:q} \
            --published {input.published:q} \
            --table {output.table:q} \
            --text {output.text:q} \
            --curve-table {output.curve_table:q} \
            >{log:q} 2>&1
        """
