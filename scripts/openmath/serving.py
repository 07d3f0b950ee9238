"""The embedded OpenAI-compatible server: a transformers model behind `/v1/completions` and `/v1/chat/completions`.

What it promises, beyond the protocol:

- A field that it does not know is an error, never ignored: a sample is either what was asked for or a refusal.
- Prompts are tokenised as they stand: special tokens written in the text are recognised, none is added.
- A text ends before the first of the stop texts, at a special token that is one of them, or at an end token of the
  model's generation_config.json; special tokens do not appear in it.
- A refusal is an OpenAI-style error body; a batch that fails answers 500 to its own requests and the server goes on.
- The same request with the same ``seed`` gives the same sample (``openmath.batching`` says how, and how surely).
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tokenizers import Tokenizer

from openmath.batching import Engine, Sample
from openmath.records import derive_seed

log = logging.getLogger(__name__)

_DEFAULT_COMPLETION_TOKENS = 16  # what the protocol says of /v1/completions; chat goes on to the end of the context


class BadRequestError(Exception):
    """A request that is refused; becomes the error body of the protocol."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status


class _Common(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    user: str | None = None


class CompletionRequest(_Common, kw_only=True, forbid_unknown_fields=True):
    """The body of /v1/completions."""

    prompt: str | list[str]


_Body = TypeVar("_Body", bound=_Common)


class _Message(msgspec.Struct):
    role: str
    content: str


class ChatRequest(_Common, kw_only=True, forbid_unknown_fields=True):
    """The body of /v1/chat/completions."""

    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None


@dataclass(frozen=True)
class Text:
    """How a model reads and writes text.

    Attributes:
        end_ids: tokens that end every text.
        context: how many tokens prompt and text may have together.
        render_chat: messages to prompt text, or None where the model has no chat template.
    """

    tokenizer: Tokenizer
    end_ids: frozenset[int]
    context: int
    render_chat: Callable[[list[dict[str, str]]], str] | None = None
    special_ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path, end_ids: Sequence[int], context: int) -> "Text":
        """Read tokenizer and chat template of a model folder."""
        path = folder / "tokenizer.json"
        if path.is_file():
            tokenizer = Tokenizer.from_file(str(path))
        else:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        special = {token.content: id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        return cls(tokenizer, frozenset(end_ids), context, _chat_renderer(folder), special)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True)


def _chat_renderer(folder: Path) -> Callable[[list[dict[str, str]]], str] | None:
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    own = folder / "chat_template.jinja"
    template = own.read_text("utf-8") if own.is_file() else settings.get("chat_template")
    if not isinstance(template, str):
        return None
    from transformers.utils.chat_template_utils import render_jinja_template

    names: dict[str, Any] = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value = settings.get(name)
        names[name] = value.get("content", "") if isinstance(value, dict) else value or ""

    def render(messages: list[dict[str, str]]) -> str:
        done = render_jinja_template([messages], chat_template=template, add_generation_prompt=True, **names)
        return str(done[0][0])

    return render


