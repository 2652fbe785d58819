"""What run folders hold: shown, compared and exported."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seal_env.errors import RunFolderError, SettingError
from seal_env.experiments.compare import compare
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.evaluate import evaluate
from seal_env.experiments.export import FORMATS, export
from seal_env.experiments.results import read_results
from seal_env.experiments.run import run
from seal_env.experiments.settings import EvalSettings, RunSettings
from seal_env.experiments.stored_episodes import journal_files
from seal_env.report.episode_view import curve
from tests.helpers.cli import Call

QUIET = Console(quiet=True)
WIDTH = 80


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Runs on passages, one of them for more epochs and one on fewer tasks; a run on grids; an evaluation."""
    parent = tmp_path_factory.mktemp("runs")
    for name, subset, epochs in (
        ("short", "synthetic-eval:2", 1),
        ("long", "synthetic-eval:2", 4),
        ("one", "synthetic-eval:1", 4),
    ):
        settings = {"subset": subset, "default_num_epochs": epochs}
        run("fixed", RunSettings(), ExperimentConfig("SEAL-Knowledge-v0", settings, {}, parent / name), QUIET)
    grids = ExperimentConfig("SEAL-ARC-Mini-v0", {"subset": "mini-train:1", "max_examples": 4}, {}, parent / "grids")
    run("random", RunSettings(), grids, QUIET)
    short = ExperimentConfig(
        "SEAL-Knowledge-v0", {"subset": "synthetic-eval:1", "default_num_epochs": 1}, {}, parent / "eval"
    )
    evaluate("fixed", EvalSettings(samples=2), short, QUIET)
    return {path.name: path for path in parent.iterdir()}


