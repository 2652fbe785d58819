"""An agent of another package: registered, named as "package.module:Class", and found through an entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.agents import registry
from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import sample_tasks, starts
from seal_env.agents.registry import AgentSpec, agent_names, agent_options, make_agent, register_agent
from seal_env.agents.rollouts import run_episode
from seal_env.cli import main
from seal_env.errors import SettingError
from seal_env.journal import Journal

MODULE = '''
"""A package that seal-env does not know."""

import json

from pydantic import Field

from seal_env.agents.base import Agent
from seal_env.options import Options


class PatientOptions(Options):
    patience: int = Field(1, ge=1)
    """Epochs."""


class Patient(Agent):
    """Trains for as many epochs as it is told.

    More text.
    """

    options = PatientOptions
    requires = frozenset({"numeric_actions"})

    def __init__(self, patience):
        self.patience = patience

    def act(self, observation, info):
        assert info["task"]["text"] in observation
        switches = {f"use_{kind}_augmentations": False for kind in ("basic", "size", "chain", "repeat")}
        training = {"strategy": "train_using_output_tokens", "learning_rate": 0.001, "num_train_epochs": self.patience}
        calls = {"augment": switches, "training": training, "finetune": {}}
        return json.dumps([{"name": name, "arguments": given} for name, given in calls.items()])


def untuned(context):
    return Patient(patience=1)


NOT_AN_AGENT = 3
'''
METADATA = "Metadata-Version: 2.1\nName: patient-package\nVersion: 1.0\n"
ENTRY_POINTS = "[seal_env.agents]\npatient = patient_package.agents:Patient\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An importable package outside of seal-env; what it registers is forgotten afterwards."""
    (tmp_path / "patient_package").mkdir()
    (tmp_path / "patient_package" / "__init__.py").touch()
    (tmp_path / "patient_package" / "agents.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    known = dict(registry._KNOWN)
    registry._load_entry_points.cache_clear()
    yield "patient_package.agents"
    registry._KNOWN.clear()
    registry._KNOWN.update(known)
    registry._load_entry_points.cache_clear()
    for name in [name for name in sys.modules if name.startswith("patient_package")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def env() -> Any:
    return gymnasium.make("SEAL-ARC-Mini-v0", subset="mini-eval:2", max_examples=2, max_turns=1).unwrapped


def installed(folder: Path) -> None:
    """The package as if pip had installed it."""
    info = folder / "patient_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA, encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")


def epochs(trajectory: Any) -> int:
    return int(trajectory.info["self_edit"][1]["arguments"]["num_train_epochs"])


def test_a_class_is_an_agent_by_its_path_with_its_own_options(package: str, env: Any) -> None:
    agent = make_agent(f"{package}:Patient", AgentContext.of(env), patience=3)
    trajectory = run_episode(env, agent, seed=0)
    assert (trajectory.info["outcome"], epochs(trajectory)) == ("ok", 3)
    with pytest.raises(SettingError, match=r"patience=0.*at least 1"):
        make_agent(f"{package}:Patient", AgentContext.of(env), patience=0)
    with pytest.raises(SettingError, match=r"temperature=1.0.*'local_hf' and 'openai_compatible'"):
        make_agent(f"{package}:Patient", AgentContext.of(env), temperature=1.0)


def test_a_function_makes_an_agent_by_its_path(package: str, env: Any) -> None:
    assert epochs(run_episode(env, make_agent(f"{package}:untuned", AgentContext.of(env)), seed=0)) == 1


@pytest.mark.parametrize("path", ["NOT_AN_AGENT", "Impatient", ""])
def test_what_is_no_agent_is_refused(package: str, env: Any, path: str) -> None:
    with pytest.raises(SettingError, match=f"agent='{package}:{path}'"):
        make_agent(f"{package}:{path}", AgentContext.of(env))
    with pytest.raises(SettingError, match=r"expected a subclass of seal_env\.agents\.base\.Agent"):
        make_agent(f"{package}:NOT_AN_AGENT", AgentContext.of(env))
    with pytest.raises(SettingError, match="No module named 'no_such_package'"):
        make_agent("no_such_package:Agent", AgentContext.of(env))


def test_a_registered_agent_is_known_by_name_and_its_name_is_taken(package: str, env: Any, tmp_path: Path) -> None:
    from importlib import import_module

    spec = AgentSpec.of("patient", import_module(package).Patient)
    register_agent(spec)
    assert spec.summary == "Trains for as many epochs as it is told"
    assert "patient" in agent_names(AgentContext.of(env))
    assert "patience" in agent_options()["patient"].model_fields
    with pytest.raises(SettingError, match=r"patience=2.*'random' has no such option \('patient'"):
        make_agent("random", AgentContext.of(env), patience=2)
    with pytest.raises(SettingError, match="agent='random'"):
        register_agent(AgentSpec.of("random", import_module(package).Patient))
    agent = make_agent("patient", AgentContext.of(env), patience=2)
    env.runtime.load()
    samples = sample_tasks(env.runtime, agent, starts(env.taskset.task_ids, 1, 0), 2, Journal(tmp_path / "journal"))
    assert [sample.outcome for sample in samples] == ["ok", "ok"]


def test_an_installed_package_names_its_agents_by_entry_points(
    package: str, env: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(tmp_path)
    assert epochs(run_episode(env, make_agent("patient", AgentContext.of(env), patience=2), seed=0)) == 2
    small = ("--env", "SEAL-ARC-Mini-v0", "--subset", "mini-eval:1", "--max-examples", "2", "--samples", "1")
    out = str(tmp_path / "run")
    assert main(("eval", "--agent", "patient", "--patience", "2", *small, "--out", out)) == 0
    assert "patient" in capsys.readouterr().out
    assert "patience = 2" in Path(out, "settings.toml").read_text(encoding="utf-8")
    knowledge = AgentContext.of(gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-train:1"))
    with pytest.raises(SettingError, match=r"agent='patient'.*numbers, switches"):
        make_agent("patient", knowledge)
