"""Texts of others for a terminal: what could move its cursor, rename its window or turn text around is shown as a code."""

from __future__ import annotations

import re
from typing import Final

HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
"""An unpaired surrogate, of which UTF-8 has none: half of an emoji, or a byte of a file's name that is no UTF-8."""
_CODES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters other than tab and line feed, marks of direction that outlast their line, and unpaired surrogates."""


def printable(text: str) -> str:
    r"""The text with such characters as Python writes them: `\x1b` for escape."""
    return _CODES.sub(lambda found: ascii(found[0])[1:-1], text)
