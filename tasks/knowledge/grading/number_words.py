"""Numbers in words: "two hundred and six", "twenty-first", "1.5 million"."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

_ONES: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
"""
_ORDINAL_ONES: Final = """
zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
sixteenth seventeenth eighteenth nineteenth twentieth
"""
_TENS: Final = "thirty forty fifty sixty seventy eighty ninety"

_ORDINALS: Final = {word: number for number, word in enumerate(_ORDINAL_ONES.split())}
_NUMBERS: Final = {
    **{word: number for number, word in enumerate(_ONES.split())},
    **_ORDINALS,
    **{word: 10 * ten for ten, word in enumerate(_TENS.split(), 3)},
}
_SCALES: Final = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_UNBOUNDED: Final = 10**15


def read_number(words: Sequence[str], at: int) -> tuple[Decimal | None, int]:
    """The number that begins at word `at`, and the place after it; None if none begins there.

    words: small letters and digits ("2.5"), without hyphens. A number in digits takes only scales after it: "170 billion".
    """
    total, group, room = Decimal(0), Decimal(-1), _UNBOUNDED  # room: what may be added now lies below it
    end = at
    while end < len(words):
        word = words[end]
        value = _NUMBERS.get(word, _UNBOUNDED)
        if word[0].isdecimal() and end == at:
            group, room = Decimal(word), 0
        elif value < room and (value or end == at):
            group = max(group, Decimal(0)) + value
            room = 10 if value >= 20 and value % 10 == 0 else 0
        elif word in _SCALES and (group > 0 or end == at):
            scale = _SCALES[word]
            group = (group if group > 0 else Decimal(1)) * scale
            if scale > 100:
                total, group = total + group, Decimal(0)
            room = scale
        elif not (word == "and" and room >= 100 and end > at and _NUMBERS.get((*words, "")[end + 1], _UNBOUNDED) < room):
            break
        end += 1
        if word in _ORDINALS:
            break
    if end == at:
        return None, at
    return (total + max(group, Decimal(0))).normalize(), end
