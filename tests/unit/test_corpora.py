import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from openmath.corpora import CORPORA, checker, load_prompts, tutor
from openmath.word_problems import KINDS, universe


@pytest.fixture(scope="module")
def prompts(root):
    return load_prompts(root / "resources/prompts/brief", root / "resources/templates/brief.yaml")


def asked(row):
    return re.fullmatch(r"<\|bos\|><\|user\|>(.*)<\|end\|><\|assistant\|>", row["input"])[1]


def test_nothing_of_the_test_universe_is_taught(prompts):
    texts = []
    for corpus in CORPORA.values():
        for row in islice(corpus(Random(0), prompts), 2000):
            question = asked(row)
            if row["task"] == "solve":
                texts.append(question)
            elif row["task"] == "invent":
                texts += [question.removeprefix("New problem like: "), row["output"].removesuffix("<|end|>")]
            elif row["task"] == "contamination":
                texts += question.removeprefix("Same problem? ").split(" ; ")
    assert len(texts) > 4000
    assert {universe(text) for text in texts} == {"train"}


def test_the_tutor_shows_every_style_and_both_tasks(prompts):
    rows = list(islice(tutor(Random(1), prompts), 1000))
    tasks = Counter(row["task"] for row in rows)
    assert tasks["solve"] > tasks["invent"] > 150
    solutions = [row["output"] for row in rows if row["task"] == "solve"]
    checked = sum("Check" in solution for solution in solutions) / len(solutions)
    assert 0.05 < checked < 0.2


def test_an_invented_problem_is_of_the_kind_of_the_given_one(prompts):
    def opening(text):
        return next(kind for kind in KINDS for wording in KINDS[kind].wordings if fits(wording, text))

    def fits(wording, text):
        return re.fullmatch(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(wording)), text)

    rows = [row for row in islice(tutor(Random(2), prompts), 400) if row["task"] == "invent"]
    for row in rows:
        given = asked(row).removeprefix("New problem like: ")
        assert opening(given) == opening(row["output"].removesuffix("<|end|>"))


def verdict(row):
    """The last word of the answer."""
    return row["output"].removesuffix("<|end|>").split()[-1]


def test_the_checker_is_told_both_answers_about_equally_often(prompts):
    answers = Counter((row["task"], verdict(row)) for row in islice(checker(Random(3), prompts), 4000))
    assert 0.8 < answers["judge", "Yes"] / answers["judge", "No"] < 1.25
    assert 0.8 < answers["contamination", "True"] / answers["contamination", "False"] < 1.25


def test_the_checker_says_no_of_a_pair_exactly_where_its_verdict_is_no(prompts):
    for row in islice(checker(Random(6), prompts), 1000):
        compared, _, last = row["output"].removesuffix("<|end|>").rpartition(".")
        pairs = [pair.split() for pair in compared.split(", ")]
        assert all((one == other) == (word == "Yes") for one, other, word in pairs)
        assert all(word == "Yes" for *_, word in pairs) == (last.split()[-1] in ("Yes", "True"))


def test_two_statements_of_the_same_facts_are_the_same_problem_and_no_others(prompts):
    def facts(text):
        kind = next(
            kind
            for kind in KINDS
            for wording in KINDS[kind].wordings
            if re.fullmatch(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(wording)), text)
        )
        return kind, re.findall(r"\d+", text)

    rows = [row for row in islice(checker(Random(4), prompts), 2000) if row["task"] == "contamination"]
    for row in rows:
        first, second = asked(row).removeprefix("Same problem? ").split(" ; ")
        assert verdict(row) == str(facts(first) == facts(second))


def test_the_judge_sees_equal_answers_in_other_forms(prompts):
    rows = [row for row in islice(checker(Random(5), prompts), 3000) if row["task"] == "judge"]
    forms = set()
    for row in rows:
        expected, predicted = asked(row).removeprefix("Same answer? ").split(" ; ")
        number = re.search(r"\d+", predicted)[0]
        forms.add(predicted.replace(number, "N", 1))
        assert (verdict(row) == "Yes") == (number == expected)
    assert forms == {"N", "N.0", "x=N", "\\text{N}", "N coins", "N km"}
