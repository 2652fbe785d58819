"""The simulation of workers, and the example files of clusters."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from benchmarks.workers import simulate
from seal_env.settings import Settings
from tests.helpers.cli import Call

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "examples" / "cluster"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Half a second for 7,000 simulated self-edits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["simulate", "--json", str(tmp_path_factory.mktemp("simulated") / "rows.json")])
        return {row["name"]: row for row in simulate.main()}


def test_simulated_workers_lose_no_self_edit_but_that_which_ends_them(rows: dict[str, dict[str, Any]]) -> None:
    assert [
        rows[name]["failed"] for name in ("one worker, no failure", "64 workers, no failure", "a job that ends its workers")
    ] == [0, 0, 1]
    assert rows["each worker dies every hour"]["failed"] == 1


def test_the_dispatcher_takes_no_time_beside_the_updates(rows: dict[str, dict[str, Any]]) -> None:
    assert all(row["dispatcher_seconds"] < 5 for row in rows.values())


def test_the_table_in_the_docs_is_that_of_the_simulation(rows: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    for row in rows.values():
        assert f"| {' | '.join(simulate.cells(row))} |" in text


@pytest.mark.parametrize("name", ["slurm.sh", "sky.yaml"])
def test_the_command_of_a_cluster_has_options_that_there_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (CLUSTER / name).read_text(encoding="utf-8")
    command = re.search(r"seal-env eval .*?(?<!\\)\n", text, re.DOTALL)
    assert command is not None
    help_text = Call(capsys)("eval", "--help").out
    options = re.findall(r"--([a-z-]+)", command[0])
    assert [each for each in options if f"--{each}" not in help_text] == []
    assert Settings.resolve(inner_loop="ray", device="cuda", ray_address="head:6390", workers=64).workers == 64


def test_the_files_of_clusters_can_be_read() -> None:
    subprocess.run(["bash", "-n", str(CLUSTER / "slurm.sh")], check=True)
    task = yaml.safe_load((CLUSTER / "sky.yaml").read_text(encoding="utf-8"))
    assert (task["num_nodes"], task["secrets"]) == (8, {"RAY_AUTH_TOKEN": None})
    subprocess.run(["bash", "-n"], input=task["run"], text=True, check=True)
