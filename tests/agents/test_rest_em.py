"""ReST-EM: what is learned from, and runs that are killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from seal_env.agents.evaluation import EvalSample
from seal_env.agents.trainers.selection import choose, selection_in_words
from seal_env.agents.trainers.settings import RestEmSettings
from seal_env.errors import SettingError

SCRIPT = """
import sys
from pathlib import Path
import torch
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.local_hf import LocalHFAgent
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.trainers.settings import RestEmSettings
from seal_env.agents.trainers.rest_em import RestEm
from seal_env.domains import arc
from seal_env.episodes.runtime import Runtime
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.settings import Settings

torch.set_num_threads(1)

def runtime(subset):
    made = Runtime(Settings.resolve(subset=subset, max_turns=1, decode="never", max_examples=20))
    made.load()
    return made

chat = PolicyChat(arc.TOOLS)

def agent(policy):
    return LocalHFAgent(PolicyModel(policy, chat, tools=False), max_new_tokens=64)

settings = RestEmSettings(rounds=2, samples=3, eval_samples=2, sft_epochs=2, sft_learning_rate=2e-3, in_call=3, merged=True)
base = load_base_model("seal-tiny", "cpu")
RestEm(base, agent, runtime("mini-train:5"), runtime("mini-eval:2"), settings, Path(sys.argv[1]), chat).run()
"""


def sample(task: str, accuracy: float, number: int = 0) -> EvalSample:
    return EvalSample(task, number, "[]", "ok", "", accuracy, 0.0, accuracy, 1, 1, 0.0)


def test_rewarded_keeps_every_self_edit_that_solves_its_task() -> None:
    samples = [sample("a", 1.0), sample("a", 0.0), sample("b", 0.5), sample("c", 1.0), sample("c", 1.0)]
    assert choose(samples, "rewarded") == [samples[0], samples[3], samples[4]]
    assert choose(samples, "contrast") == [samples[0]]
    assert choose(samples, "best") == [samples[0], samples[2], samples[3]]


def test_gained_keeps_what_solves_a_task_that_the_base_model_does_not() -> None:
    known = [replace(sample("a", 1.0, number), accuracy_before=1.0) for number in range(2)]
    part = replace(sample("c", 1.0), accuracy_before=0.5)
    samples = [*known, sample("b", 1.0), sample("b", 0.0), part]
    assert choose(samples, "gained") == [samples[2], part]


@pytest.mark.parametrize(
    ("keep", "sample_of", "said"),
    [
        (
            "rewarded",
            sample("a", 0.5),
            "none of them solved its task. The policy has nothing to learn from and stays as it is",
        ),
        ("contrast", sample("a", 1.0), "no task was solved by some of its self-edits and not by others. The policy"),
        ("gained", replace(sample("a", 1.0), accuracy_before=1.0), "none of them solved a task that the base model does"),
        ("best", sample("a", 0.0), "none of them had a reward above 0. The policy"),
        ("best", replace(sample("a", 0.0), outcome="not_json"), "none of them could be trained (not_json). The policy"),
    ],
)
def test_a_round_that_selects_nothing_says_why_and_what_to_try(keep: str, sample_of: EvalSample, said: str) -> None:
    text = selection_in_words(2, [sample_of], choose([sample_of], keep), keep)
    assert text.startswith(f"round 2   selected none of 1 self-edits: {said}")
    assert "Try " in text


def test_a_round_says_how_many_self_edits_it_selected() -> None:
    samples = [sample("a", 1.0), sample("a", 0.0)]
    assert selection_in_words(1, samples, choose(samples, "rewarded"), "rewarded") == "round 1   selected 1 of 2 self-edits"


def test_what_the_machine_failed_is_never_learned_from() -> None:
    failed = replace(sample("a", 1.0), reward=float("nan"), outcome="engine_error")
    assert not any(choose([failed], keep) for keep in ("rewarded", "contrast", "gained", "best"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("rounds", 0), ("samples", 0), ("keep", "all"), ("sft_learning_rate", 0.0), ("sft_alpha", 0.0), ("seed", -1)],
)
def test_a_setting_that_is_not_legal_is_named(field: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"{field}={value!r}"):
        RestEmSettings(**{field: value})


def outcome(folder: Path) -> tuple[Any, ...]:
    """Everything that a run leaves, without the clock."""
    result = json.loads((folder / "result.json").read_text())
    for part in [*result["held_out"], *(each["sampled"] for each in result["rounds"])]:
        del part["cost"]["seconds"]
    weights = {str(path.relative_to(folder)): load_file(path) for path in sorted(folder.rglob("*.safetensors"))}
    return result, {name: {key: value.tobytes() for key, value in each.items()} for name, each in weights.items()}


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_policy(tmp_path: Path) -> None:
    def start(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)])

    began = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    took = time.monotonic() - began
    rng, killed = random.Random(0), 0
    for _ in range(40):
        run = start(tmp_path / "killed")
        try:
            code = run.wait(timeout=took * rng.uniform(0.3, 0.8))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            killed += 1
            continue
        assert code == 0
        break
    assert killed >= 1
    whole, again = outcome(tmp_path / "whole"), outcome(tmp_path / "killed")
    assert len(whole[1]) == 4
    assert again == whole
