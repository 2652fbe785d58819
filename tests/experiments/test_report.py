"""Runs as an HTML page: what it shows, that nothing in it is run, and that it is refreshed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seal_env.errors import RunFolderError, SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.evaluate import evaluate
from seal_env.experiments.report import report, watch
from seal_env.experiments.report_cards import _spaced
from seal_env.experiments.run import run
from seal_env.experiments.settings import EvalSettings, RunSettings
from tests.helpers.cli import Call

QUIET = Console(quiet=True)
HOSTILE = "</style></pre><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202e{{ 7*7 }}"


class Read(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Mapping[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[Mapping[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Runs on passages, one of them for more epochs; on grids; on a sequence; an evaluation."""
    parent = tmp_path_factory.mktemp("runs")
    passages = {"subset": "synthetic-eval:2"}
    runs: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
        "short": ("fixed", "SEAL-Knowledge-v0", {**passages, "default_num_epochs": 1}),
        "long": ("fixed", "SEAL-Knowledge-v0", {**passages, "default_num_epochs": 4}),
        "grids": ("random", "SEAL-ARC-Mini-v0", {"subset": "mini-train:1", "max_examples": 4}),
        "sequence": ("fixed", "SEAL-Continual-v0", {**passages, "sequence": 2}),
    }
    for name, (agent, env, settings) in runs.items():
        run(agent, RunSettings(), ExperimentConfig(env, settings, {}, parent / name), QUIET)
    once = ExperimentConfig("SEAL-Knowledge-v0", {"subset": "synthetic-eval:1"}, {}, parent / "eval")
    evaluate("fixed", EvalSettings(samples=2), once, QUIET)
    return {path.name: path for path in parent.iterdir()}


@pytest.fixture
def page(folders: Mapping[str, Path], tmp_path: Path) -> Callable[..., Read]:
    """(names or folders, cards) -> the page of these runs."""

    def made(*runs: str | Path, cards: int = 200) -> Read:
        report([folders[each] if isinstance(each, str) else each for each in runs], tmp_path / "page.html", cards)
        return Read((tmp_path / "page.html").read_text(encoding="utf-8"))

    return made


