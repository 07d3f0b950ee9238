r"""Whether the tests would notice: disable each rule of grading, votes, metrics and data in turn, and name what fails.

    python tests/mutate.py [--module NAME ...] [--more] [--pairs] [--workers N] [--table FILE]

A mutant is the code with one condition (of ``if``, ``elif``, ``while``, a conditional expression, a filter of a
comprehension) or one returned truth value taken for false. With ``--more`` also: taken for true; one operand of an
``and`` or ``or`` left out; one entry of a table of the module left out (a set, a dictionary, a list, a text of words).

    if self.kind == "frac":           if (self.kind == "frac") and False:
    if "," in text and is_list:       if "," in text and True:
    "lt": ("rel", "<"), "gt": ...     "gt": ...

A mutant is killed by a labelled pair (tests/data/answers/*.tsv, graded both ways), by a labelled solution
(extraction.jsonl) or by a test of the files in ``MODULES``; the table names the first that fails. What survives every
one is listed at the end, and the exit status is 1 if there is any. What fails without a mutant kills none. ``EXCLUDED``
names the conditions that change no verdict, only time or memory.

All conditions are compiled in at once, behind a switch (``value = test(number, value)``), so that most mutants need no
import: a process that has everything loaded forks, sets the switch, and runs those pairs and tests alone in which the
condition had the value that the mutant takes away, the fastest first. Entries of tables, conditions met at import and
what numba compiles are written out and imported instead. Child processes import the mutant too. A mutant that does not
end in time is killed by that.

Cost: with two workers about 8 minutes for the conditions of all modules, half of it for survivors; 2 minutes with
``--pairs``, which runs no tests; with ``--more`` hours, as each entry of a table is an import. It is run by hand, from
any folder; nothing is written into the repository.
"""

