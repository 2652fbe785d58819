"""Markdown pages: links lead somewhere, code has a language, and no name of a removed thing is left."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("", "recipes", "seal_env/models")
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))])
LANGUAGES = {"bash", "bibtex", "json", "mermaid", "python", "text", "toml"}
HISTORY = {"CHANGELOG.md", "decisions"}
GONE = re.compile(r"\binvented-|\bembedded\b|\busual_|seal_env/embedded|(?<!tests/)benchmarks/\w+\.py|`template`|world\.")


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def sections(page: Path) -> set[str]:
    """Headings as anchors."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_to_files_and_sections_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        file, _, section = link.partition("#")
        if not link.startswith("http"):
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not section or section in sections(target), link


def test_code_is_fenced_and_names_its_language(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^```(.*)$", text, re.MULTILINE)
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}
    assert re.findall(r"^\n    \S.*$", without_code(text), re.MULTILINE) == []


def test_nothing_that_is_gone_is_named(page: Path) -> None:
    if not HISTORY & {page.name, page.parent.name}:
        assert GONE.findall(page.read_text(encoding="utf-8")) == []


def test_every_page_is_in_the_navigation_and_in_llms_txt() -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    before, nav = config.split("\nnav:")
    listed = re.findall(r"[\w*./-]+\.md", before.partition("sections:")[2].partition("\n\n")[0])
    found = [page for suffix in ("md", "ipynb") for page in (ROOT / "docs").rglob(f"*.{suffix}")]
    pages = [page.relative_to(ROOT / "docs").with_suffix(".md").as_posix() for page in found]
    assert [page for page in pages if not re.search(rf"[ :]{re.escape(page)}$", nav, re.MULTILINE)] == []
    assert [page for page in pages if not any(fnmatch(page, pattern) for pattern in listed)] == []
