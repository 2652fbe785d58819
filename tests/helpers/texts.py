"""Texts that are hard to show."""

from __future__ import annotations

HOSTILE = {
    "escapes": "\x1b[2J\x1b]0;title\x07\x9b2Ja",
    "controls": "a\0\a\b\r\v\fb",
    "directions": "\u202ea\u2066",
    "no characters": "\u200b\ue000\U0010ffff",
    "line separators": "a\u2028b\u2029c\x85d",
    "markup": "[bold]a[/bold][/red]",
    "long": "a" * 200_000,
    "lines": "a\n" * 50_000,
    "wide": "\u5b57" * 9_000,
    "marks": "a" + "\u0301" * 9_000,
}