import argparse
import ast
import contextlib
import csv
import functools
import gc
import importlib
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "scripts" / "openmath"
LABELLED = ROOT / "tests" / "data" / "answers"
_ANSWERS = (
    "test_answers", "test_answer_properties", "test_answer_rules", "test_answer_hostile", "test_convention_options",
    "test_answer_comparing", "test_answer_sets", "test_answer_values",
)  # fmt: skip
_TRAINING_ROWS = ("test_prepare_sft_data", "test_prepare_ready_made_data")
MODULES: dict[str, tuple[str, ...]] = {
    **{f"answers.{path.stem}".removesuffix(".__init__"): _ANSWERS for path in sorted(SOURCES.glob("answers/*.py"))},
    "answers.extraction": ("test_extraction", "test_grading"),
    "voting": ("test_voting", "test_voting_rules", "test_vote_answers"),
    "metrics": ("test_metrics", "test_metrics_rules", "test_compute_metrics", "test_tabulate_results"),
    "majority_curves": ("test_majority_curves", "test_majority_curves_rules", "test_compute_metrics"),
    "resampling": ("test_resampling", "test_resampling_rules"),
    "comparisons": ("test_comparisons", "test_comparisons_rules", "test_compare_models"),
    "curves": ("test_curves", "test_curves_rules", "test_compute_metrics"),
    "judging": ("test_judging", "test_judging_rules"),
    **{f"sft.{path.stem}": _TRAINING_ROWS for path in sorted(SOURCES.glob("sft/[a-z]*.py"))},
    "sft.choosing": ("test_sft_choosing",),
    "sft.spool": ("test_sft_spool",),
    "sft.texts": ("test_sft_texts",),
    "sft.writing": ("test_sft_spool",),
    **{
        f"arithmetic.{path.stem}".removesuffix(".__init__"): ("test_arithmetic",)
        for path in sorted(SOURCES.glob("arithmetic/*.py"))
    },
    "packing": ("test_packing",),
    "tokenization": ("test_tokenization",),
    **dict.fromkeys(
        ("packed_rows", "sample_spool", "sample_reading", "pack_merging"),
        ("test_packed_rows", "test_pack_sequences", "test_merge_packs", "test_suggest_batch"),
    ),
}
# Functions that numba compiles where no pattern finds them.
COMPILED = {
    "packing": (
        "_first_fit", "_best_fit", "_fill", "_choose", "_most_rows", "_lists", "_mark", "_append", "_take", "_find",
    ),
}  # fmt: skip
# (module, function, condition) of what no verdict shows, and why. What is here no longer stops the run.
_TIME = "a shorter way to the same result"
_BOUND = "a bound on time or memory, on input that no test can afford to be slow on"
EXCLUDED: dict[tuple[str, str, str], str] = {
    ("answers.exact", "rational_of", "isinstance(tree, Number)"): _TIME,
    ("answers.exact", "forms_equal", "one.below == other.below"): _TIME,
    ("answers.exact", "_cleared", "not lowest"): _TIME,
    ("answers.exact", "_quotient", "below is ONE or below == ONE"): _TIME,
    ("answers.exact", "_add", "one.below is ONE and other.below is ONE"): _TIME,
    ("answers.exact", "_add", "one.below == other.below"): _TIME,
    ("answers.exact", "_times", "one.below is ONE and other.below is ONE"): _TIME,
    ("answers.exact", "_whole_power", "exponent > 10**6 and monomial"): _BOUND,
    ("answers.exact", "_whole_power", "exponent > MAX_POWER"): _BOUND,
    ("answers.polynomials", "join", "not one"): _TIME,
    ("answers.polynomials", "join", "not other"): _TIME,
    ("answers.polynomials", "multiply", "one is ONE"): _TIME,
    ("answers.polynomials", "multiply", "other is ONE"): _TIME,
    ("answers.polynomials", "multiply", "len(one) * len(other) > MAX_TERMS * 10"): _BOUND,
    ("answers.polynomials", "multiply", "len(product) > MAX_TERMS"): _BOUND,
    ("answers.polynomials", "plus", "len(total) > MAX_TERMS"): _BOUND,
    ("answers.polynomials", "normal", "abs(whole) * prime.bit_length() > MAX_BITS"): _BOUND,
    ("answers.polynomials", "reduced", "type(value) is int"): _TIME,
    ("answers.polynomials", "reduced", "value.bit_length() > MAX_BITS"): _BOUND,
    ("answers.polynomials", "reduced", "numerator.bit_length() + denominator.bit_length() > MAX_BITS"): _BOUND,
    ("answers.polynomials", "factorise", "number.bit_length() > 2000"): _BOUND,
    ("answers.lexer", "to_ascii", "text.isascii()"): _TIME,
    ("answers.lexer", "tokenize", "len(text) > MAX_LENGTH or depth > 5"): _BOUND,
    ("answers.matching", "can_be_paired", "len(left) > MAX_UNPAIRED"): _BOUND,
    ("answers.number_tokens", "number", "text.isdigit()"): _TIME,
    ("answers.numeric", "_points", "not names"): _TIME,
    ("answers.numeric", "_float_root", "index == 2"): _TIME,
    ("answers.numeric", "_complex_root", "index == 2"): _TIME,
    ("answers.numeric", "_precise_field.root", "index == 2"): _TIME,
    ("answers.numeric", "_precise_field.bounded.checked", "any(abs(arg) > MAX_EXPONENT for arg in args)"): _BOUND,
    ("answers.parser", "AnswerParser.listing", "len(items) > MAX_ITEMS"): _BOUND,
    ("answers.enclosed", "EnclosedParser.french_bracket", "self.depth > 8"): _BOUND,
    ("answers.reading", "read", "len(text) < 40 and (match := _PLAIN_NUMBER.fullmatch(text)) is not None"): _TIME,
    ("answers.reading", "read", "len(cleaned) > lexer.MAX_LENGTH"): _BOUND,
    ("answers.shapes", "expand", 'not contains(tree, "pm", "mp")'): _TIME,
    ("answers.shapes", "_expanded_tuple", "math.prod(len(choice) for choice in choices) > MAX_EXPANDED"): _BOUND,
    ("answers.symbolic", "_equal", "left == right"): _TIME,
    ("answers.symbolic", "_equal", "names"): _TIME,
    ("answers.units", "_measure", "abs(power) > 6"): _BOUND,
    ("answers.values", "ValueComparison.expressions", "one == other"): _TIME,
    (
        "answers.values",
        "ValueComparison.expressions",
        "isinstance(one, Number) and isinstance(other, Number) and not (one.digits or other.digits)",
    ): _TIME,
    ("arithmetic", "_is_wrong", "_is_plainly_right(text, chain)"): _TIME,
    ("arithmetic", "_is_wrong", "_agree(sides)"): _TIME,
    ("arithmetic", "_is_plainly_right", 'operator == "+"'): _TIME,
    ("arithmetic", "_is_plainly_right", "left + right == result"): _TIME,
    ("arithmetic", "_is_plainly_right", 'operator == "-"'): _TIME,
    ("arithmetic", "_is_plainly_right", "left - right == result"): _TIME,
    ("arithmetic", "_is_plainly_right", 'operator == "*"'): _TIME,
    ("arithmetic", "_is_plainly_right", "left * right == result"): _TIME,
    ("arithmetic", "_is_plainly_right", "right != 0 and left == right * result"): _TIME,
    ("arithmetic", "_steps", "_WHOLE_NUMBERS.fullmatch(text, chain.start, chain.end)"): _TIME,
    ("arithmetic.values", "_number", "not decimals"): _TIME,
    ("sft.folders", "FolderReader._problem", "self.prompt_keys"): _TIME,
    ("sft.preparing", "prepare", "time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS"): "a message",
    ("sft.preparing", "estimated_size", "packed or is_compressed(shard.path)"): _BOUND,
    ("sft.preparing", "grouped", "held >= size"): _TIME,
    ("sft.spool", "SpoolWriter.add", "self._held[bucket] > self._limit"): _BOUND,
    ("sft.reading", "Problems._in_validation", "share == 0"): _TIME,
    ("tokenization", "", "TYPE_CHECKING"): _TIME,
    ("tokenization", "ModelTokenizer._encode", "fast is None"): _TIME,
    ("packing", "_find", "node % 2 == 0"): _TIME,
    ("packing", "_choose", "least == 0"): _TIME,
}
# Tests that read the labelled pairs once more, or measure.
REPEATED = ("TestLabelledPairs", "test_memory_stays_small")
# Tests that take longer are left out: a survivor would cost as much again for each of them.
SLOW_SECONDS = 1.0
# CPU seconds of a pair and of a test, wall seconds of a mutant, and memory beyond what it begins with.
PAIR_SECONDS, TEST_SECONDS, MUTANT_SECONDS, MUTANT_BYTES = 2, 10, 100, 1 << 30

