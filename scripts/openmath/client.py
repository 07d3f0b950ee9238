"""The one client: many requests at a time to any server that speaks the OpenAI protocol.

A prompt that is text goes to `/v1/completions` as it stands; messages go to `/v1/chat/completions`, for servers that
render them themselves. A request that fails for good never becomes a generation: all others are finished first, then
the call fails and names it.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openmath.engines import Sampling, Server
from openmath.work_folders import DeadlineError

log = logging.getLogger(__name__)

Prompt = str | list[dict[str, str]]

_RETRIES = 8  # connection errors, 408, 409, 429 and 5xx, half a second to eight seconds apart: about 40 s
_REQUEST_SECONDS = 3600.0
# The prompt text is complete, so nothing may be added to it; and a stop text may be a special token.
_TEXT_AS_IT_STANDS = {
    "add_special_tokens": False,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
}
_EXTRA_BODY: dict[str, dict[str, Any]] = {"vllm": _TEXT_AS_IT_STANDS, "trtllm": _TEXT_AS_IT_STANDS}
_FATAL_STATUS = (401, 403, 404)  # what the next request will be told as well


class RequestError(RuntimeError):
    """Requests failed for good; what was finished is saved."""


class UnusableAnswerError(RuntimeError):
    """A server answered well, but not with a text."""


@dataclass(frozen=True)
class Request:
    """One sample to be asked for; `key` is unique within a call, `seed` is None for a greedy one."""

    key: str
    seed: int | None
    prompt: Prompt


@dataclass(frozen=True)
class Completion:
    """What a server made of a request; `finish_reason` is "stop" or "length".

    What it cost and who paid for it make no other completion of it: `num_prompt_tokens` is 0 where nobody wrote it
    down, `taken_from` names the work folder of who asked, where that was somebody else.
    """

    key: str
    text: str
    finish_reason: str
    num_tokens: int
    num_prompt_tokens: int = field(default=0, compare=False)
    taken_from: str | None = field(default=None, compare=False)


def ask(
    requests: Sequence[Request],
    server: Server,
    base_url: str,
    sampling: Sampling,
    stop: Sequence[str],
    concurrency: int,
    save: Callable[[Request, Completion], None],
    deadline: float | None = None,
) -> None:
    """Send all requests, at most `concurrency` at a time and in order, and save each answer as it comes.

    Args:
        deadline: time (of `time.monotonic`) after which nothing new is asked.

    Raises:
        RequestError: after all others were saved, when requests failed for good; the first is named. When a failure
            says that the server is gone or will have none of us, nothing new is asked after it.
        DeadlineError: after those in flight were saved, when the deadline came first.
    """
    asyncio.run(_ask_all(requests, server, base_url, sampling, stop, concurrency, save, deadline))


async def _ask_all(
    requests: Sequence[Request],
    server: Server,
    base_url: str,
    sampling: Sampling,
    stop: Sequence[str],
    concurrency: int,
    save: Callable[[Request, Completion], None],
    deadline: float | None,
) -> None:
    import openai

    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request
    api_key = _api_key(server)
    queue = iter(requests)
    failures: dict[str, str] = {}
    fatal = False
    asked = 0

    async def work() -> None:
        nonlocal fatal, asked
        for request in queue:
            if fatal or (deadline is not None and time.monotonic() > deadline):
                return
            asked += 1
            try:
                completion = await _ask_one(client, request, server, sampling, stop)
            except (openai.OpenAIError, UnusableAnswerError) as error:
                failures[request.key] = _reason(error).replace(api_key, "***")
                log.error("request %s failed: %s", request.key, failures[request.key])
                fatal = fatal or isinstance(error, openai.APIConnectionError)
                fatal = fatal or getattr(error, "status_code", None) in _FATAL_STATUS
            else:
                save(request, completion)

    async with openai.AsyncOpenAI(
        base_url=base_url,
        api_key=api_key,
        max_retries=_RETRIES,
        timeout=_REQUEST_SECONDS,
        http_client=openai.DefaultAsyncHttpx2Client(
            limits=_limits(concurrency),
            timeout=_REQUEST_SECONDS,
            trust_env=server.address is not None,  # a proxy of the site does not lead to this machine
        ),
    ) as client:
        await asyncio.gather(*(work() for _ in range(min(concurrency, len(requests)))))
    if failures:
        first = next(request.key for request in requests if request.key in failures)
        raise RequestError(f"{len(failures)} of {len(requests)} requests failed; the first, {first}: {failures[first]}")
    if asked < len(requests):
        raise DeadlineError(f"the time is up; {len(requests) - asked} of {len(requests)} requests were not asked")


def _limits(concurrency: int) -> Any:
    import httpx2

    return httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)


def _api_key(server: Server) -> str:
    if server.api_key_env is None:
        return "not-needed"  # the package wants one; servers of ours do not look at it
    key = os.environ.get(server.api_key_env)
    if not key:
        raise RequestError(f"the environment variable {server.api_key_env} is not set")
    return key


async def _ask_one(
    client: Any, request: Request, server: Server, sampling: Sampling, stop: Sequence[str]
) -> Completion:
    body: dict[str, Any] = {
        "model": server.model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if stop:
        body["stop"] = list(stop)
    if isinstance(request.prompt, str):
        extra = _EXTRA_BODY.get(server.engine)
        answer = await client.completions.create(prompt=request.prompt, extra_body=extra, **body)
        choice = answer.choices[0]
        text = choice.text
    else:
        answer = await client.chat.completions.create(messages=request.prompt, **body)
        choice = answer.choices[0]
        text = choice.message.content
    if text is None or choice.finish_reason not in ("stop", "length"):
        raise UnusableAnswerError(f"the answer holds no text (finish_reason {choice.finish_reason!r})")
    if answer.usage is None:
        raise UnusableAnswerError("the answer does not say how many tokens it has")
    usage = answer.usage
    return Completion(
        request.key, _cut(text, stop), choice.finish_reason, usage.completion_tokens, usage.prompt_tokens or 0
    )


def _cut(text: str, stop: Iterable[str]) -> str:
    # Servers differ in whether the stop text stays.
    for end in stop:
        text = text.partition(end)[0]
    return text


def _reason(error: Exception) -> str:
    """What went wrong, without anything that we sent."""
    status = getattr(error, "status_code", None)
    cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
    return f"{type(error).__name__}: {error}{cause}" if status is None else f"status {status}: {error}"
