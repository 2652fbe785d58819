"""A grader from outside seal-env, registered under a name or given as a function, scores tasks like a built-in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import pytest

from seal_env.errors import SettingError
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading import registry
from seal_env.tasks.knowledge.grading.base import Attempt, Grader
from seal_env.tasks.knowledge.grading.registry import make_grader, register_grader
from seal_env.tasks.knowledge.passage import Passage, PassageTask, Question
from seal_env.types import Answer

TASK = PassageTask("t", Passage("A", "b"), (Question("Who?", "Ann", ("Annabel",)), Question("When?", "1852")))


class FirstLetter:
    """Right if the answer begins as the gold answer does. model: asked for by the tests of settings alone."""

    def __init__(self, model: str | None = None) -> None:
        self.model = model

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        return prediction[:1] == gold[:1]

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        return [self.grade(*attempt) for attempt in attempts]


@pytest.fixture(autouse=True)
def _only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "GRADERS", dict(registry.GRADERS))
    register_grader("first-letter", FirstLetter, uses=["model"])


def first_letter(question: str, gold: str, prediction: str) -> bool:
    return prediction[:1] == gold[:1]


@pytest.fixture(params=["first-letter", first_letter], ids=["by name", "as a function"])
def grader(request: pytest.FixtureRequest) -> Grader:
    return make_grader(request.param)


def test_it_decides_what_counts_as_right(grader: Grader) -> None:
    answers = [Answer("0", False, "Alfred", 0.0), Answer("1", False, "2000", 0.0)]
    assert KnowledgeDomain(grader).score(TASK, answers, 0).accuracy == 0.5


def test_it_grades_nothing_one_or_many(grader: Grader) -> None:
    assert grader.grade_all([]) == []
    assert grader.grade_all([Attempt("Who?", "Ann", "Al"), Attempt("Who?", "Ann", "Bo")]) == [True, False]
    assert grader.grade("Who?", "Ann", "Al") is True


def test_settings_that_it_takes_reach_it_and_others_are_refused() -> None:
    made = make_grader("first-letter", model="m", cache_file="ignored.sqlite")
    assert isinstance(made, FirstLetter)
    assert made.model == "m"
    with pytest.raises(SettingError, match="grader_url='http://x/v1' is not legal; expected None where grader='first-let"):
        make_grader("first-letter", url="http://x/v1")
    with pytest.raises(SettingError, match="grader_model='m' is not legal"):
        make_grader(first_letter, model="m")


def test_a_name_that_is_taken_and_an_unknown_argument_are_refused() -> None:
    with pytest.raises(SettingError, match="name='judge' is not legal; expected a name that is not taken"):
        register_grader("judge", FirstLetter)
    with pytest.raises(SettingError, match="uses='colour' is not legal"):
        register_grader("other", FirstLetter, uses=["colour"])


def test_an_unknown_grader_is_named_with_what_there_is() -> None:
    with pytest.raises(SettingError, match=r"grader='last-letter' is not legal; expected .* or 'first-l"):
        make_grader("last-letter")


@pytest.mark.parametrize("chosen", ["first-letter", first_letter], ids=["by name", "as a function"])
def test_the_setting_grader_takes_it(chosen: Any) -> None:
    env = gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-train:1", grader=chosen)
    grader: Grader = env.unwrapped.domain.grader  # type: ignore[attr-defined]
    assert grader.grade("Who?", "Ann", "Al")
    with pytest.raises(SettingError, match=r"grader='last-letter'"):
        gymnasium.make("SEAL-Knowledge-v0", grader="last-letter")
