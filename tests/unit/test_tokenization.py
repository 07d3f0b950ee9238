"""Lengths in tokens."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmath.tokenization import encode, load_tokenizer, token_lengths, within_tokens


def test_special_tokens_in_the_text_count_as_one_and_none_is_added(byte_tokenizer: Path) -> None:
    tokenizer = load_tokenizer(byte_tokenizer)
    assert token_lengths(tokenizer, ["ab", "<|bos|>ab<|end|>", ""]) == [2, 4, 0]
    assert [len(ids) for ids in encode(tokenizer, ["ab", "<|bos|>ab<|end|>", ""])] == [2, 4, 0]


def test_the_bound_by_bytes_decides_as_counting_does(byte_tokenizer: Path) -> None:
    tokenizer = load_tokenizer(byte_tokenizer)

    @given(st.lists(st.text(max_size=12), max_size=5), st.integers(0, 12))
    def check(texts: list[str], limit: int) -> None:
        counted = [length <= limit for length in token_lengths(tokenizer, texts)]
        assert within_tokens(tokenizer, texts, limit) == counted

    check()


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no tokenizer\.json in this model folder"):
        load_tokenizer(tmp_path)
