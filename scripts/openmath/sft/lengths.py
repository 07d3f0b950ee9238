"""Limits of texts in tokens."""

from collections.abc import Sequence

from openmath.sft.filters import Lengths
from openmath.tokenization import ModelTokenizer

_REASONS = {-1: "too_short", 0: None, 1: "too_long"}


def tokens_reasons(
    tokenizer: ModelTokenizer | None, limits: Lengths, texts: Sequence[str], repeated: bool = False
) -> list[str | None]:
    """For each text "too_short", "too_long" or None, by its tokens; ``repeated`` texts come back and are remembered.

    The tokenizer is needed only where a limit is in tokens.
    """
    if not limits.in_tokens:
        return [None] * len(texts)
    assert tokenizer is not None
    sides = tokenizer.within(texts, limits.min_tokens or 0, limits.max_tokens, repeated)
    return [_REASONS[side] for side in sides]
