"""A package that is merely installed extends seal-env by its entry points: everything works on all that it brings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

HELPERS = Path(__file__).parents[1] / "helpers"
OUTSIDE = (str(HELPERS / "outside"), str(HELPERS / "outside_metadata"))
"""The package, and beside it its metadata, which would extend the process of the tests too."""
TOOLS = "repeat,batch,training,finetune"

IN_PROCESS = """
import json

import gymnasium, seal_env
from seal_env.agents.trainers.trl_episodes import environment_type
from seal_env.envs.wrappers import StructuredSelfEdit
from seal_env.errors import SettingError

tools = ["repeat", "batch", "training", "finetune"]
settings = {"tools": tools, "optimizer": "sign", "reward": "steady", "cache": "off", "max_turns": 1}
env = gymnasium.make("Outside/Shouting-v0", **settings)
env.action_space.seed(0)
actions = [env.action_space.sample() for _ in range(20)]
assert all(env.action_space.contains(action) for action in actions)
observation, info = env.reset(seed=0)
assert "batch: Sets the batch size." in observation
action = json.dumps([
    {"name": "repeat", "arguments": {"times": 2, "loud": True}},
    {"name": "batch", "arguments": {"size": 1}},
    {"name": "training", "arguments": {"strategy": "train_using_all_tokens", "learning_rate": 1e-4, "num_train_epochs": 2}},
    {"name": "finetune", "arguments": {}},
])
_, reward, _, _, info = env.step(action)
assert (reward, info["outcome"], info["optimizer_steps"]) == (0.25, "ok", 4), info

envs = gymnasium.make_vec("Outside/Shouting-v0", num_envs=2, **settings)
envs.reset(seed=0)
assert envs.step([action, action])[1].tolist() == [0.25, 0.25]

numeric = StructuredSelfEdit(gymnasium.make("Outside/Shouting-v0", **settings))
number = numeric.action_space.sample()
assert (numeric.numeric_actions.encode(numeric.numeric_actions.decode(number)) == number).all()

methods = environment_type(env.unwrapped.runtime.tools)
assert {"repeat", "batch", "training", "finetune"} <= set(dir(methods))

custom = gymnasium.make("SEAL-Custom-v0", metric="first-letter", max_turns=1, default_num_epochs=1, cache="off")
custom.reset(seed=0)
assert custom.step(custom.unwrapped.runtime.spec.default_self_edit)[4]["outcome"] == "ok"
print("all of it")
"""


def run(*command: str, cwd: Path) -> str:
    paths = os.pathsep.join([*OUTSIDE, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "160"}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_domain_tools_optimizer_reward_and_grader_work_together(tmp_path: Path) -> None:
    assert "all of it" in run("-c", IN_PROCESS, cwd=tmp_path)


@pytest.mark.parametrize("agent", ["loud", pytest.param("outside_seal:LoudAgent", marks=pytest.mark.slow)])
def test_the_command_line_runs_its_agent_on_its_domain(tmp_path: Path, agent: str) -> None:
    common = ["--env", "Outside/Shouting-v0", "--agent", agent, "--times", "2", "--tools", TOOLS, "--optimizer", "sign"]
    run("-m", "seal_env", "run", *common, "--episodes", "2", "--out", "run", cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    assert [(row["outcome"], row["examples"]) for row in rows] == [("ok", 2), ("ok", 2)]
    run("-m", "seal_env", "eval", *common, "--samples", "1", "--out", "eval", cwd=tmp_path)
    assert json.loads((tmp_path / "eval" / "eval.json").read_text())["valid"]["mean"] == 1.0


def test_help_and_lists_show_it(tmp_path: Path) -> None:
    assert "--times" in run("-m", "seal_env", "run", "--agent", "loud", "--help", cwd=tmp_path)
    assert "repeat" in run("-m", "seal_env", "tools", "--domain", "shouting", cwd=tmp_path)
