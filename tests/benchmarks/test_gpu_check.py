"""`scripts/gpu_check.sh` and `benchmarks.inner_loop.quick` with very small models on a CPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.inner_loop import graphs, quick, steps
from benchmarks.inner_loop.jobs import PRESETS
from recipes.sizes import TINY
from recipes.text_wide import TINY as TEXT_TINY

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "gpu_check.sh"


def check(part: str, out: Path) -> subprocess.CompletedProcess[str]:
    given = {"OUT": str(out), "SITE": str(out / "site"), "WORK": str(out / "work"), "DATA": str(out / "data")}
    given |= {"PYTHON": sys.executable}
    environment = {**os.environ, **given, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([SCRIPT, part, "--tiny"], env=environment, capture_output=True, text=True, cwd=ROOT)


def measured(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    assert document["failures"] == {}
    return document


@pytest.mark.slow
def test_first_part_runs_on_a_cpu(tmp_path: Path) -> None:
    done = check("first", tmp_path)
    assert done.returncode == 0, done.stdout
    document = measured(tmp_path / "llama-1b.json")
    assert list(document["rows"]) == ["batched K=4", "R0", "R1", "batched K=2", "batched K=1"]
    assert max(document["attention_errors"]["4/4/32"]) < 1e-5
    assert document["ratios"]["batched K=4"]["largest_difference_of_first_losses"] < 1e-3
    assert (tmp_path / "llama-1b-profile.txt").stat().st_size > 1000
    assert re.search(r"^\d passed, [1-9]\d skipped", (tmp_path / "log.txt").read_text(), re.MULTILINE)


@pytest.mark.slow
def test_second_part_runs_on_a_cpu(tmp_path: Path) -> None:
    done = check("second", tmp_path)
    assert done.returncode == 0, done.stdout
    rows = measured(tmp_path / "qwen-7b-knowledge.json")["rows"]
    assert rows["R0"]["steps"] == rows["R1"]["steps"] == 90
    assert {outcome for row in rows.values() for outcome in row["outcomes"]} == {"ok"}


@pytest.mark.slow
def test_training_from_data_made_ahead_runs_on_a_cpu(tmp_path: Path) -> None:
    done = check("train", tmp_path)
    assert done.returncode == 0, done.stdout
    assert "is complete" in done.stdout
    assert [json.loads((tmp_path / f"{stage}.json").read_text())["step"] for stage in TINY] == [6, 6, 6]
    assert list(json.loads((tmp_path / "gains.json").read_text()))[-3:] == ["before", "random_self_edit", "best"]
    assert (tmp_path / "model.tar").stat().st_size < 2**20


@pytest.mark.slow
def test_text_model_goes_on_from_the_shipped_one_on_a_cpu(tmp_path: Path) -> None:
    done = check("text", tmp_path)
    assert done.returncode == 0, done.stdout
    assert [json.loads((tmp_path / f"{stage}.json").read_text())["step"] for stage in TEXT_TINY] == [2, 2, 2]
    assert (tmp_path / "model.tar").stat().st_size < 2**22


@pytest.mark.slow
def test_passes_with_graphs_and_without_are_the_same_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "EPOCHS", 1)
    monkeypatch.setattr(steps, "WARM", 1)
    graphs.main(["--tiny", "--in-call", "2", "--json", str(tmp_path / "graphs.json")])
    found = measured(tmp_path / "graphs.json")["K=2"]
    assert found["without"]["steps_of_a_call"] == found["with"]["steps_of_a_call"] == 9
    assert set(found["differences_of_losses_by_step"] + found["differences_from_the_same_passes_unrecorded"]) == {0.0}


def test_unknown_part_shows_the_usage(tmp_path: Path) -> None:
    done = check("third", tmp_path)
    assert (done.returncode, "scripts/gpu_check.sh first" in done.stdout) == (2, True)


def row(seconds: dict[str, float], tokens_per_second: float) -> dict[str, Any]:
    edits = {number: {"seconds": each, "first_losses": [1.0]} for number, each in seconds.items()}
    return {"tokens_per_second": tokens_per_second, "self_edits": edits}


def test_ratios_are_of_tokens_and_of_the_self_edits_that_both_did() -> None:
    found = quick.ratios({"R0": row({"1": 6.0}, 10.0), "batched K=2": row({"0": 9.0, "1": 2.0}, 40.0)})
    assert found["batched K=2"] == {"by_tokens": 4.0, "on_the_same_self_edits": 3.0}


def test_tiny_preset_keeps_everything_but_sizes() -> None:
    preset = quick.tiny(PRESETS["qwen-7b-knowledge"])
    assert preset.shape is not None
    assert (preset.shape["model_type"], preset.published, preset.pad_to) == ("qwen2", PRESETS[preset.name].published, 160)
