"""What a shell completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cli import Call

LINES = [
    ("ev", ["eval"]),
    ("train ", ["grpo", "rest-em"]),
    ("eval --ag", ["--agent"]),
    ("eval --agent se", ["search"]),
    ("eval --agent nobody", []),
    ("nothing", []),
    ("run --env SEAL-Co", ["SEAL-Continual-v0"]),
    ("eval --env SEAL-ARC-v0 --subset seal-", ["seal-train", "seal-eval"]),
    ("tasks list --domain knowledge --subset synthetic-t", ["synthetic-train"]),
    ("eval --domain knowledge --tools rewrite,im", ["rewrite,implications"]),
    ("play --against random,rand", []),
    ("play --against random,ran", []),
    ("play --against ran", ["random"]),
    ("tasks show 5582", ["5582e5ca"]),
    ("play --env SEAL-ARC-Mini-v0 --subset mini-eval:2 --task mini-eval-0-", ["mini-eval-0-0", "mini-eval-0-1"]),
    ("reproduce arc --preset mi", ["mini"]),
    ("reproduce arc --rows sea", ["search"]),
    ("reproduce continual --designs none,retr", ["none,retrieval"]),
    ("eval --suite v1 --parts arc,kn", ["arc,knowledge"]),
    ("eval --agent local_hf --policy-m", ["--policy-model"]),
    ("eval --agent openai_compatible --forms te", ["text"]),
    ("eval --agent local_hf --mix facts,re", ["facts,rewrite", "facts,relations"]),
    ("eval --reward g", ["gain"]),
    ("eval --model seal-tiny-", ["seal-tiny-text", "seal-tiny-text-wide"]),
    ("show ru", ["runs/new", "runs/old"]),
    ("compare runs/old runs/n", ["runs/new"]),
]


@pytest.fixture
def complete(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """(line) -> what completion prints for bash, in a folder with two runs."""
    for number, name in enumerate(("old", "new")):
        folder = Path("runs", name)
        folder.mkdir(parents=True)
        (folder / "settings.toml").touch()
        os.utime(folder / "settings.toml", (number, number))
    monkeypatch.setenv("_SEAL_ENV_COMPLETE", "bash_complete")
    return seal_env


@pytest.mark.parametrize(("line", "offered"), LINES)
def test_names_are_offered(line: str, offered: list[str], complete: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", f"seal-env {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" "))))
    said = complete()
    assert (said.code, said.err) == (0, "")
    assert [each for each in said.out.splitlines() if each] == [f"plain,{each}" for each in offered]


@pytest.mark.parametrize(("line", "kind"), [("run --out ", "dir"), ("play --self-edit ed", "file"), ("show other/", "dir")])
def test_paths_are_left_to_the_shell(line: str, kind: str, complete: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", f"seal-env {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" "))))
    assert complete().out.startswith(f"{kind},")


@pytest.mark.parametrize(("shell", "code"), [("bash", 0), ("zsh", 0), ("fish", 0), ("tcsh", 1)])
def test_a_shell_gets_its_script(shell: str, code: int, seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SEAL_ENV_COMPLETE", f"{shell}_source")
    said = seal_env()
    assert (said.code, "seal-env" in said.out) == (code, code == 0)


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_real_bash_completes_and_imports_no_torch(tmp_path: Path) -> None:
    program = tmp_path / "seal-env"
    code = "import sys, seal_env.__main__ as m; code = m.run(); sys.exit(code or 'torch' in sys.modules)"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}"\n')
    program.chmod(0o755)
    script = """
        source <(_SEAL_ENV_COMPLETE=bash_source seal-env)
        COMP_WORDS=(seal-env eval --agent op) COMP_CWORD=3
        $(complete -p seal-env | grep -o '_seal_env_completion') seal-env
        echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert (said.stdout, said.stderr) == ("openai_compatible\n", "")


@pytest.mark.parametrize("variables", [{}, {"COMP_WORDS": "seal-env ev", "COMP_CWORD": "one"}])
def test_what_no_shell_asks_for_is_one_line(
    variables: dict[str, str], seal_env: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_SEAL_ENV_COMPLETE": "bash_complete", **variables}.items():
        monkeypatch.setenv(name, value)
    said = seal_env()
    assert (said.code, said.out) == (2, "")
    assert "COMP_WORDS and COMP_CWORD" in said.err
