"""What the scripts that ask a model have in common: their command-line options, and the facts of a manifest.

parser = argparse.ArgumentParser()
add_asking_arguments(parser)
asking = Asking.from_args(parser.parse_args())
completions = asking.complete(requests, work)
write_json(manifest, {**asking.facts, **run_facts()})
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from openmath.engines import (
    Sampling,
    Server,
    add_sampling_arguments,
    add_server_arguments,
    sampling_from_args,
    server_from_args,
)
from openmath.generation import Completion, Request, complete
from openmath.manifests import MANIFEST
from openmath.prompts import Prompt
from openmath.records import file_sha256

log = logging.getLogger(__name__)


def add_asking_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which model is asked, how, and how fast."""
    parser.add_argument("--work", type=Path, required=True, help="folder of finished rows; kept between attempts")
    parser.add_argument("--prompt", type=Path, required=True, help="prompt file")
    parser.add_argument("--template", type=Path, help="special tokens; without it the server gets chat messages")
    parser.add_argument("--examples", type=Path, help="few-shot examples")
    parser.add_argument("--concurrency", type=int, default=128, help="how many requests are in flight")
    parser.add_argument("--stop-after-minutes", type=float, help="ask nothing new after this time, save and fail")
    add_server_arguments(parser)
    add_sampling_arguments(parser)


@dataclass(frozen=True)
class Asking:
    """A model, the prompt that it gets and how it answers."""

    server: Server
    sampling: Sampling
    prompt: Prompt
    concurrency: int
    deadline: float | None
    facts: dict[str, Any]
    """What an answer depends on beside its own request; no speed knobs."""

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "Asking":
        """Read the options; the time of --stop-after-minutes begins now. Arguments and facts are logged."""
        server, sampling = server_from_args(args), sampling_from_args(args)
        facts = {
            "model": server.model,
            "model_manifest_sha256": _sha256(server.folder and server.folder / MANIFEST),
            "engine": server.engine,
            "prompt_sha256": _sha256(args.prompt),
            "template_sha256": _sha256(args.template),
            "examples_sha256": _sha256(args.examples),
            "sampling": asdict(sampling),
        }
        log.info("arguments: %s", json.dumps(vars(args), default=str))
        log.info("asked: %s", json.dumps(facts))
        deadline = None if args.stop_after_minutes is None else time.monotonic() + 60 * args.stop_after_minutes
        return cls(
            server, sampling, Prompt.load(args.prompt, args.template, args.examples), args.concurrency, deadline, facts
        )

    def about(self, **facts: Any) -> "Asking":
        """The same with more facts that the answers depend on."""
        return replace(self, facts={**self.facts, **facts})

    def complete(self, requests: Sequence[Request], work: Path, cache: Path | None = None) -> list[Completion]:
        """Complete all requests, in their order, with what is finished in ``work``, or below ``cache``, taken."""
        settings = {key: json.dumps(value) for key, value in self.facts.items()}
        return complete(
            requests,
            self.server,
            self.sampling,
            self.prompt.stop,
            work,
            self.concurrency,
            settings=settings,
            deadline=self.deadline,
            cache=cache,
        )


def _sha256(path: Path | None) -> str | None:
    return None if path is None else file_sha256(path)
