"""Convert a model: hf to trtllm (an engine), hf to nemo, nemo to hf (OpenMathInstruct-2: `ns convert`).

Reads   --model-folder   the model, finished: with its manifest
        --checkout       NeMo-Skills, whose converters are run (scripts/fetch_checkout.py)
Writes  the folder of --manifest, and the manifest last: direction, options, the sum of the model's manifest, and of
        every file

The programs run in an environment of their own, through --launcher. A step that an earlier attempt finished is not
repeated; openmath/folder_steps.py says what stands where on the way.
"""

import argparse
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from openmath.conversions import (
    DIRECTIONS,
    PRECISIONS,
    Conversion,
    ConversionError,
    EngineSizes,
    check_source,
    convert_to_hf,
    convert_to_nemo,
    convert_to_trtllm,
    require_for,
)
from openmath.folder_steps import FolderError, hold_target
from openmath.manifests import MANIFEST, run_facts
from openmath.programs import Launcher, ProgramError, parse_launcher, read_checkout

log = logging.getLogger("convert_model")

SIZES = ("tp_size", "pp_size", "dtype", "max_input_len", "max_seq_len", "max_num_tokens", "max_batch_size")


def check_direction(source: str, target: str) -> None:
    """Raise SystemExit, in one sentence, for what nobody converts."""
    if (source, target) in DIRECTIONS:
        return
    if (source, target) == ("nemo", "trtllm"):
        raise SystemExit("convert_model: nemo to trtllm goes through hf: convert nemo to hf, then hf to trtllm")
    possible = ", ".join(f"{one} to {other}" for one, other in DIRECTIONS)
    raise SystemExit(f"convert_model: there is no conversion of {source} to {target}; there are {possible}")


def chosen_conversion(args: argparse.Namespace) -> Callable[[Conversion], None]:
    """The function that converts, with its options."""
    if args.target == "trtllm":
        return partial(convert_to_trtllm, sizes=EngineSizes(**{name: getattr(args, name) for name in SIZES}))
    if args.target == "nemo":
        return partial(convert_to_nemo, hf_model_name=args.hf_model_name, precision=args.precision)
    return partial(
        convert_to_hf,
        hf_model_name=args.hf_model_name,
        precision=args.precision,
        base_model=args.hf_model_folder,
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line, and check that the direction has its options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", choices=("hf", "nemo", "trtllm"), required=True)
    parser.add_argument("--to", dest="target", choices=("hf", "nemo", "trtllm"), required=True)
    parser.add_argument("--model-folder", type=Path, required=True, help="the model, with its manifest.json")
    parser.add_argument("--checkout", type=Path, required=True, help="the folder of NeMo-Skills' checkout/")
    parser.add_argument("--manifest", type=Path, required=True, help="written last, into the folder that is made")
    parser.add_argument("--launcher", type=parse_launcher, default=[], metavar="JSON", help="words before each command")
    parser.add_argument("--num-nodes", type=int, default=1, help="{nodes} of the launcher")
    parser.add_argument("--num-gpus", type=int, help="{gpus} of the launcher: of each node (--tp-size, or 1)")
    nemo = parser.add_argument_group("to and from nemo")
    nemo.add_argument("--hf-model-name", help="the hub's name of the model, or of the one that it was trained from")
    nemo.add_argument("--hf-model-folder", type=Path, help="from nemo: the model folder of that one")
    nemo.add_argument("--precision", choices=tuple(PRECISIONS), default="bf16", help="of the converted weights")
    engine = parser.add_argument_group("to trtllm")
    engine.add_argument("--tp-size", type=int, help="GPUs that share each layer")
    engine.add_argument("--pp-size", type=int, help="stages that the layers are cut into")
    engine.add_argument("--dtype", choices=("bfloat16", "float16", "float32"))
    engine.add_argument("--max-input-len", type=int, help="longest prompt, in tokens")
    engine.add_argument("--max-seq-len", type=int, help="longest prompt and answer, in tokens")
    engine.add_argument("--max-num-tokens", type=int, help="tokens of a batch, padding taken out")
    engine.add_argument("--max-batch-size", type=int, help="requests of a batch")
    args = parser.parse_args(argv)
    check_direction(args.source, args.target)
    needed = {"trtllm": SIZES, "nemo": ("hf_model_name",), "hf": ("hf_model_name", "hf_model_folder")}[args.target]
    if missing := [name for name in needed if getattr(args, name) is None]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        parser.error(f"{args.source} to {args.target} needs {options}")
    if args.target == "trtllm" and args.max_input_len > args.max_seq_len:
        parser.error(f"--max-input-len {args.max_input_len} is longer than --max-seq-len {args.max_seq_len}")
    if args.manifest.name != MANIFEST:
        parser.error(f"--manifest must be named {MANIFEST}")
    if args.num_gpus is None:
        args.num_gpus = args.tp_size if args.target == "trtllm" else 1
    return args


def main(argv: list[str] | None = None) -> None:
    """Convert one model."""
    args = parse_args(argv)
    log.info("arguments: %s; %s", vars(args), run_facts())
    target: Path = args.manifest.parent
    launcher = Launcher(args.launcher, nodes=args.num_nodes, gpus=args.num_gpus, tasks=1)
    try:
        for folder in (args.model_folder, args.hf_model_folder):
            if folder is not None:
                check_source(folder)
        checkout = read_checkout(args.checkout)
        require_for(args.source, args.target, launcher, checkout)
        with hold_target(target):
            chosen_conversion(args)(Conversion(args.model_folder, target, checkout, launcher))
    except (ConversionError, FolderError, ProgramError) as error:
        raise SystemExit(f"convert_model: {error}") from None
    log.info("%s: %s made from %s", target, args.target, args.model_folder)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
