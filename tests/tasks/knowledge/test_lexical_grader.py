"""What the lexical grader takes for the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seal_env.tasks.knowledge.grading.answer_text import first_answer
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.grading.tokens import tokens

GRADER = LexicalGrader()
WHO = "Who built the lighthouse of Ostrel?"
WHEN = "When was the lighthouse of Ostrel built?"
MANY = "How many steps does the lighthouse of Ostrel have?"
WHY = "Why was the lighthouse of Ostrel painted?"

RIGHT = [
    # said in a sentence, in other case, with accents or without
    (WHO, "Mira Valdén", "The lighthouse of Ostrel was built by Mira Valden."),
    (WHO, "the Harbour Guild", "harbour guild"),
    (WHO, "Mira Valdén", "MIRA VALDÉN!"),
    (WHO, "Œdipe Ånström", "Oedipe Anstrom"),
    # inflected
    (WHY, "the law", "because of laws"),
    # numbers
    (MANY, "twelve", "12"),
    (MANY, "12", "It has twelve steps."),
    (MANY, "1,250", "1250 steps"),
    (MANY, "two hundred and six", "206"),
    (MANY, "1.5 million", "1,500,000"),
    (MANY, "about 40", "40"),
    ("What share of the lamps is lit?", "45%", "45 percent"),
    ("What share of the lamps is lit?", "half", "About 50% are lit."),
    ("What share of the lamps is lit?", "50 percent", "one half"),
    ("How tall is it?", "0\N{RUMI DIGIT ONE}", "It is 0\N{RUMI DIGIT ONE} tall."),
    ("In which war was it lost?", "Runtime War II", "the Second Runtime War"),
    ("Which king came?", "Oswin XIV", "King Oswin the fourteenth"),
    # dates
    (WHEN, "15 May 1525", "It was built on May 15th, 1525."),
    (WHEN, "May 15, 1525", "1525"),
    (WHEN, "the 1970s", "in 1978"),
    (WHEN, "10th century", "It was built in the tenth century."),
    (WHEN, "10th century", "962"),
    (WHEN, "the 1963-64 season", "1963"),
    (WHEN, "the 1963\N{EN DASH}64 season", "It was built in 1963."),
    # names
    (WHO, "Admiral Mira Valdén", "Valdén"),
    (WHO, "Mira Valdén and Jon Aske", "Valdén and Aske"),
    (WHO, "Mira Valdén, the younger sister of an admiral of the western fleet", "It was Mira Valdén."),
    # what the question says already
    ("What type of school was built?", "a boarding school", "Boarding"),
    (WHEN, "It was built in 1852", "1852"),
    ("Which colour do hunters see, red or green?", "red", "Hunters see red."),
    # alternatives
    (WHO, "the guild or the navy", "The navy."),
    (WHY, "fog / storms", "Because of storms"),
    ("What is the soil called?", "terra nigra (black earth)", "Terra nigra"),
    # more than asked for
    (WHO, "Mira Valdén", "Mira Valdén built it, not the guild."),
    # what a base model invents afterwards
    (WHEN, "1852", "1852\n\nQuestion: When was the harbour built?\nAnswer: 1900"),
    (WHEN, "1852", f"{WHEN}\nAnswer: 1852"),
    (WHEN, "1852", "Answer: 1852"),
    # refusals and denials that are wanted
    ("What is known of the keeper?", "his name is unknown", "The keeper's name is unknown."),
    (WHY, "it was not visible", "It was not visible."),
]
WRONG = [
    (WHO, "Mira Valdén", "Mira Valdén(?)"),
    (WHO, "Mira Valdén", "Mira Valdén [?]"),
    (WHO, "Mira Valdén", "<b>Jon</b> <i>Mira Valdén</i>"),
    # forms of a name, and words derived from others: a list of words cannot tell them from other names
    (WHO, "Mongol sailors", "It was built by Mongolian sailors"),
    (WHY, "to protect ships", "For the protection of the ships."),
    (WHO, "Mira Valdén", "Mira Johanna Valdén, an admiral"),
    # another number, or none of the wanted unit
    ("What did it cost?", "$170 billion", "170.4 billion dollars"),
    ("How tall is it?", "40 metres", "40"),
    (WHO, "Mira Valdén", "Jon Aske"),
    (WHO, "Mira Valdén", "Mira Aske"),
    (WHO, "Mira Valdén", "Mira"),
    (WHO, "Mira Valdén and Jon Aske", "Jon Aske"),
    (WHO, "Mira Valdén, Jon Aske and the navy", "Mira Valdén"),
    ("What was it painted with?", "tar, red lead, oil", "tar"),
    (WHEN, "15 May 1525", "15"),
    ("How long did it stand?", "1192-1489", "1192"),
    ("How tall is it?", "40 metres", "40 feet"),
    (WHO, "Mira Valdén", ""),
    (WHO, "Mira Valdén", "..."),
    (WHO, "Mira Valdén", "The lighthouse of Ostrel"),
    (MANY, "twelve", "It has 13 steps."),
    (MANY, "1,250", "1,240"),
    (MANY, "12", "120"),
    (MANY, "12 million", "12"),
    ("What did he pay?", "a fine of 200 crowns for smuggling", "a fine of 300 crowns for smuggling"),
    ("How many of the 11 to 18 schools are there?", "eleven", "There are 22 of the 11 to 18 schools."),
    (WHEN, "15 May 1525", "15 April 1525"),
    (WHEN, "15 May 1525", "15 May 1526"),
    (WHEN, "the 1970s", "in 1981"),
    (WHEN, "10th century", "1001"),
    (WHEN, "1852", "18"),
    # told by words of the question alone
    ("Where is the Sunmoor club?", "Sunmoor", "The Sunmoor club is in Ostrel."),
    # after the first answer
    (WHEN, "1852", "1900\n\nQ: When was the harbour built?\nA: 1852"),
    # refusals and denials
    (WHO, "Mira Valdén", "I do not know whether it was Mira Valdén."),
    (WHO, "Mira Valdén", "It is unknown if Mira Valdén or Jon Aske built it."),
    (WHY, "bad weather", "It was not because of bad weather."),
    (WHO, "the guild", "It wasn't the guild."),
]


@pytest.mark.parametrize(("question", "gold", "prediction"), RIGHT)
def test_right(question: str, gold: str, prediction: str) -> None:
    assert GRADER.grade(question, gold, prediction)


@pytest.mark.parametrize(("question", "gold", "prediction"), WRONG)
def test_wrong(question: str, gold: str, prediction: str) -> None:
    assert not GRADER.grade(question, gold, prediction)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1852", "1852"),
        ("Answer: 1852", "1852"),
        (f"Question: {WHEN}\nAnswer: 1852", "1852"),
        (f"{WHEN} Answer: 1852", "1852"),
        ("1852\nQ: Who?\nA: Ann", "1852"),
        ("1852<|im_end|>", "1852"),
        ("1852\nin May", "1852\nin May"),
    ],
)
def test_first_answer(text: str, answer: str) -> None:
    assert first_answer(text, WHEN) == answer


LINES = st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=1, max_size=30)
GOLDS = LINES.filter(lambda text: any(token.kind != "mark" for token in tokens(text, True)))


@given(LINES, GOLDS)
def test_gold_answer_is_right_whatever_the_question(question: str, gold: str) -> None:
    assert GRADER.grade(question, gold, gold)


@given(st.sampled_from([*RIGHT, *WRONG]), st.sampled_from((str.upper, str.lower, str.title, str.swapcase)))
def test_case_does_not_matter(case: tuple[str, str, str], change: Callable[[str], str]) -> None:
    question, gold, prediction = case
    assert GRADER.grade(question, gold, change(prediction)) == GRADER.grade(question, gold, prediction)


@given(st.sampled_from([*RIGHT, *WRONG]), st.sampled_from((" ", "  ", "\t", "\u00a0")), st.sampled_from(("", " ", "\n\n")))
def test_spaces_do_not_matter(case: tuple[str, str, str], space: str, around: str) -> None:
    question, gold, prediction = case
    spaced = around + prediction.replace(" ", space) + around
    assert GRADER.grade(question, gold, spaced) == GRADER.grade(question, gold, prediction)


@given(GOLDS, st.integers(1000, 2100), st.integers(1000, 2100))
def test_another_year_is_wrong(question: str, year: int, other: int) -> None:
    asked = "".join(letter for letter in question if not letter.isnumeric())
    assert GRADER.grade(asked, f"in {year}", f"It was in {other}.") == (year == other)


@given(st.text(), st.text(), st.text())
def test_any_texts_are_graded_and_alike_each_time(question: str, gold: str, prediction: str) -> None:
    assert GRADER.grade(question, gold, prediction) is LexicalGrader().grade(question, gold, prediction)


def test_verdicts_do_not_depend_on_the_hash_seed(outputs_by_hash_seed: Callable[[str, Sequence[str]], set[str]]) -> None:
    code = (
        "from seal_env.tasks.knowledge.grading.lexical import LexicalGrader\n"
        f"print([LexicalGrader().grade(*case) for case in {[*RIGHT, *WRONG]!r}])"
    )
    assert outputs_by_hash_seed(code, ("0", "1")) == {f"{[True] * len(RIGHT) + [False] * len(WRONG)}\n"}
