"""What values are made of: bounds, short forms, points that say nothing, and a server of sympy that fails."""

from fractions import Fraction
from typing import Any

import pytest

from openmath.answers import symbolic
from openmath.answers.exact import form_key, form_of, rational_of
from openmath.answers.numeric import UnsupportedError, equal_at_points, float_value
from openmath.answers.polynomials import factorise, join
from openmath.answers.reading import read
from openmath.answers.symbolic import TimeLimitError
from openmath.answers.trees import Apply, Cases, Number, Numeral, Relation, Symbol, add, negate
from openmath.answers.units import read_unit

X = Symbol("x")


def form(text: str) -> Any:
    found = form_of(read(text))
    assert found is not None
    return found


def equal(one: str, other: str) -> bool | None:
    return equal_at_points(read(one), read(other))


class TestForms:
    """Expressions of one value have one form, down to the kind of its numbers, so that texts of forms agree."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (r"x + \frac12 \cdot 2", "x + 1"),
            (r"\sqrt{x} \cdot \sqrt{x} \cdot x", "x^2"),
            (r"\frac{1}{1+\sqrt2}", r"\sqrt2 - 1"),
            (r"\frac{2}{\sqrt5 - \sqrt3}", r"\sqrt5 + \sqrt3"),
            (r"\frac{x+1}{x+1}", "1"),
            (r"\frac{0}{x+1}", "0"),
            (r"\sqrt{-4}", "2i"),
            (r"\sqrt{4012009}", "2003"),
            (r"\sqrt{16048036}", "4006"),
            (r"\sqrt{3989}\cdot\sqrt{3989}", "3989"),
            (r"\sqrt[3]{-8}", "-2"),
            (r"\overline{2+3i}", "2-3i"),
            (r"x^{-2}", r"\frac{1}{x^2}"),
            (r"(x+1)^2", "x^2+2x+1"),
        ],
    )
    def test_equal_expressions(self, one: str, other: str) -> None:
        assert form_key(form(one)) == form_key(form(other))

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1 - 1", 0),
            (r"|-\frac12|", Fraction(1, 2)),
            (r"\lfloor -\frac12 \rfloor", -1),
            (r"\lceil \frac12 \rceil", 1),
            (r"\max(1, 3, 2)", 3),
            (r"\min(3, 1, 2)", 1),
            (r"\gcd(12, 18)", 6),
            (r"\operatorname{lcm}(4, 6)", 12),
            ("5!", 120),
            ("7!!", 105),
            ("0!", 1),
            (r"\binom{300}{2}", 44850),
            ("2^{1-1}", 1),
        ],
    )
    def test_rational_values(self, text: str, value: int | Fraction) -> None:
        assert rational_of(read(text)) == value

    def test_a_sign_and_digits_in_a_base(self) -> None:
        assert rational_of(Numeral("101", 2)) == 5
        assert rational_of(Apply("sgn", (Number(-3),))) == -1
        assert rational_of(Apply("percent", (Number(50),))) == Fraction(1, 2)
        assert form_of(Apply("deg", (Number(180),))) == form(r"\pi")
        assert negate(negate(Numeral("101", 2))) == Numeral("101", 2)
        assert rational_of(negate(Numeral("101", 2))) == -5

    def test_zero_under_a_power(self) -> None:
        assert rational_of(read(r"0^{\frac12}")) == 0
        assert form_of(read("0^{1-1}")) is None

    def test_long_arguments_have_no_form(self) -> None:
        terms = add(*(Symbol(f"a_{index}") for index in range(250)))
        assert form_of(terms) is not None
        assert form_of(Apply("sin", (terms,))) is None

    def test_what_is_left_to_sympy_has_no_form(self) -> None:
        assert form_of(read(r"\sum_{k=1}^{n} k")) is None

    def test_factors(self) -> None:
        assert factorise(2003**2) == ((2003, 2),)
        assert factorise(3989) == ((3989, 1),)
        assert factorise((2**61 - 1) * 2) == ((2, 1), (-(2**61 - 1), 1))

    def test_exponents_that_meet_are_whole(self) -> None:
        monomial, factor = join((("x", Fraction(1, 2)),), (("x", Fraction(3, 2)),))
        assert (monomial, type(monomial[0][1]), factor) == ((("x", 2),), int, 1)


class TestPoints:
    """What too few points say, what has no value, and what a precise value decides."""

    def test_too_few_points_say_nothing(self) -> None:
        assert equal(r"\arcsin(x - 20)", r"\frac{\pi}{2} - \arccos(x - 20)") is None
        assert equal(r"i\arcsin(x - 20)", r"2i\arcsin(x - 20)") is not True

    def test_one_point_says_nothing(self) -> None:
        narrow = r"\arcsin(30(x - 2))"
        assert equal(narrow, r"\frac{\pi}{2} - \arccos(30(x - 2))") is None

    def test_complex_expressions_of_few_points(self) -> None:
        one = read(r"\frac{i}{(x-x)}")
        assert equal_at_points(one, one) is None

    def test_a_difference_that_no_double_shows(self) -> None:
        assert equal(r"\sin(x)", r"\sin(x + 10^{-20})") is False
        assert equal(r"\arcsin(1+10^{-20})", r"\frac{\pi}{2} - \arccos(1+10^{-20})") is None

    def test_values_beyond_the_bounds(self) -> None:
        assert equal(r"e^{100}", r"e^{100}+1") is None
        assert equal(r"e^{e^{6}}", r"e^{e^{6}} + 1") is None
        assert equal(r"\sinh(10^7)", r"\cosh(10^7)") is None

    @pytest.mark.parametrize("text", ["0^0", r"0^{-1}", r"(-1)^{\frac12}", r"\sqrt{-1}", r"\ln 0", r"\log_0 2"])
    def test_no_real_value(self, text: str) -> None:
        assert float_value(read(text)) is None

    def test_real_roots(self) -> None:
        assert float_value(read(r"\sqrt[3]{-8}")) == pytest.approx(-2)
        assert equal(r"i\sqrt[3]{-3}", r"-i\sqrt[3]{3}") is True

    def test_gcd_of_whole_numbers_alone(self) -> None:
        assert float_value(Apply("gcd", (Number(6), Number(Fraction(9, 2))))) is None
        assert float_value(Apply("!!", (Number(7),))) == 105
        assert float_value(Apply("!!", (Number(10**9),))) is None

    def test_cases_that_are_not_evaluated(self) -> None:
        branch = (Number(1), Relation((X, Symbol("A")), ("in",)))
        for cases in (Cases((branch,)), Cases(((Number(1),),)), Cases(((Number(1), Symbol("y")),))):
            with pytest.raises(UnsupportedError):
                equal_at_points(cases, Number(1))
        with pytest.raises(UnsupportedError):
            equal(r"\sum_{k=1}^{3} k", "6")

    def test_cases_of_complex_values(self) -> None:
        cases = Cases(((Symbol("\\i"), Relation((X, Number(0)), (">",))),))
        with pytest.raises(UnsupportedError):
            equal_at_points(cases, Symbol("\\i"))


def test_units_of_two_words() -> None:
    assert read_unit("degrees C") == read_unit("degrees Celsius") != read_unit("degrees F")
    assert read_unit("square") != read_unit("th") == read_unit("st")


READY = "print('true', flush=True); "
ANSWER = "import sys; print('false', flush=True); [print('true', flush=True) for line in sys.stdin]"


class TestServer:
    """The process of sympy; what it runs here fails, or answers without sympy."""

    def refuses(self, code: str) -> None:
        worker = symbolic._Worker(code)
        with pytest.raises(TimeLimitError):
            worker.ask([])
        worker.stop()

    def test_dies_before_it_is_ready(self) -> None:
        self.refuses("")

    def test_dies_of_a_question(self) -> None:
        self.refuses(READY + "input()")

    def test_is_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(symbolic, "PATIENCE_SECONDS", 0.2)
        self.refuses(READY + "import time; input(); time.sleep(0.6); print('true', flush=True)")

    def test_starts_again(self) -> None:
        worker = symbolic._Worker(ANSWER)
        assert worker.ask([]) is True
        assert worker.process is not None
        worker.process.kill()
        worker.process.wait()
        assert worker.ask([]) is True
        worker.stop()
        assert worker.process is None
        worker.stop()

    def test_an_interrupted_question_is_not_answered_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        worker = symbolic._Worker(ANSWER)

        def interrupted(*_: Any) -> Any:
            raise KeyboardInterrupt

        worker.ask([])
        with monkeypatch.context() as patch:
            patch.setattr(worker, "_answer", interrupted)
            with pytest.raises(KeyboardInterrupt):
                worker.ask([])
        assert worker.process is None

    def test_a_question_out_of_time_leaves_the_server_alive(self) -> None:
        """Questions have next to no time here: sympy itself is loaded within it."""
        module = symbolic.__name__
        worker = symbolic._Worker(f"import {module} as s; s.LIMIT_SECONDS = 0.02; s._warm_up = int; s.serve()")
        one = symbolic.to_json(Number(1))
        with pytest.raises(TimeLimitError):
            worker.ask([one, one])
        assert worker.process is not None
        assert worker.process.poll() is None
        worker.stop()
