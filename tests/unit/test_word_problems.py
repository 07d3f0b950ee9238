import re
from random import Random

import pytest

from openmath import word_problems
from openmath.word_problems import FAMILIES, KINDS, STYLES, Problem, kinds_of, problem, rows, state, universe


def test_a_problem_is_solved_in_two_steps():
    told = state(Random(0), "bus", (21, 4, 8), wording=0)
    assert told.answer == 17
    assert told.solution() == "21+4=25. 25-8=17. Answer \\boxed{17}"
    assert told.solution("checked").startswith("First 21+4=25. Then 25-8=17. Check 17+8=25,")


@pytest.mark.parametrize("kind", KINDS)
def test_every_problem_of_a_kind_states_its_numbers_and_has_an_answer_above_zero(kind):
    rng = Random(1)
    for _ in range(300):
        drawn = problem(rng, kind)
        assert drawn.answer > 0
        for style in STYLES:
            assert drawn.solution(style).endswith(f"\\boxed{{{drawn.answer}}}")
        for number in drawn.numbers:
            assert re.search(rf"\b{number}\b", drawn.text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_and_largest_numbers_of_a_kind_have_an_answer_above_zero(kind):
    for ends in zip(*KINDS[kind].ranges, strict=True):
        assert Problem(kind, ends, "").answer > 0
    # Least to take away from, most taken away.
    (low, _), *others = KINDS[kind].ranges
    assert Problem(kind, (low, *(high for _, high in others)), "").answer > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_splits_are_of_different_universes(family):
    train = {row["problem"] for row in rows(family, "train", 400, seed=1)}
    test = {row["problem"] for row in rows(family, "test", 100, seed=1)}
    assert len(train) == 400
    assert len(test) == 100
    assert {universe(text) for text in train} == {"train"}
    assert {universe(text) for text in test} == {"test"}


def test_about_one_text_of_eight_is_of_the_test_universe():
    rng = Random(2)
    texts = [problem(rng, kind).text for kind in KINDS for _ in range(1000)]
    assert 0.10 < sum(universe(text) == "test" for text in texts) / len(texts) < 0.15


def test_rows_follow_from_family_split_and_seed():
    first = list(rows("shop", "train", 30, seed=5))
    assert first == list(rows("shop", "train", 30, seed=5))
    assert first != list(rows("shop", "train", 30, seed=6))
    assert {row["problem_source"] for row in first} == {"shop"}
    assert all(row["reference_solution"].endswith(f"\\boxed{{{row['expected_answer']}}}") for row in first)


def test_the_facts_of_a_test_item_turn_up_in_a_few_of_a_hundred_new_problems():
    rng = Random(3)
    items = {(told.kind, told.numbers) for kind in KINDS for told in [word_problems.draw(rng, kind, "test")] * 40}
    items |= {(t.kind, t.numbers) for kind in KINDS for t in (word_problems.draw(rng, kind, "test") for _ in range(30))}
    new = [word_problems.draw(rng, kind, "train") for kind in KINDS for _ in range(500)]
    assert 0.01 < sum((told.kind, told.numbers) in items for told in new) / len(new) < 0.06


@pytest.mark.parametrize(
    ("family", "split", "message"),
    [
        ("shops", "train", "no family of word problems is called 'shops'"),
        ("shop", "validation", "not 'validation'"),
        ("shop", "test", "200 distinct problems were asked for"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(family, split, message, monkeypatch):
    # A small universe, so that it runs out at once.
    monkeypatch.setattr(word_problems, "draw", lambda rng, kind, split: problem(Random(rng.randrange(20)), kind))
    with pytest.raises(ValueError, match=message):
        list(rows(family, split, 200, seed=0))


def test_the_families_share_no_kind():
    assert sorted(kind for family in FAMILIES for kind in kinds_of(family)) == sorted(KINDS)
