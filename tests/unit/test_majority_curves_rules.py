"""What is counted of a majority and by what: rules that change the cost and not the figures."""

from typing import Any

import numpy as np
import pytest

from openmath import majority_curves
from openmath.majority_curves import ClassVotes, expected_majority, majority_at_k

MIXED = ClassVotes(((3, True), (2, False)), unanswered=1)


class TestCounting:
    @pytest.fixture
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """By what problems are counted: Python or machine code, in turn."""
        count, log = majority_curves._count_wins, []

        def logged(name: str) -> Any:
            def counting(*args: Any) -> Any:
                log.append(name)
                return count(*args)

            return counting

        monkeypatch.setattr(majority_curves, "_count_wins", logged("Python"))
        monkeypatch.setattr(majority_curves, "_compiled", lambda: logged("machine code"))
        return log

    def test_nothing_is_counted_where_all_classes_are_right(self, counted: list[str]) -> None:
        assert expected_majority(ClassVotes(((3, True), (1, True)), unanswered=0)).tolist() == [1, 1, 1, 1]
        assert counted == []

    def test_nothing_is_counted_where_no_class_is_right(self, counted: list[str]) -> None:
        assert expected_majority(ClassVotes(((3, False), (1, False)), unanswered=1)).tolist() == [0] * 5
        assert counted == []

    def test_a_mixed_problem_is_counted_as_it_is_told(self, counted: list[str]) -> None:
        assert np.array_equal(expected_majority(MIXED), expected_majority(MIXED, compiled=True))
        assert counted == ["Python", "machine code"]

    def test_much_to_count_is_compiled(self, counted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        majority_at_k([MIXED], [0])
        monkeypatch.setattr(majority_curves, "_COMPILE_FROM", 1)
        majority_at_k([MIXED], [0])
        assert counted == ["Python", "machine code"]


def test_what_there_is_to_count() -> None:
    none, all_right = ClassVotes(((3, False),), unanswered=0), ClassVotes(((3, True), (2, True)), unanswered=0)
    assert majority_curves._multiplications(none) == majority_curves._multiplications(all_right) == 0
    larger = ClassVotes(((6, True), (4, False)), unanswered=2)
    assert 0 < majority_curves._multiplications(MIXED) < majority_curves._multiplications(larger)
