"""Scripts that put no spaces between words: their texts are divided by dictionaries, or between characters."""

from __future__ import annotations

from typing import Final

UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Their characters, in a class of the library regex."""
