"""docs/task-sets.md is what scripts/make_task_gallery.py writes."""

from __future__ import annotations

import pytest

from scripts.make_task_gallery import ALIAS, BUNDLED, DOCS, PICTURES, part
from seal_env.domains.registry import domains
from seal_env.errors import MissingExtraError, TaskError

PAGE = (DOCS / "task-sets.md").read_text(encoding="utf-8")


SLOW = {"arc", "reasoning"}
"""They load thousands of tasks, and reasoning-gym."""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in BUNDLED])
def written(request: pytest.FixtureRequest) -> str:
    """A domain's part of the page, if the packages with its tasks are installed."""
    try:
        return part(domains()[request.param])
    except (MissingExtraError, TaskError) as error:
        pytest.skip(str(error))


def test_the_page_is_what_the_script_writes(written: str) -> None:
    assert written in PAGE


def test_every_task_set_says_where_it_comes_from_and_grids_have_a_picture() -> None:
    for name in BUNDLED:
        for subset, entry in domains()[name].tasksets.items():
            assert f"| {subset}" in PAGE or f"[{subset}](#{subset})" in PAGE
            assert entry.origin is not None
            if name == "arc" and not entry.description.startswith(ALIAS):
                assert (PICTURES / f"{subset}.png").stat().st_size > 2_000