SWITCH = '''
"""The switch of the mutants, and what is recorded where none is on."""
import mmap, os

site, _, forced = os.environ.get("MUTANT", "-1:0").partition(":")
ACTIVE, FORCED, HITS = int(site), forced == "1", None


class Reports:
    """What a child process meets, once in each epoch, as lines of a shared file."""

    def __init__(self):
        self.epoch = mmap.mmap(os.open(os.environ["MUTANT_EPOCH"], os.O_RDONLY), 8, prot=mmap.PROT_READ)
        self.log = os.open(os.environ["MUTANT_HITS"], os.O_WRONLY | os.O_APPEND)
        self.seen, self.at = set(), b""

    def add(self, hit):
        if self.epoch[:8] != self.at:
            self.seen, self.at = set(), self.epoch[:8]
        if hit not in self.seen:
            self.seen.add(hit)
            os.write(self.log, f"{hit[0]}:{int(hit[1])}\\n".encode())


def test(site, value):
    if site == ACTIVE:
        return FORCED
    if HITS is not None:
        HITS.add((site, bool(value)))
    return value


def report():
    global HITS
    if "MUTANT_HITS" in os.environ:
        HITS = Reports()


if os.environ.get("MUTANT_OWNER") != str(os.getpid()):
    report()
os.register_at_fork(after_in_child=report)
'''


class Site(NamedTuple):
    """One place that can be mutated; ``cold`` if the mutant has to be imported anew."""

    module: str
    line: int
    function: str
    kind: str
    text: str
    cold: bool


class Mutant(NamedTuple):
    """A site (its number) and what it is taken for."""

    site: int
    forced: bool


class Killed(NamedTuple):
    """What noticed a mutant: "pair", "test" or "timeout", and its name; nothing of either for a survivor."""

    how: str
    name: str


# Sources with switches


