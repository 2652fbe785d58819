"""`make lint` sees what it is there for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.check_sources import findings, main

ROOT = Path(__file__).parents[2]
LONG = "def f():\n" + "    x = 1\n" * 60


@pytest.mark.parametrize(
    ("path", "text", "wrong"),
    [
        ("tools/a.py", "\n" * 401, "401 lines; at most 400"),
        ("tools/a.py", LONG, "f has 61 lines; at most 60"),
        ("tools/random.py", "", "a module of the standard library is called random too"),
        ("tools/a.py", "f(trust_remote_code=x)", "trust_remote_code may only be False"),
        ("tools/a.py", "AutoConfig.from_pretrained(x)", "AutoConfig.from_pretrained asks whether to run a model's code"),
        ("tools/a.py", "AutoModel.from_config(x, y=1)", "AutoModel.from_config asks whether to run a model's code"),
        ("tools/a.py", "__import__(name)", "__import__ could run code from a file or from a model's answer"),
        ("tests/test_a.py", "@pytest.mark.skip\ndef test(): ...", "pytest.mark.skip switches a test off; "),
        ("tools/a.py", "# TODO" + "-ROOM", "placeholder '# TODO" + "-ROOM'"),
    ],
)
def test_sources_that_break_a_rule_are_found(path: str, text: str, wrong: str) -> None:
    assert [found.startswith(wrong) for _, found in findings(path, text)] == [True]


def test_sources_at_the_limits_are_fine() -> None:
    assert (
        list(findings("seal_env/types.py", LONG.removesuffix("    x = 1\n") + "\n" * 339 + "f(trust_remote_code=False)"))
        == []
    )


def test_what_is_found_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tests/repository"]) == 0
    assert "sources keep to the rules" in capsys.readouterr().out


@pytest.mark.integration
@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("eval(text)", "S307"),
        ("exec(text)", "S102"),
        ("import pickle", "TID251"),
        ("from dill import loads", "TID251"),
        ("import torch\n\ntorch.load(path)", "TID251"),
        ("import tools", "TID251"),
    ],
)
def test_ruff_refuses_code_that_runs_what_it_reads(code: str, rule: str) -> None:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--quiet",
        "--output-format",
        "concise",
        "--stdin-filename",
        "tools/a.py",
        "-",
    ]
    shown = subprocess.run(command, input=f"{code}\n", capture_output=True, text=True, check=False, cwd=ROOT)
    assert f" {rule} " in shown.stdout
