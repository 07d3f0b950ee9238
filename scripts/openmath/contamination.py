"""Problems of a benchmark among the generated ones: what is near, and what a model says is the same.

Two steps, as in the source (NeMo-Skills e718d393): each new problem gets the ``top_k`` benchmark problems nearest to it
in the space of a sentence embedding, and a model is asked of each pair whether the two are the same problem. Ours
differ where it costs: a pair whose normalised texts are equal is not asked about, and after a first "True" the problem
is asked about no further.

    new problem   candidates      wave 1: p1 ? a, a ? p1, p2 ? c, c ? p2   ->  p2 is contaminated
    p1            a  b            wave 2: p1 ? b, b ? p1
    p2            c  d            p2 ? d, d ? p2 are never asked
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from openmath.problems import problem_key
from openmath.records import Record

Vectors = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]
Ask = Callable[[list[tuple[str, str]], int], list[str]]

# Bounds the memory of a step: 8,192 new problems against 12,000 benchmark problems are 0.4 GB of scores.
PROBLEMS_PER_BLOCK = 8192


def unique_texts(records: Iterable[Record], counts: dict[str, int]) -> Iterator[Record]:
    """Yield the first record of every problem text; the others are counted as "duplicate"."""
    seen: set[bytes] = set()
    for record in records:
        key = hashlib.blake2b(record["problem"].encode(), digest_size=16).digest()
        if key in seen:
            counts["duplicate"] += 1
        else:
            seen.add(key)
            yield record


def nearest(queries: Vectors, corpus: Vectors, top_k: int) -> tuple[npt.NDArray[np.int64], Vectors]:
    """The ``top_k`` rows of ``corpus`` with the largest dot product for each row of ``queries``, exactly.

    Args:
        queries: (n, d), rows of length one where the score should be the cosine.
        corpus: (m, d).
        top_k: how many; fewer where the corpus is smaller.

    Returns:
        Row numbers (n, k) and scores (n, k), best first; of equal scores the earlier row of the corpus comes first.
    """
    import torch

    top_k = min(top_k, len(corpus))
    scores = torch.from_numpy(queries) @ torch.from_numpy(corpus).T
    values, found = (tensor.numpy() for tensor in torch.topk(scores, top_k, dim=1))
    table = scores.numpy()
    # Which of several equal scores at the edge torch.topk takes is not promised: those rows are done again, stably.
    tied = np.flatnonzero((table >= values[:, -1:]).sum(axis=1) > top_k)
    for row in tied:
        found[row] = np.argsort(-table[row], kind="stable")[:top_k]
        values[row] = table[row, found[row]]
    order = np.lexsort((found, -values), axis=1)
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(values, order, axis=1)


def retrieve(
    problems: Iterable[Record],
    benchmarks: Mapping[str, Iterable[Record]],
    embed: Embed,
    top_k: int,
    min_similarity: float,
    counts: dict[str, int],
) -> Iterator[Record]:
    """Find the benchmark problems that are nearest to each new problem.

    Args:
        problems: the new problems, read as a stream.
        benchmarks: name to problems; a text that stands in several is known by the first.
        embed: texts to rows of length one.
        top_k: benchmark problems per new problem.
        min_similarity: pairs with a smaller cosine are left out and counted as "pairs_below".
        counts: "duplicate", "pairs" and "pairs_below" are added to.

    Yields:
        ``{"id", "problem", "similar": [{"benchmark", "id", "problem", "score"}, ...]}``, one per distinct problem text,
        in the order of ``problems``; ``similar`` best first, ties in the order of the benchmarks.

    Raises:
        ValueError: the benchmarks hold no problem.
    """
    entries = list(
        unique_texts(
            (
                {"benchmark": name, "id": record["id"], "problem": record["problem"]}
                for name, records in benchmarks.items()
                for record in records
            ),
            {"duplicate": 0},
        )
    )
    if not entries:
        raise ValueError(f"no problem in the benchmarks: {', '.join(benchmarks)}")
    corpus = embed([entry["problem"] for entry in entries])
    fresh = unique_texts(problems, counts)
    while block := list(itertools.islice(fresh, PROBLEMS_PER_BLOCK)):
        rows, scores = nearest(embed([record["problem"] for record in block]), corpus, top_k)
        for record, found, cosines in zip(block, rows.tolist(), scores.tolist(), strict=True):
            similar = [
                {**entries[row], "score": round(cosine, 6)}
                for row, cosine in zip(found, cosines, strict=True)
                if cosine >= min_similarity
            ]
            counts["pairs"] += len(similar)
            counts["pairs_below"] += len(found) - len(similar)
            yield {"id": record["id"], "problem": record["problem"], "similar": similar}


def parse_verdict(text: str) -> bool | None:
    """What the model said: True, False, or None when it is neither.

    The word stands first or last in the text, as models give their reasons after it or before it; case and punctuation
    around it do not count. The source takes "True" alone.

    >>> [parse_verdict(text) for text in ("True", " **false**.", "Both ask for the sum: true.", "I think so")]
    [True, False, True, None]
    >>> parse_verdict("True? No: False.") is None
    True
    """
    words = re.findall(r"[^\W_]+", text.casefold())
    said = {words[0], words[-1]} & {"true", "false"} if words else set()
    return said == {"true"} if len(said) == 1 else None


@dataclass
class _Undecided:
    record: Record
    calls: int = 0
    match: Record | None = None
    pairs: list[tuple[str, str]] = field(default_factory=list)


def check(rows: Sequence[Record], ask: Ask, both_ways: bool, counts: dict[str, int]) -> list[Record]:
    """Decide which of the new problems are contaminated.

    Args:
        rows: records of ``retrieve``.
        ask: the texts of pairs, and the number of the wave, to what the model says of each pair. No pair comes twice.
        both_ways: ask about (new, candidate) and about (candidate, new).
        counts: "exact_match", "model_match", "clean" (rows), "calls" (pairs asked about) and "invalid" (answers that
            are neither True nor False; they do not count as True) are added to.

    Returns:
        ``{"id", "problem", "contaminated", "matches": [{"benchmark", "id"}, ...], "calls"}`` per row, in order, where
        calls are the answers that the row used, be they shared with another row or not.
    """
    states = [_Undecided(row) for row in rows]
    for state in states:
        own = problem_key(state.record["problem"])
        state.match = next((item for item in state.record["similar"] if problem_key(item["problem"]) == own), None)
        counts["exact_match"] += state.match is not None
    said: dict[tuple[str, str], bool | None] = {}
    for wave in range(max((len(row["similar"]) for row in rows), default=0)):
        open_states = [state for state in states if state.match is None and wave < len(state.record["similar"])]
        for state in open_states:
            problem, candidate = state.record["problem"], state.record["similar"][wave]["problem"]
            state.pairs = [(problem, candidate), (candidate, problem)] if both_ways else [(problem, candidate)]
        new = [
            pair for pair in dict.fromkeys(pair for state in open_states for pair in state.pairs) if pair not in said
        ]
        if new:
            verdicts = [parse_verdict(text) for text in ask(new, wave)]
            said.update(zip(new, verdicts, strict=True))
            counts["calls"] += len(new)
            counts["invalid"] += verdicts.count(None)
        for state in open_states:
            state.calls += len(state.pairs)
            if any(said[pair] for pair in state.pairs):
                state.match = state.record["similar"][wave]
                counts["model_match"] += 1
    counts["clean"] += sum(state.match is None for state in states)
    return [_verdict(state) for state in states]


def _verdict(state: _Undecided) -> Record:
    matches = [] if state.match is None else [{"benchmark": state.match["benchmark"], "id": state.match["id"]}]
    return {
        "id": state.record["id"],
        "problem": state.record["problem"],
        "contaminated": bool(matches),
        "matches": matches,
        "calls": state.calls,
    }
