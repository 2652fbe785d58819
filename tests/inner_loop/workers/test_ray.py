"""The inner loop `ray` on a real Ray: what `scenarios.py` found there, and the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from seal_env.inner_loop.workers.order import ENDED_WORKERS
from seal_env.types import Outcome
from tests.helpers.private_network import LEFT, run_private

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

RUN = ("-m", "seal_env", "run", "--env", "SEAL-ARC-Mini-v0", "--inner-loop", "ray", "--workers", "2", "--episodes", "2")
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Processes of Ray that end a minute after it."""
KILLED = """
import os, signal
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.workers.options import WorkerPlan
from seal_env.inner_loop.workers.ray_transport import RayTransport
from tests.inner_loop.workers.stub_actors import StubActor
RayTransport.actor = StubActor
loop = make_inner_loop("ray", "seal-tiny", "cpu", workers=WorkerPlan(2))
print(loop.identity(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    done = run_private(sys.executable, "-m", "tests.inner_loop.workers.scenarios")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return found | {"left": done.stdout.splitlines()[-1]}


def test_a_worker_that_joins_late_is_used_and_results_equal_those_of_one_loop(facts: dict[str, Any]) -> None:
    assert (facts["late_before"], facts["late_after"], facts["late_equal"]) == (1, 2, True)


def test_a_worker_that_is_killed_costs_no_result_and_comes_again(facts: dict[str, Any]) -> None:
    assert (facts["killed_equal"], facts["killed_again"], facts["idle_equal"]) == (True, True, True)


def test_a_job_that_ends_its_workers_fails_and_no_other_does(facts: dict[str, Any]) -> None:
    assert facts["poison"] == [Outcome.ENGINE_ERROR, ENDED_WORKERS]
    assert facts["poison_others_equal"]


def test_results_are_cached_on_the_driver_and_shared_with_a_loop_there(facts: dict[str, Any]) -> None:
    assert facts["cache_equal"] == [True, True]
    assert facts["cache_counts"] == [[14, 2, 12], [12, 0, 0]]


def test_an_adapter_is_saved_where_it_was_asked_for(facts: dict[str, Any]) -> None:
    assert facts["saved"] == [True, ["adapter", "adapter_config.json", "adapter_model.safetensors"], "refused"]


def test_what_is_wrong_with_the_model_is_raised_as_on_this_machine(facts: dict[str, Any]) -> None:
    assert facts["broken"] == "model='gone' cannot be loaded: no such folder"


def test_closing_ends_the_workers_and_leaves_a_connection_of_somebody_else(facts: dict[str, Any]) -> None:
    assert (facts["workers_left"], facts["closed_twice"], facts["still_connected"]) == ([], True, True)
    assert facts["left"] == f"{LEFT}none"


def test_a_run_with_workers_leaves_its_results_and_no_process(tmp_path: Path) -> None:
    done = run_private(sys.executable, *RUN, "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"{LEFT}none"), done.stderr
    assert (tmp_path / "run" / "finished").exists()


def test_the_example_of_the_docs_pays_its_episodes() -> None:
    sizes = ("--episodes", "4", "--workers", "1", "--max-examples", "4")
    done = run_private(sys.executable, "examples/ray_workers.py", *sizes)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"{LEFT}none"), done.stderr
    assert "0 failed" in done.stdout
    rewards = next(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("rewards"))
    assert len([float(reward) for reward in rewards]) == 4


def test_a_driver_that_is_killed_takes_its_workers_along() -> None:
    done = run_private(sys.executable, "-c", KILLED)
    identity, left = done.stdout.splitlines()
    assert identity == "{'model': 'stub'}"
    assert set(left.removeprefix(LEFT).split(", ")) <= {"none", *AGENTS}
