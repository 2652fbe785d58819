"""What is left of a sequence of tasks: a table of agents, and the retention matrix as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from seal_env.report.result_tables import percent, plain

CELL: Final = 56
MARGIN: Final = 96
TOP: Final = 64
PAPER, INK, UNKNOWN = (255, 255, 255), (32, 32, 32), (238, 238, 238)
FULL: Final = (8, 81, 156)
"""The colour of a score of 1; one of 0 is paper."""


def continual_table(table: Mapping[str, Any]) -> Table:
    """A row for each agent: per cent, with 95 % bootstrap intervals over sequences."""
    shown = plain("agent", "sequences", "before", "new task", "all at the end", "forgetting", "merged")
    for name, found in table["rows"].items():
        columns = ("before", "new", "end", "forgetting", "merged")
        shown.add_row(name, str(found["sequences"]), *(percent(found.get(column)) for column in columns))
    return shown


def draw_retention(matrix: Sequence[Sequence[float | None]], title: str, path: Path) -> None:
    """Write the matrix as a PNG: a row after each update, a column for each task, scores in per cent, darker is better."""
    rows, columns = len(matrix), max((len(row) for row in matrix), default=0)
    picture = Image.new("RGB", (MARGIN + columns * CELL + 8, TOP + rows * CELL + 8), PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    draw.text((8, 8), f"{title}: score on each task, in %", INK, font)
    for column in range(columns):
        _centred(draw, (MARGIN + column * CELL, TOP - 24, CELL, 24), f"task {column + 1}", INK, font)
    for number, row in enumerate(matrix):
        _centred(draw, (0, TOP + number * CELL, MARGIN, CELL), f"after {number}" if number else "before", INK, font)
        for column, score in enumerate(row):
            box = (MARGIN + column * CELL, TOP + number * CELL, CELL, CELL)
            colour = UNKNOWN if score is None else _shade(score)
            draw.rectangle((box[0], box[1], box[0] + CELL - 2, box[1] + CELL - 2), fill=colour)
            if score is not None:
                _centred(draw, box, f"{100 * score:.0f}", PAPER if score > 0.5 else INK, font)
    picture.save(path, format="PNG")


def _shade(score: float) -> tuple[int, int, int]:
    red, green, blue = (round(light + (dark - light) * score) for light, dark in zip(PAPER, FULL, strict=True))
    return red, green, blue


def _centred(draw: Any, box: tuple[int, int, int, int], text: str, colour: tuple[int, int, int], font: Any) -> None:
    left, top, width, height = box
    draw.text((left + width / 2, top + height / 2), text, colour, font, anchor="mm")
