"""Answers made to crash, hang or take over a grader: every pair ends, nothing is raised, nothing is executed."""

import builtins
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from unittest import mock

import pytest

from openmath.answers import VERDICTS, answers_equal, class_key, extract_answer, grade, kind_of

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/answers"
PAIR_SECONDS = 5.0
MANY = 10_000

TOWERS = {
    "a tower": "9^9^9^9",
    "a tower of stars": "9**9**9",
    "a tall tower": "9^" * 300 + "9",
    "a tower of braces": "2^{" * 6 + "2" + "}" * 6,
    "a tower upwards": "((((9^{900})^{900})^{900})^{900})^{900}",
    "a tower of tens": "10^{10^{10}}",
    "a tower of a variable": "x^{x^{x^{x^{x^{x}}}}}",
    "a tower below": "2^{-9^{9^{9}}}",
    "a tower of roots": r"\sqrt{" * 200 + "2" + "}" * 200,
    "a large power": "7^{1000000}",
    "a large power of a fraction": r"\left(\frac{7}{3}\right)^{99999999}",
    "a large power of a sum": "(1+x+y+z)^{1000}",
    "a larger power of a sum": "(a+b+c+d+e+f+g)^{99999999}",
    "powers of a sum": "((((1+x)^{30})^{30})^{30})^{30}",
    "a product of sums": "".join(f"({chr(97 + i)}+{chr(98 + i)}+1)" for i in range(20)),
    "a power of i": "i^{99999999999999999999}",
    "a power of pi": r"\pi^{9^{9^{9}}}",
    "e to a tower": "e^{e^{e^{e^{e}}}}",
    "zero to the zero": "0^0",
}
NUMBERS = {
    "a factorial": "100000!",
    "a large factorial": "99999999999!",
    "a factorial of a factorial": "((9!)!)!",
    "many factorials": "9" + "!" * 500,
    "a binomial": r"\binom{10^9}{5\cdot 10^8}",
    "a large binomial": r"\binom{10^{100}}{10^{99}}",
    "a binomial of a variable": r"\binom{x}{10^{9}}",
    "a huge exponent": "1e999999999",
    "a huge negative exponent": "1e-999999999",
    "a huge exponent in words": r"1\times10^{999999999}",
    "a number of many digits": "7" * 100_000,
    "a number of as many digits as are read": "7" * 1_490,
    "a decimal of many digits": "0." + "3" * 100_000,
    "a decimal of as many digits as are read": "0." + "3" * 1_490,
    "a repeating decimal": r"0.\overline{" + "123456789" * 150 + "}",
    "a numeral of many digits": "1" * 1_400 + "_{7}",
    "a large prime under a root": rf"\sqrt{{{2**127 - 1}}}",
    "a large semiprime under a root": rf"\sqrt{{{(2**89 - 1) * (2**107 - 1)}}}",
    "a large index": r"\sqrt[1000000]{2}",
    "a huge index": r"\sqrt[10^{10^{10}}]{2}",
    "a root of a huge number": r"\sqrt{10^{10^{10}}}",
    "a logarithm of a huge number": r"\log_{2}{10^{10^{10}}}",
    "a sine of a huge number": r"\sin(10^{300})",
    "a floor of a huge number": r"\lfloor 10^{300}\pi \rfloor",
    "a remainder": r"7^{10^{9}} \bmod 13",
    "a common divisor": r"\gcd(10^{9999}, 6^{9999})",
    "a million millions": "9 million" * 200,
    "a determinant": r"\begin{vmatrix}" + r"\\".join("&".join(str(i * j + 1) for i in range(30)) for j in range(30))
    + r"\end{vmatrix}",
    "a division by zero": r"\frac{1}{0}",
    "a hidden division by zero": r"\frac{1}{\sqrt{8}-2\sqrt{2}}",
    "a zero modulus": r"3 \pmod 0",
    "a zero index": r"\sqrt[0]{5}",
    "base one": "111_1",
    "base zero": "0_0",
    "month thirteen": "1999-13-45",
}  # fmt: skip
# What only sympy could carry out.
SLOW = {
    "a sum of a billion terms": r"\sum_{k=1}^{10^{9}} \frac{1}{k^2+1}",
    "a product of a billion factors": r"\prod_{k=1}^{10^{9}} \frac{k^2+1}{k^2+2}",
    "an integral": r"\int_0^1 \sin(\sin(\sin(e^{x^{x}})))\,dx",
    "a limit": r"\lim_{x\to 0} \sin(\sin(\sin(\frac{1}{x^{x^{x}}})))",
    "a nested sum": r"\sum_{a=1}^{99}\sum_{b=1}^{99}\sum_{c=1}^{99}\frac{1}{a^b+b^c+c^a}",
    "an infinite sum": r"\sum_{n=0}^{\infty} \frac{\sin(n!)}{n!+1}",
}
NESTED = {
    "round brackets": ("(", ")"), "square brackets": ("[", "]"), "braces": ("{", "}"), "set braces": (r"\{", r"\}"),
    "angles": (r"\langle", r"\rangle"), "absolute values": (r"\left|", r"\right|"), "floors": (r"\lfloor", r"\rfloor"),
    "roots": (r"\sqrt{", "}"), "plain roots": ("sqrt(", ")"), "fractions": (r"\frac{1}{", "}"),
    "sines": (r"\sin(", ")"), "exponents": ("x^{", "}"), "subscripts": ("x_{", "}"), "boxes": (r"\boxed{", "}"),
    "texts": (r"\text{", "}"), "dollars": ("$", "$"), "matrices": (r"\begin{pmatrix}", r"\end{pmatrix}"),
    "bars": ("|", "|"), "stars": ("**", "**"), "factorials": ("(", ")!"), "calls": ("f(", ")"),
    "differences": ("1-(", ")"),
}  # fmt: skip
LONG = {
    "minus signs": "-" * MANY + "5",
    "spaced minus signs": "- " * 700 + "5",
    "plus-minus signs": r"\pm" * MANY + "5",
    "a sum of plus-minus": "1" + r"\pm 2" * 60,
    "backslashes": "\\" * MANY,
    "ampersands": "&" * MANY,
    "commas": "," * MANY,
    "primes": "f" + "'" * MANY,
    "carets": "^" * MANY,
    "equals signs": "=" * MANY,
    "a chain of equals": "=".join(["1"] * 700),
    "a chain of inequalities": "<".join(["x"] * 700),
    "percent signs": "5" + "%" * MANY,
    "prose": "the quick brown fox is 5 apples and (1, 2) or $x = 3$. " * 1_900,
    "prose as long as is read": "so the quick brown fox has 5 apples and 7 pears, " * 29,
    "words of numbers": "twenty-one thousand " * 70,
    "a list": ",".join(map(str, range(5_000))),
    "a list as long as is read": ",".join(str(i % 10) for i in range(740)),
    "a list of variables as long as is read": ",".join("xyzuvw"[i % 6] for i in range(740)),
    "a set": r"\{" + ", ".join(map(str, range(5_000))) + r"\}",
    "a set of sums as long as is read": r"\{" + ",".join(f"x+{i}" for i in range(200)) + r"\}",
    "a tuple": "(" + ",".join(map(str, range(5_000))) + ")",
    "a union": r"\cup".join(f"({i},{i + 1})" for i in range(100)),
    "a disjunction": r" \text{ or } ".join(f"x={i}" for i in range(60)),
    "a sum": "+".join(f"x^{{{i}}}" for i in range(180)),
    "a sum of roots": "+".join(rf"\sqrt{{{i}}}" for i in range(2, 130)),
    "a product of roots of sums": "".join(rf"\sqrt{{{i}+\sqrt{{2}}}}" for i in range(2, 60)),
    "a product": "abcdefghijklmnopqrstuvwxyz" * 50,
    "a ratio": ":".join(["1"] * 600),
    "digits with commas": ",".join(["123"] * 370),
    "fractions below fractions": r"\frac1" * 2_000 + "2",
    "nested fractions": r"\frac{" * 2_000 + "1" + "}{2}" * 2_000,
    "half a formula": r"\frac{\sqrt{\left(" * 80,
    "superscripts": "x" + "²" * 900,
    "vulgar fractions": "½" * 900,
    "root signs": "√" * 900 + "2",
}  # fmt: skip
TEXTS = {
    "nothing": "",
    "blanks": " \t\n\r\x0b\x0c",
    "a null byte": "1\x00",
    "null bytes": "\x00" * 2_000,
    "a lone surrogate": "\ud835",
    "a surrogate in a number": "1\udfff2",
    "marks from right to left": "\u202e5\u202c \u200f(1, 2)\u200e",
    "a byte order mark": "\ufeff5",
    "combining marks": "x" + "\u0301" * 500,
    "digits of other scripts": "١٢٣",
    "a superscript of another kind": "5\u00b2\u2460\u24ea",
    "a sign that normalises to many": "\ufdfa" * 90,
    "a fraction sign alone": "⅟",
    "zero thirds": "↉",
    "a numeral sign": "Ⅷ",
    "an emoji": "\U0001f600\u200d\U0001f4a9",
    "a line separator": "1\u2028 2\u2029",
    "an escape sequence": "\x1b[31m5\x1b[0m",
    "dollars": "$" * 999,
    "a lone dollar": "$",
    "a lone backslash": "\\",
    "a lone brace": "{",
    "not a number": "nan",
    "minus infinity": "-inf",
    "indeterminate": r"\infty - \infty",
    "infinity by itself": r"\frac{\infty}{\infty}",
}
CODE = {
    "an import": "__import__('os').system('touch PWNED')",
    "exec": """exec("open('PWNED', 'w').write('x')")""",
    "eval": """eval("__import__('pathlib').Path('PWNED').touch()")""",
    "a lambda": "(lambda: __import__('os').system('touch PWNED'))()",
    "in a matrix": "Matrix([[__import__('os').system('touch PWNED')]])",
    "in an array": "np.array([[open('PWNED','w')]])",
    "in a subscript": r"x_{__import__('os').system('touch PWNED')}",
    "in a function": r"\sin(__import__('os').system('touch PWNED'))",
    "in a sum": r"\sum_{k=1}^{3} __import__('os').system('touch PWNED')",
    "in a limit of a name": r"\lim_{open('PWNED','w')\to 0} 1",
    "attributes": "().__class__.__bases__[0].__subclasses__()",
    "a name with quotes": r"\text{'); open('PWNED','w'); ('}",
    "a shell": "$(touch PWNED)",
    "a shell in backticks": "`touch PWNED`",
    "TeX": r"\immediate\write18{touch PWNED}",
    "TeX that reads": r"\input{/etc/passwd}",
    "a macro that calls itself": r"\def\x{\x\x}\x",
    "a format": "{0.__class__.__mro__}%s%n",
    "a pickle": "cos\nsystem\n(S'touch PWNED'\ntR.",
}
CUT = {
    "a subscript": "111_",
    "an open subscript": "2_{",
    "a subscript of a set": r"\mathbb{R}_",
    "an open subscript of a set": r"\mathbb{R}_{",
    "an open power of a unit": "5 million^{",
    "an empty argument": r"\log\{\}",
    "an end of cases": r"\begin{cases} 1 & n \text{ odd} \\ 0 & n \text{ even} \\",
    "an end of cases without its sign": r"\begin{cases} -x & x<0 \\ x & x\ge0 \\end{cases}",
    "an end of cases without its brace": r"\begin{cases} x^2,&x\le1 \\ 2x-1,&x>1 \end{cases",
    "cases with something behind": r"\begin{cases}x^2,&x\le2\\2x-1,&x>2\end{cases}\frac{5}{i}",
    "an end of a matrix": r"\begin{pmatrix} 1 & 2 \\ 3 &",
}
HOSTILE = {**TOWERS, **NUMBERS, **CUT, **LONG, **TEXTS, **CODE}
HOSTILE |= {f"nested {name}": opening * MANY + "1" + closing * MANY for name, (opening, closing) in NESTED.items()}
HOSTILE |= {f"a few nested {name}": opening * 90 + "1" + closing * 90 for name, (opening, closing) in NESTED.items()}
HOSTILE |= {f"open {name}": opening * 1_000 for name, (opening, _) in NESTED.items()}
HOSTILE |= {f"only closed {name}": "1" + closing * 1_000 for name, (_, closing) in NESTED.items()}
# What each is held against: plain answers of several kinds, and a near copy of itself.
PLAIN = ("5", "x^2+1", r"\frac{1}{2}", "(1, 2)", r"\{1, 2\}", "x = 5", r"\sqrt{2}", r"\text{no}", "x > 3", "10 \\%")


def refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AssertionError(f"executed {args!r}")


def late(signum: int, frame: FrameType | None) -> NoReturn:
    pytest.fail(f"a pair took more than {PAIR_SECONDS} s")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, in which no file may appear, with all loaded that is loaded when it is first needed."""
    monkeypatch.chdir(tmp_path)
    answers_equal(r"\sin x \cos x", r"\frac{1}{2}\sin 2x")
    answers_equal(r"\sum_{k=1}^{3} \cos k", r"\cos 1 + \cos 2 + \cos 3")
    yield
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Fail where text is executed, and where the time of a pair runs out."""
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, PAIR_SECONDS)
    try:
        with mock.patch.multiple(builtins, eval=refuse, exec=refuse), mock.patch("os.system", refuse):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def graded(expected: str, predicted: str) -> str:
    """The verdict, which comes within the time of a pair and is that of the other order."""
    with watched():
        verdict = grade(expected, predicted).verdict
        reverse = grade(predicted, expected).verdict
    assert verdict in VERDICTS
    assert reverse == verdict
    return verdict


def near(text: str) -> list[str]:
    """Texts that are almost the same."""
    return [text + "1", text[:-1], f"({text})", text.replace("1", "2", 1), text.replace("9", "8", 1)]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_answer_gets_a_verdict(text: str) -> None:
    assert graded(text, text) == "correct"
    for other in (*PLAIN, *near(text)):
        graded(text, other)
    with watched():
        assert kind_of(text)
        assert class_key(text) == class_key(text)
        assert extract_answer(rf"\boxed{{{text}}}") != ""


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW.keys())
def test_what_cannot_be_carried_out_in_time_gets_a_verdict(text: str) -> None:
    assert graded(text, text) == "correct"
    assert graded(text, PLAIN[0]) in ("incorrect", "timeout")
    # The worker that was killed has a successor.
    assert answers_equal(r"\sum_{k=1}^{4} k^2", "30")


