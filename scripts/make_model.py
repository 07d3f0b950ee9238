"""Make a small language model from nothing: a Llama of random weights, and what a corpus teaches it.

Reads   the prompts of the four tasks and their template, as the workflow uses them
Writes  a model folder in the layout of the Hugging Face hub and, last, its manifest

The corpora are described in ``openmath.corpora``. Without a corpus (or after 0 steps) the weights stay random; the
tokenizer is the same in every case.
"""

import argparse
import json
import logging
import sys
import tempfile
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from openmath.corpora import CORPORA, load_prompts
from openmath.manifests import write_folder_manifest
from openmath.prompts import Template
from openmath.records import derive_seed, file_sha256
from openmath.small_models import save_model, train_tokenizer, untrained_llama
from openmath.tokenization import encode
from openmath.training import AnswerRows, Recipe, train
from openmath.work_folders import hold

logger = logging.getLogger("make_model")


def taught_rows(args: argparse.Namespace, tokenizer: Any) -> AnswerRows:
    """The rows of the corpus, as token ids."""
    prompts = load_prompts(args.prompts_folder, args.template)
    rng = Random(derive_seed("make_model", args.corpus, args.seed))
    rows = list(islice(CORPORA[args.corpus](rng, prompts), args.rows))
    asked = encode(tokenizer.backend_tokenizer, [row["input"] for row in rows])
    answered = encode(tokenizer.backend_tokenizer, [row["output"] for row in rows])
    return AnswerRows(zip(asked, answered, strict=True))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="the model folder")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json in that folder, written last")
    parser.add_argument("--corpus", choices=[*CORPORA, "none"], required=True)
    parser.add_argument("--prompts-folder", type=Path, required=True)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--rows", type=int, default=0, help="how many rows of the corpus are drawn, once")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--warmup-steps", type=int, default=50)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--intermediate-size", type=int, default=384)
    parser.add_argument("--vocabulary", type=int, default=450, help="entries of the tokenizer")
    parser.add_argument("--context-length", type=int, default=256)
    args = parser.parse_args(argv)
    if args.manifest != args.folder / "manifest.json":
        parser.error("--manifest must be manifest.json in --folder")
    return args


def make(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    """Make the model, train it, and write its folder; the manifest, with the facts, last."""
    prompts = load_prompts(args.prompts_folder, args.template)
    tokenizer = train_tokenizer(prompts, Template.load(args.template), args.vocabulary)
    model = untrained_llama(
        tokenizer, args.seed, args.hidden_size, args.layers, args.heads, args.intermediate_size, args.context_length
    )
    logger.info("%d parameters, %d tokens", model.num_parameters(), len(tokenizer))
    if is_taught(args):
        recipe = Recipe(
            steps=args.steps,
            micro_batch_size=args.batch_size,
            global_batch_size=args.batch_size,
            learning_rate=args.learning_rate,
            min_learning_rate=args.learning_rate / 10,
            schedule="cosine",
            warmup_steps=args.warmup_steps,
            optimizer="muon",
            weight_decay=0.0,
            seed=args.seed,
            clip=1.0,
        )
        with tempfile.TemporaryDirectory() as scratch:
            train(model, taught_rows(args, tokenizer), recipe, Path(scratch))
    save_model(model, tokenizer, args.folder)
    write_folder_manifest(args.folder, **facts)


def is_taught(args: argparse.Namespace) -> bool:
    """Whether the weights do not stay random."""
    return args.corpus != "none" and args.steps > 0


def model_facts(args: argparse.Namespace) -> dict[str, Any]:
    """What the model follows from."""
    return {
        "source": f"made from random weights and the corpus {args.corpus}"
        if is_taught(args)
        else "made from random weights",
        "revision": None,
        "settings": {
            name: value
            for name, value in sorted(vars(args).items())
            if name not in ("folder", "manifest", "prompts_folder", "template")
        },
        "template_sha256": file_sha256(args.template),
        "prompts_sha256": {path.name: file_sha256(path) for path in sorted(args.prompts_folder.glob("*.yaml"))},
    }


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logger.info("arguments: %s", vars(args))
    facts = model_facts(args)
    with hold(args.folder):
        known = json.loads(args.manifest.read_bytes()) if args.manifest.is_file() else {}
        if all(known.get(key, ...) == value for key, value in facts.items()):
            logger.info("%s: made by the attempt that was waited for", args.folder)
        else:
            make(args, facts)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Of no use here, and half of the time that transformers takes to start; None counts as not installed.
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    main()
