"""The pages of the environments are those that scripts/make_env_pages.py writes."""

from __future__ import annotations

import pytest

from scripts.make_env_pages import DOCS, PICTURES, pages

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_script_writes(name: str) -> None:
    assert (DOCS / "environments" / name).read_text(encoding="utf-8") == PAGES[name]


def test_every_picture_is_there() -> None:
    assert all((DOCS / "images" / f"{name}.gif").stat().st_size > 10_000 for name in PICTURES.values())
