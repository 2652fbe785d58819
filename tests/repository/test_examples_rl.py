"""The examples of standard RL agents run as they are shown, on an inner loop that wants a high learning rate."""

from __future__ import annotations

import dataclasses
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop
from tests.helpers.private_network import is_private

EXAMPLES = Path(__file__).parents[2] / "examples"


class PickyInnerLoop(FakeInnerLoop):
    """Right after an update with a rate above 5e-4. Counts the updates."""

    @property
    def updates(self) -> int:
        return sum(bool(job.examples_E) for job in self.jobs)

    def result(self, job: UpdateJob) -> UpdateResult:
        right = bool(job.examples_E) and job.training.learning_rate > 5e-4
        return UpdateResult(Outcome.OK, "", tuple(Answer(q.query_id, right, None, 1.0) for q in job.queries_Q))


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> PickyInnerLoop:
    made = PickyInnerLoop()
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: made)
    return made


@pytest.fixture
def cleanrl() -> dict[str, Any]:
    for needed in ("tyro", "tensorboard"):
        pytest.importorskip(needed)
    return load("ppo_cleanrl.py")


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(os.fspath(EXAMPLES / name))


@pytest.fixture(scope="module")
def sb3() -> dict[str, Any]:
    for needed in ("stable_baselines3", "tyro"):
        pytest.importorskip(needed)
    return load("ppo_sb3.py")


def arguments(sb3: dict[str, Any], out: Path, **changes: Any) -> Any:
    small = {"seeds": 1, "budget": 32, "num_envs": 8, "rollout": 16, "tasks": "mini-train:20", "held_out": "mini-eval:4"}
    return sb3["Arguments"](out=out, max_examples=4, in_call=3, **{**small, **changes})


@pytest.mark.slow
def test_ppo_sb3_learns_and_says_by_how_much(sb3: dict[str, Any], loop: PickyInnerLoop, tmp_path: Path) -> None:
    report = sb3["main"](arguments(sb3, tmp_path, budget=512, num_envs=16, rollout=32, held_out="mini-eval:12", seeds=2))
    assert json.loads((tmp_path / "summary.json").read_text()) == report
    assert report["mean_reward"]["ppo"] > 0.8
    assert report["mean_reward"]["random"] < 0.7
    assert (report["mean_reward"]["default"], report["mean_reward"]["none"]) == (0.0, 0.0)
    gained = report["ppo_less_random"]
    assert gained["low"] <= gained["mean"] <= gained["high"]
    seed = json.loads((tmp_path / "seed-1.json").read_text())
    assert len(seed["rollouts"]) == 512 / 32
    assert [len(rewards) for rewards in seed["rewards"].values()] == [12] * 4
    assert seed["failed"] == {"ppo": 0, "random": 0, "default": 0, "none": 0}


@pytest.mark.slow
def test_ppo_sb3_goes_on_where_it_was_stopped(sb3: dict[str, Any], loop: PickyInnerLoop, tmp_path: Path) -> None:
    whole = sb3["main"](arguments(sb3, tmp_path / "whole", seeds=2))
    updates = loop.updates
    sb3["main"](arguments(sb3, tmp_path / "parts", seeds=1))
    parts = sb3["main"](arguments(sb3, tmp_path / "parts", seeds=2))
    assert loop.updates == 2 * updates
    for name in ("mean_reward", "mean_reward_by_seed", "ppo_less_random"):
        assert parts[name] == whole[name]
    with pytest.raises(SystemExit, match="measured with other arguments"):
        sb3["main"](arguments(sb3, tmp_path / "parts", budget=64))


def test_ppo_sb3_refuses_a_budget_that_is_no_whole_number_of_rollouts(sb3: dict[str, Any], tmp_path: Path) -> None:
    for changes in ({"budget": 40}, {"rollout": 12}):
        with pytest.raises(SystemExit, match="multiple"):
            sb3["main"](arguments(sb3, tmp_path, **changes))


def measured(ppo: float, random: float) -> dict[str, Any]:
    return {
        "rewards": {"ppo": [ppo, ppo, None], "random": [random] * 3},
        "seconds": {"a": 1.0},
        "failed": {"ppo": 1, "random": 0},
    }


