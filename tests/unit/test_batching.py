"""The sampler and the batch: the same sample whatever else is in flight."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from openmath.batching import Batch, Engine, Sample, choose_tokens  # noqa: E402
from openmath.serving import Text, load_model  # noqa: E402


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    torch.set_num_threads(1)
    return load_model(tiny_model, "float64")


@pytest.fixture(scope="module")
def text(tiny_model: Path) -> Text:
    return Text.of_folder(tiny_model, [], 512)


def sample(text: Text, number: int, **changes) -> Sample:
    """A sample of its own length and temperature for each number."""
    prompt = "<|bos|>" + "7 apples and " * (number % 5) + f"{number} more"
    values = {
        "prompt": text.encode(prompt),
        "max_tokens": 5 + number % 23,
        "temperature": (0.0, 0.7, 1.0, 1.3)[number % 4],
        "top_p": (1.0, 0.9)[number % 2],
        "seed": number,
    }
    return Sample(**{**values, **changes})


def run(model, text: Text, samples: list[Sample], arrivals: int) -> None:
    """Sample all, `arrivals` of them coming at a time, a step apart."""
    batch, waiting = Batch(model, text.decode), list(samples)
    while waiting or batch.samples:
        if waiting:
            batch.admit([waiting.pop(0) for _ in range(min(arrivals, len(waiting)))])
        if batch.samples:
            batch.step()


def reference(model, one: Sample) -> list[int]:
    """The tokens by plain forward passes over the whole text, without any store."""
    tokens: list[int] = []
    noise = np.random.Generator(np.random.Philox(one.seed)).random(one.max_tokens)
    for place in range(one.max_tokens):
        with torch.inference_mode():
            logits = model(torch.tensor([one.prompt + tokens])).logits[:, -1]
        tokens += choose_tokens(logits, [one.temperature], [one.top_p], [noise[place]])
    return tokens


@pytest.fixture(scope="module")
def references(model, text) -> list[list[int]]:
    return [reference(model, sample(text, number)) for number in range(32)]


@pytest.mark.parametrize("arrivals", [1, 7, 32])
def test_a_sample_in_a_batch_is_what_plain_forward_passes_give(model, text, references, arrivals):
    samples = [sample(text, number) for number in range(32)]
    run(model, text, samples, arrivals)
    assert [one.tokens for one in samples] == references
    assert all(one.finish_reason == "length" for one in samples)


def test_long_texts_among_short_ones_move_the_columns_and_change_nothing(model, text):
    def mixed() -> list[Sample]:
        long = [sample(text, 1, max_tokens=300), sample(text, 2, max_tokens=300, prompt=text.encode("x" * 200))]
        return [*[sample(text, number) for number in range(3, 40)], *long]

    alone, together = mixed(), mixed()
    for one in alone:
        run(model, text, [one], 1)
    run(model, text, together, 2)
    assert [one.text for one in together] == [one.text for one in alone]


def test_a_prompt_that_was_read_before_gives_the_same_sample_and_is_forgotten_in_time(model, text, monkeypatch):
    passes = []
    batch = Batch(lambda **inputs: passes.append(inputs["input_ids"].shape) or model(**inputs), text.decode)

    def first_tokens(numbers: range) -> list[list[int]]:
        samples = [sample(text, number, max_tokens=1) for number in numbers]
        batch.admit(samples)
        return [one.tokens for one in samples]

    again = first_tokens(range(8)), first_tokens(range(8))
    assert again[0] == again[1]
    assert len(passes) == 1
    monkeypatch.setattr("openmath.batching._PROMPT_BYTES", 2 * batch.prompt_bytes)
    first_tokens(range(8, 200))
    assert sum(prompt.bytes for prompt in batch.prompts.values()) == batch.prompt_bytes
    first_tokens(range(8))
    assert len(passes) == 3


def test_a_temperature_near_zero_is_greedy_and_the_first_of_equals_wins():
    logits = torch.tensor([[1.0, 3.0, 3.0]])
    assert choose_tokens(logits, [0.0], [1.0], [0.9]) == [1]
    assert choose_tokens(logits, [1e-7], [0.5], [0.9]) == [1]


def test_the_uniform_number_picks_the_token_whose_share_it_lies_in():
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64))
    picked = [choose_tokens(logits, [1.0], [1.0], [place])[0] for place in (0.0, 0.19, 0.21, 0.69, 0.71, 0.999)]
    assert picked == [0, 0, 1, 1, 2, 2]


def test_top_p_takes_the_smallest_set_that_holds_it_away_from_the_rest():
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64))
    uniforms = np.linspace(0, 0.999, 50)
    assert {choose_tokens(logits, [1.0], [0.5], [u])[0] for u in uniforms} == {1}
    assert {choose_tokens(logits, [1.0], [0.6], [u])[0] for u in uniforms} == {1, 2}
    assert {choose_tokens(logits, [1.0], [0.81], [u])[0] for u in uniforms} == {0, 1, 2}


def test_top_p_over_a_flat_vocabulary_looks_beyond_the_first_candidates():
    logits = torch.zeros(1, 1000)
    logits[0, :900] = 1e-3 * torch.arange(900)
    uniforms = np.linspace(0, 0.999, 400)
    assert len({choose_tokens(logits, [1.0], [0.9], [u])[0] for u in uniforms}) > 200


def test_many_draws_follow_the_probabilities():
    probabilities = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    uniforms = list(np.random.Generator(np.random.Philox(5)).random(20000))
    rows = torch.log(probabilities).expand(20000, 3)
    counts = np.bincount(choose_tokens(rows, [1.0] * 20000, [1.0] * 20000, uniforms))
    assert np.allclose(counts / 20000, probabilities.numpy(), atol=0.01)


def test_a_logit_that_is_not_finite_is_an_error():
    with pytest.raises(FloatingPointError):
        choose_tokens(torch.tensor([[0.0, float("nan")]]), [1.0], [1.0], [0.5])


@pytest.mark.parametrize("stop", ["7", "app", "more and", "é"])
def test_a_text_ends_before_the_first_stop_text(stop):
    spelled = "the 7 apples, more and é more"
    one = Sample(prompt=[0], max_tokens=100, temperature=1, top_p=1, seed=0, stop_texts=("never", stop))
    for byte in spelled.encode():
        if one.take(byte, lambda ids: bytes(ids).decode("utf-8", "replace")):
            break
    assert (one.text, one.finish_reason) == (spelled.partition(stop)[0], "stop")


class Failing:
    """A model that fails at chosen calls."""

    def __init__(self, model, failing: set[int]) -> None:
        self.model, self.failing, self.calls = model, failing, 0

    def __call__(self, **inputs):
        self.calls += 1
        if self.calls in self.failing:
            raise MemoryError("no room")
        return self.model(**inputs)


@pytest.mark.parametrize(("call", "failed"), [(1, "the prompts"), (3, "a step")])
def test_a_failing_pass_fails_its_own_samples_and_the_engine_goes_on(model, text, call, failed):
    import queue

    done: queue.Queue = queue.Queue()
    engine = Engine(Failing(model, {call}), text.decode, 8, lambda samples: [done.put(one) for one in samples])
    engine.start()
    engine.submit([sample(text, number) for number in range(4)])
    assert ["MemoryError" in done.get(timeout=20).error for _ in range(4)] == [True] * 4, failed
    engine.submit([sample(text, 9)])
    assert done.get(timeout=20).finish_reason == "length"
