"""The commands of the tutorial on verifiers, as processes of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("verifiers.v1", reason="verifiers is not installed: make .venv-verifiers/.installed")

from tests.helpers.servers import OpenAIServer, chat, self_edit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "verifiers.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(block.replace("\\\n", " "))
    for block in re.findall(r"^```bash\n(vf-.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
]
MODULES = {"vf-eval": "verifiers.v1.cli.eval.main", "vf-replay": "verifiers.v1.cli.replay"}
FEW = {"subset": "mini-train:2", "max_examples": 4, "max_steps": 4, "cache": "off"}


def run(command: list[str], folder: Path, address: str) -> None:
    """As written, but short, and with a server of our own."""
    code = f"from {MODULES[command[0]]} import main; main()"
    replaced = [part.replace("http://127.0.0.1:8011/v1", address) for part in command[1:]]
    arguments = [json.dumps(json.loads(part) | FEW) if part.startswith("{") else part for part in replaced]
    path = os.pathsep.join([str(ROOT / "examples" / "verifiers"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr + done.stdout


def scores(folder: Path) -> list[tuple[str, list[float]]]:
    traces = [json.loads(line)["traces"][0] for line in (folder / "traces.jsonl").read_text(encoding="utf-8").splitlines()]
    return sorted((trace["id"], [each["score"] for each in trace["rewards"].values()]) for trace in traces)


@pytest.mark.slow
def test_the_documented_commands_run_and_give_equal_rewards(tmp_path: Path) -> None:
    server = OpenAIServer()
    server.serve("chat/completions", lambda body: chat(content=json.dumps(self_edit(len(server.seen)))))
    with server.running():
        for command in COMMANDS:
            run(command, tmp_path, server.base_url)
    assert len(server.seen) == 8
    assert scores(tmp_path / "outputs" / "mini-again") == scores(tmp_path / "outputs" / "mini")
    assert all(len(score) == 1 for _, score in scores(tmp_path / "outputs" / "mini"))
