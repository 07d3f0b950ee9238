"""OpenMathInstruct-2, from the problem sets to the table of the paper.

snakemake results/openmath2_metrics.tsv --profile slurm     the paper, on a cluster
snakemake --profile profiles/demo                           the miniature: the same rules on two CPU cores
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/datasets.smk"
include: "rules/prompts.smk"
include: "rules/models.smk"
include: "rules/conversion.smk"
include: "rules/synthesis.smk"
include: "rules/contamination.smk"
include: "rules/sft.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/report.smk"


rule all:
    """The final table."""
    default_target: True
    input:
        "<results>/openmath2_metrics.tsv",


onstart:
    check_secrets()
    hold_results()
    write_merged_config()
