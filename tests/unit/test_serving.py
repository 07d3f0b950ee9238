"""The embedded server over HTTP: what it answers, what it refuses, and that a sample is its request's own."""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
uvicorn = pytest.importorskip("uvicorn")

from openmath.client import Completion, Request, ask  # noqa: E402
from openmath.engines import Sampling, Server  # noqa: E402

CHAT_TEMPLATE = (
    "<|bos|>{% for message in messages %}{% if message.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    "<|user|>{{ message.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def base_url(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the tiny model, with a chat template, in this process."""
    import shutil

    import torch

    from openmath.serving import make_server

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    yield from serve(make_server(folder, "tiny", 16, "float64").app())


@pytest.fixture(scope="module")
def no_chat_url(tiny_model: Path) -> Iterator[str]:
    from openmath.serving import make_server

    yield from serve(make_server(tiny_model, "tiny", 16, "float64").app())


def serve(app) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def post(url: str, body: object, path: str = "/v1/completions") -> tuple[int, dict]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def completion(url: str, **body) -> dict:
    status, answer = post(url, {"model": "tiny", "prompt": "<|bos|>one", **body})
    assert status == 200, answer
    return answer


def ask_all(url: str, requests: list[Request]) -> dict[str, str]:
    texts: dict[str, str] = {}

    def save(request: Request, completion: Completion) -> None:
        texts[request.key] = completion.text

    ask(requests, Server("tiny", "transformers", None), url + "/v1", Sampling(1.0, 0.95, 24), [], 64, save)
    return texts


def test_the_same_request_gives_the_same_sample_alone_among_others_and_in_another_order(base_url):
    requests = [Request(f"r{row}", 1000 + row, "<|bos|>" + "word " * (row % 9) + str(row)) for row in range(64)]
    together = ask_all(base_url, requests)
    assert ask_all(base_url, requests[::-1]) == together
    alone = {}
    for request in requests[::8]:
        alone.update(ask_all(base_url, [request]))
    assert alone == {key: together[key] for key in alone}
    assert len(set(together.values())) == 64


def test_a_temperature_of_zero_is_greedy_whatever_the_seed(base_url):
    texts = {completion(base_url, temperature=0, seed=seed)["choices"][0]["text"] for seed in (1, 2, 3)}
    assert len(texts) == 1


def test_without_a_seed_samples_differ(base_url):
    texts = {completion(base_url, temperature=1.5)["choices"][0]["text"] for _ in range(3)}
    assert len(texts) == 3


def test_n_choices_of_one_seed_differ_and_the_first_is_that_of_the_seed(base_url):
    several = completion(base_url, seed=5, n=3)
    texts = [choice["text"] for choice in several["choices"]]
    assert len(set(texts)) == 3
    assert texts[0] == completion(base_url, seed=5)["choices"][0]["text"]
    assert several["usage"]["completion_tokens"] == 48


def test_a_list_of_prompts_gives_its_choices_in_order(base_url):
    answer = completion(base_url, prompt=["<|bos|>a", "<|bos|>bc"], seed=5, temperature=0)
    singles = [
        completion(base_url, prompt=one, temperature=0)["choices"][0]["text"] for one in ("<|bos|>a", "<|bos|>bc")
    ]
    assert [choice["text"] for choice in answer["choices"]] == singles
    assert answer["usage"]["prompt_tokens"] == 2 + 3


def test_special_tokens_in_a_prompt_are_recognised_and_none_is_added(base_url):
    usage = completion(base_url, prompt="<|bos|><|user|>ab<|end|>", max_tokens=3)["usage"]
    assert usage["prompt_tokens"] == 5


def test_a_text_that_is_cut_says_length_and_one_that_is_stopped_says_stop(base_url):
    whole = completion(base_url, seed=5, max_tokens=30)
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["usage"] == {"prompt_tokens": 4, "completion_tokens": 30, "total_tokens": 34}
    text = whole["choices"][0]["text"]
    for stop in (text[5], text[4:7], ["never this", text[4:7]]):
        stopped = completion(base_url, seed=5, max_tokens=30, stop=stop)["choices"][0]
        first = stop if isinstance(stop, str) else stop[1]
        assert stopped["text"] == text.partition(first)[0]
        assert stopped["finish_reason"] == "stop"


def test_a_stop_text_may_be_a_special_token(base_url):
    ends = [completion(base_url, seed=seed, max_tokens=400, temperature=2, stop="<|user|>") for seed in range(6)]
    stopped = [end for end in ends if end["choices"][0]["finish_reason"] == "stop"]
    assert stopped, "none of six long texts met the token"
    assert all("<|" not in end["choices"][0]["text"] for end in stopped)


def test_chat_is_rendered_with_the_template_of_the_model(base_url):
    body = {"model": "tiny", "messages": [{"role": "user", "content": "one"}], "temperature": 0, "max_tokens": 9}
    status, answer = post(base_url, body, "/v1/chat/completions")
    plain = completion(base_url, prompt="<|bos|><|user|>one<|end|><|assistant|>", temperature=0, max_tokens=9)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == plain["choices"][0]["text"]
    assert answer["usage"] == plain["usage"]


def test_a_chat_without_a_limit_may_fill_the_context(base_url):
    body = {"model": "tiny", "messages": [{"role": "user", "content": "one"}], "temperature": 0}
    status, answer = post(base_url, body, "/v1/chat/completions")
    assert status == 200
    assert answer["choices"][0]["finish_reason"] == "stop" or answer["usage"]["total_tokens"] == 512


def test_chat_without_a_template_is_refused(no_chat_url):
    body = {"model": "tiny", "messages": [{"role": "user", "content": "one"}]}
    status, answer = post(no_chat_url, body, "/v1/chat/completions")
    assert status == 400
    assert "chat template" in answer["error"]["message"]


REFUSED = {
    "no JSON": (b"{", 400, "not valid"),
    "no object": (b"[]", 400, "not valid"),
    "no UTF-8": (b'{"model": "\xff"}', 400, "not"),
    "no prompt": ({"model": "tiny"}, 400, "prompt"),
    "an empty prompt": ({"model": "tiny", "prompt": ""}, 400, "empty"),
    "an empty list of prompts": ({"model": "tiny", "prompt": []}, 400, "empty"),
    "a prompt of the wrong type": ({"model": "tiny", "prompt": 5}, 400, "prompt"),
    "half a surrogate pair": (b'{"model": "tiny", "prompt": "\\ud800"}', 400, "not"),
    "an unknown model": ({"model": "other", "prompt": "a"}, 404, "`other` does not exist"),
    "a negative temperature": ({"model": "tiny", "prompt": "a", "temperature": -1}, 400, "temperature"),
    "a temperature as text": ({"model": "tiny", "prompt": "a", "temperature": "1"}, 400, "temperature"),
    "a top_p of zero": ({"model": "tiny", "prompt": "a", "top_p": 0}, 400, "top_p"),
    "no tokens": ({"model": "tiny", "prompt": "a", "max_tokens": 0}, 400, "max_tokens"),
    "half a token": ({"model": "tiny", "prompt": "a", "max_tokens": 1.5}, 400, "max_tokens"),
    "more than the context": ({"model": "tiny", "prompt": "a", "max_tokens": 512}, 400, "maximum context length"),
    "a prompt beyond the context": ({"model": "tiny", "prompt": "a" * 600}, 400, "maximum context length"),
    "an empty stop text": ({"model": "tiny", "prompt": "a", "stop": ["b", ""]}, 400, "stop"),
    "a stream": ({"model": "tiny", "prompt": "a", "stream": True}, 400, "stream"),
    "a field that would be ignored": ({"model": "tiny", "prompt": "a", "logit_bias": {}}, 400, "logit_bias"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_is_refused_in_the_form_of_the_protocol(base_url, case):
    body, expected, words = REFUSED[case]
    status, answer = post(base_url, body)
    assert status == expected
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert words in answer["error"]["message"]
    assert get(base_url + "/health")["status"] == "ok"


def test_messages_that_the_template_refuses_are_a_bad_request(base_url):
    body = {"model": "tiny", "messages": [{"role": "tool", "content": "one"}]}
    status, answer = post(base_url, body, "/v1/chat/completions")
    assert (status, "no tools" in answer["error"]["message"]) == (400, True)


@pytest.mark.parametrize("path", ["/v1/completion", "/v1/models"])
def test_an_unknown_path_or_method_is_an_error_of_the_protocol(base_url, path):
    status, answer = post(base_url, {}, path)
    assert status in (404, 405)
    assert answer["error"]["type"] == "invalid_request_error"


def test_a_batch_that_fails_answers_500_and_the_server_goes_on(tiny_model):
    from openmath.serving import make_server

    server = make_server(tiny_model, "tiny", 4, "float64")
    model, fail = server.engine._batch.model, True

    def failing(**inputs):
        if fail:
            raise MemoryError("no room")
        return model(**inputs)

    server.engine._batch.model = failing
    running = serve(server.app())
    url = next(running)
    status, answer = post(url, {"model": "tiny", "prompt": "a"})
    assert (status, answer["error"]["type"]) == (500, "server_error")
    fail = False
    assert completion(url)["choices"]
    next(running, None)


def test_models_and_health_say_what_is_there(base_url):
    assert get(base_url + "/v1/models")["data"][0]["id"] == "tiny"
    before = get(base_url + "/health")["requests"]
    completion(base_url, n=2)
    assert get(base_url + "/health") == {"status": "ok", "requests": before + 2, "running": 0, "waiting": 0}


def test_an_official_client_reads_an_error(base_url):
    import openai

    async def create() -> None:
        async with openai.AsyncOpenAI(base_url=base_url + "/v1", api_key="none", max_retries=0) as client:
            await client.completions.create(model="tiny", prompt="")

    with pytest.raises(openai.BadRequestError, match="empty"):
        asyncio.run(create())
