"""What runs which architecture: `python -m benchmarks.architectures` writes docs/models.md.

Every family of `benchmarks.architectures.models` is built as a small model with random weights and run in both inner loops.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from transformers.utils import logging

from benchmarks.architectures.matrix import compare, tiny_base
from benchmarks.architectures.models import MODELS
from benchmarks.architectures.page import PAGE, page


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything, a few minutes on two cores, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PAGE, metavar="FILE")
    given = parser.parse_args(arguments)
    logging.set_verbosity_error()
    rows = {group: {name: compare(tiny_base(name)) for name in models} for group, models in MODELS.items()}
    given.out.write_text(page(rows), encoding="utf-8")
    print(f"written {given.out}: {sum(map(len, rows.values()))} architectures")


if __name__ == "__main__":
    main()
