"""README and docs keep their promises: programs run, tables are complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from seal_env.settings import Settings
from seal_env.types import Outcome
from tests.helpers.servers import PolicyServer

ROOT = Path(__file__).parents[2]
TEXTS = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
OWN = {f"docs/tutorials/own-{name}.md" for name in ("agent", "domain", "grader", "tasks", "tool")}
ELSEWHERE = {"docs/openenv.md", "docs/tutorials/openenv.md", "docs/run-folder.md", *OWN}
"""Their programs are run in tests/adapters, with the packages that they need, in tests/experiments or test_tutorials.py."""
PROGRAMS = {
    f"{page}-{number}": block
    for page, text in TEXTS.items()
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    if page not in ELSEWHERE and re.search(r"^(from \S+ import|import gymnasium)", block, re.MULTILINE) and "print(" in block
}
QUICK = {"README.md-0"}
BY_ID = {"domain", "subset", "sequence"}
FEW = {
    ", max_examples=8": "",
    '-v0"': '-v0", max_examples=4, max_steps=6',
    "max_turns=1))": "max_turns=1, max_examples=4))",
    "num_envs=32": "num_envs=8",
    "(0, 256)": "(0, 16)",
    "max_steps=10": "max_steps=1, use_cpu=True",
    "http://127.0.0.1:8011/v1": "ADDRESS",
    "mini-train:40": "mini-train:2",
    '"runs/grpo"': '"FOLDER"',
    "sequence=4": "sequence=2",
    'save("learned")': 'save("FOLDER/learned")',
}
"""Few and short updates, a server of our own, and nothing written into the repository."""


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - {"options"}))
def test_every_setting_is_in_the_table_with_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    written = ",".join(default) if isinstance(default, tuple) else default
    row = next(line for line in TEXTS["docs/settings.md"].splitlines() if line.startswith(f"| `{name}` |"))
    shown = row.split("|")[2].strip()
    assert shown in {f"`{written}`", "by id", "the model's own", "the domain's"}
    assert (shown == "by id") == (name in BY_ID)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_in_the_table(outcome: Outcome) -> None:
    assert f"`{outcome}`" in TEXTS["docs/actions.md"]


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].split()) <= 700


@pytest.mark.parametrize(
    "program",
    [pytest.param(PROGRAMS[name], id=name, marks=() if name in QUICK else pytest.mark.slow) for name in PROGRAMS],
)
def test_programs_run(program: str, policy_server: PolicyServer, tmp_path: Path) -> None:
    """As written, but short."""
    for written, short in FEW.items():
        program = program.replace(written, short)
    program = program.replace("ADDRESS", policy_server.base_url).replace("FOLDER", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d\.\d", done.stdout)


def test_quick_programs_and_all_that_shortens_them_are_in_the_docs() -> None:
    assert set(PROGRAMS) >= QUICK
    assert all(any(written in program for program in PROGRAMS.values()) for written in FEW)