def edited(folder: Path, to: Path, edit: Callable[[dict[str, Any]], object], copies: int = 1) -> Path:
    """A copy of a run with its first episode as edited, so many times."""
    shutil.copytree(folder, to)
    record = json.loads((folder / "episodes.jsonl").read_text(encoding="utf-8").splitlines()[0])
    edit(record)
    lines = (json.dumps(record | {"episode": number}) for number in range(copies))
    (to / "episodes.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return to


def test_run_has_results_with_intervals_a_curve_and_a_card_for_each_episode(page: Callable[..., Read]) -> None:
    read = page("long")
    for heading in ("Summary", "Learning curve", "Accuracy before and after, by task", "Cost", "Episodes"):
        assert heading in read.text
    assert len([each for each in read.all("details") if "card" in (each.get("class") or "")]) == 2
    assert re.search(r"\d+ \[\d+, \d+\]", read.text)
    assert "questionanswer beforeanswer aftergold" in read.text


def test_grids_are_drawn_once_and_answers_are_marked(page: Callable[..., Read]) -> None:
    read = page("grids")
    drawn = [each["id"] for each in read.all("g") if each.get("id")]
    used = [(each["href"] or "")[1:] for each in read.all("use")]
    assert len(drawn) == len(set(drawn)) < len(used)
    assert set(used) == set(drawn)
    assert "\u2717 wrong" in read.text or "\u2713 right" in read.text
    assert "augment: use_basic_augmentations" in read.text


def test_sequence_has_a_retention_matrix(page: Callable[..., Read]) -> None:
    read = page("sequence")
    assert "mean of 1 sequence" in read.text
    assert "after 2" in read.text


def test_evaluation_tells_how_much_self_edits_differ(page: Callable[..., Read]) -> None:
    assert "A150501 of 2" in page("eval").text.partition("Diversity of self-edits")[2]


def test_several_runs_have_differences_paired_by_task(page: Callable[..., Read]) -> None:
    text = page("short", "long").text
    assert "default_num_epochs" in text.partition("Summary")[0]
    assert re.search(r"B - A\s*2\s*same", text.partition("Differences")[2])


def as_command(evaluation: Path, folder: Path, command: str, more: str = "") -> Path:
    """A folder with settings.toml of another command than `eval`, in which journals can be put."""
    settings = (evaluation / "settings.toml").read_text(encoding="utf-8")
    folder.mkdir(parents=True)
    changed = settings.replace('command = "eval"', f'command = "{command}"{more}')
    (folder / "settings.toml").write_text(changed, encoding="utf-8")
    return folder


def test_trained_policy_has_a_curve_by_round_and_the_reward_in_training(
    folders: Mapping[str, Path], page: Callable[..., Read], tmp_path: Path
) -> None:
    trained = as_command(folders["eval"], tmp_path / "trained", "train rest-em", '\nheld_out = "synthetic-eval:1"')
    rounds = ("round-0/held-out.jsonl", "round-1/samples.jsonl", "round-1/held-out.jsonl", "round-2/samples.jsonl")
    for name in rounds:
        (trained / name).parent.mkdir(exist_ok=True)
        shutil.copy(folders["eval"] / "samples.jsonl", trained / name)
    (trained / "training.json").write_text(json.dumps([{"step": 1, "reward": 0.5}, {"step": 2, "loss": 0.1}]))
    text = page(trained).text
    assert "Accuracy on held-out tasks" in text
    assert "Running mean of accuracy" not in text
    assert "Mean reward in training" in text
    assert "round-1 self-edit 2, synthetic-eval-0-0" in text
    assert "8 self-edits" in text.partition("Cost")[2]
    assert "distinct self-edits for the same task" in text
    assert "answer after" not in page("eval", cards=0).text


def test_reproduction_has_its_table_and_its_parts(
    folders: Mapping[str, Path], page: Callable[..., Read], tmp_path: Path
) -> None:
    table = as_command(folders["eval"], tmp_path / "table", "reproduce")
    for seed in ("seed-0", "seed-1"):
        shutil.copytree(folders["eval"], table / seed / "none")
    as_command(folders["eval"], table / "seed-0" / "begun", "eval")
    interval = {"mean": 0.5, "low": 0.25, "high": 0.75}
    rows = {"none": {"label": "no update", "accuracy": interval, "above_untrained": None, "by_seed": [0.5]}}
    (table / "table.json").write_text(json.dumps({"rows": rows}))
    text = page(table).text
    assert re.search(r"accuracy\s*no update50 \[25, 75\]", text.partition("Result of table")[2])
    assert "seed-1/none - seed-0/none" in text.partition("Differences")[2]
    assert "seed-0/begun" not in text


@pytest.mark.parametrize(
    "edit",
    [
        {"examples": "many"},
        {"losses": 3},
        {"predictions_after": 3},
        {"correct_after": {"a": 1}},
        {"task_id": 7},
        {"accuracy_before": [1]},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_records_of_another_form_are_named(folders: Mapping[str, Path], tmp_path: Path, edit: dict[str, Any]) -> None:
    odd = edited(folders["long"], tmp_path / "odd", lambda record: record.update(edit))
    with pytest.raises(RunFolderError, match="odd"):
        report([odd], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_texts_of_runs_are_shown_and_never_read_as_html(folders: Mapping[str, Path], page: Callable[..., Read]) -> None:
    def hostile(record: dict[str, Any]) -> None:
        call = {"name": "self_qa", "arguments": {"pairs": [{"question": HOSTILE, "answer": HOSTILE}]}}
        record |= {"actions": [json.dumps([call, {"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}])]}
        record |= {"reasons": [HOSTILE], "grader": HOSTILE, "retention": [[HOSTILE]]}
        record["predictions_after"][0] = [HOSTILE]

    bad = edited(folders["long"], folders["long"].parent / "hostile", hostile)
    settings = (bad / "settings.toml").read_text(encoding="utf-8")
    (bad / "settings.toml").write_text(settings.replace('"fixed"', json.dumps(HOSTILE)), encoding="utf-8")
    read = page(bad, "short")
    assert not read.all("script")
    assert not read.all("img")
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert read.text.count("<script>alert(1)</script>") >= 8
    assert "\x1b" not in read.text
    assert "\u202e" not in read.text
    assert "\\x1b[31m\\u202e{{ 7*7 }}" in read.text


def test_nothing_is_loaded_from_anywhere(page: Callable[..., Read]) -> None:
    read = page("long", "grids")
    policy = next(each["content"] for each in read.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert (policy or "").startswith("default-src 'none'")
    links = [value for _, attributes in read.elements for name, value in attributes.items() if name in ("src", "href")]
    assert all((link or "").startswith("#g") for link in links)


def test_whole_cards_are_limited_and_other_episodes_are_a_line_each(
    folders: Mapping[str, Path], page: Callable[..., Read]
) -> None:
    many = edited(folders["grids"], folders["grids"].parent / "many", lambda record: None, copies=300)
    read = page(many, cards=10)
    assert "300 episodes; 10 of them, evenly spaced, open to their task" in " ".join(read.text.split())
    assert len([each for each in read.all("details") if "card" in (each.get("class") or "")]) == 10
    assert len([each for each in read.all("div") if (each.get("class") or "").startswith("card ")]) == 290


@pytest.mark.parametrize(("most", "everything"), [(10, 120), (7, 9), (5, 5), (3, 0), (0, 3), (40, 12_000)])
def test_chosen_episodes_are_spread_over_the_run_and_over_tasks_in_turns(most: int, everything: int) -> None:
    chosen = _spaced(range(everything), most)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(most, everything)
    assert chosen[:1] == [0][: len(chosen)]
    assert len({each % 12 for each in chosen}) >= min(len(chosen), 5)
    assert all(later - each <= 2 * everything / len(chosen) for each, later in pairwise(chosen))


def test_answers_to_a_task_that_is_gone_are_shown_from_the_record(
    folders: Mapping[str, Path], page: Callable[..., Read]
) -> None:
    gone = edited(folders["long"], folders["long"].parent / "gone", lambda record: record.update(task_id="gone"))
    answers = json.loads((gone / "episodes.jsonl").read_text(encoding="utf-8"))["predictions_after"]
    assert answers[0][0] in page(gone).text


def test_only_a_report_is_written_anew(folders: Mapping[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    report([folders["grids"]], out)
    report([folders["grids"]], out)
    out.write_text("something else", encoding="utf-8")
    with pytest.raises(SettingError, match="a new file, or a report to write anew"):
        report([folders["grids"]], out)
    with pytest.raises(SettingError, match="each folder once"):
        report([folders["grids"], folders["grids"]], tmp_path / "other.html")
    with pytest.raises(RunFolderError):
        report([tmp_path], tmp_path / "other.html")


def test_page_is_written_again_until_the_run_has_ended(folders: Mapping[str, Path], tmp_path: Path) -> None:
    going, out = shutil.copytree(folders["long"], tmp_path / "going"), tmp_path / "page.html"
    (going / "finished").unlink()
    lines = (going / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (going / "episodes.jsonl").unlink()
    settings = (going / "settings.toml").rename(tmp_path / "settings.toml")
    (going / ".lock").touch()
    said, refreshes = [], []

    def tell(text: str) -> None:
        said.append(text)
        if settings.exists():
            settings.rename(going / "settings.toml")
            (going / "cache.json").write_text("{}")
            return
        if out.exists():
            refreshes.append(Read(out.read_text(encoding="utf-8")))
        if lines:
            with (going / "episodes.jsonl").open("ab") as file:
                file.write(lines.pop(0))
        else:
            (going / "finished").touch()
            (going / "cache.json").write_text("{}")

    watch([going], out, 10, tell, seconds=0.01)
    assert said[:2] == ["waiting for the first episode"] * 2
    assert ["1 episode." in each.text for each in refreshes] == [True, False, False]
    reloads = [any(each.get("http-equiv") == "refresh" for each in read.all("meta")) for read in refreshes]
    assert reloads == [True, True, False]


def test_what_moves_while_a_run_is_watched_is_left_out(folders: Mapping[str, Path], tmp_path: Path) -> None:
    ended = shutil.copytree(folders["short"], tmp_path / "ended")
    (ended / "moved.json").symlink_to(tmp_path / "away.json")
    said: list[str] = []
    watch([ended], tmp_path / "page.html", 10, said.append, seconds=0.01)
    assert len(said) == 1


def test_report_from_the_command_line(seal_env: Call, folders: Mapping[str, Path], tmp_path: Path) -> None:
    said = seal_env("report", str(folders["short"]), str(folders["long"]), "--cards", "1")
    assert (said.code, said.out) == (0, "written   report.html\n")
    assert said.err == "begin     report of 2 runs, to report.html\n"
    assert "4 episodes; 1 of them" in (tmp_path / "report.html").read_text(encoding="utf-8")
