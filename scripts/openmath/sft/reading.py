"""What readers of solutions have in common: problems, and what else of a record is carried along."""

from collections.abc import Sequence
from typing import Any

from openmath.orders import mix
from openmath.problems import problem_key
from openmath.records import Record, RecordError, derive_seed
from openmath.sft.filters import Filters, Problem, Shard
from openmath.sft.lengths import tokens_reasons
from openmath.tokenization import ModelTokenizer

ALL_KEYS = "all"


class Problems:
    """Makes problems, with what the steps ask about them.

    Args:
        filters: the steps that are on.
        tokenizer: counts them, where their limits are in tokens.
    """

    def __init__(self, filters: Filters, tokenizer: ModelTokenizer | None) -> None:
        self.filters = filters
        self.tokenizer = tokenizer
        self._validation_seed = derive_seed("sft", "validation", filters.seed)

    def make(
        self,
        text: str,
        filled: dict[str, Any],
        source: str | None,
        expected_answer: str | None,
        votes: tuple[int, int] | None = None,
    ) -> Problem:
        """A problem from its text, what else the prompt asks for, and what is known of it."""
        key = problem_key(text)
        return Problem(
            text=text,
            key=key,
            expected_answer=expected_answer,
            source=source,
            votes=votes,
            filled=filled,
            in_validation=self._in_validation(key),
            length_reason=self._length_reason(text),
        )

    def _in_validation(self, key: bytes) -> bool:
        share = self.filters.validation_share
        if share == 0:
            return False
        return int(mix([int.from_bytes(key[:8], "big")], self._validation_seed)[0]) < share * 2**64

    def _length_reason(self, text: str) -> str | None:
        limits = self.filters.problem
        return limits.chars_reason(text) or tokens_reasons(self.tokenizer, limits, [text], repeated=True)[0]


def extra_values(
    record: Record, keys: tuple[str, ...], used: Sequence[str], shard: Shard, number: int
) -> dict[str, Any]:
    """What of a record is carried along under its own name.

    Args:
        record: the record.
        keys: names, or ``ALL_KEYS`` alone.
        used: keys of it that the row has already in another form; ``ALL_KEYS`` leaves them out.
        shard, number: where it stands.

    Raises:
        RecordError: a key is missing.
    """
    if keys == (ALL_KEYS,):
        return {key: value for key, value in record.items() if key not in used}
    for key in keys:
        if key not in record:
            raise RecordError(f"{shard.place(number)}: no key '{key}', which rows are to carry along")
    return {key: record[key] for key in keys}
