"""What a judge is asked, what its text says, and how its verdicts compare with the grader's."""

import time

import pytest

from openmath.judging import Agreement, Pair, judgement_without_call, read_judgement

REASONING = "The predicted answer 0.5 is a decimal number. It is not written like 1/2, but has its value.\n"

JUDGEMENTS = {
    # As it was asked for
    "a plain yes": ("Judgement: Yes", "yes"),
    "a plain no": ("Judgement: No", "no"),
    "reasons first": (f"Reasoning: {REASONING}Judgement: Yes", "yes"),
    "lower case": ("judgement: no", "no"),
    "upper case": ("JUDGEMENT: YES", "yes"),
    "the American spelling": ("Judgment: Yes", "yes"),
    "the final judgement": ("Final judgement: No", "no"),
    "white space around": ("\n\n  Judgement :   Yes  \n\n", "yes"),
    "the word on the next line": ("Judgement:\nNo", "no"),
    "lines of Windows": ("Same.\r\nJudgement: Yes\r\n", "yes"),
    "the last mark of several counts": ("They differ. Judgement: Yes would be wrong.\nJudgement: No", "no"),
    "a change of mind under a mark of its own": ("Judgement: No\nWait, 2/4 is 1/2.\nJudgement: Yes", "yes"),
    "the same mark again and again": ("Judgement: Yes\nJudgement: Yes\nJudgement: Yes", "yes"),
    # Dress
    "a full stop": ("Judgement: Yes.", "yes"),
    "an exclamation mark": ("Judgement: No!", "no"),
    "emphasis around the word": ("**Judgement**: **Yes**", "yes"),
    "emphasis around the mark": ("**Judgement:** no", "no"),
    "emphasis around both": ("***Judgement: Yes.***", "yes"),
    "emphasis with underscores": ("__Judgement:__ _No_", "no"),
    "emphasis without a space": ("**Judgement:**Yes", "yes"),
    "quotes": ('Judgement: "Yes"', "yes"),
    "single quotes": ("Judgement: 'No'.", "no"),
    "typographic quotes": ("Judgement: “Yes”", "yes"),
    "code": ("`Judgement: No`", "no"),
    "brackets": ("Judgement: [Yes]", "yes"),
    "a box": (r"Judgement: \boxed{Yes}", "yes"),
    "a box in a formula": (r"Judgement: $\boxed{\text{No}}$.", "no"),
    "bold type of LaTeX": (r"\textbf{Judgement:} Yes", "yes"),
    "a box around all": (r"\boxed{\text{Judgement: No}}", "no"),
    "a heading": ("### Reasoning\nEqual.\n\n### Judgement\n\nYes", "yes"),
    "a heading with a colon": ("## Judgement:\n**No**", "no"),
    "an item of a list": ("- Reasoning: equal\n- Judgement: Yes", "yes"),
    "a quotation": ("> Judgement: No", "no"),
    "a sign before the word": ("Judgement: ✅ Yes", "yes"),
    "JSON": ('{"reasoning": "equal", "judgement": "Yes"}', "yes"),
    "JSON with another name": ('{"final_judgement": "no"}', "no"),
    "a wide colon": ("Judgement：Yes。", "yes"),
    "a dash for the colon": ("Judgement - No", "no"),
    "an arrow for the colon": ("Judgement → Yes", "yes"),
    "a sentence for the colon": ("My final judgement is Yes.", "yes"),
    # Explanations behind the word
    "a sentence behind a comma": ("Judgement: Yes, they are equivalent.", "yes"),
    "a sentence behind a full stop": ("Judgement: No. The solution -2 is missing.", "no"),
    "a sentence behind a dash": ("Judgement: Yes — 0.5 is 1/2", "yes"),
    "brackets behind": ("Judgement: No (52 is another number)", "no"),
    "a reason without a comma": ("Judgement: Yes because the order does not matter", "yes"),
    "a paragraph behind": ("Judgement: Yes\n\nExplanation: both are the number 1/2, not written alike.", "yes"),
    "a denial that agrees with no": ("Judgement: No, they are not the same.", "no"),
    "no as a part of a phrase behind yes": ("Judgement: Yes, there is no difference between them.", "yes"),
    "the same word again": ("Judgement: No, there is no unit.", "no"),
    "a concession behind no": ("Judgement: No, but the numbers are near.", "no"),
    "different forms of the same": ("Judgement: Yes, they are different forms of one number.", "yes"),
    # No mark
    "the word alone": (" Yes.\n", "yes"),
    "the word alone in a box": (r"\boxed{No}", "no"),
    "the word and reasons": ("No, the predicted answer lacks a solution.", "no"),
    "the word on the last line": (f"{REASONING}\nYes", "yes"),
    "the word as the last sentence": ("Both name the same choice. Yes.", "yes"),
    "an answer in place of a judgement": (f"{REASONING}Final answer: **No**", "no"),
    "a sentence about the answer": ("The numbers agree, so the answer is yes.", "yes"),
    "the mark and then sentences": ("Judgement: Both are 1/2. Yes.", "yes"),
    # Thoughts
    "thoughts with marks in them": ("<think>Judgement: No? Hm.\nJudgement: No</think>\nJudgement: Yes", "yes"),
    "thoughts, then the word": ("<think>\nIs 0.5 1/2? No... yes.\n</think>\n\nYes", "yes"),
    "thoughts whose beginning is in the prompt": ("so they differ.</think>Judgement: No", "no"),
    "thoughts that are cut off": ("<think>They look equal.\nJudgement: Yes", "invalid"),
    "thoughts and nothing behind": ("<think>Judgement: Yes</think>", "invalid"),
    # Another example made up behind the verdict
    "the next example of the prompt": ("Judgement: Yes\n\nProblem:\nWhat is 1 + 1?\n\nJudgement: No", "yes"),
    "the next example in bold": ("**Judgement: No**\n\n**Problem:** 1 + 1\nJudgement: Yes", "no"),
    "the problem said again before": ("Problem: 1 + 1.\nReasoning: equal.\nJudgement: Yes", "yes"),
    # Neither
    "nothing": ("", "invalid"),
    "white space": (" \n\t", "invalid"),
    "only dress": ("**  **", "invalid"),
    "nothing behind the mark": ("Reasoning: equal.\nJudgement:", "invalid"),
    "nothing behind the last mark": ("Judgement: Yes\nJudgement:", "invalid"),
    "cut off in the reasons": ("Reasoning: the two are", "invalid"),
    "cut off behind a word that is no verdict": ("They agree, because there is no", "invalid"),
    "cut off in the word": ("Judgement: Ye", "invalid"),
    "perhaps": ("Judgement: perhaps", "invalid"),
    "the choice that was given": ("Judgement: yes/no", "invalid"),
    "the choice in words": ("Judgement: Yes or No", "invalid"),
    "both words": ("Judgement: Yes and no.", "invalid"),
    "both words in lines": ("Yes\nNo", "invalid"),
    "the other word behind": ("Judgement: Yes. No, wait, they differ.", "invalid"),
    "the other word far behind": ("Judgement: No\n\nOn second thought it should be yes", "invalid"),
    "second thoughts": ("Judgement: Yes\n\nWait, the predicted answer has a unit.", "invalid"),
    "second thoughts without words for them": ("Judgement: No. Hmm, they may be equal.", "invalid"),
    "a question": ("Judgement: Yes?", "invalid"),
    "a condition": ("Judgement: Yes, if the units do not matter", "invalid"),
    "a doubt": ("Judgement: No... maybe", "invalid"),
    "half of it": ("Judgement: Yes, partially.", "invalid"),
    "a concession behind yes": ("Judgement: Yes, but the unit is another", "invalid"),
    "yes and the contrary": ("Judgement: Yes, the two answers are not equivalent.", "invalid"),
    "no and the contrary": ("Judgement: No, they are equivalent.", "invalid"),
    "a word that begins like it": ("Judgement: Not equivalent", "invalid"),
    "no as a part of a phrase": ("Judgement: No difference", "invalid"),
    "no as a part of a word": ("Judgement: No-one knows", "invalid"),
    "another word for it": ("Judgement: Correct", "invalid"),
    "true": ("Judgement: True", "invalid"),
    "one letter": ("Judgement: Y", "invalid"),
    "a sign": ("Judgement: ✅", "invalid"),
    "a number": ("Judgement: 1", "invalid"),
    "Chinese": ("Judgement: 是", "invalid"),
    "German": ("Judgement: Ja", "invalid"),
    "Russian": ("Judgement: Да", "invalid"),
    "the instruction said again": ("I will end with Yes or No.", "invalid"),
    "an example in place of a verdict": ('I would say "Judgement: Yes" if they were equal.', "invalid"),
    "prose with the words in it": ("There is no doubt that one may say yes here", "invalid"),
    "the problem solved anew": (r"We compute 3 + 4 = \boxed{7}", "invalid"),
}


