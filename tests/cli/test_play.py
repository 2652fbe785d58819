"""`seal-env play`: a self-edit on standard input trains for real, and agents compete with it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from seal_env.cli.play import _Asked
from seal_env.experiments.play import Game
from seal_env.inner_loop.watch import TrainingStep
from seal_env.report.terminal import Terminal
from seal_env.report.training_view import TrainingView
from tests.helpers.cli import Call, Said

MINI = ("play", "--env", "SEAL-ARC-Mini-v0", "--max-examples", "4")
SELF_EDIT = json.dumps(
    [
        {
            "name": "augment",
            "arguments": {f"use_{k}_augmentations": k == "basic" for k in ("basic", "size", "chain", "repeat")},
        },
        {"name": "finetune", "arguments": {}},
    ]
)


def played(seal_env: Call, monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> Said:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return seal_env(*MINI, *options)


@pytest.mark.integration
def test_a_game_shows_the_task_the_losses_the_answers_and_the_scores(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = played(seal_env, monkeypatch, SELF_EDIT, "--task", "mini-train-0-0", "--out", "game", "--seed", "3")
    assert said.code == 0
    assert "mini-train-0-0: accuracy" in said.err
    assert " in 4 steps  " in said.err
    assert "prediction after" in said.err
    rows = [line.split()[0] for line in said.out.splitlines()[-4:]]
    assert rows == ["no", "you", "random", "search"]
    for player in ("person", "random", "search"):
        (record,) = [json.loads(line) for line in Path("game", player, "episodes.jsonl").read_text().splitlines()]
        assert (record["task_id"], record["seed"], record["agent"]) == ("mini-train-0-0", 3, player)
        assert seal_env("show", f"game/{player}").code == 0
    played(
        seal_env, monkeypatch, SELF_EDIT, "--task", "mini-train-0-0", "--out", "game", "--seed", "3", "--against", "random"
    )
    assert len(Path("game", "person", "episodes.jsonl").read_text().splitlines()) == 2


def test_the_losses_of_many_steps_fit_the_terminal() -> None:
    written = io.StringIO()
    with TrainingView(Terminal(width=80, file=written)) as view:
        for number in range(200):
            view.note(TrainingStep(number + 1, 200, 200.0 - number))
    (line,) = written.getvalue().splitlines()
    assert line.startswith("loss      200.000 -> 1.000 in 200 steps  \u2588")
    assert len(line) == 80


@pytest.mark.integration
def test_an_agent_that_does_not_work_in_a_domain_says_why(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("One text."))
    said = seal_env("play", "--env", "SEAL-Knowledge-v0", "--max-examples", "2", "--against", "search")
    assert said.code == 0
    assert "it needs tools whose arguments are numbers" in " ".join(said.out.split())


BAD = [
    ("", (), "there is no terminal to ask in"),
    ("[", (), "self_edit='['"),
    (SELF_EDIT, ("--task", "mini-train-0-x"), "'mini-train-0-x'"),
    (SELF_EDIT, ("--against", "rndom"), "agent='rndom'"),
    (SELF_EDIT, ("--against", "person"), "against='person'"),
    ("", ("--self-edit", "missing.json"), "self_edit='missing.json'"),
]


@pytest.mark.parametrize(("text", "options", "message"), BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch, text: str, options: tuple[str, ...], message: str
) -> None:
    said = played(seal_env, monkeypatch, text, "--quiet", "--out", "game", *options)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert message in said.err
    assert not Path("game").exists()


@pytest.mark.parametrize(("stop", "code"), [(EOFError, 0), (KeyboardInterrupt, 130)])
def test_who_leaves_at_once_leaves_no_trace(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException], code: int
) -> None:
    def leave(_: Any, game: Game) -> str:
        raise stop

    monkeypatch.setattr(_Asked, "write", leave)
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    said = seal_env(*MINI, "--out", "game")
    assert said.code == code
    assert not Path("game").exists()
