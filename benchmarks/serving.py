"""Requests a second of the embedded server, with one client, as the workflow asks it.

    cd results/demo/resources && python ../../../benchmarks/serving.py models/teacher/hf datasets/shop/train.jsonl

Starts the server, asks each problem four times with other seeds (the first round meets prompts that the server has not
seen), and prints the rate of every round. Wall clock: keep the machine quiet.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from openmath.engines import Sampling, Server
from openmath.generation import Request, complete
from openmath.prompts import Prompt
from openmath.records import derive_seed, read_jsonl


def main(model: Path, problems: Path) -> None:
    prompt = Prompt.load(ROOT / "resources/prompts/brief/solve.yaml", ROOT / "resources/templates/brief.yaml")
    records = list(read_jsonl(problems))
    server = Server("benchmark", "transformers", model, {"max-batch-size": 256, "idle_timeout": 10})
    sampling = Sampling(temperature=0.8, top_p=0.95, max_tokens=55)
    with tempfile.TemporaryDirectory() as work:
        for seed in range(-1, 4):
            requests = [
                Request(f"{row}", derive_seed(record["id"], seed), str(prompt.render(record)))
                for row, record in enumerate(records[:1] if seed < 0 else records)
            ]
            started = time.monotonic()
            answers = complete(requests, server, sampling, prompt.stop, Path(work) / str(seed), 256, settings={})
            seconds = time.monotonic() - started
            tokens = sum(answer.num_tokens for answer in answers)
            name = "start and one request" if seed < 0 else f"round {seed}"
            print(f"{name}: {seconds:.1f} s, {len(answers) / seconds:.0f} requests/s, {tokens / seconds:.0f} tokens/s")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
