"""`seal-env reproduce continual`: its table, and that it can be resumed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seal_env.episodes.retention import RetentionMatrix
from seal_env.errors import RunFolderError, SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.reproduce.continual import reproduce_continual, summarise
from seal_env.experiments.reproduce.designs import Design
from seal_env.experiments.settings import ContinualSettings

MATRIX = RetentionMatrix(("a", "b", "c"), [(0.1, 0.0, 0.2), (0.9, 0.1, None), (0.5, 0.8, 0.2), (0.6, 0.4, 1.0)])
ARC: dict[str, Any] = {
    "domain": "arc",
    "subset": "mini-eval:4",
    "model": "seal-tiny",
    "batch_size": 2,
    "sequence": 2,
    "max_examples": 4,
}


def test_means_over_sequences_leave_out_what_is_not_known() -> None:
    record = {"sequence": MATRIX.task_ids, "retention": MATRIX.as_lists(), "merged": [True, True, False]}
    rows = [[0.0] * 3, [0.1, 0.0, None], [0.1, 0.0, 0.0], [0.0] * 3]
    other = {"sequence": ("d", "e", "f"), "retention": rows, "merged": [True] * 3}
    found = summarise([record, other])
    assert found["retention"][1] == [0.5, 0.05, None]
    assert found["new"]["mean"] == pytest.approx(((0.9 + 0.8 + 1.0) / 3 + (0.1 + 0.0 + 0.0) / 3) / 2)
    assert found["merged"]["mean"] == pytest.approx((2 / 3 + 1) / 2)
    assert summarise([]) == {"sequences": 0, "retention": []}


def test_the_order_in_which_sequences_ended_does_not_matter() -> None:
    rows = [[[0.0], [share]] for share in (0.11, 0.93, 0.42, 0.77, 0.5)]
    records = [{"number": n, "sequence": ("a",), "retention": each, "merged": [True]} for n, each in enumerate(rows)]
    assert summarise([*records[1:], records[0]]) == summarise(records)


def test_further_measures_are_means_over_the_sequences_that_have_them() -> None:
    record = {"sequence": MATRIX.task_ids, "retention": MATRIX.as_lists(), "merged": [True]}
    found = summarise([{**record, "metrics": {"new_word_f1": share}} for share in (0.25, 0.75)] + [record])
    assert found["metrics"]["new_word_f1"]["mean"] == 0.5
    assert list(found["metrics"]) == ["new_word_f1"]


def test_passages_have_word_f1_and_length_in_the_table(tmp_path: Path) -> None:
    given = {"subset": "synthetic-eval:2", "sequence": 2, "default_num_epochs": 1}
    config = ExperimentConfig("SEAL-Continual-v0", given, {}, tmp_path / "run")
    table = reproduce_continual(ContinualSettings(agents=("fixed",), sequences=1), config, Console(quiet=True))
    names = ["new_word_f1", "new_answer_words", "end_word_f1", "end_answer_words"]
    assert list(table["rows"]["fixed"]["metrics"]) == names


def test_a_table_is_resumed(tmp_path: Path) -> None:
    console = Console(quiet=True)
    config = ExperimentConfig("SEAL-Continual-v0", ARC, {}, tmp_path / "whole")
    settings = ContinualSettings(agents=("fixed", "none"), sequences=2)
    whole = reproduce_continual(settings, config, console)
    assert [row["sequences"] for row in whole["rows"].values()] == [2, 2]
    assert whole["rows"]["none"]["merged"]["mean"] == 0.0
    assert whole["rows"]["fixed"]["merged"]["mean"] == 1.0
    assert json.loads((tmp_path / "whole" / "table.json").read_text()) == whole
    assert {path.name for path in (tmp_path / "whole").glob("*.png")} == {"retention-fixed.png", "retention-none.png"}
    journal = tmp_path / "whole" / "fixed.jsonl"
    kept = journal.read_text()
    journal.write_text(kept.splitlines(keepends=True)[0] + '{"half')
    assert reproduce_continual(settings, config, console) == whole
    assert journal.read_text() == kept
    with pytest.raises(RunFolderError, match="seed"):
        reproduce_continual(settings.model_copy(update={"seed": 1}), config, console)


@pytest.mark.parametrize("sequences", [0, 3])
def test_as_many_sequences_as_there_are_tasks_for(tmp_path: Path, sequences: int) -> None:
    settings, config = (
        ContinualSettings(agents=("none",), sequences=sequences),
        ExperimentConfig("SEAL-Continual-v0", ARC, {}, tmp_path / "run"),
    )
    with pytest.raises(SettingError, match="1 to 2"):
        reproduce_continual(settings, config, Console(quiet=True))


def test_each_design_is_a_row_and_a_finished_run_can_be_extended(tmp_path: Path) -> None:
    given = {"subset": "synthetic-eval:2", "sequence": 2, "default_num_epochs": 1}
    config = ExperimentConfig("SEAL-Continual-v0", given, {}, tmp_path / "run")
    settings = ContinualSettings(agents=("fixed",), sequences=1)
    first = reproduce_continual(settings, config, Console(quiet=True))
    more = settings.model_copy(update={"designs": ("none", "rehearse:1", "gate+regularise:0.5")})
    table = reproduce_continual(more, config, Console(quiet=True))
    assert list(table["rows"]) == ["fixed", "fixed-rehearse-1", "fixed-gate-0.1+regularise-0.5"]
    assert table["rows"]["fixed"] == first["rows"]["fixed"]
    tokens = [row["costs"]["training_tokens"] for row in table["rows"].values()]
    assert tokens[0] < tokens[1]
    assert (tmp_path / "run" / "frontier.png").is_file()


TOGETHER = ("average+retrieval", "rehearse+pseudo", "rehearse:0.1+rehearse:0.5")


@pytest.mark.parametrize(
    "name", ["forget", "rehearse:2", "rehearse:half", "rehearse:nan", "none:1", "rehearse+", "regularise:-1", *TOGETHER]
)
def test_designs_that_do_not_exist_are_named_with_those_that_do(name: str) -> None:
    with pytest.raises(SettingError, match=f"designs='{re.escape(name)}'"):
        Design.of(name)


def test_a_design_without_a_number_has_the_default() -> None:
    assert Design.of("rehearse") == Design.of("rehearse:0.25")
    assert Design.of("rehearse:0.50+orthogonal").name == "rehearse:0.5+orthogonal"
