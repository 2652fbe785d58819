"""Graders by name and in the domain."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from seal_env.errors import SettingError
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.base import Attempt
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.grading.registry import make_grader
from seal_env.tasks.knowledge.passage import Passage, PassageTask, Question
from seal_env.types import Answer

# By name


def test_default_needs_nothing() -> None:
    assert isinstance(make_grader("lexical"), LexicalGrader)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("exact", {}, "grader='exact' is not legal; expected 'lexical' or 'exact_match' or 'judge'"),
        ("lexical", {"model": "x"}, "grader_model='x' is not legal; expected None where grader='lexical'"),
        ("lexical", {"url": "http://x/v1"}, "grader_url='http://x/v1' is not legal"),
        ("judge", {"url": "nowhere"}, "grader_url='nowhere' is not legal; expected an address"),
    ],
)
def test_settings_that_do_not_fit_are_named(name: str, settings: dict[str, str], says: str) -> None:
    with pytest.raises(SettingError) as raised:
        make_grader(name, **settings)
    assert says in str(raised.value)


def test_default_imports_neither_torch_nor_a_client() -> None:
    code = (
        "import sys; from seal_env.tasks.knowledge.grading.lexical import LexicalGrader; "
        "from seal_env.tasks.knowledge.grading.registry import make_grader; "
        "make_grader('lexical').grade('Who?', 'Ann', 'Ann'); "
        "print({'torch', 'transformers', 'openai'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_package_loads_no_tables_of_words() -> None:
    code = "import sys, seal_env.domains.registry; print({'babel', 'icu4py', 'simplemma'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# In the domain


class Noting(LexicalGrader):
    """Notes what it is asked at one time."""

    def __init__(self) -> None:
        self.calls: list[list[Attempt]] = []

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        self.calls.append(list(attempts))
        return super().grade_all(attempts)


def test_domain_grades_all_answers_in_one_call_and_takes_any_gold_answer() -> None:
    questions = (Question("Who?", "Ann", ("Annabel",)), Question("When?", "1852"), Question("Where?", "Kiel"))
    task = PassageTask("t", Passage("A", "b"), questions)
    texts = ["Annabel", "1900", None]
    grader = Noting()
    answers = [Answer(str(number), False, text, 0.0) for number, text in enumerate(texts)]
    assert KnowledgeDomain(grader).score(task, answers, 0).accuracy == 1 / 3
    assert grader.calls == [
        [Attempt("Who?", "Ann", "Annabel"), Attempt("Who?", "Annabel", "Annabel"), Attempt("When?", "1852", "1900")]
    ]


def accuracy(*cases: tuple[str, str, str]) -> float:
    """Of (question, gold answer, answer) by the lexical grader."""
    task = PassageTask("t", Passage("A", "b"), tuple(Question(question, gold) for question, gold, _ in cases))
    answers = [Answer(str(number), False, answer, 0.0) for number, (_, _, answer) in enumerate(cases)]
    return KnowledgeDomain(LexicalGrader()).score(task, answers, 0).accuracy


def test_one_text_does_not_answer_different_questions() -> None:
    all_of_it = "Mira Vald built the lighthouse in 1852."
    assert accuracy(("Who built the lighthouse?", "Mira Vald", all_of_it)) == 1
    assert accuracy(("Who built the lighthouse?", "Mira Vald", all_of_it), ("When was it built?", "1852", all_of_it)) == 0


def test_one_text_answers_the_same_question_in_other_words() -> None:
    assert accuracy(("When was it built?", "15 May 1852", "1852"), ("In which year was it built?", "1852", "1852")) == 1
