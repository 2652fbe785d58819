"""Pages in a headless browser: Debian's Chromium, driven by Playwright. Tests skip where either is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Browser:
    """A browser that is open. errors: what pages wrote to its console or raised. requests: all addresses they asked for."""

    chromium: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @contextmanager
    def showing(self, path: Path, width: int = 1280, **about: Any) -> Iterator[Any]:
        """A file in a window of its own, as a `Page` of Playwright. about: for `Browser.new_context`."""
        self.errors.clear()
        self.requests.clear()
        context = self.chromium.new_context(viewport={"width": width, "height": 900}, **about)
        shown = context.new_page()
        shown.on("console", lambda said: self.errors.append(said.text))
        shown.on("pageerror", lambda error: self.errors.append(str(error)))
        shown.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))
        shown.on("request", lambda request: self.requests.append(request.url))
        try:
            shown.goto(path.as_uri())
            yield shown
        finally:
            context.close()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield Browser(chromium)
        finally:
            chromium.close()
