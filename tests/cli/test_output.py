"""What commands print where: results on standard output, as JSON on request, and everything else on standard error."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from seal_env.cli import commands
from seal_env.cli.output import OPTIONS, logging_to
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.run import run
from seal_env.experiments.settings import RunSettings
from seal_env.report.terminal import Terminal, show_result
from tests.helpers.cli import Call

SMALL = ("--env", "SEAL-Knowledge-v0", "--agent", "none", "--subset", "synthetic-eval:2", "--max-examples", "2")
RUN, EVAL = ("run", *SMALL), ("eval", *SMALL, "--samples", "1")


def leaves(group: click.Group) -> Iterator[click.Command]:
    for each in group.commands.values():
        if isinstance(each, click.Group):
            yield from leaves(each)
        else:
            yield each


PASSAGE = {"title": "Lake", "context": "地名是山。", "questions": [{"question": "地名？", "answer": "山"}]}


@pytest.mark.parametrize("command", list(leaves(commands)), ids=lambda command: str(command.name))
def test_every_command_has_the_options_of_output(command: click.Command) -> None:
    with command.make_context(command.name, [], resilient_parsing=True) as context:
        assert set(OPTIONS) <= set(command.get_params(context))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "none"
    config = ExperimentConfig("SEAL-Knowledge-v0", {"subset": "synthetic-eval:2", "max_examples": 2}, {}, path)
    run("none", RunSettings(), config, Console(quiet=True))
    return path


DOCUMENTS: list[tuple[str, Any]] = [
    ("envs", lambda found: found[0]["id"] == "SEAL-ARC-v0"),
    ("tools", lambda found: found[-1]["function"]["name"] == "finetune"),
    ("tools --format json-schema", lambda found: list(found)[-1] == "finetune"),
    ("card", lambda found: found["card"].startswith("# seal-tiny")),
    ("tasks list --subset mini-eval:2", lambda found: found[0]["largest grid"].count("x") == 1),
    ("tasks list --domain knowledge --subset synthetic-eval:2", lambda found: found[1]["questions"] > 1),
    ("tasks show mini-eval-0-0", lambda found: {"task_id", "context", "queries"} == found.keys()),
    ("tasks validate mini-eval:2 mini-eval:1", lambda found: found["overlaps"][0]["shared"][0]["one"] == "mini-eval-0-0"),
    ("show {run}", lambda found: [each["episode"] for each in found] == [0, 1]),
    ("show {run} 1", lambda found: found["episode"] == 1),
    ("compare {run} {run}", lambda found: found["tasks"]["both"] == 2),
    ("rescore {run} --reward gain --out new.json", lambda found: found["settings"]["new"]["reward"] == "gain"),
    ("export {run} --to csv", lambda found: found["text"].startswith("run,")),
    ("export {run} --to csv --out new.csv", lambda found: found["out"] == "new.csv"),
    ("report {run}", lambda found: found["report"] == "report.html"),
]


@pytest.mark.parametrize(("command", "is_right"), DOCUMENTS, ids=[command for command, _ in DOCUMENTS])
def test_a_result_is_one_document_of_json(command: str, is_right: Any, folder: Path, seal_env: Call) -> None:
    said = seal_env(*command.format(run=folder).split(), "--json", "--quiet")
    assert said.err == ""
    assert is_right(json.loads(said.out))


def test_a_run_prints_as_json_what_show_prints_of_it(seal_env: Call) -> None:
    said = seal_env(*RUN, "--json", "--out", "run")
    assert said.code == 0
    assert json.loads(said.out) == json.loads(seal_env("show", "run", "--json").out)
    assert said.err.startswith("begin     run none")
    assert said.err.endswith("written   run\n")


def test_a_measurement_prints_fractions_as_json_and_per_cent_as_a_table(seal_env: Call) -> None:
    said = seal_env(*EVAL, "--out", "run", "--json")
    assert json.loads(said.out) == json.loads(Path("run/eval.json").read_text())
    assert json.loads(said.out)["valid"]["mean"] == 1.0
    shown = seal_env(*EVAL, "--out", "run", "--quiet")
    assert shown.err == ""
    assert "100 [100, 100]" in shown.out
    assert shown.out.splitlines()[0].split() == ["none", "mean", "over", "tasks", "[95", "%]"]


def test_an_error_is_no_document(seal_env: Call) -> None:
    said = seal_env("show", "nowhere", "--json", "--quiet")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)


def test_a_quiet_run_names_the_folder_that_nobody_has_named(seal_env: Call) -> None:
    assert seal_env(*EVAL, "--quiet", "--out", "run").err == ""
    said = seal_env(*EVAL, "--quiet", "--json")
    assert json.loads(said.out)["samples"] == 2
    assert (Path(said.err.strip()) / "eval.json").is_file()


def test_a_window_of_no_columns_hides_nothing(folder: Path, seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = seal_env("show", str(folder)).out
    monkeypatch.setenv("COLUMNS", "0")
    assert seal_env("show", str(folder)).out == shown
    assert "there is no such folder" in seal_env("show", "nowhere").err


def test_what_an_encoding_has_not_is_written_as_a_code(folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "seal_env", "tasks", "show", "lake-ea0dc92a", "--domain", "knowledge"]
    (folder / "tasks.json").write_text(json.dumps([PASSAGE]))
    said = subprocess.run([*command, "--subset", "tasks.json"], cwd=folder, env=environment, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
    assert r"\u5730\u540d" in said.stdout


def logged(quiet: bool = False) -> str:
    file = io.StringIO()
    console = Terminal(file=file, width=80, quiet=quiet)
    with warnings.catch_warnings(), logging_to(console):
        warnings.simplefilter("always")
        warnings.warn("it is [renamed]", FutureWarning, stacklevel=1)
        warnings.warn("a task is left out", UserWarning, stacklevel=1)
        logging.getLogger("seal_env.x").debug("unseen")
        logging.getLogger("seal_env").setLevel(logging.DEBUG)
        logging.getLogger("seal_env.x").debug("seen %s", "once")
        logging.getLogger("another").error("lost")
    logging.getLogger("seal_env.x").error("after the command")
    return file.getvalue()


def test_warnings_and_log_records_are_lines_while_a_command_runs() -> None:
    assert logged().splitlines() == [
        "warning   FutureWarning: it is [renamed]",
        "warning   a task is left out",
        "debug     seal_env.x: seen once",
        "error     lost",
    ]
    assert logged(quiet=True) == "error     lost\n"


def test_verbose_commands_print_what_the_library_logs(seal_env: Call) -> None:
    assert "debug     seal_env.inner_loop.cache.loop: " in seal_env(*RUN, "--verbose", "--out", "run").err
    assert "debug" not in seal_env(*RUN, "--out", "other").err


def test_a_console_of_another_package_gets_results_and_notes_alike() -> None:
    file = io.StringIO()
    show_result(Console(file=file), {"not": "shown"}, "[a] result")
    assert file.getvalue() == "[a] result\n"
