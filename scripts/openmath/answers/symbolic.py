"""The last tier: sums, products, integrals and limits, by sympy in a process of its own.

The server process gets trees, never text: sympy's own parsers execute what they read. It answers every question in a
child of its own, which ends when its CPU time or memory is used up, so that a pair cannot hang and load changes no
verdict. One question costs milliseconds; the first also the start of the server, about a second.
"""

import atexit
import functools
import json
import os
import resource
import select
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from openmath.answers.trees import INFINITY, PI, Apply, E, I, Node, Number, Symbol, contains

LIMIT_SECONDS = 0.8
PATIENCE_SECONDS = 60
MEMORY_BYTES = 4 << 30
_TIME_IS_UP = "time is up"
OPERATIONS = ("sum", "prod", "int", "lim")


class TimeLimitError(TimeoutError):
    """The worker used up its time, or died of the question."""


def needs_sympy(tree: Node) -> bool:
    """Whether an expression holds an operation that only sympy carries out."""
    return contains(tree, *OPERATIONS)


def equal_by_sympy(one: Node, other: Node) -> bool | None:
    """Whether two expressions are equal with their sums, integrals and limits carried out; None if sympy cannot say.

    Raises:
        TimeLimitError: no answer within ``LIMIT_SECONDS`` of CPU time, so that load changes no verdict.
    """
    return _worker().ask([to_json(one), to_json(other)])


def to_json(tree: Node) -> list[Any]:
    """An expression as nested lists.

    Raises:
        ValueError: it holds something that is no expression.
    """
    if isinstance(tree, Number):
        value = Fraction(tree.value)
        return ["n", str(value.numerator), str(value.denominator)]
    if isinstance(tree, Symbol):
        return ["s", tree.name]
    if isinstance(tree, Apply):
        return ["a", tree.op, *(to_json(arg) for arg in tree.args)]
    raise ValueError("no expression")


class _Worker:
    """The server of this process: it has sympy loaded, and forks for every question.

    Its pipes are not buffered, so that ``select`` sees what there is and closing them writes nothing.
    """

    def __init__(self, code: str = f"from {__name__} import serve; serve()") -> None:
        self.code = code
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, pair: list[Any]) -> bool | None:
        try:
            if self.process is None or self.process.poll() is not None:
                self._start()
            assert self.process is not None
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(pair).encode() + b"\n")
            found = self._answer()
        except (OSError, ValueError):
            self.stop()
            raise TimeLimitError from None
        except BaseException:
            # Interrupted: the answer that is still to come must not be taken for that of the next question.
            self.stop()
            raise
        if found == _TIME_IS_UP:
            raise TimeLimitError
        return found

    def _start(self) -> None:
        command = [sys.executable, "-c", self.code]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._answer()

    def _answer(self) -> Any:
        assert self.process is not None
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        if not ready:
            raise TimeLimitError
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        if self.process is not None:
            with self.process:
                self.process.kill()
            self.process = None


_WORKERS: dict[int, _Worker] = {}


def _worker() -> _Worker:
    """The worker of this process; a forked child has one of its own."""
    pid = os.getpid()
    if pid not in _WORKERS:
        _WORKERS.clear()
        _WORKERS[pid] = _Worker()
        atexit.register(_WORKERS[pid].stop)
    return _WORKERS[pid]


# The worker


@functools.cache
def _functions() -> dict[str, Any]:
    import sympy

    return {
        "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec, "csc": sympy.csc,
        "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "sinh": sympy.sinh, "cosh": sympy.cosh,
        "tanh": sympy.tanh, "ln": sympy.log, "log": sympy.log, "abs": sympy.Abs, "floor": sympy.floor,
        "ceil": sympy.ceiling, "!": sympy.factorial, "binom": sympy.binomial, "^": sympy.Pow, "/": lambda a, b: a / b,
        "root": lambda x, n: sympy.Pow(x, 1 / n), "+": sympy.Add, "*": sympy.Mul, "max": sympy.Max, "min": sympy.Min,
        "deg": lambda x: x * sympy.pi / 180, "percent": lambda x: x / 100,
        PI: sympy.pi, E: sympy.E, I: sympy.I, INFINITY: sympy.oo,
    }  # fmt: skip


def build(node: list[Any]) -> Any:
    """The sympy expression of a tree, built node by node; no text is ever given to sympy to parse."""
    import sympy

    if node[0] == "n":
        return sympy.Rational(int(node[1]), int(node[2]))
    if node[0] == "s":
        return _functions()[node[1]] if node[1] in (PI, E, I, INFINITY) else sympy.Symbol(node[1], real=True)
    op, args = node[1], [build(arg) for arg in node[2:]]
    if op == "lim":
        return sympy.limit(*args)
    if op == "sum":
        return sympy.Sum(args[0], tuple(args[1:])).doit()
    if op == "prod":
        return sympy.Product(args[0], tuple(args[1:])).doit()
    if op == "int":
        return sympy.integrate(args[0], tuple(args[1:]) if len(args) > 2 else args[1])
    return _functions()[op](*args)


_POINTS = ((3, 5, 7, 4), (6, 2, 9, 8), (4, 11, 3, 6))


def _equal(one: list[Any], other: list[Any]) -> bool | None:
    """Whether the difference vanishes at whole points, to 30 digits."""
    import sympy

    left, right = build(one), build(other)
    if left == right:
        return True
    difference = left - right
    names = sorted(difference.free_symbols, key=str)
    for point in _POINTS if names else _POINTS[:1]:
        value = sympy.N(difference.subs(dict(zip(names, point, strict=False))).doit(), 40)
        if abs(value) > sympy.Float("1e-30"):
            return False
    return True


def serve() -> None:
    """Answer questions on standard input, a line each; the first line out says that the server is ready.

    Every question has a process of its own, which ends by itself when its CPU time is used up.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    _warm_up()
    print("true", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _answer_and_exit(line)
        _, status = os.waitpid(child, 0)
        if status != 0:
            print(json.dumps(_TIME_IS_UP), flush=True)


def _warm_up() -> None:
    """Carry out one operation of each kind, so that the children inherit what sympy loads and remembers."""
    n, k, one = ["s", "n"], ["s", "k"], ["n", "1", "1"]
    square = ["a", "^", k, ["n", "2", "1"]]
    _equal(["a", "sum", square, k, one, n], ["a", "prod", k, k, one, n])
    _equal(
        ["a", "sum", ["a", "binom", n, k], k, one, n],
        ["a", "sum", ["a", "/", one, ["a", "!", k]], k, one, ["s", INFINITY]],
    )
    _equal(["a", "int", square, k, one, n], ["a", "lim", ["a", "/", ["a", "sin", k], k], k, ["n", "0", "1"]])


def _answer_and_exit(line: str) -> None:
    signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
    try:
        found = _equal(*json.loads(line))
    except Exception:  # whatever sympy fails with, the pair is undecided
        found = None
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(found), flush=True)
    os._exit(0)
