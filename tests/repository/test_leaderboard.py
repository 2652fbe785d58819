"""The leaderboard is what its files say, and each of them is an entry."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from scripts.make_leaderboard import DOCS, ENTRIES, entries, page
from seal_env.experiments.suite.entry import schema

FILES = sorted(ENTRIES.glob("*.json"))


def test_the_page_is_what_the_script_writes() -> None:
    assert (DOCS / "leaderboard.md").read_text(encoding="utf-8") == page(entries())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_entry_fits_the_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(schema()).validate(json.loads(path.read_text(encoding="utf-8")))


def test_no_two_entries_have_the_same_name() -> None:
    names = [(each.suite, each.label, tuple(row.model for row in each.parts.values())) for each in entries().values()]
    assert len(set(names)) == len(names)
