"""Grids and texts as pictures: coloured cells for a terminal, and pixels."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.text import Text

from seal_env.errors import needs_extra
from seal_env.printable import printable
from seal_env.tasks.arc.grid import Grid, to_array
from seal_env.types import Panel

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
BACKGROUND = np.array((38, 38, 38), dtype=np.uint8)
FRAME = (720, 1280)
"""Height and width of every frame: those of a video, or of a window, all have one size."""
CELL = 12
GAP = 10
NO_TERMINAL_WIDTH = 160
TEXT_WIDTH = 60
"""Characters in a line of a text that is drawn."""
MAX_CHARACTERS = 3_000
"""Most characters of a text that are drawn."""
INK = (230, 230, 230)
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
        blocks = [Group(Text(_lines(caption), style="bold"), _block(shown)) for caption, shown in row]
        lines.append(Group(Columns(blocks, padding=(0, 3)), Text("")))
    return Group(*lines)


def _block(shown: Any) -> Text:
    if not shown:
        return Text("none", style="dim")
    return Text(_lines(shown)) if isinstance(shown, str) else grid_text(shown)


def _lines(text: str) -> str:
    """A text in lines: cut, and without what a terminal takes for a command."""
    left_out, begin = len(text) - MAX_CHARACTERS, printable(text[:MAX_CHARACTERS])
    return textwrap.fill(f"{begin}... ({left_out} more characters)" if left_out > 0 else begin, TEXT_WIDTH)


def panels_ansi(rows: Sequence[Sequence[Panel]]) -> str:
    """`panels_text` as a string with ANSI colours, as wide as the terminal, or 160 columns where there is none."""
    width = shutil.get_terminal_size((NO_TERMINAL_WIDTH, 24)).columns
    console = Console(width=width, force_terminal=True, color_system="truecolor", style=ANSI_ONLY, legacy_windows=False)
    with console.capture() as capture:
        console.print(panels_text(rows))
    return capture.get()


def _pixels(grid: Grid | str | None) -> NDArray[np.uint8]:
    """One grid with thin lines between cells, or one text; a missing one is a crossed box. uint8 [height, width, 3]."""
    if isinstance(grid, str):
        return _written(grid)
    if not grid:
        box = np.full((4 * CELL, 4 * CELL, 3), 70, dtype=np.uint8)
        index = np.arange(len(box))
        box[index, index] = box[index, index[::-1]] = 200
        return box
    cells = PALETTE[to_array(grid)].repeat(CELL, axis=0).repeat(CELL, axis=1)
    cells[::CELL] = cells[:, ::CELL] = 85
    return cells


def _written(text: str) -> NDArray[np.uint8]:
    lines = _lines(text) or " "
    with needs_extra("render"):
        from PIL import Image, ImageDraw
    _, _, width, height = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), lines)
    picture = Image.new("RGB", (int(width) + GAP, int(height) + GAP), tuple(BACKGROUND.tolist()))
    ImageDraw.Draw(picture).multiline_text((GAP // 2, GAP // 2), lines, fill=INK)
    return np.asarray(picture)


def panels_pixels(rows: Sequence[Sequence[Panel]]) -> NDArray[np.uint8]:
    """The same as one picture, without captions. uint8 [height, width, 3]."""
    strips = []
    for row in filter(None, rows):
        drawn = [_pixels(grid) for _, grid in row]
        height = max(len(picture) for picture in drawn)
        padded = [_pad(picture, height - len(picture) + GAP, GAP) for picture in drawn]
        strips.append(np.concatenate(padded, axis=1))
    if not strips:
        return _pad(np.empty((0, 0, 3), dtype=np.uint8), 0, 0, GAP)
    width = max(strip.shape[1] for strip in strips)
    return _pad(np.concatenate([_pad(strip, 0, width - strip.shape[1]) for strip in strips]), 0, 0, GAP)


def framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture as a frame of a video: enlarged by a whole factor, or made smaller, and filled up. uint8 [*FRAME, 3]."""
    height, width, _ = picture.shape
    scale = min(FRAME[0] / height, FRAME[1] / width)
    if scale >= 1:
        picture = picture.repeat(int(scale), axis=0).repeat(int(scale), axis=1)
    else:
        with needs_extra("render"):
            from PIL import Image
        size = max(int(width * scale), 1), max(int(height * scale), 1)
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    return _pad(picture, FRAME[0] - picture.shape[0], FRAME[1] - picture.shape[1])


def _pad(picture: NDArray[np.uint8], below: int, right: int, around: int = 0) -> NDArray[np.uint8]:
    height, width, _ = picture.shape
    canvas = np.empty((height + below + 2 * around, width + right + 2 * around, 3), dtype=np.uint8)
    canvas[:] = BACKGROUND
    canvas[around : around + height, around : around + width] = picture
    return canvas
