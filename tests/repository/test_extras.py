"""What works without the extras, and that each is named where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seal_env.errors import MissingExtraError, needs_extra

EXTRAS = (
    "PIL",
    "bm25s",
    "click",
    "datasets",
    "llguidance",
    "matplotlib",
    "openenv",
    "optuna",
    "ray",
    "rich",
    "stable_baselines3",
    "tensorboard",
    "tomli_w",
    "trl",
    "vowpalwabbit",
)
EPISODE = """
import gymnasium, seal_env
env = gymnasium.make("SEAL-ARC-Mini-v0", max_examples=4, max_steps=2, render_mode="ansi")
env.reset(seed=0)
env.action_space.seed(0)
assert env.step(env.action_space.sample())[2]
"""
COMMAND = "import runpy; sys.argv[1:] = ['tasks', 'list']; runpy.run_module('seal_env', run_name='__main__')"
EXPORT = (
    "from pathlib import Path; from seal_env.experiments.export import write_table; write_table([{}], 'parquet', Path('x'))"
)
REPORT = (
    "from seal_env.report.page.content import Page; from seal_env.report.page.render import render; render(Page('', (), ''))"
)
GRPO = "import seal_env.agents.trainers.grpo"


def without(packages: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process in which these packages are not installed."""
    code = f"import sys\nsys.modules.update(dict.fromkeys({packages}))\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.integration
def test_an_episode_needs_no_extra() -> None:
    done = without(EXTRAS, EPISODE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("package", "code", "says"),
    [
        ("rich", EPISODE + "env.render()", "rich is not installed: pip install 'seal-env[render]'"),
        ("rich", COMMAND, "seal-env: rich is not installed: pip install 'seal-env[cli]'"),
        pytest.param("trl", GRPO, "trl is not installed: pip install 'seal-env[grpo]'", marks=pytest.mark.slow),
        pytest.param("datasets", GRPO, "datasets is not installed: pip install 'seal-env[grpo]'", marks=pytest.mark.slow),
        ("openenv", "import seal_env.adapters.openenv.server", "openenv is not installed: pip install 'seal-env[openenv]'"),
        ("datasets", EXPORT, "datasets is not installed: pip install 'seal-env[export]'"),
        ("jinja2", REPORT, "jinja2 is not installed: pip install 'seal-env[report]'"),
        ("stable_baselines3", "import seal_env.agents.rl.sb3", "pip install 'seal-env[sb3]'"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(package: str, code: str, says: str) -> None:
    done = without((package,), code)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(says)


def test_a_missing_module_of_our_own_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="seal_env"), needs_extra("cli"):
        raise ModuleNotFoundError("No module named 'seal_env.x'", name="seal_env.x")
    with (
        pytest.raises(MissingExtraError, match=r"PIL is not installed: pip install 'seal-env\[render\]'"),
        needs_extra("render"),
    ):
        raise ModuleNotFoundError("No module named 'PIL.Image'", name="PIL.Image")
