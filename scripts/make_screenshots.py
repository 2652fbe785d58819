"""Take the screenshots of docs/images: the page of a report in Chromium, commands as a terminal of 80 columns shows them.

python scripts/make_screenshots.py [NAME ...]

Runs are kept in runs/screenshots. Pictures are of finished runs, so that they can be taken again: no progress is in them.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from prompt_toolkit import PromptSession
from rich.terminal_theme import MONOKAI

from seal_env.cli.form import SelfEditForm
from seal_env.domains.registry import get_domain
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.play import Game
from seal_env.experiments.play import play as play_game
from seal_env.experiments.report import report
from seal_env.experiments.run import run
from seal_env.experiments.settings import PlaySettings, RunSettings
from seal_env.report.play_table import play_table
from seal_env.report.terminal import Terminal

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "docs" / "images"
RUNS: Final = Path("runs") / "screenshots"
COLUMNS: Final = 80
COLOURS: Final = 128
PLAYED: Final = "mini-train-0-2"
RESULTS: Final = (
    "tr:nth-child(n+7),.charts .small:nth-child(n+7),#cards,section:has(+#cards),section:last-of-type{display:none}"
)
EPISODES: Final = "section:not(#cards),header,footer{display:none}"
"""What the two pictures of a page leave out of it."""
SHOW_GAINS: Final = """() => {
    document.querySelector("#sort-gain").click();
    document.querySelector("details.card[open]").open = false;
    const cards = [...document.querySelectorAll(".card")].sort((one, other) => one.offsetTop - other.offsetTop);
    cards[0].open = true;
    cards.slice(6).forEach(each => each.remove());
}"""
"""Sorts the cards of a page, opens the first and removes all but a few."""
TERMINAL: Final = """<!DOCTYPE html><meta charset="utf-8"><style>
body{{margin:0;background:#1c1d21}}
pre{{display:inline-block;margin:0;padding:18px 22px;font:15px/1.35 'DejaVu Sans Mono',monospace}}
</style><pre style="color:{foreground}">{code}</pre>"""


def results(browser: Browser, folder: Path) -> bytes:
    """Two agents on the same generated tasks, side by side."""
    return screenshot(browser, _report(folder).replace("</style>", f"{RESULTS}</style>", 1), 1250)


def episodes(browser: Browser, folder: Path) -> bytes:
    """Their episodes, with the largest gains first."""
    return screenshot(browser, _report(folder).replace("</style>", f"{EPISODES}</style>", 1), 1000, before=SHOW_GAINS)


def _report(folder: Path) -> str:
    runs = [RUNS / "random", RUNS / "bandit"]
    for each in runs:
        config = ExperimentConfig("SEAL-ARC-Mini-v0", {"subset": "mini-eval:30"}, {}, each)
        run(each.name, RunSettings(), config, Terminal(quiet=True))
    report(runs, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def demo(browser: Browser, _: Path) -> bytes:
    """What `make demo` prints at its end."""
    console = terminal("make demo")
    options = {"self_edit": (ROOT / "examples" / "self-edit.json").read_text(encoding="utf-8")}
    settings = ExperimentConfig("SEAL-ARC-v0", {"subset": "seal-train"}, options, RUNS / "demo")
    for each in (Terminal(quiet=True), console):
        run("fixed", RunSettings(episodes=12), settings, each)
    return printed(browser, console)


TYPED: Final = ("augment", "yes", "no", "no", "no", "training", "train_using_output_tokens", "0.001", "3", "train")
"""What the player of the picture enters, line by line."""


class _Player:
    """Fills in the form with TYPED; each line is shown as it was entered."""

    def __init__(self, console: Terminal) -> None:
        self._console, self._lines = console, iter(TYPED)

    def prompt(self, label: str, **_: Any) -> str:
        """Stands in for a PromptSession."""
        line = next(self._lines)
        self._console.print(f"{label}{line}")
        return line

    def write(self, game: Game) -> str:
        """See Player."""
        form = SelfEditForm(game.seal.tools, self._console.print, cast("PromptSession[str]", self), COLUMNS)
        return form.fill_in(game.show_task, game.problem_of)

    def again(self) -> bool:
        """See Player."""
        self._console.print("Write another self-edit for this task? no\n")
        return False


def play(browser: Browser, _: Path) -> bytes:
    """A round of `seal-env play`: the task, the form, the update, and what the agents made of the same task."""
    console = terminal(f"seal-env play --env SEAL-ARC-Mini-v0 --task {PLAYED}")
    config = ExperimentConfig("SEAL-ARC-Mini-v0", {}, {}, Path())
    result = play_game(PlaySettings(task=PLAYED), config, _Player(console), console)
    console.print(play_table(result, get_domain("arc").tools))
    return printed(browser, console)


def terminal(command: str) -> Terminal:
    """A terminal in which a command was entered."""
    console = Terminal(record=True, width=COLUMNS, file=io.StringIO())
    console.print(f"$ {command}", style="bold")
    return console


def printed(browser: Browser, console: Terminal) -> bytes:
    """What a terminal shows."""
    page = console.export_html(theme=MONOKAI, code_format=TERMINAL, inline_styles=True)
    return screenshot(browser, page, 1000, "pre")


def screenshot(browser: Browser, text: str, width: int, element: str = "body", before: str = "() => null") -> bytes:
    """An element of a page, without a network. before: a function in JavaScript that is called first."""
    context = browser.new_context(viewport={"width": width, "height": 2000}, offline=True)
    page = context.new_page()
    page.set_content(text)
    page.evaluate(before)
    taken: Any = page.locator(element).screenshot()
    context.close()
    return bytes(taken)


PICTURES: Final[dict[str, Callable[[Browser, Path], bytes]]] = {
    "report": results,
    "report-episodes": episodes,
    "demo": demo,
    "play": play,
}


def main(names: list[str]) -> None:
    """Take the screenshots of these names, or all."""
    os.chdir(ROOT)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name in names or PICTURES:
            taken = Image.open(io.BytesIO(PICTURES[name](browser, Path(folder))))
            path = FOLDER / f"{name}.png"
            taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{path.name}: {taken.width}x{taken.height}, {path.stat().st_size / 1024:.0f} KiB")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
