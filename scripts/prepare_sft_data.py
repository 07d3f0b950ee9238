"""Make training rows from graded generations, or from a ready-made data set such as the released OpenMathInstruct-2.

Reads   folders of generations (output-rs*.jsonl as named by the seeds in answers.jsonl; answers.jsonl; majority.jsonl
        where the problems have no known answer; judged.jsonl where a judge decides) and a list of contaminated
        problems; or a split of a data set of the hub, or files of parquet or JSON Lines
Writes  {"input", "output", "expected_answer", "problem_source", "generation": {"file", "seed", "id"}}, shuffled, and a
        JSON file of counts: by reason, and as a funnel in the order of the steps (openmath.sft states them)

The input is read once, as a stream; what comes through goes to a folder beside the output, which takes as much room as
the output does. In memory stay a byte for each row (9 with a sample), and the problems of one folder.
"""

import argparse
import dataclasses
import glob
import logging
import re
from pathlib import Path

from openmath.convention_options import add_convention_argument, conventions_from
from openmath.problems import problem_key
from openmath.records import RecordError, file_error, read_jsonl, write_json
from openmath.sft.choosing import CODE_FILTERS, DEDUPLICATIONS, SAMPLES, Choice
from openmath.sft.data_sets import DataSetError, Source, hub_source, path_source
from openmath.sft.filters import KEEPABLE, Filters, Lengths
from openmath.sft.folders import folder_shards
from openmath.sft.preparing import Plan, Shard, Worker, prepare
from openmath.sft.ready_made import Columns, columns_to_read, file_shards
from openmath.sft.row_format import FORMATS, RowFormat
from openmath.sft.showing import show
from openmath.work_folders import scratch

logger = logging.getLogger(__name__)

_LIMITS = [field.name for field in dataclasses.fields(Lengths)]
_SWITCHES = {
    "drop_multi_boxed": "leave out solutions with several boxed answers",
    "drop_code_errors": "leave out solutions that show a failed program",
    "drop_matplotlib": "leave out solutions that draw",
    "drop_no_code": "leave out solutions without <tool_call> ... </tool_call>",
    "drop_no_think": "leave out solutions without <think> ... </think>",
    "drop_verification_code": "leave out solutions that announce code which only verifies",
    "trim_prefix": "take a heading line 'My solution:' away",
    "trim_solutions": "cut after the line of the last boxed answer",
    "drop_wrong_arithmetic": "leave out solutions with a wrong equation of plain numbers",
    "split_arithmetic": "write right equations of plain numbers in steps of one operation",
    "count_code_executions": "give the prompt {total_code_executions}, as the solution says it",
}


def shards_of(args: argparse.Namespace, plan: Plan) -> tuple[list[Shard], Source | None]:
    """The input in order, and the data set that it is of.

    Raises:
        DataSetError: a data set cannot be used.
        ValueError: a pattern matches no folder.
    """
    if args.folders is not None:
        folders: dict[Path, None] = {}
        for pattern in args.folders:
            found = [Path(path) for path in sorted(glob.glob(pattern, recursive=True)) if Path(path).is_dir()]
            if not found:
                raise ValueError(f"--folders {pattern}: there is no such folder")
            folders.update(dict.fromkeys(found))
        return [shard for folder in folders for shard in folder_shards(folder, plan.filters)], None
    if args.source == "hub":
        source = hub_source(args.repository, args.revision, args.split)
    else:
        source = path_source(args.path, args.split)
    logger.info("%s: %d files in %s", source.name, len(source.files), source.base)
    columns = columns_to_read(plan.columns, plan.row_format.prompt_keys, plan.extra_keys)
    return [shard for file in source.files for shard in file_shards(file, plan.filters, columns)], source


