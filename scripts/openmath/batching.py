"""Continuous batching of sampled text on a transformers model: many requests, one forward pass a token.

All rows of the batch end at the same column of one key-value store, so a step writes one column; rows that came later
start further right, and a finished row leaves its place to the last one:

    row a   . . a a a a a        (.) before the row's own text: masked
    row b   b b b b b b b        the next token of every row goes to the next column
    row c   . . . . . c c

A request gives the same sample whatever else is in flight. Its noise is its own: one uniform number a token, drawn
from a generator seeded by the request, is looked up in the cumulated probabilities of the vocabulary (in token order,
so that no sort decides). What remains is rounding, which depends on the shape of the batch: in float32 it flips about
one token in a million, in float64 (the default of the server) logits agree to 2e-15.

Only models whose layers all attend to everything before (Llama, Qwen 2 and the like) fit this store.
"""

import functools
import itertools
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

log = logging.getLogger(__name__)

_GREEDY_BELOW = 1e-5  # a temperature below this is greedy, as in vLLM
_PREFILL_TOKENS = 16384  # how many prompt tokens one forward pass may hold, padding included
_PATIENCE = 8  # how many steps a new request may wait for company before its prompt is read
_PROMPT_BYTES = 256 * 2**20  # how much of prompts that were read is kept, for the next sample of the same prompt
_TOP_CANDIDATES = 64  # the nucleus is looked for among so many tokens first


@dataclass(eq=False)
class Sample:
    """One text to be sampled, and its state while it is.

    ``stop_ids`` end the text and do not appear in it; ``stop_texts`` likewise, cut at their first character.
    In the end ``finish_reason`` is "stop" or "length", or ``error`` says what failed. ``tag`` is the caller's.
    """

    prompt: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop_ids: frozenset[int] = frozenset()
    stop_texts: tuple[str, ...] = ()
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str = ""
    error: str = ""
    tag: Any = None
    start: int = 0
    _uniforms: np.ndarray | None = None

    @property
    def greedy(self) -> bool:
        return self.temperature < _GREEDY_BELOW

    def uniform(self) -> float:
        """The random number of the next token."""
        if self.greedy:
            return 0.0
        if self._uniforms is None:
            self._uniforms = np.random.Generator(np.random.Philox(self.seed)).random(self.max_tokens)
        return float(self._uniforms[len(self.tokens)])

    def take(self, token: int, decode: Callable[[Sequence[int]], str]) -> bool:
        """Add the next token; True when the sample is finished, with its text and reason set."""
        self.tokens.append(token)
        if token in self.stop_ids:
            self.text, self.finish_reason = decode(self.tokens[:-1]), "stop"
        elif self.stop_texts and self._stopped_by_text(decode):
            self.finish_reason = "stop"
        elif len(self.tokens) >= self.max_tokens:
            self.text, self.finish_reason = decode(self.tokens), "length"
        return bool(self.finish_reason)

    def _stopped_by_text(self, decode: Callable[[Sequence[int]], str]) -> bool:
        # A token adds a byte at least, so a stop text that ends in the newest token lies within this many tokens.
        window = max(len(stop.encode()) for stop in self.stop_texts) + 4
        tail = decode(self.tokens[-window:])
        if not any(stop in tail for stop in self.stop_texts):
            return False
        text = decode(self.tokens)
        places = [place for place in (text.find(stop) for stop in self.stop_texts) if place >= 0]
        if not places:
            return False
        self.text = text[: min(places)]
        return True


