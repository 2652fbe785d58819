"""A page as HTML: one file that needs no network and runs no script. Every text in it is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from seal_env.envs.render import PALETTE
from seal_env.errors import needs_extra
from seal_env.printable import printable
from seal_env.report.page.charts import written
from seal_env.report.page.content import SORTS, Page
from seal_env.report.page.plots import COLOURS, draw

if TYPE_CHECKING:
    from jinja2 import Environment

MARK: Final = '<meta name="generator" content="seal-env report">'
"""A line by which a page of ours is told from another file."""
Grid = Sequence[Sequence[int]]


class Grids:
    """Every grid of a page, drawn once: cards refer to it by its number."""

    def __init__(self) -> None:
        self.drawn: dict[tuple[tuple[int, ...], ...], int] = {}

    def number(self, grid: Grid) -> int:
        """The number of a grid, which is new if it was not seen before."""
        return self.drawn.setdefault(tuple(map(tuple, grid)), len(self.drawn))

    @staticmethod
    def paths(grid: Grid) -> list[tuple[int, str]]:
        """(colour, path) of each colour: a rectangle for each run of equal cells in a row, one unit a cell."""
        found: dict[int, list[str]] = {}
        for y, row in enumerate(grid):
            start = 0
            for x in range(1, len(row) + 1):
                if x == len(row) or row[x] != row[start]:
                    found.setdefault(row[start], []).append(f"M{start} {y}h{x - start}v1h{start - x}z")
                    start = x
        return [(color, "".join(parts)) for color, parts in sorted(found.items())]

    @staticmethod
    def lines(grid: Grid) -> str:
        """A path between the cells."""
        rows, columns = len(grid), len(grid[0])
        across = (f"M0 {y}h{columns}" for y in range(1, rows))
        return "".join([*across, *(f"M{x} 0v{rows}" for x in range(1, columns))])


def render(page: Page) -> str:
    """The page as HTML.

    Raises:
        MissingExtraError: If Jinja2 or matplotlib is not installed.
    """
    grids = Grids()
    template = _environment().get_template("page.html.jinja")
    text = template.render(
        page=page, grids=grids, draw=draw, written=written, colours=COLOURS, sorts=SORTS, palette=_palette(), mark=MARK
    )
    return str(text)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    with needs_extra("report"):
        import jinja2
        from markupsafe import Markup

    def shown(value: Any) -> Any:
        """Control characters in texts are written as codes; what the templates wrote themselves has none."""
        return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)

    folder = files("seal_env.report.page")
    texts = {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir() if each.name.endswith(".jinja")}
    made = jinja2.Environment(
        loader=jinja2.DictLoader(texts),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["grid"] = is_grid
    made.tests["grids"] = lambda row: any(is_grid(panel.shown) for panel in row)
    return made


def is_grid(shown: Any) -> bool:
    """Whether what a panel shows is a grid of colours, not a text."""
    return bool(
        isinstance(shown, list | tuple)
        and shown
        and all(isinstance(row, list | tuple) and row and len(row) == len(shown[0]) for row in shown)
        and all(isinstance(cell, int) and 0 <= cell < len(PALETTE) for row in shown for cell in row)
    )


def _palette() -> list[str]:
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in PALETTE.tolist()]
