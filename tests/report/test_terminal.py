"""What files, agents and servers write reaches a terminal as text, never as commands to it."""

from __future__ import annotations

import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from seal_env.agents.base import Trajectory, Turn
from seal_env.envs.frames import frame
from seal_env.envs.render import panels_ansi
from seal_env.errors import GraderError, ModelError, PolicyError, SealError, SettingError, TaskError, UnknownTaskError
from seal_env.panels import Panel
from seal_env.printable import printable
from seal_env.report.episode_tables import episode_table
from seal_env.report.terminal import Terminal
from seal_env.tasks.bad_tasks import read_all
from tests.helpers.cli import Call

HOSTILE = [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\\\link",
    "\x1b]52;c;AAAA\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "back\b\b\b",
    "line\rover",
    "nul\x00",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "half \ud83d",
    "\x7f",
    "\x0c\x0b",
]
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
OWN = re.compile("\x1b\\[[0-9;]*m")
"""Colours, which are all that rich writes here."""


@pytest.fixture
def seal_env(capsys: pytest.CaptureFixture[str]) -> Call:
    return Call(capsys)


def terminal(**settings: Any) -> tuple[Terminal, io.StringIO]:
    file = io.StringIO()
    return Terminal(file=file, force_terminal=True, width=200, legacy_windows=False, **settings), file


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_others_are_shown_and_not_obeyed(text: str) -> None:
    console, file = terminal()
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    table.add_row(Text(text, style="bold red"))
    console.print(text, Text(text), table, style="green")
    assert not CONTROLS.search(OWN.sub("", file.getvalue()))
    file.getvalue().encode()


def test_text_is_the_same_where_there_is_nothing_to_hide() -> None:
    for text in ("plain", "two\nlines\tand a tab", "文字 😀 ä", "[bold]x[/bold]", "a\\\\b", "‏עברית", "\u200d"):
        assert printable(text) == text


def test_code_is_written_as_python_writes_it() -> None:
    assert printable("a\x1b[0m\r\u202e\ud800\n") == r"a\x1b[0m\r\u202e\ud800" + "\n"


@pytest.mark.parametrize("text", ["x[/b].json", "[red]x", "[link=http://x]y[/link]", "[/]"])
def test_markup_is_text_everywhere(text: str) -> None:
    console, file = terminal(color_system=None)
    table = Table(text)
    table.add_row(text)
    console.print(text, table)
    with console.status(text) as status:
        status.update(Text(text))
    assert file.getvalue().count(text) >= 3
    assert "http://x\x1b" not in file.getvalue()


def test_controls_of_rich_itself_still_work() -> None:
    console, file = terminal()
    with Progress(console=console) as progress:
        progress.add_task("work", total=1, completed=1)
    assert "\x1b[?25l" in file.getvalue()


ERRORS: list[SealError] = [
    TaskError("a\x1bb"),
    UnknownTaskError("a\x1bb"),
    ModelError("a\x1bb"),
    PolicyError("a\x1bb"),
    GraderError("a\x1bb"),
    SettingError("field", "\x1b", "a\x1bb"),
    SettingError("a\x1bb"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_message_of_every_error_can_be_shown(error: SealError) -> None:
    assert str(error).isprintable()
    assert r"a\x1bb" in str(error)


def test_warnings_can_be_shown() -> None:
    def bad() -> str:
        raise TaskError("\x1b[31m")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_all([bad, lambda: "fine"], "\x1b[2J", "skip")
    assert [CONTROLS.search(str(each.message)) for each in caught] == [None]


def test_pictures_of_an_environment_hold_no_codes_of_others() -> None:
    rows = [[Panel("\x1b[5mcaption", "\x1b]0;x\x07text\x00")]]
    assert not CONTROLS.search(OWN.sub("", panels_ansi(rows)))
    assert frame([[Panel("caption", "half \ud800 and \x1b")]]).ndim == 3


def test_table_of_episodes_holds_no_codes_of_others() -> None:
    info: dict[str, Any] = {"outcome": "ok", "self_edit": [{"name": "\x1b[31m", "arguments": {"\x1b[5m": True}}]}
    turn = Turn("", "\x1b[2J", 0.0, info)
    console, file = terminal()
    console.print(episode_table([Trajectory("\x1b]0;x\x07", (turn,), False, {})], console))
    assert not CONTROLS.search(OWN.sub("", file.getvalue()))


def test_command_line_shows_a_hostile_task_as_text(tmp_path: Path, seal_env: Call) -> None:
    row = {
        "title": "\x1b[31mKiel",
        "context": "\x1b]0;owned\x07 is a port",
        "questions": [{"question": "\x9b?", "answer": "\x1bc"}],
    }
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    said = seal_env("tasks", "list", "--domain", "knowledge", "--subset", str(tmp_path / "rows.json"))
    task_id = next(word for word in said.out.split() if word.startswith("31mkiel"))
    shown = seal_env("tasks", "show", task_id, "--domain", "knowledge", "--subset", str(tmp_path / "rows.json"))
    assert "owned" in shown.out
    assert not CONTROLS.search(said.out + said.err + shown.out + shown.err)


def test_command_line_shows_a_hostile_path_as_text(tmp_path: Path, seal_env: Call) -> None:
    (tmp_path / "\x1b[31m[b].json").write_text("{")
    said = seal_env("tasks", "validate", "--subset", str(tmp_path))
    assert said.code == 2
    assert r"\x1b[31m[b].json: not JSON" in said.err
