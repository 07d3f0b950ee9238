"""Limits of texts in tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from openmath.sft.filters import Lengths
from openmath.tokenization import token_lengths, within_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def tokens_reasons(tokenizer: "Tokenizer | None", limits: Lengths, texts: Sequence[str]) -> list[str | None]:
    """For each text "too_short", "too_long" or None, by its tokens."""
    if not limits.in_tokens:
        return [None] * len(texts)
    assert tokenizer is not None
    reasons: list[str | None] = [None] * len(texts)
    if limits.max_tokens is not None:
        reasons = [None if short else "too_long" for short in within_tokens(tokenizer, texts, limits.max_tokens)]
    if limits.min_tokens:
        for place, count in enumerate(token_lengths(tokenizer, texts)):
            if count < limits.min_tokens:
                reasons[place] = "too_short"
    return reasons