class Server:
    """The routes over one engine and one model."""

    def __init__(self, model: Any, text: Text, served_model_name: str, max_batch_size: int) -> None:
        self.text = text
        self.name = served_model_name
        self.requests = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.engine = Engine(model, text.decode, max_batch_size, self._deliver)

    def app(self) -> Starlette:
        """The ASGI application; the engine's thread starts with it."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", self.models),
                Route("/v1/completions", self.completions, methods=["POST"]),
                Route("/v1/chat/completions", self.chat_completions, methods=["POST"]),
            ],
            lifespan=self._lifespan,
            exception_handlers={
                BadRequestError: _refuse,
                HTTPException: _refuse_route,
                Exception: _refuse_unforeseen,
            },
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self.engine.start()
        yield

    async def health(self, request: Request) -> Response:
        """Whether the server answers, and how many samples it was asked for, runs and keeps waiting."""
        counts = {"requests": self.requests, "running": self.engine.running, "waiting": self.engine.waiting}
        return _json({"status": "ok", **counts})

    async def models(self, request: Request) -> Response:
        model = {"id": self.name, "object": "model", "owned_by": "local", "max_model_len": self.text.context}
        return _json({"object": "list", "data": [model]})

    async def completions(self, request: Request) -> Response:
        body = _parse(await request.body(), CompletionRequest)
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        if not prompts:
            raise BadRequestError("prompt is an empty list", "prompt")
        samples = self._samples(body, prompts, body.max_tokens or _DEFAULT_COMPLETION_TOKENS)
        choices = [
            {"index": index, "text": sample.text, "logprobs": None, "finish_reason": sample.finish_reason}
            for index, sample in enumerate(await self._sample(samples))
        ]
        return self._answer("cmpl", "text_completion", choices, samples, prompts)

    async def chat_completions(self, request: Request) -> Response:
        body = _parse(await request.body(), ChatRequest)
        if self.text.render_chat is None:
            raise BadRequestError(
                f"The model {self.name} has no chat template; ask /v1/completions with the prompt as text.", "messages"
            )
        try:
            prompt = self.text.render_chat([{"role": each.role, "content": each.content} for each in body.messages])
        except Exception as error:  # a template raises what it likes
            raise BadRequestError(f"The chat template refuses these messages: {error}", "messages") from None
        samples = self._samples(body, [prompt], body.max_completion_tokens or body.max_tokens)
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": sample.text},
                "logprobs": None,
                "finish_reason": sample.finish_reason,
            }
            for index, sample in enumerate(await self._sample(samples))
        ]
        return self._answer("chatcmpl", "chat.completion", choices, samples, [prompt])

    def _samples(self, body: _Common, prompts: list[str], max_tokens: int | None) -> list[Sample]:
        if body.model != self.name:
            raise BadRequestError(
                f"The model `{body.model}` does not exist; this server has `{self.name}`.",
                "model", "model_not_found", 404,
            )  # fmt: skip
        if body.stream:
            raise BadRequestError("stream is not supported", "stream")
        stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
        if "" in stops:
            raise BadRequestError("a stop text is empty", "stop")
        special = self.text.special_ids
        stop_ids = self.text.end_ids | {special[stop] for stop in stops if stop in special}
        stop_texts = tuple(stop for stop in stops if stop not in special)
        seed = secrets.randbits(63) if body.seed is None else body.seed % 2**64
        samples = []
        for prompt in prompts:
            try:
                ids = self.text.encode(prompt)
            except UnicodeError as error:
                raise BadRequestError(f"the prompt is not text: {error}", "prompt") from None
            if not ids:
                raise BadRequestError("the prompt is empty", "prompt")
            limit = max_tokens or self.text.context - len(ids)
            if limit < 1 or len(ids) + limit > self.text.context:
                raise BadRequestError(
                    f"This model's maximum context length is {self.text.context} tokens; the request has {len(ids)} "
                    f"in the prompt and asks for {max_tokens or 'at least 1'} more.",
                    "max_tokens", "context_length_exceeded",
                )  # fmt: skip
            for choice in range(body.n or 1):
                samples.append(
                    Sample(
                        prompt=ids,
                        max_tokens=limit,
                        temperature=1.0 if body.temperature is None else body.temperature,
                        top_p=1.0 if body.top_p is None else body.top_p,
                        seed=seed if choice == 0 else derive_seed(seed, choice),
                        stop_ids=stop_ids,
                        stop_texts=stop_texts,
                    )
                )
        return samples

    async def _sample(self, samples: list[Sample]) -> list[Sample]:
        """Run samples to their end; the first that failed is raised."""
        assert self._loop is not None
        for sample in samples:
            sample.tag = self._loop.create_future()
        self.requests += len(samples)
        self.engine.submit(samples)
        for sample in samples:
            await sample.tag
        for sample in samples:
            if sample.error:
                raise BadRequestError(f"The batch of this request failed: {sample.error}", status=500)
        return samples

    def _deliver(self, samples: list[Sample]) -> None:
        def resolve() -> None:
            for sample in samples:
                if not sample.tag.done():
                    sample.tag.set_result(None)

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server is ending
            self._loop.call_soon_threadsafe(resolve)

    def _answer(
        self, prefix: str, kind: str, choices: list[dict[str, Any]], samples: list[Sample], prompts: list[str]
    ) -> Response:
        per_prompt = len(samples) // len(prompts)
        prompt_tokens = sum(len(sample.prompt) for sample in samples[::per_prompt])
        completion_tokens = sum(len(sample.tokens) for sample in samples)
        return _json(
            {
                "id": f"{prefix}-{secrets.token_hex(12)}",
                "object": kind,
                "created": int(time.time()),
                "model": self.name,
                "choices": choices,
                "usage": {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": completion_tokens,
                    "total_tokens": prompt_tokens + completion_tokens,
                },
            }
        )


def _parse(content: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise BadRequestError(f"The request is not valid: {error}") from None
    except UnicodeError as error:
        raise BadRequestError(f"The request is not UTF-8: {error}") from None


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def _error(message: str, status: int, param: str | None = None, code: str | None = None) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return _json({"error": {"message": message, "type": kind, "param": param, "code": code}}, status)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequestError)
    return _error(str(error), error.status, error.param, error.code)


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(f"{request.method} {request.url.path}: {error.detail}", error.status_code)


async def _refuse_unforeseen(request: Request, error: Exception) -> Response:
    log.error("%s failed", request.url.path, exc_info=error)
    return _error(f"{type(error).__name__}: {error}", 500)


def load_model(folder: Path, dtype: str) -> Any:
    """Load a causal language model for inference on the CPU.

    Raises:
        ValueError: the model has layers that do not attend to everything before.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), local_files_only=True)
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise ValueError(f"{folder}: this server runs layers of full attention only, the model has {sorted(kinds)}")
    return model.eval()


def make_server(folder: Path, served_model_name: str, max_batch_size: int, dtype: str) -> Server:
    """Load the model of ``folder`` and make its server."""
    model = load_model(folder, dtype)
    ends = model.generation_config.eos_token_id
    end_ids = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    text = Text.of_folder(folder, end_ids, model.config.max_position_embeddings)
    return Server(model, text, served_model_name, max_batch_size)
