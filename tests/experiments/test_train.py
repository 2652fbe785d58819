"""`seal-env train`."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seal_env.agents.evaluation import EvalSample
from seal_env.cli import main
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.train import untrained_policy
from seal_env.experiments.train_progress import TrainProgress
from seal_env.report.tracker import Tracker

SOLVED = EvalSample("a", 0, "[]", "ok", "", 1.0, 0.0, 1.0, 10, 100, 2.0)


def test_training_begins_with_a_policy_without_adapters(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"policy_adapter=.*'x'"):
        untrained_policy(ExperimentConfig("SEAL-ARC-v0", {}, {"policy_adapter": "x"}, tmp_path))
    assert untrained_policy(ExperimentConfig("SEAL-ARC-v0", {}, {}, tmp_path)).name == "seal-tiny"


def test_grpo_refuses_to_choose_among_replies_that_it_would_not_learn_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("train", "grpo", "--subset", "mini-train:2", "--best-of", "2")) == 2
    assert "best_of=2 is not legal; expected 1 in GRPO" in capsys.readouterr().err


def test_progress_says_when_the_policy_is_fine_tuned(tmp_path: Path) -> None:
    console = Console(file=StringIO())
    with TrainProgress(Tracker(tmp_path, {}), console, {"sampled": 4, "held_out": 2}, rounds=2) as progress:
        for step, curve, size in ((0, "held_out", 2), (1, "sampled", 4)):
            progress.report(curve, step, (), False)
            progress.report(curve, step, [SOLVED] * size, False)
            progress.report(curve, step, [SOLVED] * size, True)
        assert progress.line().startswith("progress  fine-tuning, round 1: 0 of 1 updates of the policy;")
        progress.report("held_out", 1, (), False)
        assert progress.line().startswith("progress  held-out, after 1: 0 of 2 self-edits;")


def curves(folder: Path) -> dict[str, list[int]]:
    """The steps of each curve."""
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [each.step for each in events.Tensors(tag)] for tag in events.Tags()["tensors"]}


def test_rest_em_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ("--rounds", "1", "--samples", "2", "--eval-samples", "1", "--max-new-tokens", "72", "--max-examples", "4")
    command = ("train", "rest-em", "--subset", "mini-train:2", "--held-out", "mini-eval:1", *sizes, "--out", "run")
    assert main(command) == 0
    result = json.loads(Path("run/result.json").read_text())
    assert [part["samples"] for part in result["held_out"]] == [1, 1]
    assert result["rounds"][0]["sampled"]["samples"] == 4
    said = capsys.readouterr()
    assert "untrained" in said.out
    assert f"round 1   selected {result['rounds'][0]['kept'] or 'none'} of 4 self-edits" in said.err
    assert curves(Path("run/tensorboard"))["held_out/accuracy"] == [0, 1]
    assert curves(Path("run/tensorboard"))["sampled/accuracy"] == [1]
    assert main((*command[:-2], "--out", "run", "--keep", "best")) == 2
    assert "keep='rewarded', not 'best'" in capsys.readouterr().err


def test_every_self_edit_of_a_constrained_policy_is_valid_before_and_after_it_learned() -> None:
    sizes = ("--rounds", "1", "--samples", "3", "--eval-samples", "3", "--max-examples", "2", "--max-prompt-cells", "0")
    tasks = ("--subset", "mini-train:1", "--held-out", "mini-eval:1", "--keep", "best", "--reward", "cell_accuracy")
    assert main(("train", "rest-em", *tasks, *sizes, "--constrained", "--temperature", "2", "--out", "run")) == 0
    result = json.loads(Path("run/result.json").read_text())
    measured = (*result["held_out"], result["rounds"][0]["sampled"])
    assert [each["valid"]["mean"] for each in measured] == [1, 1, 1]
    assert result["rounds"][0]["kept"] == 1
