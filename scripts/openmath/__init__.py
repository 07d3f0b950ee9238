"""The library behind the entry scripts: pure functions, no command lines, no Snakemake."""