def filters_from(args: argparse.Namespace) -> Filters:
    """The steps that the options ask for."""
    contaminated = None
    if args.contamination is not None:
        checked = read_jsonl(args.contamination, require=("problem", "contaminated"))
        contaminated = frozenset(problem_key(row["problem"]) for row in checked if row["contaminated"])
    return Filters(
        **{name: getattr(args, name) for name in _SWITCHES},
        keep=tuple(args.keep),
        correctness=args.correctness,
        skip_first=args.skip_first,
        validation_share=args.validation_share,
        part=args.part,
        min_majority_votes=args.min_majority_votes,
        min_majority_share=args.min_majority_share,
        problem=Lengths(**{name: getattr(args, name.replace("_", "_problem_")) for name in _LIMITS}),
        solution=Lengths(**{name: getattr(args, name.replace("_", "_solution_")) for name in _LIMITS}),
        contaminated=contaminated,
        seed=args.shuffle_seed,
    )


def plan_from(args: argparse.Namespace, filters: Filters) -> Plan:
    """What becomes of each row.

    Raises:
        ValueError: options do not go together.
    """
    if (filters.problem.in_tokens or filters.solution.in_tokens) and args.tokenizer is None:
        raise ValueError("--tokenizer: limits in tokens need it")
    return Plan(
        filters=filters,
        row_format=RowFormat.load(
            args.prompt,
            args.template,
            args.format,
            args.suffix,
            dict(args.metadata),
            with_source=args.source is None or args.source_key is not None,
        ),
        columns=Columns(args.problem_key, args.solution_key, args.answer_key, args.source_key),
        conventions=conventions_from(args.convention),
        base=args.output.parent,
        extra_keys=tuple(args.extra_keys),
        tokenizer=args.tokenizer,
        normalise=args.deduplicate == "normalised",
        code_begin=args.code_begin,
        shuffle_seed=args.shuffle_seed,
    )


def prepare_sft_data(args: argparse.Namespace) -> None:
    """Prepare the training rows, or show a sample.

    Raises:
        DataSetError, RecordError: the input cannot be used.
        ValueError: options do not go together.
    """
    plan = plan_from(args, filters_from(args))
    shards, source = shards_of(args, plan)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with scratch(args.output) as work:
        if args.sample is not None:
            for line in show(Worker(plan, work, buckets=1), shards, args.sample):
                print(line)
            return
        choice = Choice(
            deduplicate=args.deduplicate != "none",
            code_filter=args.code_filter,
            sample=args.downsample,
            num_samples=args.num_samples,
            balance_sources=args.balance_sources,
            seed=args.shuffle_seed,
        )
        counts = prepare(shards, plan, choice, args.shuffle, args.expected_rows, work, args.output, args.workers)
    if source is not None:
        counts["source"] = source.described()
    write_json(args.counts, counts)
    logger.info("kept %s of %s rows", counts["rows_out"], counts["rows_in"])
    if args.num_samples is not None and counts["rows_out"] < args.num_samples:
        logger.warning("%d samples were asked for, %d rows are all there are", args.num_samples, counts["rows_out"])


def split_name(text: str) -> str:
    """A name that holds nothing but letters, digits, dots, hyphens and underscores."""
    if not re.fullmatch(r"[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not the name of a split")
    return text


def key_and_value(text: str) -> tuple[str, str]:
    """The two sides of KEY=VALUE."""
    key, sign, value = text.partition("=")
    if not key or not sign:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_input(parser.add_argument_group("input"))
    _add_filters(parser.add_argument_group("what is kept, and cut"))
    _add_choice(parser.add_argument_group("which rows, in which order"))
    _add_output(parser.add_argument_group("output"))
    args = parser.parse_args(argv)
    if (args.folders is None) == (args.source is None):
        parser.error("either --folders or --source is needed")
    if args.source == "hub" and (args.repository is None or args.split is None):
        parser.error("--source hub needs --repository and --split")
    if args.source == "path" and args.path is None:
        parser.error("--source path needs --path")
    if (args.downsample == "none") != (args.num_samples is None):
        parser.error("--num-samples goes with --downsample random or fair")
    if args.balance_sources and args.downsample == "none":
        parser.error("--balance-sources goes with --downsample random or fair")
    return args


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--folders", nargs="+", help="patterns of folders of graded generations, in order")
    group.add_argument("--contamination", type=Path, help="verdicts on problems; without: none is left out")
    add_convention_argument(group, "where an answer is held against a majority's: ")
    group.add_argument(
        "--source", choices=["hub", "path"], help="a ready-made data set: of the hub, or of this machine"
    )
    group.add_argument("--repository", help="hub: owner/name")
    group.add_argument("--revision", default="main", help="hub: commit, tag or branch")
    group.add_argument("--path", nargs="+", help="path: patterns of parquet or jsonl files, or of folders of them")
    group.add_argument("--split", type=split_name, help="hub, or a folder: the split that is taken, such as train_5M")
    group.add_argument("--problem-key", default="problem", help="column of the problem")
    group.add_argument("--solution-key", default="generated_solution", help="column of the solution")
    group.add_argument("--answer-key", default="expected_answer", help="column of the expected answer")
    group.add_argument("--source-key", help="column that says where a problem comes from; without: not written")
    group.add_argument("--expected-rows", type=int, help="rows that must be there; another number is an error")
    group.add_argument("--skip-first", type=int, default=0, help="rows to leave out at the beginning of each file")