def test_the_interval_is_student_s_over_seeds(sb3: dict[str, Any]) -> None:
    gained = [0.1, 0.2, 0.3, 0.2, 0.4]
    report = sb3["summarise"]([measured(0.5 + gain, 0.5) for gain in gained])
    half = 2.776445 * np.std(gained, ddof=1) / np.sqrt(5)
    expected = {"mean": 0.24, "low": 0.24 - half, "high": 0.24 + half}
    assert report["ppo_less_random"] == pytest.approx(expected, rel=1e-5)
    assert (report["seconds"], report["failed"]) == (5.0, {"ppo": 5, "random": 0})
    again = report["over_seeds_and_tasks"]
    assert again["mean"] == pytest.approx(0.24)
    assert 0.1 < again["low"] < 0.24 < again["high"] < 0.4


def test_one_seed_has_no_interval(sb3: dict[str, Any]) -> None:
    gained = sb3["summarise"]([measured(0.75, 0.5)])["ppo_less_random"]
    assert gained == {"mean": 0.25, "low": None, "high": None}


@pytest.mark.slow
def test_ppo_cleanrl_learns(
    cleanrl: dict[str, Any], loop: PickyInnerLoop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = cleanrl["Args"](subset="mini-train:20", max_examples=4, num_envs=16, num_steps=4, updates=8, log=tmp_path)
    compared = cleanrl["main"](args)
    assert compared["ppo"] > 0.8
    assert compared["random"] < 0.7
    assert f"PPO {compared['ppo']:.2f}, random {compared['random']:.2f}" in capsys.readouterr().out
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run,) = tmp_path.iterdir()
    events = EventAccumulator(os.fspath(run)).Reload()
    assert len(events.Scalars("train/reward")) == 8
    assert events.Scalars("evaluation/ppo")[0].value == pytest.approx(compared["ppo"])


def test_ppo_cleanrl_is_reproducible(
    cleanrl: dict[str, Any], loop: PickyInnerLoop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = cleanrl["Args"](subset="mini-train:9", max_examples=4, num_envs=4, updates=2, evaluation=4, log=tmp_path)
    said = []
    for seed in (1, 1, 2):
        cleanrl["main"](dataclasses.replace(args, seed=seed))
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != said[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppo_sb3.py", "ppo_cleanrl.py"])
def test_examples_take_their_arguments_from_the_command_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for needed in ("stable_baselines3", "tyro", "tensorboard"):
        pytest.importorskip(needed)
    sizes = {
        "ppo_sb3.py": ["--seeds", "1", "--budget", "8", "--rollout", "8", "--num-envs", "8", "--held-out", "mini-eval:2",
                       "--out", str(tmp_path)],
        "ppo_cleanrl.py": ["--updates", "1", "--num-envs", "8", "--num-steps", "1", "--evaluation", "8",
                           "--log", str(tmp_path)],
    }  # fmt: skip
    monkeypatch.setattr(sys, "argv", [name, "--max-examples", "4", *sizes[name]])
    runpy.run_path(os.fspath(EXAMPLES / name), run_name="__main__")
    assert "random" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "needed", "argument"),
    [
        ("ppo_sb3.py", ("stable_baselines3", "tyro"), "--held-out"),
        ("ppo_cleanrl.py", ("tyro", "tensorboard"), "--update-epochs"),
        ("rllib_ppo.py", ("ray",), "--rollout"),
    ],
)
def test_help_runs_from_the_repository_root(name: str, needed: tuple[str, ...], argument: str) -> None:
    """As a user would: a process of its own."""
    for module in needed:
        pytest.importorskip(module)
    command = [sys.executable, f"examples/{name}", "--help"]
    said = subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True, check=False, timeout=500)
    assert (said.returncode, argument in said.stdout) == (0, True), said.stderr


def test_without_ray_rllib_s_example_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit, match=r"pip install 'seal-env\[rllib\]'"):
        load("rllib_ppo.py")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # ray's own
def test_rllib_trains_on_vectorised_episodes(
    loop: PickyInnerLoop, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    pytest.importorskip("ray.rllib.algorithms.ppo", reason="ray is installed without what RLlib needs")
    if not is_private(request.node.nodeid):
        return
    ray.init(address="local", num_cpus=1, include_dashboard=False)
    monkeypatch.setattr(
        sys,
        "argv",
        ["rllib_ppo.py", "--iterations", "6", "--num-envs", "16", "--subset", "mini-train:20", "--max-examples", "4"],
    )
    try:
        means = load("rllib_ppo.py")["main"]()
    finally:
        ray.shutdown()
    assert len(means) == 6
    assert loop.updates >= 6 * 64 * 0.8
    assert means[-1] > means[0]
