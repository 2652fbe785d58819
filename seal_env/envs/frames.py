"""A task as one picture of fixed size, as videos and windows need it: captioned grids, or a table of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seal_env.envs.render import PALETTE, readable
from seal_env.errors import needs_extra
from seal_env.panels import Panel

with needs_extra("render"):
    from PIL import Image, ImageDraw, ImageFont

FRAME: Final = (720, 1280)
"""Height and width of every frame in pixels."""
BACKGROUND: Final = (30, 31, 36)
INK, FAINT, LINE, RULE = (235, 235, 235), (150, 152, 160), (85, 85, 85), (58, 60, 66)
RIGHT, WRONG = (64, 200, 110), (240, 96, 84)
MARGIN, GAP, EDGE = 24, 18, 2
TITLE_SIZE, CAPTION_SIZE = 22, 15
CELLS: Final = range(56, 1, -1)
"""Sides of a cell that are tried, in pixels."""
TEXT_SIZES: Final = (26, 23, 20, 18, 16, 14, 12, 11, 10)
MISSING_CELLS: Final = 3
"""Side, in cells, of the crossed box that stands for a missing grid."""


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


@cache
def _advance(character: str, size: int) -> float:
    return float(_font(size).getlength(character))


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """A text in lines of at most `width` pixels, to within what kerning makes of it; words that are wider are divided."""
    lines = []
    for paragraph in text.splitlines() or [""]:
        begin, blank, used = 0, -1, 0.0
        for index, character in enumerate(paragraph):
            used += _advance(character, size)
            blank = index if character == " " else blank
            if used > width and index > begin:
                end = blank if blank > begin else index
                lines.append(paragraph[begin:end])
                begin = end + (end == blank)
                used = sum(_advance(each, size) for each in paragraph[begin : index + 1])
        lines.append(paragraph[begin:])
    return lines


def _colour(panel: Panel, default: tuple[int, int, int]) -> tuple[int, int, int]:
    return default if panel.right is None else RIGHT if panel.right else WRONG


def _caption(panel: Panel) -> str:
    caption = readable(panel.caption)
    return f"{caption}: {panel.verdict}" if panel.verdict else caption


@dataclass(frozen=True)
class _GridRow:
    """A row of grids beside each other, each below its caption."""

    panels: Sequence[Panel]

    @cached_property
    def _caption_widths(self) -> list[int]:
        return [int(_font(CAPTION_SIZE).getlength(_caption(panel))) for panel in self.panels]

    def _shape(self, panel: Panel, cell: int) -> tuple[int, int]:
        rows, columns = np.shape(panel.shown)[:2] if panel.shown and panel.shown[0] else (MISSING_CELLS, MISSING_CELLS)
        return rows * cell, columns * cell

    def size(self, cell: int) -> tuple[int, int]:
        """Height and width in pixels."""
        shapes = [self._shape(panel, cell) for panel in self.panels]
        height = max((height for height, _ in shapes), default=0) + CAPTION_SIZE + 8
        width = sum(max(width, caption) for (_, width), caption in zip(shapes, self._caption_widths, strict=True))
        return height, width + GAP * (len(shapes) - 1)

    def draw(self, canvas: Image.Image, top: int, left: int, cell: int) -> None:
        brush = ImageDraw.Draw(canvas)
        for panel, caption_width in zip(self.panels, self._caption_widths, strict=True):
            brush.text((left, top), _caption(panel), fill=_colour(panel, FAINT), font=_font(CAPTION_SIZE))
            height, width = self._shape(panel, cell)
            y = top + CAPTION_SIZE + 6
            if panel.shown and panel.shown[0]:
                canvas.paste(Image.fromarray(_cells(np.array(panel.shown), cell)), (left, y))
            else:
                brush.line([(left, y), (left + width, y + height)], fill=LINE)
                brush.line([(left, y + height), (left + width, y)], fill=LINE)
            brush.rectangle(
                [left - EDGE, y - EDGE, left + width + 1, y + height + 1], outline=_colour(panel, LINE), width=EDGE
            )
            left += max(width, caption_width) + GAP


def _cells(grid: NDArray[np.int64], cell: int) -> NDArray[np.uint8]:
    """A grid with a line at the upper and left edge of each cell of 6 pixels or more. uint8 [height, width, 3]."""
    pixels = PALETTE[grid].repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= 6:
        pixels[::cell] = pixels[:, ::cell] = LINE
    return pixels


def _places(rows: Sequence[_GridRow], cell: int, width: int) -> tuple[list[tuple[int, int]], int]:
    """Top and left of each row, from left to right and then below, and the height of all."""
    places, top, left, deepest = list[tuple[int, int]](), 0, 0, 0
    for row in rows:
        height, needed = row.size(cell)
        if left and left + needed > width:
            top, left, deepest = top + deepest + GAP, 0, 0
        places.append((top, left))
        left, deepest = left + needed + 2 * GAP, max(deepest, height)
    return places, top + deepest


def _draw_grids(rows: Sequence[_GridRow], height: int, width: int) -> Image.Image:
    """All rows, with cells as large as the place allows; if it is too small for the smallest, the whole is made smaller."""
    for cell in CELLS:
        places, needed = _places(rows, cell, width - 2 * EDGE)
        wide = max((row.size(cell)[1] for row in rows), default=0) + 2 * EDGE
        if needed <= height - 2 * EDGE and wide <= width:
            break
    canvas = Image.new("RGB", (max(wide, width), needed + 2 * EDGE), BACKGROUND)
    for row, (top, left) in zip(rows, places, strict=True):
        row.draw(canvas, top + EDGE, left + EDGE, cell)
    canvas.thumbnail((width, height))
    return canvas


def _table_lines(rows: Sequence[Sequence[Panel]], size: int, width: int) -> Iterator[list[list[tuple[str, Any]]]]:
    """Each row as columns of (line, colour); a heading wherever the captions change. A single text takes the whole width."""
    captions: list[str] | None = None
    for row in rows:
        column = (width - GAP * (len(row) - 1)) // len(row)
        if [panel.caption for panel in row] != captions:
            captions = [panel.caption for panel in row]
            yield [[(line, FAINT) for line in _wrapped(readable(caption), size, column)] for caption in captions]
        yield [[(line, _colour(panel, INK)) for line in _wrapped(_text(panel), size, column)] for panel in row]


def _text(panel: Panel) -> str:
    said = "none" if panel.shown in (None, "", ()) else readable(str(panel.shown))
    return f"{said} ({panel.verdict})" if panel.verdict else said


def _draw_texts(rows: Sequence[Sequence[Panel]], height: int, width: int) -> Image.Image:
    """Texts as a table, as large as the place allows; what does not fit in the smallest size is cut off, and said."""
    for size in TEXT_SIZES:
        step = size + 5
        table = list(_table_lines(rows, size, width))
        if sum(max(map(len, row)) * step + 6 for row in table) <= height:
            break
    canvas = Image.new("RGB", (width, height), BACKGROUND)
    brush, top = ImageDraw.Draw(canvas), 0
    for index, row in enumerate(table):
        deep = max(map(len, row))
        if top + deep * step > height - step and index < len(table) - 1:
            brush.text((0, top), f"... ({len(table) - index} more lines)", fill=FAINT, font=_font(size))
            break
        for number, lines in enumerate(row):
            left = number * (width + GAP) // len(row)
            for place, (line, colour) in enumerate(lines):
                brush.text((left, top + place * step), line, fill=colour, font=_font(size))
        top += deep * step + 6
        brush.line([(0, top - 3), (width, top - 3)], fill=RULE)
    return canvas


def frame(rows: Sequence[Sequence[Panel]], title: str = "") -> NDArray[np.uint8]:
    """Rows of panels as a frame. uint8 [*FRAME, 3].

    Args:
        rows: Grids, drawn as large as they fit, or texts, in a table.
        title: A line above them.
    """
    height, width = FRAME
    canvas = Image.new("RGB", (width, height), BACKGROUND)
    heading = _wrapped(readable(title), TITLE_SIZE, width - 2 * MARGIN)[0] if title else ""
    ImageDraw.Draw(canvas).text((MARGIN, MARGIN - 6), heading, fill=INK, font=_font(TITLE_SIZE))
    rows = [row for row in rows if row]
    top = MARGIN + TITLE_SIZE + GAP
    place = height - top - MARGIN, width - 2 * MARGIN
    if any(isinstance(panel.shown, str) for row in rows for panel in row):
        drawn = _draw_texts(rows, *place)
    else:
        drawn = _draw_grids([_GridRow(row) for row in rows], *place)
    canvas.paste(drawn, (MARGIN, top))
    return np.asarray(canvas)