@pytest.fixture
def seal_env(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """In a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    return seal_env


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "episodes.jsonl").read_text(encoding="utf-8").splitlines()]


def mean(folder: Path, name: str, count: int = 2) -> float:
    return float(sum(record[name] for record in records(folder)[:count])) / count


def test_differences_are_paired_by_task(folders: Mapping[str, Path]) -> None:
    found = compare(folders["short"], folders["long"])
    assert found["settings"] == {"default_num_epochs": [1, 4]}
    assert (found["tasks"], found["same_seeds"]) == ({"both": 2, "first": 0, "second": 0}, True)
    accuracy = found["measures"]["accuracy"]
    means = [mean(folders[name], "accuracy_after") for name in ("short", "long")]
    assert [accuracy["first"]["mean"], accuracy["second"]["mean"]] == pytest.approx(means)
    assert accuracy["difference"]["mean"] == pytest.approx(means[1] - means[0])
    assert accuracy["difference"]["low"] <= accuracy["difference"]["mean"] <= accuracy["difference"]["high"]
    assert found["measures"]["word_f1"]["second"]["mean"] == pytest.approx(mean(folders["long"], "word_f1_after"))
    assert found["measures"]["steps"]["difference"]["mean"] == 3.0


def test_difference_is_over_the_tasks_of_both(folders: Mapping[str, Path]) -> None:
    found = compare(folders["short"], folders["one"])
    assert found["tasks"] == {"both": 1, "first": 1, "second": 0}
    rose = mean(folders["one"], "reward", 1) - mean(folders["short"], "reward", 1)
    assert found["measures"]["reward"]["difference"]["mean"] == pytest.approx(rose)
    apart = compare(folders["short"], folders["grids"])["measures"]
    assert apart["accuracy"]["difference"] is apart["word_f1"]["second"] is None


def test_a_run_and_an_evaluation_have_other_seeds(folders: Mapping[str, Path]) -> None:
    found = compare(folders["short"], folders["eval"])
    assert not found["same_seeds"]
    assert [each["samples"] for each in found["runs"]] == [2, 2]
    assert found["settings"]["command"] == ["run", "eval"]
    assert "environment" not in found["settings"]
    assert "environment" in compare(folders["short"], folders["grids"])["settings"]


def test_trained_policy_is_measured_last(tmp_path: Path) -> None:
    for name in ("round-10/held-out.jsonl", "round-2/samples.jsonl", "round-2/held-out.jsonl", "round-0/held-out.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ordered = ["round-0/held-out.jsonl", "round-2/samples.jsonl", "round-2/held-out.jsonl", "round-10/held-out.jsonl"]
    assert list(journal_files(tmp_path, "train rest-em")) == ordered


def test_comparison_fits_a_terminal(seal_env: Call, folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders["short"].parent)
    said = seal_env("compare", "short", "long")
    assert said.code == 0
    assert "default_num_epochs  1 -> 4" in said.out
    assert max(map(len, said.out.splitlines())) <= WIDTH
    assert json.loads(seal_env("compare", "short", "long", "--json").out)["tasks"]["both"] == 2


def test_run_is_shown_with_its_episodes_and_means(
    seal_env: Call, folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders["short"].parent)
    said = seal_env("show", "long")
    assert "long: command run, environment SEAL-Knowledge-v0, agent fixed, seed 0" in said.out
    assert f"{100 * mean(folders['long'], 'accuracy_after'):.1f} % after the update (mean of 2)" in said.out
    assert max(map(len, said.out.splitlines())) <= WIDTH
    assert json.loads(seal_env("show", "long", "--json").out) == records(folders["long"])
    evaluated = seal_env("show", "eval")
    assert [line.split() for line in evaluated.out.splitlines()][-2:] == [
        ["self-edits", "2"],
        ["infrastructure", "failures", "0"],
    ]
    assert max(map(len, evaluated.out.splitlines())) <= WIDTH
    assert json.loads(seal_env("show", "eval", "--json").out)["samples"] == 2


def test_episode_is_shown_with_what_was_asked_and_answered(seal_env: Call, folders: Mapping[str, Path]) -> None:
    said, record = seal_env("show", str(folders["long"]), "1"), records(folders["long"])[1]
    assert said.out.startswith(f"episode   1: {record['task_id']}\noutcome   ok\n")
    right = sum(record["correct_before"]), sum(record["correct_after"])
    assert f"queries   {right[0]} of {len(record['gold'])} right before the update, {right[1]} after it" in said.out
    verdict = "right" if record["correct_after"][0] else "wrong"
    assert f"answer after, {verdict}: {record['predictions_after'][0][0]}\ngold: {record['gold'][0]}\n" in said.out
    assert record["actions"][0] in said.out
    assert max(map(len, said.out.splitlines())) <= WIDTH
    grids = seal_env("show", str(folders["grids"]), "0")
    assert "prediction after, " in grids.out
    assert json.loads(seal_env("show", str(folders["grids"]), "0", "--json").out) == records(folders["grids"])[0]


def test_episode_whose_task_is_gone_is_shown_without_it(seal_env: Call, folders: Mapping[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["long"], tmp_path / "copy")
    settings = (tmp_path / "copy" / "settings.toml").read_text(encoding="utf-8")
    (tmp_path / "copy" / "settings.toml").write_text(settings.replace("synthetic-eval:2", "gone.json"), encoding="utf-8")
    said = seal_env("show", "copy", "0")
    assert (said.code, "accuracy" in said.out, "question" in said.out) == (0, True, False)


def test_export_has_a_row_for_each_self_edit(folders: Mapping[str, Path], tmp_path: Path) -> None:
    import datasets
    import pandas

    chosen = [folders["long"], folders["eval"], folders["grids"]]
    rows = list(csv.DictReader(export(chosen, "csv").splitlines()))
    assert [row["journal"] for row in rows] == ["episodes.jsonl"] * 2 + ["samples.jsonl"] * 2 + ["episodes.jsonl"]
    assert [float(row["reward"]) for row in rows[:2]] == [record["reward"] for record in records(folders["long"])]
    assert [json.loads(row["predictions_after"]) for row in rows[:2]] == [
        record["predictions_after"] for record in records(folders["long"])
    ]
    assert rows[4]["word_f1"] == ""
    export(chosen, "parquet", tmp_path / "table.parquet")
    export(chosen, "dataset", tmp_path / "table")
    parquet, loaded = pandas.read_parquet(tmp_path / "table.parquet"), datasets.load_from_disk(str(tmp_path / "table"))
    assert list(parquet.columns) == loaded.column_names == list(rows[0])
    assert list(parquet["task_id"]) == loaded["task_id"][:] == [row["task_id"] for row in rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table", "table.parquet"]


def test_latex_has_a_row_for_each_run(folders: Mapping[str, Path]) -> None:
    text = export([folders["short"], folders["long"]], "latex")
    assert r"\toprule" in text
    assert text.count(r"\\") == 3
    assert "accuracy before (\\%) & accuracy (\\%) &" in text
    accuracy = compare(folders["short"], folders["long"])["measures"]["accuracy"]["second"]
    assert f"{100 * accuracy['mean']:.0f} [{100 * accuracy['low']:.0f}, {100 * accuracy['high']:.0f}]" in text


def test_exported_files_are_new_ones(seal_env: Call, folders: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    for to in FORMATS:
        with pytest.raises(SettingError, match="does not exist yet"):
            export([folders["short"]], to, tmp_path / "there")
    for to in ("parquet", "dataset"):
        with pytest.raises(SettingError, match="out=None is not legal; expected the name of a new"):
            export([folders["short"]], to)
    assert seal_env("export", str(folders["short"]), "--to", "csv").out.startswith("run,agent,journal,task_id,")
    assert seal_env("export", str(folders["short"]), "--to", "csv", "--out", "new.csv").out == ""
    assert Path("new.csv").read_text(encoding="utf-8").count("\n") == 3


BROKEN: Mapping[str, Callable[[Path], object]] = {
    "nothing": lambda folder: (folder / "episodes.jsonl").unlink(),
    "no settings": lambda folder: (folder / "settings.toml").unlink(),
    "settings of something else": lambda folder: (folder / "settings.toml").write_text("[tool]\n", encoding="utf-8"),
    "a line of something else": lambda folder: (folder / "episodes.jsonl").write_text("[1]\n", encoding="utf-8"),
    "a line that is no JSON": lambda folder: (folder / "episodes.jsonl").write_text("{\n", encoding="utf-8"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_folder_that_cannot_be_read_is_named(seal_env: Call, folders: Mapping[str, Path], tmp_path: Path, case: str) -> None:
    shutil.copytree(folders["short"], tmp_path / "copy")
    BROKEN[case](tmp_path / "copy")
    with pytest.raises(RunFolderError, match="copy"):
        read_results(tmp_path / "copy")
    for command in (("show", "copy"), ("compare", "copy", str(folders["long"])), ("rescore", "copy")):
        said = seal_env(*command)
        assert (said.code, "copy" in said.err) == (2, True), said


def test_curve_of_many_values_is_of_means() -> None:
    assert curve([1.0, 0.5, 0.0]) == "█▅▁"
    assert curve([2.0]) == curve([2.0, 2.0])[:1] == "▁"
    assert len(curve([float(each) for each in range(1000)])) == 60


@pytest.mark.parametrize("command", [("show",), ("export", "--to", "csv"), ("rescore",), ("compare", ".")])
def test_a_folder_that_is_no_run_is_called_that(seal_env: Call, command: tuple[str, ...]) -> None:
    Path("notes").mkdir()
    for name, why in (("nope", "there is no such folder"), ("notes", "it has no settings.toml")):
        expected = why if "." not in command else "it has no settings.toml"
        said = seal_env(*command, name, "--quiet")
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert f"is no run folder: {expected}" in said.err


def test_the_runs_in_a_folder_that_is_none_are_named(seal_env: Call) -> None:
    for number in range(22):
        Path(f"runs/run {number:02}").mkdir(parents=True)
        Path(f"runs/run {number:02}/settings.toml").touch()
    said = seal_env("report", "runs", "--quiet")
    assert said.code == 2
    assert "it has no settings.toml. Run folders in it: 'runs/run 00' 'runs/run 01' " in said.err
    assert said.err.endswith("'runs/run 19' and 2 more\n")
