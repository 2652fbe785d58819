"""The README keeps its promises."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from seal_env.settings import Settings
from seal_env.types import Outcome

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = [
    block.replace("\n    ", "\n").removeprefix("    ")
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", README, re.MULTILINE)
    if "import gymnasium" in block
]


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_in_the_table_with_its_default(field: object) -> None:
    name, default = field.name, field.default  # type: ignore[attr-defined]
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    shown = row.split("|")[2].strip()
    assert shown in {f"`{default}`", "by id", "the model's own"}
    assert (shown == "by id") == (name == "subset")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_in_the_table(outcome: Outcome) -> None:
    assert f"`{outcome}`" in README


def test_linked_files_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert all((ROOT / link).exists() for link in links)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_run(program: str) -> None:
    """As written, but with few and short updates."""
    short = program.replace('-v0"', '-v0", max_examples=4, max_steps=6')
    done = subprocess.run([sys.executable, "-c", short], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d\.\d", done.stdout)


def test_there_are_programs_to_run() -> None:
    assert len(PROGRAMS) == 2