UNEQUAL = {
    "towers": ("9^9^9^9", "9^9^9^8"),
    "factorials": ("99999999999!", "99999999998!"),
    "binomials": (r"\binom{10^9}{5\cdot 10^8}", r"\binom{10^9}{4\cdot 10^8}"),
    "exponents": ("1e999999999", "1e999999998"),
    "a huge number and infinity": ("10^{10^{10}}", r"\infty"),
    "long numbers": ("7" * 100_000, "7" * 99_999 + "8"),
    "long decimals": ("0." + "3" * 1_400, "1/3 + 10^{-1300}"),
    "indices": (r"\sqrt[1000000]{2}", r"\sqrt[1000001]{2}"),
    "long lists": (",".join(map(str, range(5_000))), ",".join(map(str, range(1, 5_001)))),
    "prose": ("the quick brown fox " * 5_000, "the quick brown fox " * 5_000 + "5"),
    "an error and a number": (r"\frac{1}{0}", "0"),
    "errors": (r"\frac{1}{0}", r"\frac{2}{0}"),
    "ratios to zero": ("3:0", "4:0"),
    "a time and a ratio to zero": ("05:00", "-5:00"),
}


@pytest.mark.parametrize(("one", "other"), UNEQUAL.values(), ids=UNEQUAL.keys())
def test_what_is_beyond_the_bounds_is_not_taken_for_equal(one: str, other: str) -> None:
    assert graded(one, other) != "correct"


LABELLED = [path.read_bytes().decode("utf-8").split("\n")[1:] for path in sorted(DATA.glob("*.tsv"))]
ANSWERS = sorted({answer for lines in LABELLED for line in lines if line for answer in line.split("\t")[1:3]})


@pytest.mark.parametrize("part", range(8))
def test_a_real_answer_that_is_cut_off_anywhere_gets_a_verdict(part: int) -> None:
    for answer in ANSWERS[part::8]:
        with watched():
            for end in range(len(answer)):
                assert grade(answer[:end], "y + 1/3").verdict in VERDICTS
                assert kind_of(answer[end:])


def test_memory_stays_small() -> None:
    program = (
        "import sys, json; from openmath.answers import grade\n"
        "for one, other in json.load(sys.stdin): grade(one, other); grade(other, one)\n"
        # Not ru_maxrss, which a process inherits from the one that started it.
        "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    texts = [text for text in HOSTILE.values() if len(text) < 20_000]
    pairs = json.dumps([[text, other] for text in texts for other in (text + "1", "5")])
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pairs,
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        timeout=60,
    )
    assert int(done.stdout) < 200 * 1024
