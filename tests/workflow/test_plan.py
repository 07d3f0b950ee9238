"""The plans: the paper's, those of the overlays, and those of single files; no network, no GPU."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from planning import Plan, plan, snakemake

FINAL = "results/openmath2_metrics.tsv"
GPU_RULES = {
    "augment_solutions",
    "augment_problems",
    "solve_new_problems",
    "retrieve_similar",
    "check_contamination",
    "evaluate_greedy",
    "evaluate_samples",
    "train_leg",
    "average_nemo_checkpoints",
    "convert_hf_to_nemo",
    "convert_nemo_to_hf",
    "convert_hf_to_trtllm",
    "convert_trained_to_trtllm",
}


@pytest.fixture(scope="module")
def paper(root: Path) -> Plan:
    return plan(FINAL, "--profile", "slurm", root=root)


@pytest.fixture(scope="module")
def config(root: Path) -> Any:
    return yaml.safe_load((root / "config/config.yaml").read_text())


@pytest.fixture(scope="module")
def profile(root: Path) -> Any:
    return yaml.safe_load((root / "profiles/slurm/config.yaml").read_text())


def test_the_paper_has_the_counts_of_the_paper(paper: Plan) -> None:
    assert paper.jobs == {
        "fetch_original": 6 + 4,  # prompts and few-shot sets
        "fetch_model": 8,  # teacher, two base models, two instruct, two released, embeddings
        "fetch_nemo_skills": 1,
        "convert_hf_to_trtllm": 5,
        "convert_hf_to_nemo": 2,
        "prepare_dataset": 5 + 2,
        "augment_solutions": 512 + 64,
        "grade_solutions": 2,
        "augment_problems": 80 + 10,
        "clean_problems": 90,
        "solve_new_problems": 2880,
        "grade_new_solutions": 90,
        "vote_new_answers": 90,
        "retrieve_similar": 1,
        "check_contamination": 1,
        "prepare_sft_data": 2,
        "train_leg": 2,  # the first of each; the others follow while a run is unfinished
        "average_nemo_checkpoints": 2,
        "convert_nemo_to_hf": 2,
        "convert_trained_to_trtllm": 2,
        "evaluate_greedy": 6 * 5,
        "evaluate_samples": 2 * 5 * 256,
        "grade_evaluation": 6 * 5,
        "vote_answers": 2 * 5,
        "judge_answers": 6 * 5,
        "judge_majority": 2 * 5,
        "compute_metrics": 6 * 5,
        "tabulate_results": 1,
    }


def test_the_paper_averages_six_checkpoints_of_each_run(config: Any) -> None:
    assert [len(run["average_steps"]) for run in config["training"].values()] == [6, 6]


def test_every_job_on_gpus_says_what_it_takes(paper: Plan, profile: Any) -> None:
    resources = paper.resources
    assert {rule for rule, jobs in resources.items() if any(job.get("gres") for job in jobs)} == GPU_RULES
    for rule in sorted(GPU_RULES):
        assert "runtime" in profile["set-resources"][rule], f"profiles/slurm has no run time for {rule}"
        for job in resources[rule]:
            assert re.fullmatch(r"gpu:[1-8]", job["gres"])
            assert int(job["mem_mb"]) >= 60000
            assert int(job["runtime"]) == profile["set-resources"][rule]["runtime"]
            if int(job.get("nodes", 1)) > 1:
                assert (job["mpi"], job["tasks"], job["tasks_per_gpu"]) == ("srun", job["nodes"], "0")


def test_nodes_and_gpus_are_those_of_the_documents(paper: Plan) -> None:
    def nodes_and_gpus(rule: str) -> set[tuple[str, str]]:
        return {(job["nodes"], job["gres"]) for job in paper.resources[rule]}

    for rule in ("augment_solutions", "augment_problems", "solve_new_problems", "check_contamination"):
        assert nodes_and_gpus(rule) == {("2", "gpu:8")}
        assert {job["cpus_per_task"] for job in paper.resources[rule]} == {"64"}, "one task on each node, eight GPUs"
    assert nodes_and_gpus("train_leg") == {("8", "gpu:8"), ("32", "gpu:8")}
    assert nodes_and_gpus("evaluate_samples") == {("1", "gpu:1"), ("1", "gpu:8")}


def test_seeds_share_a_server_in_groups_of_the_size_of_the_profile(paper: Plan, profile: Any) -> None:
    sizes = {rule: int(size) for rule, size in (item.split("=") for item in profile["group-components"])}
    files = {"augment_solutions": [512, 64], "augment_problems": [80, 10], "solve_new_problems": 90 * [32]}
    assert sizes.keys() == files.keys()
    for rule, size in sizes.items():
        groups = {name: jobs for name, jobs in paper.groups.items() if name.startswith(f"{rule}-")}
        assert max(groups.values()) == size
        assert len(groups) == sum(math.ceil(seeds / size) for seeds in files[rule])


def test_members_of_a_group_take_turns(profile: Any) -> None:
    """Else Snakemake would ask for the sum of their nodes (docs/cluster.md)."""
    assert profile["resources"] == ["server=1"]
    scopes = profile["set-resource-scopes"]
    assert {"server", "nodes", "tasks", "tasks_per_gpu", "cpus_per_task", "mem_mb", "concurrency", "margin"} == set(
        scopes
    )
    assert set(scopes.values()) == {"local"}


SYNTHESIS = {"augment_solutions", "augment_problems", "solve_new_problems", "check_contamination", "prepare_sft_data"}
OVERLAYS: dict[str, tuple[str, dict[str, int], set[str]]] = {
    "released_data": (
        FINAL,
        {"prepare_released_data": 2, "train_leg": 2, "evaluate_samples": 2560, "convert_nemo_to_hf": 2},
        SYNTHESIS,
    ),
    "evaluate": (
        FINAL,
        {"fetch_model": 2, "evaluate_greedy": 10, "evaluate_samples": 40, "judge_answers": 10},
        {*SYNTHESIS, "train_leg", "convert_hf_to_trtllm", "fetch_nemo_skills"},
    ),
    "hosted": (
        "results/sft_data.jsonl",
        {"augment_solutions": 576, "solve_new_problems": 2880, "fetch_model": 2, "prepare_sft_data": 1},
        {"convert_hf_to_trtllm", "train_leg"},
    ),
    "pilot": (
        "results/pilot/openmath2_metrics.tsv",
        {
            "augment_solutions": 12,
            "augment_problems": 2,
            "solve_new_problems": 8,
            "train_leg": 1,
            "evaluate_samples": 16,
        },
        {"convert_hf_to_trtllm", "convert_trained_to_trtllm"},
    ),
}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_plans(overlay: str, root: Path) -> None:
    target, counts, absent = OVERLAYS[overlay]
    planned = plan(target, "--profile", "slurm", "--configfile", f"config/{overlay}.yaml", root=root)
    assert {rule: planned.jobs.get(rule) for rule in counts} == counts
    assert not absent & set(planned.jobs)
    nodes = {int(job.get("nodes", 1)) for jobs in planned.resources.values() for job in jobs}
    assert max(nodes) == {"released_data": 32}.get(overlay, 1)


def test_the_miniature_plans_every_stage(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}}}"
    jobs = plan("--profile", "profiles/demo", "--config", elsewhere, root=root).jobs
    assert jobs["augment_solutions"] == 2 * 4
    assert jobs["augment_problems"] == 2 * 2
    assert jobs["solve_new_problems"] == 2 * 2 * 4
    assert jobs["evaluate_greedy"] == 3 * 2
    assert jobs["evaluate_samples"] == 2 * 8
    assert jobs["make_model"] == 3


@pytest.mark.parametrize("end", ["jsonl", "jsonl.zst"])
def test_every_file_of_generations_has_the_end_that_was_chosen(end: str, root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}, generations: {end}}}"
    demo = ("--cores", "2", "--configfile", "config/demo.yaml", "--printshellcmds", "--config", elsewhere)
    planned = plan(*demo, root=root)
    named = re.findall(r"/(output(?:-rs\d+)?)\.(jsonl[.\w]*)", planned.output)
    assert {name for name, _ in named} == {"output", *(f"output-rs{seed}" for seed in range(8))}
    assert {ending for _, ending in named} == {end}
    asking = ("augment_solutions", "augment_problems", "solve_new_problems", "evaluate_greedy", "evaluate_samples")
    written = re.findall(rf"--output \S+/output(?:-rs\d+)?\.{re.escape(end)} ", planned.output)
    assert len(written) == sum(planned.jobs[rule] for rule in asking) == 8 + 4 + 16 + 6 + 16
    assert "/output-rs0.manifest.json" in planned.output


def test_generations_end_in_nothing_else(root: Path) -> None:
    refused = snakemake("-n", "--config", "pathvars={generations: json}", root=root)
    assert refused.returncode != 0
    assert "pathvars.generations: 'json' is not one of ['jsonl', 'jsonl.zst']" in refused.stdout + refused.stderr


GENERATION = {
    "prepare_dataset": 1,
    "fetch_original": 2,
    "fetch_model": 1,
    "fetch_nemo_skills": 1,
    "convert_hf_to_trtllm": 1,
}
TRAINED = {"train_leg": 1, "average_nemo_checkpoints": 1, "convert_nemo_to_hf": 1, "convert_hf_to_nemo": 1}
PARTS: dict[str, dict[str, int]] = {
    "resources/datasets/omni-math/test.jsonl": {"prepare_dataset": 1},
    "resources/datasets/math-500/test.jsonl": {"prepare_dataset": 1},
    "resources/models/llama3.1-405b-instruct/hf/manifest.json": {"fetch_model": 1},
    "resources/models/llama3.1-405b-instruct/trtllm-tp8-pp2/manifest.json": {
        "fetch_model": 1,
        "fetch_nemo_skills": 1,
        "convert_hf_to_trtllm": 1,
    },
    "resources/models/llama3.1-70b/nemo/manifest.json": {
        "fetch_model": 1,
        "fetch_nemo_skills": 1,
        "convert_hf_to_nemo": 1,
    },
    "resources/originals/generic/math-base.yaml": {"fetch_original": 1},
    "results/solution-augmentation/math/output-rs5.jsonl": {**GENERATION, "augment_solutions": 1},
    "results/solution-augmentation/gsm8k/answers.jsonl": {**GENERATION, "augment_solutions": 64, "grade_solutions": 1},
    "results/problem-augmentation/math/problem-set3.jsonl": {
        **GENERATION,
        "fetch_model": 2,
        "augment_problems": 4,
        "clean_problems": 1,
    },
    "results/new-problems-solution-augmentation/gsm8k/problem-set0/majority.jsonl": {
        **GENERATION,
        "fetch_original": 4,
        "fetch_model": 2,
        "augment_problems": 1,
        "clean_problems": 1,
        "solve_new_problems": 32,
        "grade_new_solutions": 1,
        "vote_new_answers": 1,
    },
    "results/evaluation/openmath2-llama3.1-8b-released/math-500/metrics.json": {
        "fetch_original": 2,
        "prepare_dataset": 1,
        "fetch_model": 1,
        "fetch_nemo_skills": 1,
        "convert_hf_to_trtllm": 1,
        "evaluate_greedy": 1,
        "grade_evaluation": 1,
        "judge_answers": 1,
        "compute_metrics": 1,
    },
}
GRADED = {name: PARTS["results/evaluation/openmath2-llama3.1-8b-released/math-500/metrics.json"][name] for name in (
    "fetch_original", "prepare_dataset", "fetch_model", "fetch_nemo_skills", "convert_hf_to_trtllm", "evaluate_greedy",
    "grade_evaluation",
)}  # fmt: skip
PARTS |= {
    "results/evaluation/openmath2-llama3.1-8b-released/math-500/audit.tsv": {
        **GRADED,
        "fetch_original": 1,
        "audit_grading": 1,
    },
    "results/comparisons/openmath2-llama3.1-8b-released-vs-llama3.1-8b-instruct/math-500.json": {
        **GRADED,
        "fetch_original": 1,
        "fetch_model": 2,
        "convert_hf_to_trtllm": 2,
        "evaluate_greedy": 2,
        "grade_evaluation": 2,
        "compare_models": 1,
    },
}
EVALUATION = "results/evaluation/openmath2-llama3.1-8b/math"
LATER = [
    "resources/models/llama3.1-8b/nemo/manifest.json",
    "results/problem-augmentation/gsm8k/output-rs9.jsonl",
    "results/new-problems-solution-augmentation/math/problem-set79/output-rs31.jsonl",
    "results/contamination/retrieved.jsonl",
    "results/contamination/checked.jsonl",
    "results/sft_data.jsonl",
    "results/sft_data_5m.counts.json",
    *(f"results/packed/sft_data/packed_4096_seed0.{part}.npy" for part in ("input_ids", "loss_mask", "seq_start_id")),
    "results/training/openmath2-llama3.1-8b/legs/1.json",
    *(
        f"results/training/openmath2-llama3.1-8b/model-averaged-{form}/manifest.json"
        for form in ("nemo", "hf", "trtllm")
    ),
    *(f"{EVALUATION}/{name}.jsonl" for name in ("output", "output-rs255", "answers", "majority", "judged")),
    f"{EVALUATION}/judged-majority.jsonl",
    f"{EVALUATION}/metrics.json",
]


@pytest.mark.parametrize("target", PARTS)
def test_a_part_is_asked_for_by_its_path(target: str, root: Path) -> None:
    assert plan(target, "--profile", "slurm", root=root).jobs == PARTS[target]


def test_what_stands_behind_the_whole_synthesis_is_asked_for_by_its_path_too(root: Path) -> None:
    jobs = plan(*LATER, "--profile", "slurm", root=root).jobs
    assert (jobs["pack_sequences"], jobs["prepare_sft_data"], jobs["train_leg"]) == (1, 2, 1)
    assert (jobs["evaluate_samples"], jobs["compute_metrics"]) == (256, 1)
    assert "tabulate_results" not in jobs


def commands(planned: Plan, script: str) -> list[str]:
    """The commands of a dry run that call a script, each in one line."""
    return [line for line in planned.output.replace("\\\n", " ").splitlines() if f"python scripts/{script}.py" in line]


def test_packs_say_how_they_are_padded_for_context_parallelism(root: Path) -> None:
    packed = "results/packed/openmathinstruct2/packed_4096"
    targets = [f"{packed}_seed0.json", f"{packed}_cp4_seed0.json", f"{packed}_cp16_seed3.json"]
    overlay = ("--configfile", "config/released_data.yaml")
    packing = commands(plan(*targets, *overlay, "--cores", "2", "--printshellcmds", root=root), "pack_sequences")
    by_prefix = {line.rpartition("--output-prefix ")[2].split()[0]: line for line in packing}
    assert set(by_prefix) == {target.removesuffix(".json") for target in targets}
    assert "--multiple" not in by_prefix[f"{packed}_seed0"]
    assert "--capacity 4096 " in by_prefix[f"{packed}_cp4_seed0"]
    assert "--multiple 16 --pad-token '<|end_of_text|>'" in by_prefix[f"{packed}_cp4_seed0"]
    assert "--multiple 32 " in by_prefix[f"{packed}_cp16_seed3"]


@pytest.mark.parametrize(
    ("manifest", "packs", "merges", "layout"),
    [
        ("packed_4096_seed0.json", "pack_sequences", "merge_packs", "nemo"),
        ("packed_4096_seed0.flat.json", "pack_flat", "merge_flat_packs", "flat"),
    ],
)
def test_a_merged_set_is_packed_part_by_part(manifest: str, packs: str, merges: str, layout: str, root: Path) -> None:
    overlay = ("--configfile", "config/released_data.yaml")
    merged = ("--config", "sft={merged: {both: [openmathinstruct2, openmathinstruct2_5m]}}")
    planned = plan(f"results/packed/both/{manifest}", *overlay, *merged, "--cores", "2", "--printshellcmds", root=root)
    jobs = {name: planned.jobs[name] for name in ("prepare_released_data", packs, merges)}
    assert jobs == {"prepare_released_data": 2, packs: 2, merges: 1}
    (command,) = commands(planned, "merge_packs")
    prefixes = [f"results/packed/{name}/packed_4096_seed0" for name in ("openmathinstruct2", "openmathinstruct2_5m")]
    assert (
        f"--inputs {' '.join(prefixes)} --layout {layout} --output-prefix results/packed/both/packed_4096_seed0"
        in " ".join(command.split())
    )


GRADING = "grading={extraction: regex, regex: '- (.*)', conventions: {percent: unit, intervals: 'no'}}"
CONVENTIONS = "--convention intervals=no --convention percent=unit"
STEPS = {
    "grade_answers": f"--extraction regex '--regex=- (.*)' {CONVENTIONS} ",
    "vote_answers": f"{CONVENTIONS} ",
    "prepare_sft_data": f"{CONVENTIONS} ",
    "compute_metrics": f"{CONVENTIONS} ",
}


def test_every_step_that_compares_answers_is_told_how(root: Path, tmp_path: Path) -> None:
    elsewhere = f"pathvars={{results: {tmp_path}, resources: {tmp_path}}}"
    demo = ("--cores", "2", "--configfile", "config/demo.yaml", "--printshellcmds", "--config", elsewhere)
    plain, changed = (plan(*demo, *more, root=root).output for more in ((), (GRADING,)))
    for step, options in STEPS.items():
        commands = [line for line in changed.splitlines() if f"python scripts/{step}.py" in line]
        assert len(commands) == plain.count(f"python scripts/{step}.py") > 0
        assert [command for command in commands if options not in command] == []
    assert plain.count("--extraction boxed") == plain.count("python scripts/grade_answers.py")
    assert "--convention" not in plain
    assert changed.count(CONVENTIONS) == sum(changed.count(f"python scripts/{step}.py") for step in STEPS)
    grading = [line for line in changed.splitlines() if "python scripts/grade_answers.py" in line]
    assert [command for command in grading if "--workers 2" not in command] == []
