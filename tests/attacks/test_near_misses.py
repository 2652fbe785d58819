"""No answer that names a rival is right, and no honest way of saying the gold answer is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seal_env.tasks.knowledge.grading.exact_match import ExactMatchGrader
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader

HERE = Path(__file__).parent
GRADER = LexicalGrader()
Cases = dict[str, list[list[str]]]


def read(name: str) -> Cases:
    """By kind: question, gold answer, prediction."""
    found: Cases = json.loads((HERE / name).read_text(encoding="utf-8"))
    return found


CASE_ALONE = "case and articles alone"
"""Texts that are equal to SQuAD's exact match, which looks at neither."""
NEAR_MISSES, PARAPHRASES = read("near_misses.json"), read("paraphrases.json")


def test_the_sets_are_large_and_have_no_case_twice() -> None:
    for cases, least in ((NEAR_MISSES, 300), (PARAPHRASES, 100)):
        each = [tuple(case) for kind in cases.values() for case in kind]
        assert len(set(each)) == len(each) >= least


@pytest.mark.parametrize("kind", NEAR_MISSES)
def test_near_misses_are_refused(kind: str) -> None:
    assert [case for case in NEAR_MISSES[kind] if GRADER.grade(*case)] == []


@pytest.mark.parametrize("kind", [kind for kind in NEAR_MISSES if kind != CASE_ALONE])
def test_near_misses_are_no_exact_matches(kind: str) -> None:
    exact = ExactMatchGrader()
    assert [case for case in NEAR_MISSES[kind] if exact.grade(*case)] == []


@pytest.mark.parametrize("kind", PARAPHRASES)
def test_paraphrases_are_accepted(kind: str) -> None:
    assert [case for case in PARAPHRASES[kind] if not GRADER.grade(*case)] == []


NAMES = [
    "Paris",
    "Iran",
    "Iraq",
    "Niger",
    "Nigeria",
    "Ostrel",
    "Kiel",
    "Mira Vald",
    "Jon Aske",
    "Smith",
    "Martin",
    "Martina",
]
FORMS = ["{}", "It was {}.", "The treaty was signed in {}.", "{} it was", "the answer is {}", "In {}.", "I think {}"]
QUESTIONS = ["Where was the treaty signed?", "Who signed the treaty?", "What is it called?"]
JOINTS = [
    ", ",
    "; ",
    " / ",
    "/",
    " or ",
    " and ",
    " & ",
    "\n",
    ", or ",
    ". ",
    " | ",
    " as well as ",
    " plus ",
    " then ",
    "? ",
    "! ",
]
JOINTS += [" - ", "\n- ", " (", ", also known as ", ", i.e. ", " vs ", " versus ", ", and also ", "\n2. "]

names, forms, questions = map(st.sampled_from, (NAMES, FORMS, QUESTIONS))


@given(questions, names, names, forms)
def test_a_name_is_right_and_every_other_one_wrong(question: str, gold: str, said: str, form: str) -> None:
    assert GRADER.grade(question, gold, form.format(said)) == (gold == said)


@given(questions, st.lists(names, min_size=2, max_size=6, unique=True), st.sampled_from(JOINTS), forms)
def test_a_list_that_has_the_gold_answer_is_wrong(question: str, listed: list[str], joint: str, form: str) -> None:
    said = form.format(joint.join(listed))
    assert not any(GRADER.grade(question, gold, text) for gold in listed for text in (said, said.lower(), said.upper()))


@given(questions, names, names, st.sampled_from(["not {}", "{0}, not {0}", "anything but {}", "{} is wrong", "never {}"]))
def test_a_denial_is_wrong(question: str, gold: str, other: str, form: str) -> None:
    assert not GRADER.grade(question, gold, form.format(gold))
    assert not GRADER.grade(question, gold, f"It was {other}, not {gold}.")


MANY = "How many are there?"
numbers = st.integers(0, 10**7)


@given(numbers, numbers, st.sampled_from(["{}", "There are {}.", "{} of them", "{:,}"]))
def test_a_number_is_right_and_every_other_one_wrong(gold: int, said: int, form: str) -> None:
    assert GRADER.grade(MANY, str(gold), form.format(said)) == (gold == said)


@given(st.integers(1, 10**6))
def test_another_sign_or_unit_is_wrong(number: int) -> None:
    ways = [
        f"{number}",
        f"-{number}",
        f"{number}%",
        f"${number}",
        f"£{number}",
        f"{number} km",
        f"{number} kg",
        f"1/{number + 3}",
    ]
    assert not any(GRADER.grade(MANY, gold, said) for gold, said in permutations(ways, 2))


@given(st.lists(numbers, min_size=2, max_size=9, unique=True), st.sampled_from([" ", ", ", " or ", "-", "/", " and "]))
def test_a_list_of_numbers_is_wrong(listed: list[int], joint: str) -> None:
    assert not any(GRADER.grade(MANY, str(gold), joint.join(map(str, listed))) for gold in listed)


@given(st.integers(1, 99), st.integers(1, 99))
def test_a_ratio_is_not_its_reverse(one: int, other: int) -> None:
    for sign in "-:/":
        assert GRADER.grade("What was it?", f"{one}{sign}{other}", f"{other}{sign}{one}") == (one == other)


def hostile() -> Iterator[str]:
    """Texts that are long, deep or odd."""
    yield from ("hundred " * 500_000, "9" * 1_000_000, "million " * 200_000, "\N{GRINNING FACE}" * 2_500_000)
    yield from ("hundred " * 240, "9" * 1990, "million " * 240, "\N{GRINNING FACE}" * 1990, "Q: " * 600, " " * 1990 + "x")
    yield from (
        "\u0e01" * 1990,
        "a." * 990,
        "1-" * 990,
        "'" * 1990,
        "(" * 1990,
        "a'" * 990,
        "\u0301" * 1990,
        "half a " * 280,
    )
    yield from ("twenty and " * 180, "Paris, " * 280, "not " * 490, "X I " * 490, "$" * 1990, "\ud800" * 1990, "\x00" * 1990)
    yield from ("may 1 " * 330, "1,000," * 330, "**" * 990, "\N{ZERO WIDTH JOINER}" * 1990, "\ufdfa" * 1990, "A." * 990)
    yield from (
        "J. " * 660,
        "7 and a half " * 150,
        "united states " * 140,
        "(EAC " * 390,
        "A* " * 660,
        "5 km/h " * 280,
        ">=" * 990,
    )


@pytest.mark.parametrize("gold", ["Paris", "100", "15 May 1525", "the guild and the navy"])
def test_no_prediction_crashes_or_delays_the_grader(gold: str) -> None:
    for text in hostile():
        start = time.process_time()
        assert not GRADER.grade("Where was the treaty signed?", gold, text)
        assert not ExactMatchGrader().grade("Where was the treaty signed?", gold, text)
        assert time.process_time() - start < 1, text[:20]