@pytest.mark.parametrize(("text", "verdict"), JUDGEMENTS.values(), ids=JUDGEMENTS.keys())
def test_a_judgement_is_read(text: str, verdict: str) -> None:
    assert read_judgement(text) == verdict


def test_the_table_has_many_of_each_kind() -> None:
    verdicts = [verdict for _, verdict in JUDGEMENTS.values()]
    assert min(verdicts.count(verdict) for verdict in ("yes", "no", "invalid")) >= 20


PIECES = (
    "judgement ",
    "judgement: yes ",
    "Judgement: no\n",
    " ",
    ".",
    "'",
    "-",
    "yes\n",
    "no ",
    "are not ",
    "<think>",
    "</think>",
)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("head", ["", "Judgement", "Judgement: yes "])
def test_a_long_text_is_read_in_a_moment(piece: str, head: str) -> None:
    started = time.process_time()
    read_judgement(head + piece * (200_000 // len(piece)))
    assert time.process_time() - started < 1


def test_keys_tell_the_parts_of_a_pair_apart() -> None:
    assert len({Pair("ab", "c", "d").key, Pair("a", "bc", "d").key, Pair("a", "b", "cd").key}) == 3


@pytest.mark.parametrize(
    ("expected", "predicted", "verdict"),
    [("5", None, "no"), ("5", "", "no"), ("5", " \n", "no"), ("5", " 5\n", "yes"), ("x + 1", "x + 1", "yes")],
)
def test_what_needs_no_call_has_a_judgement_that_is_read_like_others(
    expected: str, predicted: str | None, verdict: str
) -> None:
    judgement = judgement_without_call(expected, predicted)
    assert judgement is not None
    assert read_judgement(judgement) == verdict


@pytest.mark.parametrize(("expected", "predicted"), [("5", "5.0"), ("x+1", "x + 1"), ("A", "a"), ("1/2", r"\frac12")])
def test_any_other_difference_needs_a_call(expected: str, predicted: str) -> None:
    assert judgement_without_call(expected, predicted) is None


def test_agreement_tells_the_model_from_equal_texts_and_keeps_the_first_disagreements() -> None:
    agreement = Agreement(examples=2)
    agreement.add("equal_text", "correct", "yes", {"id": "e"})
    agreement.add("equal_text", "incorrect", "yes", {"id": "f"})
    for number in range(3):
        agreement.add("by_model", "correct", "no", {"id": f"s{number}"})
    agreement.add("by_model", "incorrect", "yes", {"id": "j"})
    agreement.add("by_model", "timeout", "no", {"id": "t"})
    agreement.add("by_model", "correct", "yes", {"id": "y"})
    agreement.add("by_model", "correct", "invalid", {"id": "i"})
    facts = agreement.facts()
    assert facts["by_model"] == {
        "correct": {"yes": 1, "no": 3, "invalid": 1},
        "not_correct": {"yes": 1, "no": 1, "invalid": 0},
    }
    assert facts["equal_text"] == {
        "correct": {"yes": 1, "no": 0, "invalid": 0},
        "not_correct": {"yes": 1, "no": 0, "invalid": 0},
    }
    assert facts["share_agreed"] == 2 / 6
    assert facts["disagreements"] == {
        "judge_only": [
            {"id": "f", "verdict": "incorrect", "judge_verdict": "yes"},
            {"id": "j", "verdict": "incorrect", "judge_verdict": "yes"},
        ],
        "symbolic_only": [
            {"id": "s0", "verdict": "correct", "judge_verdict": "no"},
            {"id": "s1", "verdict": "correct", "judge_verdict": "no"},
        ],
    }


def test_without_a_verdict_of_the_model_no_share_agrees() -> None:
    agreement = Agreement()
    agreement.add("equal_text", "correct", "yes", {"id": "a"})
    agreement.add("by_model", "correct", "invalid", {"id": "b"})
    assert agreement.facts()["share_agreed"] is None
