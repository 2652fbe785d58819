"""`seal-env serve` as a process, OpenEnv's own checks of it, and TRL's GRPO against it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openenv", reason="openenv is not installed: make .venv-openenv/.installed")

from seal_env.agents.lm.chat import as_action
from seal_env.envs.env import SealEnv

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = {"domain": "arc", "subset": "mini-train:4", "max_examples": 4, "max_steps": 4, "max_turns": 1}
OPTIONS = [part for name, value in SETTINGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
PAGE = (ROOT / "docs" / "tutorials" / "openenv.md").read_text(encoding="utf-8")
PROGRAM = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]


@contextmanager
def server(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of `seal-env serve`, and its process, which a signal ends."""
    command = [sys.executable, "-m", "seal_env", "serve", *OPTIONS, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 120)[0]
            line = process.stdout.readline()
            found = re.search(r"serving +(http://\S+) \(SEAL-ARC-v0, 4 tasks, up to 64 sessions\)", line)
            assert found, (line, process.stderr and process.stderr.read())
            yield found[1], process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with server("--window", "1") as (address, _):
        yield address


def openenv(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from openenv.cli.__main__ import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)


def test_openenv_validates_the_package_and_the_server(served: str) -> None:
    for arguments in (("examples/openenv", "--level", "static", "--skip-build"), (served,)):
        done = openenv("validate", *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not re.search(r'"passed": false|"fail"', done.stdout)


def test_a_client_imports_no_torch() -> None:
    code = "import sys, seal_env.adapters.openenv.client; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "False\n", done.stderr


def test_the_app_of_the_package_is_a_server_of_its_own() -> None:
    code = "from server.app import app, settings; print(settings.sessions, sorted(route.path for route in app.routes))"
    known = {"SEAL_ENV_SETTINGS": json.dumps(SETTINGS), "SEAL_ENV_SERVER": '{"sessions": 5}'}
    folder = ROOT / "examples" / "openenv"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder, env=os.environ | known
    )
    assert done.stdout.startswith("5 "), done.stderr
    assert {"/health", "/ws", "/reset"} <= set(re.findall(r"'(/\w+)'", done.stdout))


def test_a_taken_port_and_an_unknown_host_are_errors_before_a_model_is_loaded(served: str) -> None:
    for options, says in (
        (["--port", served.rpartition(":")[2]], "one that is free at 127.0.0.1"),
        (["--host", "no.such.host.invalid"], "an address of this machine"),
    ):
        command = [sys.executable, "-m", "seal_env", "serve", *OPTIONS, "--model", "no/such/model", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def test_a_server_for_the_network_says_that_it_has_no_authentication_and_a_signal_ends_it() -> None:
    with server("--host", "0.0.0.0", "--quiet") as (_, process):  # noqa: S104
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, "no authentication" in said) == (143, True), said


@pytest.mark.slow
def test_the_documented_grpo_program_runs_and_its_rewards_are_those_of_gymnasium(served: str, tmp_path: Path) -> None:
    program = PROGRAM.replace("http://127.0.0.1:8000", served).replace("runs/openenv", str(tmp_path))
    program = program.replace("max_steps=5", "max_steps=2, use_cpu=True").replace("range(10)", "range(2)")
    program = program.replace("return await asyncio", "return noted(completions, seed, await asyncio")
    program = program.replace("map(play, completions, seed))", "map(play, completions, seed)))")
    note = "\n".join(
        [
            "import json",
            "def noted(completions, seeds, rewards):",
            "    for each in zip(completions, seeds, rewards): print('PLAYED', json.dumps(each))",
            "    return rewards",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{note}\n{program}"], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    played = [json.loads(found) for found in re.findall(r"PLAYED (.+)", done.stdout)]
    assert len(played) == 8
    local = SealEnv(**SETTINGS)
    for completion, seed, reward in played:
        local.reset(seed=seed)
        assert local.step(as_action(completion[0]["content"]))[1] == reward
