"""Whole GRPO runs: what is asked in which order, what they leave, how they go on after a kill."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.agents.trainers.grpo import Grpo, last_checkpoint
from seal_env.agents.trainers.settings import GrpoSettings
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.settings import Settings


def tiny_world(subset: str) -> Runtime:
    made = Runtime(Settings.resolve(subset=subset, max_turns=1, decode="never", max_examples=4, device="cpu", cache="off"))
    made.load()
    return made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("samples", 1),
        ("tool_calls", "yes"),
        ("learning_rate", 0.0),
        ("beta", -1.0),
        ("alpha", 0.0),
        ("micro_batch", 5),
        ("seed", -1),
    ],
)
def test_a_setting_that_is_not_legal_is_named(field: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"{field}={value!r}"):
        GrpoSettings(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("constrained", True), ("temperature", 0.0)])
def test_what_trl_cannot_sample_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    runtime, base = tiny_world("mini-train:2"), load_base_model("seal-tiny", "cpu")
    with pytest.raises(SettingError, match=f"{field}={value!r}"):
        Grpo(base, runtime, runtime, GrpoSettings(), LocalPolicyOptions(**{field: value}), tmp_path)


def test_every_task_is_asked_before_one_is_asked_again(tmp_path: Path) -> None:
    runtime, base = tiny_world("mini-train:5"), load_base_model("seal-tiny", "cpu")
    settings = GrpoSettings(steps=4, prompts=3)
    episodes = Grpo(base, runtime, runtime, settings, LocalPolicyOptions(), tmp_path).episodes()
    assert len(episodes) == 12
    for first in (0, 5):
        assert sorted(start.task_id for start in episodes[first : first + 5]) == sorted(runtime.taskset.task_ids)
    assert len({start.seed for start in episodes}) == 12
    assert Grpo(base, runtime, runtime, settings, LocalPolicyOptions(), tmp_path).episodes() == episodes
    with pytest.raises(SettingError, match="max_new_tokens"):
        Grpo(base, runtime, runtime, settings, LocalPolicyOptions(max_new_tokens=8192), tmp_path).episodes()


def test_the_last_checkpoint_is_the_newest_whole_one(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for name, state in (("checkpoint-9", "{}"), ("checkpoint-10", "{}"), ("checkpoint-11", '{"half'), ("other", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-12").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


SCRIPT = """
import sys
from pathlib import Path
import torch
from seal_env.agents.trainers.grpo import Grpo
from seal_env.agents.trainers.settings import GrpoSettings
from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.episodes.runtime import Runtime
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.settings import Settings

torch.set_num_threads(1)

def runtime(subset):
    made = Runtime(Settings.resolve(subset=subset, max_turns=1, decode="never", max_examples=8, device="cpu"))
    made.load()
    return made

settings = GrpoSettings(steps=4, prompts=2, samples=4, learning_rate=1e-3, beta=0.1, save_every=1,
                        eval_samples=2, merged=True)
base = load_base_model("seal-tiny", "cpu")
digest = {name: value.clone() for name, value in base.model.state_dict().items()}
policy = LocalPolicyOptions(max_new_tokens=72)
Grpo(base, runtime("mini-train:3"), runtime("mini-eval:2"), settings, policy, Path(sys.argv[1])).run()
assert all(torch.equal(value, digest[name]) for name, value in base.model.state_dict().items())
assert set(digest) == set(base.model.state_dict())
"""


def outcome(folder: Path) -> tuple[Any, ...]:
    """Everything that a run leaves, without the clock."""
    result = json.loads((folder / "result.json").read_text())
    for part in result["held_out"]:
        del part["cost"]["seconds"]
    for record in result["training"]:
        for name in [name for name in record if "time" in name or "profiling" in name]:
            del record[name]
    weights = {each: load_file(folder / each) for each in ("adapter/adapter_model.safetensors", "model/model.safetensors")}
    return result, {name: {key: value.tobytes() for key, value in each.items()} for name, each in weights.items()}


@pytest.mark.slow
def test_a_run_learns_keeps_the_base_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    def start(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)])

    assert start(tmp_path / "whole").wait() == 0
    run, deadline = start(tmp_path / "killed"), time.monotonic() + 300
    while not last_checkpoint(tmp_path / "killed" / "checkpoints"):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "killed" / "adapter").exists()
    assert start(tmp_path / "killed").wait() == 0
    whole, again = outcome(tmp_path / "whole"), outcome(tmp_path / "killed")
    assert len(whole[0]["training"]) == 4
    assert any(
        value.any()
        for name, value in load_file(tmp_path / "whole/adapter/adapter_model.safetensors").items()
        if "_B" in name
    )
    assert again == whole


@pytest.mark.slow
def test_the_example_trains_the_embedded_model(tmp_path: Path) -> None:
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "grpo_trl.py"))
    arguments = example["Arguments"](tasks="mini-train:2", steps=2, samples=2, max_new_tokens=32, out=tmp_path)
    assert len(example["main"](arguments)) == 2
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