def _add_filters(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--keep", nargs="+", choices=KEEPABLE, default=["correct"], help="of graded generations")
    group.add_argument(
        "--correctness", choices=["symbolic", "judge"], default="symbolic", help="who says what is right"
    )
    group.add_argument("--min-majority-votes", type=int, default=0, help="votes for an expected answer that was voted")
    group.add_argument("--min-majority-share", type=float, default=0.0, help="the same, of all votes (0 to 1)")
    for name, text in _SWITCHES.items():
        group.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=text)
    for what in ("problem", "solution"):
        for limit in _LIMITS:
            bound, unit = limit.split("_")
            end = "shortest" if bound == "min" else "longest"
            group.add_argument(f"--{bound}-{what}-{unit}", type=int, help=f"{end} {what}, in {unit}")
    group.add_argument("--tokenizer", type=Path, help="model folder whose tokenizer counts; for limits in tokens")


def _add_choice(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--validation-share", type=float, default=0.0, help="share of the problems kept for validation")
    group.add_argument("--part", choices=["train", "validation"], default="train", help="which of the two is made")
    group.add_argument("--deduplicate", choices=DEDUPLICATIONS, default="exact", help="which rows are equal")
    group.add_argument("--code-filter", choices=CODE_FILTERS, help="which kind of solutions a problem keeps")
    group.add_argument("--code-begin", default="<tool_call>", help="what a solution with code holds")
    group.add_argument("--downsample", choices=SAMPLES, default="none", help="how to take fewer rows")
    group.add_argument("--num-samples", type=int, help="how many rows to take; with --downsample random or fair")
    group.add_argument("--balance-sources", action="store_true", help="take as many rows of each source")
    group.add_argument(
        "--shuffle-seed", type=int, required=True, help="seed of the order, and of every choice by chance"
    )
    group.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="leave rows in the order of the input"
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--prompt", type=Path, help="prompt file that the input is made with; without: the problem alone"
    )
    group.add_argument("--template", type=Path, help="template file of the model to be trained")
    group.add_argument("--format", choices=FORMATS, default="plain", help="form of a row")
    group.add_argument("--suffix", help="what ends an output; without: what ends the assistant's turn in the template")
    group.add_argument(
        "--metadata", type=key_and_value, nargs="+", default=[], metavar="KEY=VALUE", help="for every row"
    )
    group.add_argument("--extra-keys", nargs="+", default=[], help="keys that rows carry along; 'all' for all")
    group.add_argument("--output", type=Path, required=True, help="the training rows")
    group.add_argument("--counts", type=Path, required=True, help="how many rows fell out, by reason")
    group.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")
    group.add_argument("--sample", type=int, help="only show what each step does to so many rows")


def main(argv: list[str] | None = None) -> None:
    """Prepare the training data."""
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    try:
        prepare_sft_data(args)
    except OSError as error:
        raise SystemExit(f"prepare_sft_data: {file_error(error, args.output)}") from None
    except (DataSetError, RecordError, RuntimeError, ValueError) as error:
        raise SystemExit(f"prepare_sft_data: {error}") from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
