"""The command line, called as `seal-env` calls it."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from safetensors import safe_open

from seal_env.__main__ import run
from seal_env.cli import main
from seal_env.envs.env import SealEnv
from seal_env.episodes.episode import Episode
from seal_env.errors import ModelError
from seal_env.models.catalog import CARDS, MODEL_DIRECTORY
from seal_env.report.episode_progress import EpisodeProgress
from seal_env.starting import interrupted_in_a_line
from seal_env.types import Outcome
from tests.helpers.cli import Call

CALL = "import sys; from seal_env.cli import main; raise SystemExit(main(sys.argv[1:]))"
MINI = ("run", "--env", "SEAL-ARC-Mini-v0", "--max-examples", "6")


def episodes(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "episodes.jsonl").read_text(encoding="utf-8").splitlines()]


def test_same_seed_gives_the_same_episodes_but_for_timings(seal_env: Call) -> None:
    for out in ("one", "two"):
        assert seal_env(*MINI, "--subset", "mini-train:2", "--seed", "3", "--out", out).code == 0
    one, two = episodes("one"), episodes("two")
    assert all(record.pop("timings") for record in one + two)
    assert len(one) == 2
    assert one == two
    assert one[0]["optimizer_steps"] > 0
    assert one[0]["self_edit"] != one[1]["self_edit"]


def test_run_reports_each_episode_and_a_summary(seal_env: Call) -> None:
    said = seal_env(*MINI, "--subset", "mini-train:2", "--agent", "none")
    assert said.code == 0
    begin, plan, folder, model, *_ = said.err.splitlines()
    assert begin == "begin     run none on mini-train:2; model seal-tiny, device auto; results in runs/"
    assert plan == "plan      2 episodes; estimating the time"
    assert folder.startswith("folder    runs/2")
    assert model.startswith("model     seal-tiny on cpu, ")
    assert "[2/2] mini-train-0-1  accuracy" in said.err
    assert "rose      none" in said.out
    folder = said.err.splitlines()[-1].split()[-1]
    assert [record["task_id"] for record in episodes(folder)] == ["mini-train-0-0", "mini-train-0-1"]


def test_default_run_folders_of_the_same_second_are_two(seal_env: Call) -> None:
    for _ in range(2):
        assert seal_env(*MINI, "--subset", "mini-train:1", "--agent", "none").code == 0
    assert len(list(Path("runs").iterdir())) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_self_edit_of_the_fixed_agent_may_be_a_file(seal_env: Call, encoding: str) -> None:
    calls = [
        {"name": "augment", "arguments": {f"use_{k}_augmentations": False for k in ("basic", "size", "chain", "repeat")}}
    ]
    Path("edit.json").write_text(json.dumps([*calls, {"name": "finetune", "arguments": {}}]), encoding=encoding)
    said = seal_env(*MINI, "--episodes", "1", "--agent", "fixed", "--self-edit", "edit.json", "--out", "out")
    assert said.code == 0
    assert episodes("out")[0]["actions"] == [Path("edit.json").read_text(encoding=encoding)]


@pytest.mark.parametrize(
    ("stop", "code", "printed"),
    [(KeyboardInterrupt(), 130, "interrupted"), (ModelError("model='x' is too small"), 2, "model='x' is too small")],
    ids=["interrupt", "error"],
)
def test_stopped_run_keeps_and_reports_what_was_finished(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch, stop: BaseException, code: int, printed: str
) -> None:
    step, taken = SealEnv.step, []

    def stop_at_the_third(self: SealEnv, action: Any) -> Any:
        taken.append(action)
        if len(taken) == 3:
            raise stop
        return step(self, action)

    monkeypatch.setattr(SealEnv, "step", stop_at_the_third)
    said = seal_env(*MINI, "--agent", "none", "--out", "out")
    resume = f"to resume: seal-env {' '.join(MINI)} --agent none --out out"
    assert (said.code, said.out) == (code, "")
    assert said.err.endswith(f"seal-env: {printed}\nseal-env: {resume}\n")
    assert [record["episode"] for record in episodes("out")] == [0, 1]
    assert "[  2/100] mini-train-0-1" in said.err
    assert "(mean of 2)" in said.err


def test_lines_are_on_the_disk_as_soon_as_an_episode_ends(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    monkeypatch.setattr(EpisodeProgress, "finish", lambda *_: lengths.append(len(episodes("out"))))
    seal_env(*MINI, "--subset", "mini-train:3", "--agent", "none", "--out", "out")
    assert lengths == [1, 2, 3]


def test_run_of_infrastructure_failures_only_exits_1(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Episode, "finish", lambda self, *_: self._end(Outcome.OUT_OF_MEMORY, "no memory", float("nan")))
    learned: list[object] = []
    monkeypatch.setattr("seal_env.agents.base.Agent.learn", lambda _, trajectories: learned.append(trajectories))
    said = seal_env(*MINI, "--episodes", "1", "--out", "out")
    assert said.code == 1
    assert "out_of_memory: no memory" in said.err
    assert "excluded from all means" in said.out
    assert (episodes("out")[0]["reward"], episodes("out")[0]["truncated"]) == (None, True)
    assert learned == []


BAD_INPUT = [
    (("--subset", "seal-trian"), "'seal-trian'"),
    (("--subset", "00000000"), "'00000000'"),
    (("--grader", "judge"), "it is an option of the domain 'knowledge'"),
    (("--evaluation", "vot"), "'greedy', 'vote'"),
    (("--domain", "chess"), "domain='chess'"),
    (("--rew", "gain"), "--rew"),
    (("--agent", "rndom"), "agent='rndom'"),
    (("--episodes", "0"), "episodes=0"),
    (("--episodes", "two"), "--episodes"),
    (("--seed", "-1"), "seed=-1"),
    (("--out", "."), "out='.'"),
    (("--out", "a-file/run"), "out='a-file/run'"),
    (("--reward", "acuracy"), "reward='acuracy'"),
    (("--rewrd", "accuracy"), "--reward"),
    (("--max-turns", "0"), "max_turns=0"),
    (("--device", "mps:9:9"), "device='mps:9:9'"),
    (("--inner-loop", "none"), "inner_loop='none'"),
    (("--model", "./no-such-model"), "model='./no-such-model'"),
    (("--agent", "fixed", "--self-edit", "missing.json"), "self_edit='missing.json'"),
    (("--agent", "fixed", "--self-edit", "[1]"), "self_edit='[1]'"),
    (("--agent", "none", "--self-edit", "[]"), "it is an option of the agent 'fixed'"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD_INPUT, ids=[" ".join(arguments) for arguments, _ in BAD_INPUT])
def test_bad_input_exits_2_with_one_line_that_names_it(seal_env: Call, arguments: tuple[str, ...], named: str) -> None:
    Path("a-file").touch()
    said = seal_env(*MINI, "--episodes", "1", "--quiet", *arguments)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert said.err.startswith("seal-env: ")
    assert named in said.err
    assert "was raised" not in said.err
    assert [path.name for path in Path().iterdir()] == ["a-file"]


def test_cuda_is_refused_where_there_is_none(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = seal_env(*MINI, "--quiet", "--device", "cuda")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "device='cuda'" in said.err


def test_folder_of_something_else_is_left_as_it_is(seal_env: Call) -> None:
    Path("out").mkdir()
    Path("out", "notes.txt").touch()
    said = seal_env(*MINI, "--out", "out")
    assert said.code == 2
    assert "out='out' exists already" in said.err
    assert [path.name for path in Path("out").iterdir()] == ["notes.txt"]


def test_command_is_needed(seal_env: Call) -> None:
    for group in ((), ("train",)):
        said, helped = seal_env(*group), seal_env(*group, "--help")
        assert (said.code, said.out, said.err) == (2, "", helped.out)


def test_colours_can_be_switched_off(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in seal_env("tasks", "show", "5582e5ca").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "[48;" not in seal_env("tasks", "show", "5582e5ca").out


def test_card_in_a_pipe_is_the_file_byte_for_byte() -> None:
    said = subprocess.run([sys.executable, "-c", CALL, "card"], capture_output=True, check=True)
    assert said.stdout == CARDS["seal-tiny"].read_bytes()


def test_card_in_a_pipe_keeps_signs_and_line_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    card = tmp_path / "card.md"
    card.write_bytes("# 5 ± 1\r\n\n`a`  \nno line end".encode())
    monkeypatch.setattr("seal_env.cli.show.CARDS", {"seal-tiny": card})
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["card"]) == 0
    assert capsysbinary.readouterr().out == card.read_bytes()


@pytest.mark.parametrize(("columns", "most"), [(60, 60), (200, 100)])
def test_card_on_a_terminal_is_rendered_in_a_readable_width(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch, columns: int, most: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = Text.from_ansi(seal_env("card").out).plain.splitlines()
    assert lines[0].strip() == "seal-tiny"
    assert most - 10 < max(map(len, lines)) <= most
    assert not [line for line in lines if line.startswith(("#", "|"))]


def test_card_names_the_number_of_parameters(seal_env: Call) -> None:
    with safe_open(MODEL_DIRECTORY / "model.safetensors", framework="numpy") as weights:
        count = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    named = re.search(r"([\d.]+) M parameters", seal_env("card").out)
    assert named
    assert float(named[1]) == pytest.approx(count / 1e6, abs=0.05)


@pytest.mark.parametrize("arguments", [("tools", "--format", "openai"), ("card",)], ids=" ".join)
def test_closed_pipe_is_no_error(arguments: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "PYTHONUNBUFFERED"}}
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    process.stdout.close()
    assert (process.communicate()[1], process.returncode) == (b"", 0)


@pytest.mark.parametrize("arguments", [("tasks", "list"), ("card",)], ids=" ".join)
def test_commands_without_a_model_load_no_torch(arguments: tuple[str, ...]) -> None:
    command = "import sys; from seal_env.cli import main; main(sys.argv[1:]); raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, check=False).returncode == 0


def test_the_package_runs_as_a_module() -> None:
    shown = subprocess.run([sys.executable, "-m", "seal_env", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"seal-env \d+\.\d+\.\d+\n", shown.stdout)


def test_process_without_standard_streams_opens_them() -> None:
    """A file that took their numbers would get what is printed."""
    code = "import os, sys; from seal_env.__main__ import _open_streams as o; o(); print(1); os.fstat(2)"
    code += "; sys.exit(7 + len(sys.stdin.read()))"
    ended = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code], check=False)
    assert ended.returncode == 7


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_waiting_threads_leave_the_processors_to_others(
    given: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["seal-env", "--version"])
    with suppress(SystemExit):
        run()
    assert os.environ.get("GOMP_SPINCOUNT") == spins


@pytest.mark.parametrize(("program", "ends"), [("/usr/bin/seal-env", SystemExit), ("train.py", KeyboardInterrupt)])
def test_interrupt_while_the_package_is_imported_ends_the_command_alone(
    program: str, ends: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    with pytest.raises(ends), interrupted_in_a_line():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ("seal-env: interrupted\n" if ends is SystemExit else "")


def test_interrupt_while_it_starts_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seal_env.cli.main", interrupted)
    assert run() == 130
    assert capsys.readouterr().err == "seal-env: interrupted\n"


class Full(io.StringIO):
    """A stream on a disk that is full."""

    error = OSError(errno.ENOSPC, "full")

    def write(self, _: str) -> int:
        raise self.error


class Closed(Full):
    """A pipe that nobody reads."""

    error = BrokenPipeError(errno.EPIPE, "closed")


def test_complaint_that_cannot_be_printed_leaves_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Full())
    assert main(["--no-such-option"]) == 2


def test_pipe_that_is_closed_ends_a_command_and_not_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Closed())
    assert main(["tasks", "list"]) == 0
