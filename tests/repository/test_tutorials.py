"""Tutorials keep their promises: programs print what the page shows, and the notebook's outputs are its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "tutorials"
NOTEBOOKS = [page.name for page in sorted(FOLDER.glob("*.ipynb"))]
SHOWN = re.compile(r"^```(python|bash)\n([^`]*)```\n\n```text\n(.*?)```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {"openenv.md", "rllib.md", "ray.md", "sb3.md", "trl.md", "verifiers.md", "vllm.md"}
"""Their programs are run, shortened, by test_readme.py, or by the tests of what they need."""
PROGRAMS = {
    f"{page.stem}-{number}": found
    for page in sorted(FOLDER.glob("*.md"))
    if page.name not in ELSEWHERE
    for number, found in enumerate(SHOWN.findall(page.read_text(encoding="utf-8")))
}
ALL = """
import runpy, sys
for path in sys.argv[1:]:
    print("PROGRAM", path, flush=True)
    runpy.run_path(path, run_name="__main__")
"""
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")


def same(said: str, shown: str) -> bool:
    """Whether a text has the same words, and numbers that another processor's rounding can explain."""
    numbers = [float(number) for number in NUMBER.findall(said)]
    expected = [float(number) for number in NUMBER.findall(shown)]
    return NUMBER.sub("#", said) == NUMBER.sub("#", shown) and numbers == pytest.approx(expected, rel=0.15, abs=0.15)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each program prints; one process runs them all, because importing torch takes longer than most of them."""
    folder = tmp_path_factory.mktemp("tutorials")
    paths: dict[str, str] = {}
    for name, (language, code, _) in PROGRAMS.items():
        paths[name] = str(folder / f"{name}.py") if language == "python" else str(ROOT / shlex.split(code)[1])
        if language == "python":
            Path(paths[name]).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", ALL, *paths.values()],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^PROGRAM (.*)\n((?:(?!PROGRAM ).*\n)*)", done.stdout, re.MULTILINE))
    return {name: said[path] for name, path in paths.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_what_its_page_shows(name: str, outputs: dict[str, str]) -> None:
    shown = PROGRAMS[name][2]
    assert same(outputs[name], shown), f"{outputs[name]}\nis not\n{shown}"


def test_every_page_shows_what_its_program_prints() -> None:
    pages = {page.name: page.read_text(encoding="utf-8") for page in FOLDER.glob("*.md") if page.name != "index.md"}
    assert [name for name, text in pages.items() if not SHOWN.search(text)] == []


def printed(notebook: dict[str, Any]) -> list[str]:
    """The text of each cell's outputs; of pictures, that there is one."""
    said = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            said.append("picture" if "image/png" in data else "".join(output.get("text", data.get("text/plain", ""))))
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_gives_the_outputs_that_it_has(name: str, tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    command = [sys.executable, "-m", "jupyter", "execute", str(FOLDER / name), f"--output={tmp_path / name}"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    said, shown = (printed(json.loads((folder / name).read_text(encoding="utf-8"))) for folder in (tmp_path, FOLDER))
    assert len(said) == len(shown)
    assert [pair for pair in zip(said, shown, strict=True) if not same(*pair)] == []
