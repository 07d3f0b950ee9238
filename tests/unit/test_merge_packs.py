"""Packed rows of several prefixes as those of one."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import merge_packs
import pack_sequences
from openmath import pack_merging
from openmath.packed_rows import LAYOUTS, manifest_path, read_flat, read_packed
from openmath.records import Record, file_sha256, write_jsonl

READERS = {"nemo": read_packed, "flat": read_flat}


def pack_part(folder: Path, name: str, rows: list[Record], tokenizer: Path, layout: str, *options: str) -> str:
    """Pack some rows, and return the prefix."""
    write_jsonl(folder / f"{name}.jsonl", rows)
    prefix = str(folder / f"parts/{name}")
    pack_sequences.main(
        [
            *("--data", str(folder / f"{name}.jsonl"), "--tokenizer", str(tokenizer), "--capacity", "32"),
            *("--algorithm", "first_fit_shuffle", "--seed", "0", "--layout", layout, "--output-prefix", prefix),
            *options,
        ]
    )
    return prefix


def merge(folder: Path, prefixes: list[str], layout: str) -> Record:
    prefix = folder / "new/folder/merged"
    merge_packs.main(["--inputs", *prefixes, "--output-prefix", str(prefix), "--layout", layout])
    manifest: Record = json.loads(manifest_path(prefix, layout).read_text())
    return manifest


def samples_of(prefix: str | Path, layout: str) -> list[list[tuple[list[int], list[bool]]]]:
    return [[(tokens.tolist(), mask.tolist()) for tokens, mask in row] for row in READERS[layout](prefix)]


def some_rows(*lengths: int) -> list[Record]:
    return [{"input": "q" * 3, "output": "abcdefgh"[n % 8] * length} for n, length in enumerate(lengths)]


parts_strategy = st.lists(st.lists(st.integers(1, 29), min_size=1, max_size=12), min_size=1, max_size=4)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=parts_strategy, block=st.sampled_from([1, 50, 10**6]), multiple=st.sampled_from(["1", "8"]))
def test_parts_that_are_merged_are_read_as_one_after_the_other(
    byte_tokenizer: Path, layout: str, parts: list[list[int]], block: int, multiple: str
) -> None:
    options = ("--multiple", "8", "--pad-token", "<|pad|>") if multiple == "8" and layout == "nemo" else ()
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_merging, "_BLOCK", block)
        folder = Path(name)
        prefixes = [
            pack_part(folder, f"part{number}", some_rows(*lengths), byte_tokenizer, layout, *options)
            for number, lengths in enumerate(parts)
        ]
        merged = merge(folder, prefixes, layout)
        manifests = [json.loads(manifest_path(prefix, layout).read_text()) for prefix in prefixes]
        expected = [row for prefix in prefixes for row in samples_of(prefix, layout)]
        assert samples_of(folder / "new/folder/merged", layout) == expected
        assert merged["merged_from"] == [
            {"prefix": prefix, "manifest_sha256": file_sha256(manifest_path(prefix, layout))} for prefix in prefixes
        ]
        arrays = {key: np.load(f"{folder}/new/folder/merged.{key}.npy") for key in LAYOUTS[layout]}
    assert merged["rows"] == len(expected)
    assert merged["sequences"] == sum(map(len, parts)) == sum(map(len, expected))
    for key in ("tokens", "target_tokens", "pad_tokens"):
        assert merged[key] == sum(manifest[key] for manifest in manifests)
    for key in ("rows_in", "too_short", "too_long", "cut", "rows_out"):
        assert merged["counts"][key] == sum(manifest["counts"][key] for manifest in manifests)
    for key in ("sequences_per_row", "efficiency"):
        mean = np.average([part[key] for part in manifests], weights=[part["rows"] for part in manifests])
        assert merged[key] == pytest.approx(mean)
    for key in ("row_width", "most_sequences_in_a_row"):
        assert merged[key] == max(manifest[key] for manifest in manifests)
    if layout == "nemo":
        assert arrays["input_ids"].shape == arrays["loss_mask"].shape == (merged["rows"], merged["row_width"])
        assert arrays["loss_mask"][arrays["input_ids"] == -1].all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_part_that_is_merged_has_the_bytes_of_the_part(tmp_path: Path, byte_tokenizer: Path, layout: str) -> None:
    prefix = pack_part(tmp_path, "one", some_rows(3, 20, 9, 28), byte_tokenizer, layout)
    merge(tmp_path, [prefix], layout)
    for name in LAYOUTS[layout]:
        assert Path(f"{prefix}.{name}.npy").read_bytes() == (tmp_path / f"new/folder/merged.{name}.npy").read_bytes()


def test_what_is_merged_can_be_merged_again(tmp_path: Path, byte_tokenizer: Path) -> None:
    one, two = (pack_part(tmp_path, name, some_rows(3, 20, 9), byte_tokenizer, "flat") for name in ("one", "two"))
    first = merge(tmp_path, [one, two], "flat")
    (tmp_path / "new").rename(tmp_path / "old")
    again = merge(tmp_path, [str(tmp_path / "old/folder/merged"), one], "flat")
    assert (first["sequences"], again["sequences"]) == (6, 9)


@pytest.mark.parametrize(
    ("key", "value"), [("tokenizer_sha256", "ff"), ("capacity", 64), ("multiple", 8), ("pad_id", 3), ("layout", "flat")]
)
def test_packs_that_do_not_agree_are_refused_by_name(
    tmp_path: Path, byte_tokenizer: Path, key: str, value: object
) -> None:
    one, two = (pack_part(tmp_path, name, some_rows(3), byte_tokenizer, "nemo") for name in ("one", "two"))
    manifest = json.loads(Path(f"{two}.json").read_text())
    Path(f"{two}.json").write_text(json.dumps({**manifest, key: value}))
    with pytest.raises(SystemExit, match=rf"merge_packs: .*one\.json has {key} .*, .*two\.json has {value!r}"):
        merge(tmp_path, [one, two], "nemo")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file"),
        ("{", r"one\.json: "),
        ("[]", "no key 'layout'; no manifest of packed rows"),
        ("5", "no key 'layout'; no manifest of packed rows"),
        ('{"layout": "nemo"}', "no key 'tokenizer_sha256'"),
    ],
)
def test_what_is_no_manifest_is_refused_by_name(
    tmp_path: Path, byte_tokenizer: Path, text: str | None, reason: str
) -> None:
    one = pack_part(tmp_path, "one", some_rows(3), byte_tokenizer, "nemo")
    manifest = Path(f"{one}.json")
    if text is None:
        manifest.unlink()
    else:
        manifest.write_text(text)
    with pytest.raises(SystemExit, match=reason) as error:
        merge(tmp_path, [one], "nemo")
    assert "one.json" in str(error.value)


def damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif how == "beheaded":
        path.write_bytes(b"no array")
    elif how == "of another version":
        with path.open("wb") as stream:
            np.lib.format.write_array(stream, np.zeros((1, 4), dtype=np.int32), version=(2, 0))
    elif how == "of another type":
        np.save(path, np.load(path).astype(np.int16))
    elif how == "turned":
        np.save(path, np.asfortranarray(np.load(path)))
    else:
        np.save(path, np.concatenate([np.load(path)] * 2))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("gone", r"input_ids\.npy: No such file"),
        ("cut", r"input_ids\.npy: the file is cut"),
        ("beheaded", r"input_ids\.npy: no array of NumPy"),
        ("of another version", r"input_ids\.npy: no array of NumPy \(version \(2, 0\)"),
        ("of another type", r"input_ids\.npy holds int16 .*one\.json says int32"),
        ("turned", r"input_ids\.npy holds int32 "),
        ("longer", r"input_ids\.npy holds int32 \(4, .*one\.json says int32 \(2, "),
    ],
)
def test_an_array_that_is_not_as_its_manifest_says_is_named(
    tmp_path: Path, byte_tokenizer: Path, how: str, reason: str
) -> None:
    one, two = (pack_part(tmp_path, name, some_rows(20, 21), byte_tokenizer, "nemo") for name in ("one", "two"))
    old = merge(tmp_path, [two], "nemo")
    damage(Path(f"{one}.input_ids.npy"), how)
    with pytest.raises(SystemExit, match=f"merge_packs: .*{reason}"):
        merge(tmp_path, [two, one], "nemo")
    assert json.loads((tmp_path / "new/folder/merged.json").read_text()) == old
    assert len(list((tmp_path / "new/folder").iterdir())) == 4


def test_the_output_is_none_of_the_inputs(tmp_path: Path, byte_tokenizer: Path) -> None:
    one = pack_part(tmp_path, "one", some_rows(3), byte_tokenizer, "nemo")
    with pytest.raises(SystemExit, match=r"merge_packs: --output-prefix .*one is one of the inputs"):
        merge_packs.main(["--inputs", one, "--output-prefix", f"{tmp_path}/parts/../parts/one"])


def test_where_the_output_cannot_stand_is_named(tmp_path: Path, byte_tokenizer: Path) -> None:
    one = pack_part(tmp_path, "one", some_rows(3), byte_tokenizer, "nemo")
    (tmp_path / "new").write_text("a file")
    with pytest.raises(SystemExit, match=r"merge_packs: .*new.*: (Not a directory|File exists)"):
        merge(tmp_path, [one], "nemo")