class Mutator(ast.NodeTransformer):
    """Puts every place of a module that can be mutated behind a switch, or mutates one of them for good."""

    def __init__(self, module: str, source: str, first: int, chosen: Mutant | None = None) -> None:
        self.module = module
        self.source = source
        self.first = first
        self.chosen = chosen
        self.sites: list[Site] = []
        self.path: list[str] = []
        self.compiled = {*re.findall(r"njit\([^()]*\)\((\w+)\)", source), *COMPILED.get(module, ())}

    def mutate(self, node: ast.expr, kind: str, original: ast.expr) -> ast.expr:
        cold = not self.path or self.path[-1] in self.compiled
        number = self._site(kind, ast.get_source_segment(self.source, original) or "", original.lineno, cold)
        if self.chosen is not None:
            if number != self.chosen.site:
                return node
            return ast.BoolOp(ast.Or() if self.chosen.forced else ast.And(), [node, ast.Constant(self.chosen.forced)])
        if cold:
            return node
        return ast.Call(ast.Name("mutant_test", ast.Load()), [ast.Constant(number), node], [])

    def _site(self, kind: str, text: str, line: int, cold: bool) -> int:
        text = re.sub(r"\s+", " ", text)
        self.sites.append(Site(self.module, line, ".".join(self.path), kind, text, cold))
        return self.first + len(self.sites) - 1

    def _left_out(self, text: str, line: int) -> bool:
        number = self._site("entry", text, line, True)
        return self.chosen is not None and number == self.chosen.site

    # Conditions

    def _condition(self, node: Any, kind: str) -> Any:
        original = node.test
        self.generic_visit(node)
        if not isinstance(original, ast.Constant):
            node.test = self.mutate(node.test, kind, original)
        return node

    def visit_If(self, node: ast.If) -> Any:
        main = isinstance(node.test, ast.Compare) and ast.unparse(node.test.left) == "__name__"
        return node if main else self._condition(node, "if")

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        return self._condition(node, "if")

    def visit_While(self, node: ast.While) -> Any:
        return self._condition(node, "while")

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        originals = list(node.ifs)
        self.generic_visit(node)
        node.ifs = [self.mutate(new, "filter", old) for new, old in zip(node.ifs, originals, strict=True)]
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        original = node.value
        self.generic_visit(node)
        if node.value is not None and original is not None and _is_truth(original):
            node.value = self.mutate(node.value, "return", original)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        originals = list(node.values)
        self.generic_visit(node)
        kind = "and" if isinstance(node.op, ast.And) else "or"
        node.values = [
            new if isinstance(old, ast.Constant) else self.mutate(new, kind, old)
            for new, old in zip(node.values, originals, strict=True)
        ]
        return node

    # Tables

    def visit_Dict(self, node: ast.Dict) -> Any:
        pairs = list(zip(node.keys, node.values, strict=True))
        if not self.path:
            pairs = [
                (key, value)
                for key, value in pairs
                if key is None or not self._left_out(ast.unparse(key), key.lineno)
            ]  # fmt: skip
        node.keys = [key for key, _ in pairs]
        node.values = [value if isinstance(value, ast.Tuple) else self.visit(value) for _, value in pairs]
        return node

    def _elements(self, node: Any) -> Any:
        if not self.path:
            node.elts = [
                item
                for item in node.elts
                if isinstance(item, ast.Starred) or not self._left_out(ast.unparse(item), item.lineno)
            ]
        node.elts = [item if isinstance(item, ast.Tuple) else self.visit(item) for item in node.elts]
        return node

    def visit_Set(self, node: ast.Set) -> Any:
        return self._elements(node)

    def visit_List(self, node: ast.List) -> Any:
        return self._elements(node)

    def visit_Tuple(self, node: ast.Tuple) -> Any:
        return self._elements(node)

    def visit_Call(self, node: ast.Call) -> Any:
        function = ast.unparse(node.func)
        texts = [arg for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if not self.path and function in ("str.maketrans", "dict.fromkeys") and texts:
            for position in range(len(texts[0].value) - 1, -1, -1):
                if self._left_out(texts[0].value[position], node.lineno):
                    for text in texts if function == "str.maketrans" else texts[:1]:
                        text.value = text.value[:position] + text.value[position + 1 :]
        return self.generic_visit(node)

    def _assignment(self, node: Any) -> Any:
        value, names = node.value, ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
        if value is None or names == "__all__" or isinstance(value, ast.Subscript) or names.endswith(("]", "*")):
            return node
        if not self.path:
            for text in ast.walk(value) if not isinstance(value, ast.Dict) else ():
                if isinstance(text, ast.Constant) and isinstance(text.value, str) and len(text.value.split()) > 5:
                    self._words(text)
        node.value = self.visit(value)
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        return self._assignment(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        return self._assignment(node)

    def _words(self, text: ast.Constant) -> None:
        for match in list(re.finditer(r"[^\s;]+", str(text.value))):
            if self._left_out(match[0], text.lineno):
                text.value = str(text.value)[: match.start()] + str(text.value)[match.end() :]

    # Functions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.path.append(node.name)
        node.body = [self.visit(statement) for statement in node.body]
        self.path.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        functions = [part for part in node.body if isinstance(part, ast.FunctionDef)]
        self.path.append(node.name)
        for function in functions:
            self.visit_FunctionDef(function)
        self.path.pop()
        return node


def _is_truth(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        return name in ("any", "all", "isinstance", "bool") or name.endswith((".startswith", ".endswith"))
    negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    return negated or isinstance(node, (ast.Compare, ast.BoolOp))


def file_of(module: str) -> str:
    """The path of a module under scripts/."""
    path = SOURCES.joinpath(*module.split("."))
    return str((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).relative_to(SOURCES.parent))


def with_switches(module: str, source: str, first: int, chosen: Mutant | None = None) -> tuple[str, list[Site]]:
    """The source of a module with all its switches, or with one mutant written out; and its sites."""
    mutator = Mutator(module, source, first, chosen)
    tree = ast.fix_missing_locations(mutator.visit(ast.parse(source)))
    if chosen is None:
        after = next(i for i, part in enumerate(tree.body) if not isinstance(part, ast.Expr) or i)
        while isinstance(tree.body[after], ast.ImportFrom) and tree.body[after].module == "__future__":
            after += 1
        tree.body.insert(after, ast.parse("from mutant_switch import test as mutant_test").body[0])
    return ast.unparse(tree), mutator.sites


class Overlay:
    """Folders that stand for scripts/: its modules as they were at first, with switches or with a mutant."""

    def __init__(self, folder: Path, modules: Iterable[str]) -> None:
        self.folder = folder
        self.sources = {
            str(path.relative_to(SOURCES.parent)): path.read_text("utf-8") for path in sorted(SOURCES.rglob("*.py"))
        }
        self.sites: list[Site] = []
        self.first: dict[str, int] = {}
        changed = {}
        for module in modules:
            self.first[module] = len(self.sites)
            changed[file_of(module)], sites = with_switches(module, self.sources[file_of(module)], len(self.sites))
            self.sites += sites
        self._write("plain", self.sources)
        self.switched = self._linked("switched", changed)

    def mutated(self, mutant: Mutant) -> Path:
        """A folder with one mutant written out."""
        module = self.sites[mutant.site].module
        source, _ = with_switches(module, self.sources[file_of(module)], self.first[module], mutant)
        return self._linked(f"mutant-{mutant.site}-{mutant.forced}", {file_of(module): source})

    def _write(self, name: str, sources: dict[str, str]) -> Path:
        for path, source in sources.items():
            copy = self.folder / name / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source, "utf-8")
        (self.folder / name / "mutant_switch.py").write_text(SWITCH)
        return self.folder / name

    def _linked(self, name: str, changed: dict[str, str]) -> Path:
        folder = self._write(name, changed)
        for path in self.sources.keys() - changed.keys():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(self.folder / "plain" / path)
        return folder


# Pairs and texts


class Row(NamedTuple):
    """A labelled pair, or a solution with its answer."""

    name: str
    holds: Callable[[], bool]
    last: bool


def labelled_rows() -> list[Row]:
    """All labelled pairs and solutions, those that need sympy last; the grader must be imported already."""
    answers = importlib.import_module("openmath.answers")
    extraction = importlib.import_module("openmath.answers.extraction")

    def agree(expected: str, predicted: str, label: bool) -> bool:
        grades = answers.grade(expected, predicted), answers.grade(predicted, expected)
        return all((found.verdict == "correct") is label and found.tier != "error" for found in grades)

    def extracts(row: dict[str, Any]) -> bool:
        method = row.get("method", "boxed")
        chosen = extraction.extractor("regex", method["regex"]) if isinstance(method, dict) else None
        return bool((chosen or extraction.extractor(method))(row["text"]) == row["answer"])

    rows = []
    for path in sorted(LABELLED.glob("*.tsv")):
        for number, line in enumerate(path.read_bytes().decode("utf-8").split("\n"), 1):
            if line and number > 1:
                _, expected, predicted, label, why = line.split("\t")
                name = f"{path.stem}:{number}: {expected} | {predicted} | {label} | {why}"
                dear = re.search(r"\\(sum|prod|int|lim)(?![a-z])|[∑∏∫]", expected + predicted) is not None
                rows.append(Row(name, functools.partial(agree, expected, predicted, label == "yes"), dear))
    for number, line in enumerate((LABELLED / "extraction.jsonl").read_text("utf-8").split("\n"), 1):
        if line:
            row = json.loads(line)
            rows.append(Row(f"extraction:{number}: {row['why']}", functools.partial(extracts, row), False))
    return sorted(rows, key=lambda row: row.last)


def is_repeated(item: pytest.Item) -> bool:
    return any(name in item.nodeid for name in REPEATED)


def fails(row: Row) -> bool:
    try:
        return not row.holds()
    except Exception:
        return True


def clear_caches() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("openmath."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


# The processes


class Result:
    """What a child finds, line by line; it is read when the child has ended, however it did."""

    def __init__(self, work: Callable[[int], None], seconds: float) -> None:
        self.reader, writer = os.pipe()
        self.deadline = time.monotonic() + seconds
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.close(self.reader)
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2) if "MUTATE_DEBUG" not in os.environ else (0,):
                os.dup2(nothing, stream)
            try:
                work(writer)
            finally:
                os._exit(0)
        os.close(writer)

    def ended(self) -> bool:
        late = time.monotonic() > self.deadline
        if late:
            self.kill()
        found, _ = os.waitpid(self.pid, 0 if late else os.WNOHANG)
        self.late = late
        if found:
            self.kill()
        return bool(found)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def read(self) -> str:
        with os.fdopen(self.reader, "rb") as stream:
            return stream.read().decode("utf-8", "replace")


def verdict_of(result: Result) -> Killed | None:
    text = result.read()
    how, _, name = text.partition("\t")
    if how in ("pair", "test", "timeout"):
        return Killed(how, name.strip())
    if how == "survived":
        return None
    return Killed("timeout", "") if result.late else Killed("test", "the process ended")


def in_turn(
    mutants: list[Mutant], start: Callable[[Mutant], Result | None], workers: int
) -> Iterator[tuple[Mutant, Killed | None]]:
    """Yield what becomes of each mutant; ``start`` gives None for one that nothing would notice."""
    waiting, running = list(reversed(mutants)), {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            result = start(mutant)
            if result is None:
                yield mutant, None
            else:
                running[mutant] = result
        for mutant, result in list(running.items()):
            if result.ended():
                del running[mutant]
                yield mutant, verdict_of(result)
        time.sleep(0.002)


def write(writer: int, how: str, name: str = "") -> None:
    os.write(writer, f"{how}\t{name}"[:4000].encode())


@contextlib.contextmanager
def limited(writer: int, seconds: float, name: str) -> Iterator[None]:
    """End the process where the work takes more than its CPU time, and name that as what noticed the mutant."""

    def late(number: int, frame: object) -> None:
        write(writer, "timeout", name)
        os._exit(0)

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


def limit_memory() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MUTANT_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


class Recorder:
    """Which sites a piece of work meets, and with what truth value; in child processes too."""

    def __init__(self, folder: Path) -> None:
        self.log, self.epoch = folder / "hits", folder / "epoch"
        self.log.write_bytes(b"")
        self.epoch.write_bytes(bytes(8))
        os.environ.update(MUTANT_HITS=str(self.log), MUTANT_EPOCH=str(self.epoch), MUTANT_OWNER=str(os.getpid()))
        self.count = 0

    def hits_of(self, work: Callable[[], Any]) -> tuple[Any, float, set[tuple[int, bool]]]:
        switch = importlib.import_module("mutant_switch")
        self.count += 1
        with open(self.epoch, "r+b") as stream:
            stream.write(self.count.to_bytes(8, "little"))
        os.truncate(self.log, 0)
        clear_caches()
        switch.HITS = hits = set()
        before = time.monotonic()
        found = work()
        seconds = time.monotonic() - before
        switch.HITS = None
        for line in self.log.read_text().split():
            site, _, value = line.partition(":")
            hits.add((int(site), value == "1"))
        return found, seconds, hits


class Session:
    """A pytest plugin that takes over once all tests are collected: it records, forks, and runs mutants."""

    def __init__(self, folder: Path, mutants: list[Mutant], workers: int, told: Callable[..., None]) -> None:
        self.folder = folder
        self.mutants = mutants
        self.workers = workers
        self.told = told
        self.failed = False
        self.row_hits: dict[tuple[int, bool], list[Row]] = defaultdict(list)
        self.item_hits: dict[tuple[int, bool], list[pytest.Item]] = defaultdict(list)
        self.seconds: dict[str, float] = {}
        self.broken: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def run_item(self, item: pytest.Item) -> bool:
        self.failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return self.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.record(session)
        os.environ.pop("MUTANT_HITS")
        gc.collect()
        gc.freeze()
        for mutant, killed in in_turn(self.mutants, self.start, self.workers):
            self.told(mutant, killed)
        return True

    def record(self, session: pytest.Session) -> None:
        recorder = Recorder(self.folder)
        kept: list[tuple[float, Row, set[tuple[int, bool]]]] = []
        for row in labelled_rows():
            failed, seconds, hits = recorder.hits_of(functools.partial(fails, row))
            if failed:
                self.broken.append(row.name)
            else:
                kept.append((seconds, row, hits))
        for _, row, hits in sorted(kept, key=lambda entry: entry[0]):
            for hit in hits:
                self.row_hits[hit].append(row)
        print(f"{len(kept)} labelled pairs and solutions recorded", file=sys.stderr)
        items = []
        for item in session.items:
            if not is_repeated(item):
                failed, seconds, hits = recorder.hits_of(functools.partial(self.run_item, item))
                if failed:
                    self.broken.append(item.nodeid)
                elif seconds < SLOW_SECONDS:
                    items.append((seconds, item, hits))
                    self.seconds[item.nodeid] = seconds
        for _, item, hits in sorted(items, key=lambda entry: entry[0]):
            for hit in hits:
                self.item_hits[hit].append(item)
        print(f"{len(items)} tests recorded", file=sys.stderr)

    def start(self, mutant: Mutant) -> Result | None:
        hit = (mutant.site, not mutant.forced)
        rows, items = self.row_hits[hit], self.item_hits[hit]
        if not rows and not items:
            return None

        def work(writer: int) -> None:
            switch = importlib.import_module("mutant_switch")
            switch.HITS, switch.ACTIVE, switch.FORCED = None, mutant.site, mutant.forced
            os.environ["MUTANT"] = f"{mutant.site}:{int(mutant.forced)}"
            limit_memory()
            clear_caches()
            for row in rows:
                with limited(writer, PAIR_SECONDS, row.name):
                    failed = fails(row)
                if failed:
                    write(writer, "pair", row.name)
                    return
            for item in items:
                clear_caches()
                with limited(writer, TEST_SECONDS + 3 * self.seconds[item.nodeid], item.nodeid):
                    failed = self.run_item(item)
                if failed:
                    write(writer, "test", item.nodeid)
                    return
            write(writer, "survived")

        return Result(work, MUTANT_SECONDS)


def files_of_tests(modules: Iterable[str]) -> list[str]:
    names = dict.fromkeys(name for module in modules for name in MODULES[module])
    return [str(path) for name in names if (path := ROOT / "tests" / "unit" / f"{name}.py").exists()]


NO_TESTS = str(ROOT / "tests" / "conftest.py")
PYTEST_OPTIONS = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--rootdir={ROOT}"]


def settle_hypothesis() -> None:
    """The same examples in every process."""
    from hypothesis import settings

    settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    settings.load_profile("mutants")


def import_from(folder: Path) -> None:
    """Let the package come from a folder, here and in child processes."""
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)
    for name in ("openmath", "openmath.answers", *(f"openmath.{module}" for module in MODULES)):
        importlib.import_module(name)


def run_warm(overlay: Overlay, mutants: list[Mutant], tests: list[str], workers: int, told: Any) -> list[str]:
    """Run the mutants that a switch can set; return what fails without any mutant."""

    def work(writer: int) -> None:
        def pass_on(mutant: Mutant, killed: Killed | None) -> None:
            os.write(writer, (json.dumps([*mutant, killed]) + "\n").encode())

        os.environ["MUTANT_OWNER"] = str(os.getpid())
        import_from(overlay.switched)
        settle_hypothesis()
        session = Session(overlay.folder, mutants, workers, pass_on)
        pytest.main([*PYTEST_OPTIONS, *(tests or [NO_TESTS])], plugins=[session])
        os.write(writer, (json.dumps(session.broken) + "\n").encode())

    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            os.dup2(2, 1)
            work(writer)
        finally:
            os._exit(0)
    os.close(writer)
    broken: list[str] = []
    with os.fdopen(reader, encoding="utf-8") as lines:
        for line in lines:
            found = json.loads(line)
            if len(found) == 3 and isinstance(found[0], int):
                told(Mutant(found[0], found[1]), Killed(*found[2]) if found[2] else None)
            else:
                broken = found
    os.waitpid(pid, 0)
    return broken


class First:
    """A pytest plugin that keeps the name of the first test that fails, and leaves out what fails anyway."""

    def __init__(self, broken: list[str]) -> None:
        self.name = ""
        self.broken = broken

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid not in self.broken and not is_repeated(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.name = self.name or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.name = self.name or report.nodeid


def start_cold(overlay: Overlay, broken: list[str], tests: bool, mutant: Mutant) -> Result:
    """Import a mutant anew and hold everything against it."""

    def work(writer: int) -> None:
        folder = overlay.mutated(mutant)
        try:
            import_from(folder)
        except Exception as error:
            write(writer, "test", f"import: {type(error).__name__}: {error}")
            return
        module = overlay.sites[mutant.site].module
        limit_memory()
        if module.startswith("answers"):
            for row in labelled_rows():
                with limited(writer, PAIR_SECONDS, row.name):
                    failed = row.name not in broken and fails(row)
                if failed:
                    write(writer, "pair", row.name)
                    return
        settle_hypothesis()
        first = First(broken)
        if tests:
            pytest.main([*PYTEST_OPTIONS, "-x", *files_of_tests([module])], plugins=[first])
        write(writer, "test" if first.name else "survived", first.name)

    return Result(work, MUTANT_SECONDS)


def wanted(site: Site, more: bool) -> list[bool]:
    """The values that a site is taken for."""
    if (site.module, site.function, site.text) in EXCLUDED:
        return []
    if site.kind in ("if", "filter", "return"):
        return [False, True] if more else [False]
    if site.kind == "while":
        return [False]
    return ([site.kind == "and"] if site.kind != "entry" else [False]) if more else []


def described(site: Site, forced: bool) -> str:
    what = {"and": "left out", "or": "left out", "entry": "left out"}.get(site.kind, "true" if forced else "false")
    return f"{site.kind}: {site.text} -> {what}"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--module", action="append", choices=MODULES, metavar="NAME", help="these alone, as in MODULES")
    parser.add_argument("--more", action="store_true", help="also true for false, operands and entries of tables")
    parser.add_argument("--pairs", action="store_true", help="labelled pairs and solutions alone, no tests: minutes")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time (default: %(default)s)")
    parser.add_argument("--table", type=Path, help="write all mutants, with what killed each, as a table (TSV)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the mutants and print the table; 1 if any survives."""
    args = parse_args(argv)
    modules = args.module or list(MODULES)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    found: dict[Mutant, Killed | None] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        overlay = Overlay(Path(folder), modules)
        mutants = [
            Mutant(number, forced) for number, site in enumerate(overlay.sites) for forced in wanted(site, args.more)
        ]

        places = {(site.module, site.function, site.text) for site in overlay.sites}
        for key in EXCLUDED.keys() - places:
            if key[0] in modules:
                raise SystemExit(f"mutate: {key} is excluded, but no such condition is left")

        def told(mutant: Mutant, killed: Killed | None) -> None:
            found[mutant] = killed
            if killed is None:
                site = overlay.sites[mutant.site]
                print(f"{site.module}:{site.line}: {described(site, mutant.forced)} survived", file=sys.stderr)
            if len(found) % 100 == 0:
                print(f"{len(found)} of {len(mutants)} mutants", file=sys.stderr)

        tests = [] if args.pairs else files_of_tests(modules)
        warm = [mutant for mutant in mutants if not overlay.sites[mutant.site].cold]
        broken = run_warm(overlay, warm, tests, args.workers, told)
        for name in ("numpy", "mpmath", "msgspec", "hypothesis"):
            importlib.import_module(name)
        cold = [mutant for mutant in mutants if overlay.sites[mutant.site].cold]
        start = functools.partial(start_cold, overlay, broken, bool(tests))
        for mutant, killed in in_turn(cold, start, args.workers):
            told(mutant, killed)
    return show(overlay.sites, {mutant: found.get(mutant) for mutant in mutants}, broken, args.table)


def show(sites: list[Site], found: dict[Mutant, Killed | None], broken: list[str], table: Path | None) -> int:
    """Print the table of all mutants, the counts of each module and the survivors."""
    lines = []
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, killed in found.items():
        site = sites[mutant.site]
        how, name = killed or ("survived", "")
        counts[site.module].update(["mutants", how])
        lines.append((site.module, str(site.line), site.function, described(site, mutant.forced), how, name))
    if table is not None:
        with open(table, "w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\").writerows(lines)
    lines.sort(key=lambda line: (list(MODULES).index(line[0]), int(line[1])))
    for line in lines:
        print(" | ".join(line))
    print(f"\nFail without a mutant: {len(broken)}", *broken, sep="\n  ")
    print(f"\n{'module':28}{'mutants':>9}{'pair':>8}{'test':>8}{'timeout':>9}{'survived':>10}")
    for module, count in counts.items():
        print(
            f"{module:28}{count['mutants']:9}{count['pair']:8}{count['test']:8}{count['timeout']:9}{count['survived']:10}"
        )
    print("\nSurvivors")
    survivors = [line for line in lines if line[4] == "survived"]
    for module, number, function, what, _, _ in survivors:
        print(f"  {module}:{number} {function}: {what}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
