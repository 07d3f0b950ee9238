"""Serve a model folder on the CPU through the OpenAI protocol: the small engine of the miniature and of the tests.

Reads   --model-folder: config.json, model.safetensors, tokenizer.json, generation_config.json, a chat template if any
Serves  /health, /v1/models, /v1/completions, /v1/chat/completions at --host and --port until it is ended
"""

import argparse
import logging
import os
import sys
from pathlib import Path

log = logging.getLogger(Path(__file__).stem)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-folder", type=Path, required=True)
    parser.add_argument("--served-model-name", required=True, help="the name that requests call the model by")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-batch-size", type=int, default=128, help="how many samples run at the same time")
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32", "bfloat16"),
        default="float64",
        help="float64 makes a sample independent of what else is in flight; the others do so but for rare tokens",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a forward pass")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # transformers imports scikit-learn, and with it pandas and SciPy, for a decoding method that is not used here: half
    # of the time it takes to start. A module set to None counts as not installed.
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    import torch
    import uvicorn

    from openmath.serving import make_server

    torch.set_num_threads(args.threads)
    server = make_server(args.model_folder, args.served_model_name, args.max_batch_size, args.dtype)
    log.info("serving %s as %s at http://%s:%d", args.model_folder, args.served_model_name, args.host, args.port)
    uvicorn.run(
        server.app(),
        host=args.host,
        port=args.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main()
