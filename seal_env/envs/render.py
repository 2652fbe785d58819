"""Grids and texts in a terminal: coloured cells and captions."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.text import Text

from seal_env.panels import Panel
from seal_env.printable import printable
from seal_env.tasks.arc.grid import Grid

# The ten colours in which ARC is usually drawn: black, blue, red, green, yellow, grey, magenta, orange, sky, maroon.
PALETTE = np.array(
    [
        (0, 0, 0),
        (0, 116, 217),
        (255, 65, 54),
        (46, 204, 64),
        (255, 220, 0),
        (170, 170, 170),
        (240, 18, 190),
        (255, 133, 27),
        (127, 219, 255),
        (135, 12, 37),
    ],
    dtype=np.uint8,
)
NO_TERMINAL_WIDTH = 160
TEXT_WIDTH = 60
"""Characters in a line of a text that is drawn."""
MAX_CHARACTERS = 3_000
"""Most characters of a text that are drawn."""
# rich keeps the codes of a style that it has drawn once, whatever the colours of the next console: with a mark of its own,
# a style of `panels_ansi` is never one that a terminal of sixteen colours has drawn.
ANSI_ONLY = Style(meta={"console": "panels_ansi"})


@cache
def _style(cell: int) -> Style:
    red, green, blue = (int(part) for part in PALETTE[cell])
    ink = "black" if red + 2 * green + blue > 380 else "white"
    return Style(color=ink, bgcolor=f"rgb({red},{green},{blue})")


def grid_text(grid: Grid, cell_width: int = 2) -> Text:
    """One grid as coloured cells, `cell_width` characters each with the digit, so that it can be read without colour too."""
    text = Text(no_wrap=True)
    for number, row in enumerate(grid):
        text.append("\n" if number else "")
        for cell in row:
            text.append(f"{cell:<{cell_width}}", _style(cell))
    return text


def panels_text(rows: Sequence[Sequence[Panel]]) -> RenderableType:
    """Rows of captioned grids and texts; a missing one reads "none"."""
    lines = []
    for row in rows:
        blocks = [Group(_caption(panel), _block(panel.shown)) for panel in row]
        lines.append(Group(Columns(blocks, padding=(0, 3)), Text("")))
    return Group(*lines)


def _caption(panel: Panel) -> Text:
    caption = Text(_lines(panel.caption), style="bold")
    if panel.verdict:
        caption.append(f": {panel.verdict}", "green" if panel.right else "red")
    return caption


def _block(shown: Any) -> Text:
    if not shown:
        return Text("none", style="dim")
    return Text(_lines(shown)) if isinstance(shown, str) else grid_text(shown)


def readable(text: str) -> str:
    """A text cut to MAX_CHARACTERS, and without what a terminal takes for a command."""
    left_out, begin = len(text) - MAX_CHARACTERS, printable(text[:MAX_CHARACTERS])
    return f"{begin}... ({left_out} more characters)" if left_out > 0 else begin


def _lines(text: str) -> str:
    return textwrap.fill(readable(text), TEXT_WIDTH)


def panels_ansi(rows: Sequence[Sequence[Panel]]) -> str:
    """`panels_text` as a string with ANSI colours, as wide as the terminal, or 160 columns where there is none."""
    width = shutil.get_terminal_size((NO_TERMINAL_WIDTH, 24)).columns
    console = Console(width=width, force_terminal=True, color_system="truecolor", style=ANSI_ONLY, legacy_windows=False)
    with console.capture() as capture:
        console.print(panels_text(rows))
    return capture.get()
