"""Words, numbers, dates and amounts are the same tokens however they are written."""

from __future__ import annotations

import pytest

from seal_env.tasks.knowledge.grading.tokens import tokens


def keys(text: str, joined: bool = False) -> list[str]:
    return [token.key for token in tokens(text, joined) if token.kind != "mark"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Twenty-first of May, $1,500", ["the", "05-21", "1500 dollar"]),
        ("one hundred fifty-three thousand two hundred and one", ["153201"]),
        ("1.5 million, 50%", ["1500000", "50%"]),
        ("$1.5M; 1.5 million dollars", ["1500000 dollar", "1500000 dollar"]),
        ("half a million or a dozen", ["500000", "or", "12"]),
        ("half, 1/2, three quarters, two thirds", ["50%", "50%", "75%", "2/3"]),
        ("six, seven", ["6", "7"]),
        ("nineteen forty-five", ["1945"]),
        ("-5, minus five, 3-2, 1:10, 2.1.0, 1.10", ["-5", "-5", "3-2", "1:10", "2.1.0", "1.10"]),
        ("the 1970s; U.S., Ph.D.", ["the", "1970s", "usa", "phd"]),
        ("15 May 1525, May 15th, 1525 and 1525-05-15", ["1525-05-15", "1525-05-15", "and", "1525-05-15"]),
        ("May 1525, 44 B.C.E., 44 BC", ["1525-05", "44", "bc", "44", "bc"]),
        ("40 km, 40 kilometres", ["40", "kilometer", "40", "kilometer"]),
        ("C++, C#, A-, A+", ["c++", "c#", "a-", "a+"]),
        ("Henry VIII's wife", ["henry", "8", "wife"]),
        ("I came", ["i", "came"]),
        ("Æthelred of Łódź, O'Neill", ["aethelred", "of", "lodz", "oneill"]),
        ("**Paris**, `Rome`", ["paris", "rome"]),
        ("10²", ["10", "circumflex-accent", "2"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("東京都は日本の首都です", ["東京", "都", "は", "日本", "の", "首都", "です"]),
        ("...", []),
    ],
)
def test_tokens(text: str, found: list[str]) -> None:
    assert keys(text) == found


def test_a_word_with_a_hyphen_is_one_word_or_two() -> None:
    assert (keys("an e-mail", joined=True), keys("an e-mail")) == (["an", "email"], ["an", "e", "mail"])