def choose_tokens(
    logits: torch.Tensor, temperatures: Sequence[float], top_ps: Sequence[float], uniforms: Sequence[float]
) -> list[int]:
    """Choose a token for each row of ``logits`` (rows, vocabulary).

    A row with a temperature of (nearly) zero takes the most likely token, the first of equals. Others take the token in
    whose share of [0, 1) the row's uniform number lies, after all but the smallest set of likely tokens that holds
    ``top_p`` of the probability was taken away (a token as likely as the last of the set stays).

    Raises:
        FloatingPointError: a logit is not finite.
    """
    logits = logits.double()
    if not bool(torch.isfinite(logits).all()):
        raise FloatingPointError("the model computed a logit that is not finite")
    if max(temperatures) < _GREEDY_BELOW:
        return logits.argmax(-1).tolist()
    temperature = torch.tensor(temperatures, dtype=torch.float64).unsqueeze(1)
    greedy = temperature < _GREEDY_BELOW
    probabilities = torch.softmax(logits / temperature.masked_fill(greedy, 1.0), dim=-1)
    if min(top_ps) < 1.0:
        threshold = _nucleus_threshold(probabilities, torch.tensor(top_ps, dtype=torch.float64).unsqueeze(1))
        probabilities = probabilities.masked_fill(probabilities < threshold, 0.0)
    cumulated = probabilities.cumsum(-1)
    place = torch.tensor(uniforms, dtype=torch.float64).unsqueeze(1) * cumulated[:, -1:]
    chosen = torch.searchsorted(cumulated, place, right=True).clamp_(max=logits.shape[-1] - 1)
    return torch.where(greedy, logits.argmax(-1, keepdim=True), chosen).squeeze(1).tolist()


