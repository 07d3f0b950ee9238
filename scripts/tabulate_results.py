"""Put the metrics of all models and benchmarks into one table, beside the published figures.

Reads   the metrics.json and the curves of each model and benchmark, and the published figures
        (resources/published_results.tsv)
Writes  a table with one row per model, benchmark and mode, in the order given: percentages with two decimals, the 95 %
        interval of the headline figure (the judge's where there is one, else the symbolic one), the published
        figure of the same kind and the difference from it; the same for people, in the source documents' layout; and
        all curves of pass@k and maj@k against k in one table
"""

import argparse
import json
import logging
from pathlib import Path

from openmath.curves import read_curves, write_rows
from openmath.records import atomic_output
from openmath.results_table import CURVE_COLUMNS, TABLE_COLUMNS, read_metrics, read_published, table_row, text_tables

logger = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, metavar="FILE", help="metrics.json files")
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, metavar="FILE", help="curves.tsv beside each metrics.json"
    )
    parser.add_argument("--published", type=Path, required=True, help="the published figures")
    parser.add_argument("--table", type=Path, required=True, help="to write: the table, tab separated")
    parser.add_argument("--text", type=Path, required=True, help="to write: the table for people")
    parser.add_argument("--curve-table", type=Path, required=True, help="to write: the curves, tab separated")
    args = parser.parse_args(argv)
    if [path.parent for path in args.curves] != [path.parent for path in args.metrics]:
        parser.error("--curves must name the neighbour of each file of --metrics, in their order")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", json.dumps(vars(args), default=str))
    import pandas as pd

    published = read_published(args.published)
    results = [read_metrics(path) for path in args.metrics]
    rows = [
        table_row(model, benchmark, mode, metrics, published)
        for model, benchmark, modes in results
        for mode, metrics in modes.items()
    ]
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS)).astype({"num_entries": int})
    with atomic_output(args.table) as stream:
        stream.write(table.to_csv(sep="\t", index=False, float_format="%.2f", lineterminator="\n").encode())
    text = text_tables(results)
    with atomic_output(args.text) as stream:
        stream.write(text.encode())
    points = (
        [model, benchmark, *row]
        for (model, benchmark, _), path in zip(results, args.curves, strict=True)
        for row in read_curves(path)
    )
    write_rows(args.curve_table, CURVE_COLUMNS, points)
    logger.info("the results\n\n%s", text)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
