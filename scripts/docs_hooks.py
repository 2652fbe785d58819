"""Hooks of mkdocs: the README is the home page, notebooks are pages, links out of docs/ lead to the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT: Final = Path(__file__).parents[1]
LINK: Final = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the README the home page, and a page with pictures of each notebook."""
    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text(encoding="utf-8")))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(notebook)
        stem = notebook.src_uri.removesuffix(".ipynb")
        text, resources = MarkdownExporter().from_filename(notebook.abs_src_path, {"unique_key": Path(stem).name})
        files.append(File.generated(config, f"{stem}.md", content=text))
        for name, picture in resources["outputs"].items():
            files.append(File.generated(config, f"{Path(stem).parent.as_posix()}/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links that are right in the repository to what is right on the site."""
    home = page.file.src_uri == "index.md"
    folder = ROOT if home else (ROOT / "docs" / page.file.src_uri).parent

    def rewritten(match: re.Match[str]) -> str:
        link, _, section = match[1].partition("#")
        target, anchor = (folder / link).resolve(), f"#{section}" if section else ""
        if not target.is_relative_to(ROOT / "docs") or target.is_dir():
            kind = "tree" if target.is_dir() else "blob"
            return f"]({config.repo_url}/{kind}/main/{target.relative_to(ROOT).as_posix()}{anchor})"
        on_site = target.relative_to(ROOT / "docs").as_posix() if home else link
        return f"]({on_site.replace('.ipynb', '.md')}{anchor})"

    return LINK.sub(rewritten, markdown)