def _nucleus_threshold(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """The least probability that stays in each row (0 for a row whose ``top_p`` is 1); shape (rows, 1)."""
    count = min(_TOP_CANDIDATES, probabilities.shape[-1])
    likely = probabilities.topk(count, dim=-1).values
    cumulated = likely.cumsum(-1)
    inside = bool(((cumulated[:, -1:] >= top_p) | (top_p >= 1.0)).all())
    if not inside:
        likely = probabilities.sort(dim=-1, descending=True).values
        cumulated = likely.cumsum(-1)
    kept = (cumulated - likely < top_p).sum(-1, keepdim=True)
    # A hair below the last kept one: equals stay, whatever the last bit of their rounding says.
    threshold = likely.gather(-1, kept - 1) * (1 - 1e-12)
    return threshold.masked_fill(top_p >= 1.0, 0.0)


@dataclass(frozen=True)
class _Prompt:
    """A prompt that was read: the logits after it, and each layer's keys and values, (heads, length, size)."""

    logits: torch.Tensor
    layers: dict[int, tuple[torch.Tensor, torch.Tensor]]

    @property
    def bytes(self) -> int:
        return self.logits.nbytes + sum(tensor.nbytes for pair in self.layers.values() for tensor in pair)


class _PromptStore:
    """What a model calls a cache, for one pass over whole prompts: keeps the keys and values of each layer."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.layers[layer] = (keys, values)
        return keys, values


class _BatchStore:
    """Keys and values of the rows in flight: (rows, heads, columns, size) a layer, from ``low`` to ``end`` in use."""

    def __init__(self) -> None:
        self.layers: dict[int, list[torch.Tensor]] = {}
        self.rows = self.low = self.end = 0

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the newest column (the caller has moved ``end`` past it) and return all that the rows attend to."""
        views = []
        for buffer, new in zip(self.layers[layer], (keys, values), strict=True):
            buffer[: self.rows, :, self.end - 1] = new[:, :, 0]
            views.append(buffer[: self.rows, :, self.low : self.end])
        return views[0], views[1]

    def reserve(self, rows: int, end: int, like: _Prompt | None = None) -> None:
        """Make room for so many rows and columns; ``like`` tells the shapes of a model that was never seen."""
        if like is not None and not self.layers:
            self.layers = {layer: [new[None, :, :0][:0] for new in pair] for layer, pair in like.layers.items()}
        for pair in self.layers.values():
            for place, buffer in enumerate(pair):
                shape = list(buffer.shape)
                if shape[0] >= rows and shape[2] >= end:
                    continue
                old_rows, old_end = shape[0], shape[2]
                shape[0] = max(shape[0], rows)
                shape[2] = max(shape[2], end + end // 2) if shape[2] < end else shape[2]
                # Zeros, as a masked column still enters the weighted sum with weight 0, and 0 * NaN is NaN.
                pair[place] = buffer.new_zeros(shape)
                pair[place][:old_rows, :, :old_end] = buffer

    def shift(self, columns: int) -> None:
        """Move the columns in use to the right (or left, if negative); room must be there."""
        for pair in self.layers.values():
            for buffer in pair:
                moved = buffer[: self.rows, :, self.low : self.end].clone()
                buffer[: self.rows, :, self.low + columns : self.end + columns] = moved
        self.low += columns
        self.end += columns

    def move_row(self, source: int, target: int) -> None:
        for pair in self.layers.values():
            for buffer in pair:
                buffer[target, :, self.low : self.end] = buffer[source, :, self.low : self.end]


class Batch:
    """The rows in flight on one model. Not safe for threads: one thread admits and steps."""

    def __init__(self, model: Any, decode: Callable[[Sequence[int]], str]) -> None:
        self.model = model
        self.decode = decode
        self.samples: list[Sample] = []
        self.store = _BatchStore()
        self.broken = False  # a pass ended midway: the store cannot be trusted
        self.prompts: OrderedDict[tuple[int, ...], _Prompt] = OrderedDict()
        self.prompt_bytes = 0

    @torch.inference_mode()
    def admit(self, samples: list[Sample]) -> list[Sample]:
        """Read the prompts of new samples and sample their first tokens; return those that are finished already."""
        prompts = self._read(samples)
        tokens = self._choose(torch.stack([prompt.logits for prompt in prompts]), samples)
        staying = [not sample.take(token, self.decode) for sample, token in zip(samples, tokens, strict=True)]
        if any(staying):
            self.broken = True
            self._join(list(itertools.compress(samples, staying)), list(itertools.compress(prompts, staying)))
            self.broken = False
        return [sample for sample in samples if sample.finish_reason]

    @torch.inference_mode()
    def step(self) -> list[Sample]:
        """Sample the next token of every row; return the samples that are finished, which have left the batch."""
        self.broken = True
        store, samples = self.store, self.samples
        store.reserve(len(samples), store.end + 1)
        store.end += 1
        starts = torch.tensor([sample.start for sample in samples])
        columns = torch.arange(store.low, store.end)
        output = self.model(
            input_ids=torch.tensor([[sample.tokens[-1]] for sample in samples]),
            attention_mask=(columns >= starts[:, None])[:, None, None],
            position_ids=(store.end - 1 - starts)[:, None],
            past_key_values=store,
            use_cache=True,
        )
        tokens = self._choose(output.logits[:, -1], samples)
        finished = [
            sample for sample, token in zip(samples, tokens, strict=True) if sample.take(token, self.decode)
        ]  # fmt: skip
        if finished:
            self._leave(finished)
        self.broken = False
        return finished

    def clear(self) -> list[Sample]:
        """Give up all rows and return them."""
        samples, self.samples = self.samples, []
        self.store = _BatchStore()
        self.broken = False
        return samples

    def _choose(self, logits: torch.Tensor, samples: list[Sample]) -> list[int]:
        return choose_tokens(
            logits,
            [sample.temperature for sample in samples],
            [sample.top_p for sample in samples],
            [sample.uniform() for sample in samples],
        )

    def _read(self, samples: list[Sample]) -> list[_Prompt]:
        """The prompts of the samples, each read once: in this pass, or for an earlier sample."""
        wanted = [tuple(sample.prompt) for sample in samples]
        found = {ids: self.prompts[ids] for ids in wanted if ids in self.prompts}
        new = [ids for ids in dict.fromkeys(wanted) if ids not in found]
        if new:
            found.update(zip(new, self._read_new(new), strict=True))
        for ids, prompt in found.items():
            self.prompts[ids] = prompt
            self.prompts.move_to_end(ids)
        self.prompt_bytes += sum(found[ids].bytes for ids in new)
        while self.prompt_bytes > _PROMPT_BYTES:
            self.prompt_bytes -= self.prompts.popitem(last=False)[1].bytes
        return [found[ids] for ids in wanted]

    def _read_new(self, prompts: list[tuple[int, ...]]) -> list[_Prompt]:
        lengths = [len(prompt) for prompt in prompts]
        longest = max(lengths)
        # Prompts are padded on the right, where causal attention keeps the padding away from them.
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        last = sorted(set(lengths))
        store = _PromptStore()
        output = self.model(
            input_ids=ids,
            attention_mask=torch.ones(longest, longest, dtype=torch.bool).tril()[None, None],
            position_ids=torch.arange(longest)[None],
            past_key_values=store,
            use_cache=True,
            logits_to_keep=torch.tensor(last) - 1,
        )
        return [
            _Prompt(
                output.logits[row, last.index(length)].clone(),
                {
                    layer: (keys[row, :, :length].clone(), values[row, :, :length].clone())
                    for layer, (keys, values) in store.layers.items()
                },
            )
            for row, length in enumerate(lengths)
        ]

    def _join(self, samples: list[Sample], prompts: list[_Prompt]) -> None:
        store, old = self.store, len(self.samples)
        longest = max(len(sample.prompt) for sample in samples)
        if old == 0:
            store.low = store.end = 0
        shift = max(0, longest - store.end)
        store.reserve(old + len(samples), store.end + shift, prompts[0])
        if shift and old:
            store.shift(shift)
            for sample in self.samples:
                sample.start += shift
        elif shift:
            store.low = store.end = store.end + shift
        for sample in samples:
            sample.start = store.end - len(sample.prompt)
        store.low = min([store.low, *(sample.start for sample in samples)])
        for row, (sample, prompt) in enumerate(zip(samples, prompts, strict=True), start=old):
            for layer, pair in prompt.layers.items():
                for buffer, new in zip(store.layers[layer], pair, strict=True):
                    buffer[row, :, sample.start : store.end] = new
        self.samples.extend(samples)
        store.rows = len(self.samples)

    def _leave(self, finished: list[Sample]) -> None:
        store = self.store
        for sample in finished:
            row = self.samples.index(sample)
            last = len(self.samples) - 1
            if row != last:
                store.move_row(last, row)
                self.samples[row] = self.samples[last]
            self.samples.pop()
        store.rows = len(self.samples)
        store.low = min((sample.start for sample in self.samples), default=store.end)
        if store.low > (store.end - store.low) and store.low > 64:
            move = store.low
            store.shift(-move)
            for sample in self.samples:
                sample.start -= move


class Engine:
    """A thread that batches what is in flight; a failing pass fails its own samples only.

    Args:
        deliver: called from the thread with samples that are finished or have failed.
    """

    def __init__(
        self,
        model: Any,
        decode: Callable[[Sequence[int]], str],
        max_batch_size: int,
        deliver: Callable[[list[Sample]], None],
    ) -> None:
        self.max_batch_size = max_batch_size
        self._batch = Batch(model, decode)
        self._deliver = deliver
        self._waiting: deque[Sample] = deque()
        self._changed = threading.Condition()
        self._waited = 0

    def start(self) -> None:
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(self, samples: Sequence[Sample]) -> None:
        """Queue samples, in order; may be called from any thread."""
        with self._changed:
            self._waiting.extend(samples)
            self._changed.notify()

    @property
    def running(self) -> int:
        return len(self._batch.samples)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._batch.samples:
                    self._changed.wait()
                new = self._next_in()
            if new:
                self._attempt(functools.partial(self._batch.admit, new), new)
            if self._batch.samples:
                self._attempt(self._batch.step, [])

    def _next_in(self) -> list[Sample]:
        """The waiting samples whose prompts are read now: none until an eighth of the batch or patience says so."""
        active = len(self._batch.samples)
        free = self.max_batch_size - active
        if not self._waiting or free <= 0:
            return []
        self._waited += 1
        if active and len(self._waiting) < active // 8 and self._waited < _PATIENCE:
            return []
        self._waited = 0
        new: list[Sample] = []
        longest = 0
        while self._waiting and len(new) < free:
            longest = max(longest, len(self._waiting[0].prompt))
            if new and longest * (len(new) + 1) > _PREFILL_TOKENS:
                break
            new.append(self._waiting.popleft())
        return new

    def _attempt(self, work: Callable[[], list[Sample]], new: list[Sample]) -> None:
        try:
            finished = work()
        except Exception as error:
            finished = (
                [*new, *(sample for sample in self._batch.clear() if sample not in new)] if self._batch.broken else new
            )
            log.exception("a batch of %d rows failed", len(finished))
            for sample in finished:
                sample.error = f"{type(error).__name__}: {error}"
        if finished:
            self._deliver(finished)
