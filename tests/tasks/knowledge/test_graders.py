"""Graders by name, how verdicts are compared, and how well the default grader agrees with published verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from seal_env.errors import SettingError, TaskError
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.agreement import (
    FOLDS,
    Verdict,
    agreement,
    cohens_kappa,
    folds,
    in_halves,
    read_verdicts,
)
from seal_env.tasks.knowledge.grading.base import Attempt
from seal_env.tasks.knowledge.grading.exact_match import normalise
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.grading.registry import make_grader
from seal_env.tasks.knowledge.passage import Passage, PassageTask, Question
from seal_env.types import Answer

ROW = {"question": "Who?", "gold": "Ann", "prediction": "Ann did", "correct": True}


# By name


def test_default_needs_nothing() -> None:
    assert isinstance(make_grader("lexical"), LexicalGrader)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("exact", {}, "grader='exact' is not legal; expected 'lexical' or 'judge'"),
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
        "import sys; from seal_env.tasks.knowledge import LexicalGrader; "
        "from seal_env.tasks.knowledge.grading.registry import make_grader; "
        "make_grader('lexical').grade('Who?', 'Ann', 'Ann'); "
        "print({'torch', 'transformers', 'openai'} & set(sys.modules))"
    )
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


# Agreement


def test_kappa_is_that_of_a_worked_example() -> None:
    one = [True] * 25 + [False] * 25
    other = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert agreement(one, other) == 0.7
    assert cohens_kappa(one, other) == pytest.approx(0.4)  # chance: 0.5 * 0.6 + 0.5 * 0.4


def test_kappa_of_equal_verdicts_is_1_and_of_one_that_says_always_the_same_0() -> None:
    assert cohens_kappa([True, False, True], [True, False, True]) == 1.0
    assert cohens_kappa([True] * 4, [True] * 4) == 1.0
    assert cohens_kappa([True] * 4, [True, False, True, False]) == 0.0
    assert cohens_kappa([True, False], [False, True]) == -1.0


def test_verdicts_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="no verdicts"):
        agreement([], [])
    with pytest.raises(ValueError, match="shorter"):
        cohens_kappa([True, False], [True])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: question=None is not legal"),
        (json.dumps(ROW | {"correct": 1}), "line 2: correct=1 is not legal; expected a bool"),
        (json.dumps(ROW | {"gold": None}), "line 2: gold=None is not legal; expected a str"),
    ],
)
def test_file_of_verdicts_that_is_wrong_is_told_by_line_and_field(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "verdicts.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{line}\n", encoding="utf-8")
    with pytest.raises(TaskError, match=path.name) as raised:
        read_verdicts(path)
    assert says in str(raised.value)
    with pytest.raises(TaskError, match="cannot be read"):
        read_verdicts(tmp_path / "absent.jsonl")


@pytest.mark.slow
def test_benchmark_measures_what_there_is_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    rows = [ROW | {"question": f"Who was {number}?", "correct": number % 3 > 0} for number in range(30)]
    rows += [each | {"prediction": "Bob", "correct": False} for each in rows]
    source, target = tmp_path / "verdicts.jsonl", tmp_path / "graders.json"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    script = Path(__file__).parents[3] / "benchmarks" / "graders.py"
    options = [str(source), "--json", str(target)]
    done = subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "left out  judge: no --judge-url" in done.stdout
    graders = json.loads(target.read_text())["graders"]
    assert set(graders) == {"containment", "lexical"}
    parts = in_halves(read_verdicts(source))._asdict() | {"all": read_verdicts(source)}
    for half, verdicts in parts.items():
        said, right = [each.attempt.prediction == "Ann did" for each in verdicts], [each.right for each in verdicts]
        for figure, value in (("agreement", agreement(said, right)), ("kappa", cohens_kappa(said, right))):
            mean, low, high = graders["lexical"][half][figure]
            assert mean == pytest.approx(value)
            assert low < mean < high


# The published verdicts


def test_halves_share_no_question_and_lose_no_verdict(data_directory: Path) -> None:
    verdicts = read_verdicts(data_directory / "squad_verdicts.jsonl")
    tuning, reporting = in_halves(verdicts)
    assert len(tuning) + len(reporting) == len(verdicts)
    assert {each.attempt.question for each in tuning}.isdisjoint(each.attempt.question for each in reporting)
    assert in_halves(verdicts[::-1]).tuning == tuning[::-1]


def test_folds_share_no_question_and_none_is_empty(data_directory: Path) -> None:
    verdicts = read_verdicts(data_directory / "squad_verdicts.jsonl")
    numbers = folds(verdicts)
    sizes = Counter(numbers)
    assert set(sizes) == set(range(FOLDS))
    assert min(sizes.values()) > len(verdicts) / FOLDS / 2
    by_question = {(verdict.attempt.question, number) for verdict, number in zip(verdicts, numbers, strict=True)}
    assert len(by_question) == len({verdict.attempt.question for verdict in verdicts})


def agrees(said: Sequence[bool], verdicts: Sequence[Verdict], floor: tuple[float, float]) -> bool:
    """Whether agreement and kappa reach `floor`."""
    right = [verdict.right for verdict in verdicts]
    return agreement(said, right) >= floor[0] and cohens_kappa(said, right) >= floor[1]


def test_lexical_agrees_with_gpt_4_1(data_directory: Path) -> None:
    """Floors just below what was measured (docs/grading.md): on the reporting half 0.885 is not reached."""
    tuning, reporting = in_halves(read_verdicts(data_directory / "squad_verdicts.jsonl"))
    said = LexicalGrader().grade_all([verdict.attempt for verdict in tuning + reporting])
    assert agrees(said[: len(tuning)], tuning, (0.9, 0.775))
    assert agrees(said[len(tuning) :], reporting, (0.88, 0.72))
    assert agrees(said, tuning + reporting, (0.89, 0.75))
    contained = [normalise(each.gold) in normalise(each.prediction) for each, _ in tuning + reporting]
    assert not agrees(contained, tuning + reporting, (0.875, 0.72))
