"""Rules of reading and counting judgements that no other test shows by themselves."""

from openmath.judging import Agreement, read_judgement


def test_no_that_is_followed_by_yes_is_no_verdict() -> None:
    assert read_judgement("Judgement: No. My verdict is yes.") == "invalid"
    assert read_judgement("Judgement: No. My verdict stands.") == "no"


def test_what_was_never_judged_is_counted_as_zero() -> None:
    facts = Agreement().facts()
    for how in ("by_model", "equal_text"):
        for symbolic in ("correct", "not_correct"):
            assert facts[how][symbolic] == {"yes": 0, "no": 0, "invalid": 0}
