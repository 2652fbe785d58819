"""episodes.jsonl: what is kept when a run is resumed, and the row of a sequence of tasks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from seal_env.agents.base import Trajectory, Turn
from seal_env.errors import RunFolderError
from seal_env.experiments.episode_log import EpisodeLog, trajectory_of
from seal_env.journal import Journal
from seal_env.report.episode_progress import EpisodeProgress
from seal_env.report.whole_episode import task_label, whole_info
from tests.helpers.cli import Call


def record(index: int, truncated: bool = False) -> dict[str, Any]:
    reward = math.nan if truncated else 1.0
    turn = {"actions": ["edit"], "outcomes": ["ok"], "reasons": [""], "rewards": [reward]}
    return {"episode": index, "task_id": "a", "truncated": truncated, "reward": reward, "timings": {}, **turn}


def test_failures_are_dropped_to_be_tried_again_and_lines_are_put_in_order(tmp_path: Path) -> None:
    log = EpisodeLog(tmp_path)
    for index in range(3):
        log.write(record(index, truncated=index == 1))
    resumed = EpisodeLog(tmp_path)
    assert list(resumed.records) == [0, 2]
    resumed.write(record(1))
    resumed.sort()
    lines = [json.loads(line) for line in (tmp_path / "episodes.jsonl").read_text().splitlines()]
    assert [(line["episode"], line["reward"]) for line in lines] == [(0, 1.0), (1, 1.0), (2, 1.0)]


@pytest.mark.parametrize("field", ["episode", "truncated", "actions", "rewards", "timings"])
def test_a_line_that_tells_of_no_episode_is_named(tmp_path: Path, field: str) -> None:
    lacking = {name: value for name, value in record(0).items() if name != field}
    Journal(tmp_path / "episodes.jsonl").append(lacking)
    with pytest.raises(RunFolderError, match=rf"episodes\.jsonl', line 1 cannot be read \(KeyError: '{field}'\)"):
        EpisodeLog(tmp_path)


def update(before: float, after: float, steps: int, position: int) -> Turn:
    info = {"outcome": "ok", "reason": "", "sequence": ["a", "b"], "position": position, "task_id": "ab"[position - 1]}
    scores = {"accuracy_before": before, "accuracy_after": after, "optimizer_steps": steps, "losses": [after]}
    return Turn("", "edit", 0.5, {**info, **scores, "predictions_after": [str(position)]})


def test_the_row_of_a_sequence_has_the_figures_of_all_its_updates() -> None:
    sequence = Trajectory("a", (update(0.0, 1.0, 3, 1), update(0.5, 0.5, 4, 2)), truncated=False, timings={})
    row = whole_info(sequence)
    assert task_label(sequence) == "a +1"
    assert (row["accuracy_before"], row["accuracy_after"], row["optimizer_steps"]) == (0.25, 0.75, 7)
    assert (row["losses"], row["predictions_after"]) == ([1.0, 0.5], [["1"], ["2"]])


def test_the_row_of_a_sequence_that_ends_with_a_mistake_has_the_update_before_it() -> None:
    mistake = Turn("", "no edit", 0.0, {"outcome": "not_json", "reason": "", "sequence": ["a", "b"], "position": 2})
    row = whole_info(Trajectory("a", (update(0.0, 1.0, 3, 1), mistake), truncated=False, timings={}))
    assert (row["outcome"], row["accuracy_after"], row["optimizer_steps"]) == ("not_json", 1.0, 3)
    again = Trajectory("a", (Turn("", "", 0.0, {}), Turn("", "", 0.0, row)), truncated=False, timings={})
    assert whole_info(again) is row


def test_an_episode_comes_back_from_its_line() -> None:
    lists = {"actions": ["edit"], "rewards": [None], "outcomes": ["engine_error"], "reasons": ["gone"]}
    again = trajectory_of({"task_id": "a", "truncated": True, "timings": {}, "accuracy_after": None, **lists})
    assert (again.task_id, again.truncated, again.info["reason"]) == ("a", True, "gone")
    assert math.isnan(again.reward)


def test_a_run_that_was_interrupted_goes_on_without_being_told_where(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", "--env", "SEAL-ARC-Mini-v0", "--subset", "mini-train:2", "--agent", "random", "--max-examples", "2")
    assert seal_env(*command, "--out", "whole").code == 0

    def interrupt(self: EpisodeProgress, trajectory: Trajectory) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(EpisodeProgress, "finish", interrupt)
        assert seal_env(*command).code == 130
    said = seal_env(*command)
    assert said.code == 0
    (folder,) = Path("runs").iterdir()
    assert f"resuming  {folder}" in said.err.splitlines()
    found, whole = (
        [{name: value for name, value in record.items() if name != "timings"} for record in Journal(path).read()]
        for path in (folder / "episodes.jsonl", Path("whole/episodes.jsonl"))
    )
    assert found == whole
    assert "folder    runs/" in seal_env(*command).err
    assert len(list(Path("runs").iterdir())) == 2
