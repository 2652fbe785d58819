"""The retention matrix, what it says, and how it is drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seal_env.episodes.retention import RetentionMatrix
from seal_env.errors import MissingExtraError, RunFolderError, SettingError
from seal_env.experiments.reproduce.continual import ContinualRun, reproduce_continual, summarise
from seal_env.report.retention_plot import draw_retention, retention_figure

MATRIX = RetentionMatrix(("a", "b", "c"), [(0.1, 0.0, 0.2), (0.9, 0.1, None), (0.5, 0.8, 0.2), (0.6, 0.4, 1.0)])


def test_the_mean_over_what_was_seen() -> None:
    assert [MATRIX.seen(k) for k in (1, 2, 3)] == pytest.approx([0.9, 0.65, 2 / 3])
    assert MATRIX.seen() == MATRIX.seen(3)
    assert RetentionMatrix(("a",), [(0.4,)]).seen() == 0.0


def test_forgetting_is_from_the_best_and_backward_transfer_from_the_first_score() -> None:
    assert MATRIX.forgetting() == pytest.approx((0.9 - 0.6 + 0.8 - 0.4) / 2)
    assert MATRIX.backward_transfer() == pytest.approx((0.6 - 0.9 + 0.4 - 0.8) / 2)
    risen = RetentionMatrix(("a", "b", "c"), [(0.0, 0.0, 0.0), (0.2, 0.0, None), (0.9, 0.5, 0.0), (0.4, 0.5, 1.0)])
    assert risen.forgetting() == pytest.approx((0.9 - 0.4 + 0.0) / 2)
    assert risen.backward_transfer() == pytest.approx((0.4 - 0.2 + 0.0) / 2)


@pytest.mark.parametrize("rows", [[(0.1, 0.2)], [(0.1, 0.2), (0.3, 0.2)]])
def test_nothing_is_forgotten_before_the_second_update(rows: list[tuple[float, ...]]) -> None:
    matrix = RetentionMatrix(("a", "b"), list(rows))
    assert matrix.forgetting() == matrix.backward_transfer() == 0.0


def test_a_last_row_can_be_replaced() -> None:
    matrix = RetentionMatrix(("a", "b"), [(0.0, 0.0), (1.0, 0.0)])
    matrix.replace_last((0.5, None))
    assert matrix.as_lists() == [[0.0, 0.0], [0.5, None]]


def test_means_over_sequences_leave_out_what_is_not_known() -> None:
    record = {"sequence": MATRIX.task_ids, "retention": MATRIX.as_lists(), "merged": [True, True, False]}
    rows = [[0.0] * 3, [0.1, 0.0, None], [0.1, 0.0, 0.0], [0.0] * 3]
    other = {"sequence": ("d", "e", "f"), "retention": rows, "merged": [True] * 3}
    found = summarise([record, other])
    assert found["retention"][1] == [0.5, 0.05, None]
    assert found["new"]["mean"] == pytest.approx(((0.9 + 0.8 + 1.0) / 3 + (0.1 + 0.0 + 0.0) / 3) / 2)
    assert found["merged"]["mean"] == pytest.approx((2 / 3 + 1) / 2)
    assert summarise([]) == {"sequences": 0, "retention": []}


def test_the_picture_is_darker_where_more_is_retained(tmp_path: Path) -> None:
    (axes,) = retention_figure([[0.0, 1.0, None]], "fixed").axes
    (image,) = axes.images
    light, dark, unknown = (sum(colour[:3]) for colour in image.to_rgba(image.get_array())[0])
    assert dark < unknown < light
    assert [text.get_text() for text in axes.texts] == ["0", "100"]


def test_a_missing_matplotlib_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"seal-env\[plots\]"):
        draw_retention([[0.0]], "fixed", tmp_path / "matrix.png")


ARC: dict[str, Any] = {
    "domain": "arc",
    "subset": "mini-eval:4",
    "model": "seal-tiny",
    "batch_size": 2,
    "sequence": 2,
    "max_examples": 4,
}


def test_a_table_goes_on_where_it_was_left(tmp_path: Path) -> None:
    console = Console(quiet=True)
    run = ContinualRun(ARC, ("fixed", "none"), 2, 0, tmp_path / "whole")
    whole = reproduce_continual(run, console)
    assert [row["sequences"] for row in whole["rows"].values()] == [2, 2]
    assert whole["rows"]["none"]["merged"]["mean"] == 0.0
    assert whole["rows"]["fixed"]["merged"]["mean"] == 1.0
    assert json.loads((tmp_path / "whole" / "table.json").read_text()) == whole
    assert {path.name for path in (tmp_path / "whole").glob("*.png")} == {"retention-fixed.png", "retention-none.png"}
    journal = tmp_path / "whole" / "fixed.jsonl"
    kept = journal.read_text()
    journal.write_text(kept.splitlines(keepends=True)[0] + '{"half')
    assert reproduce_continual(run, console) == whole
    assert journal.read_text() == kept
    with pytest.raises(RunFolderError, match="seed"):
        reproduce_continual(ContinualRun(ARC, ("fixed", "none"), 2, 1, tmp_path / "whole"), console)


@pytest.mark.parametrize("sequences", [0, 3])
def test_as_many_sequences_as_there_are_tasks_for(tmp_path: Path, sequences: int) -> None:
    with pytest.raises(SettingError, match="1 to 2"):
        reproduce_continual(ContinualRun(ARC, ("none",), sequences, 0, tmp_path / "run"), Console(quiet=True))
