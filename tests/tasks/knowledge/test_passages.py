"""Passages and questions from files, by name and from the hub, and what is said of what is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from seal_env.errors import SettingError, TaskError, UnknownTaskError
from seal_env.tasks.knowledge.grading.exact_match import exact_match
from seal_env.tasks.knowledge.hub import read_squad
from seal_env.tasks.knowledge.loader import HUB_TASKSETS, TASKSETS, load_passages
from seal_env.tasks.knowledge.passage import Passage, PassageTask, Question, passage_id, published
from seal_env.tasks.knowledge.validate import validate, validate_all
from seal_env.types import Task

QUESTION = {"question": "Who made it?", "answer": "Ann"}
ROW = {"title": "A Ship", "context": "Ann built the ship in Kiel.", "questions": [QUESTION]}
QA = {
    "id": "1",
    "question": "Where?",
    "answers": [{"text": "Kiel", "answer_start": 22}, {"text": "in Kiel", "answer_start": 19}],
}
PARAGRAPH = {"context": ROW["context"], "qas": [QA]}
SQUAD = {"version": "1.1", "data": [{"title": "A_Ship", "paragraphs": [PARAGRAPH]}]}
PUBLISHED = "squad_self_edits.jsonl"


def write(folder: Path, content: Any, name: str = "passages.json") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_the_line_in_the_docs_is_a_passage(tmp_path: Path) -> None:
    lines = (Path(__file__).parents[3] / "docs" / "knowledge.md").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith('{"title"'))
    (task,) = load_passages(write(tmp_path, line, "mine.jsonl"))
    assert [question.answer for question in task.queries] == ["Zemilu"]
    assert not validate(task)


def changed(content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A copy with other fields; a field that is None is left out."""
    return {key: value for key, value in (content | fields).items() if value is not None}


def test_a_list_json_lines_and_a_single_passage_give_the_same_task(tmp_path: Path) -> None:
    lines = f"{json.dumps(ROW)}\n\n"
    paths = [write(tmp_path, [ROW]), write(tmp_path, lines, "lines.jsonl"), write(tmp_path, ROW, "one.json")]
    tasks = [list(load_passages(path)) for path in paths]
    assert tasks[0] == tasks[1] == tasks[2]
    (task,) = tasks[0]
    assert task.context == Passage("A Ship", "Ann built the ship in Kiel.")
    assert task.queries == (Question("Who made it?", "Ann"),)


def test_squad_gives_the_passage_the_same_id_and_keeps_every_answer(tmp_path: Path) -> None:
    (squad,) = load_passages(write(tmp_path, SQUAD))
    (seal,) = load_passages(write(tmp_path, [ROW], "seal.json"))
    assert (squad.task_id, squad.context) == (seal.task_id, seal.context)
    assert squad.queries == (Question("Where?", "Kiel", ("in Kiel",)),)
    assert squad.queries[0].golds == ("Kiel", "in Kiel")


def test_titles_of_squad_are_read_as_they_are_meant(tmp_path: Path) -> None:
    article = {"title": "Pok%C3%A9mon_Red", "paragraphs": [PARAGRAPH]}
    (task,) = load_passages(write(tmp_path, {"data": [article]}))
    assert task.context.title == "Pokémon Red"
    assert task.task_id.startswith("pokemon-red-")


def test_equal_answers_of_squad_count_once(tmp_path: Path) -> None:
    answers = [{"text": text} for text in ("Kiel", "Kiel", "in Kiel", "Kiel")]
    article = {"title": "A", "paragraphs": [changed(PARAGRAPH, qas=[changed(QA, answers=answers)])]}
    (task,) = load_passages(write(tmp_path, {"data": [article]}))
    assert task.queries[0].golds == ("Kiel", "in Kiel")


def test_ids_depend_on_the_words_alone() -> None:
    assert passage_id(Passage("A", "b c")) == passage_id(Passage("A ", "b\n c"))
    assert passage_id(Passage("A", "b c")) != passage_id(Passage("A", "b d"))
    assert passage_id(Passage("東京", "x")).startswith("passage-")


@pytest.mark.parametrize("field", ["self_edit", "completion", "completions"])
@pytest.mark.parametrize(("value", "texts"), [("one", ("one",)), (["one", "two"], ("one", "two")), ([], ())])
def test_published_self_edits_come_with_the_task(tmp_path: Path, field: str, value: Any, texts: tuple[str, ...]) -> None:
    (task,) = load_passages(write(tmp_path, [{**ROW, field: value}]))
    assert published(task) == texts
    assert published(Task(task.task_id, task.context, task.queries)) == ()


def test_a_passage_that_comes_twice_is_one_task_with_all_its_questions_and_self_edits(tmp_path: Path) -> None:
    other = {"question": "Where?", "answer": "Kiel"}
    rows = [ROW | {"self_edit": "one"}, ROW | {"self_edit": "two", "questions": [QUESTION, other]}]
    (task,) = load_passages(write(tmp_path, rows))
    assert [question.answer for question in task.queries] == ["Ann", "Kiel"]
    assert published(task) == ("one", "two")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("The ship is old.", "not JSON: .*; expected passages in JSON: .* 'title', 'context' and 'questions'"),
        ("[" * 100_000, "nested too deeply"),
        ([], "no passages"),
        (3, "passage 1: expected an object with 'title', 'context' and 'questions', got 3"),
        ([ROW, "x"], "passage 2: expected an object"),
        ([changed(ROW, title=None)], "passage 1: expected 'title' to be a text that is not empty, got nothing"),
        ([changed(ROW, context=["x"])], "passage 1: expected 'context' to be a text that is not empty, got a list of 1"),
        ([changed(ROW, context=" ")], "passage 1: expected 'context' to be a text that is not empty, got ' '"),
        ([changed(ROW, context="\ud83d")], "passage 1: 'context' holds half a character: '\\\\ud83d'"),
        ([changed(ROW, questions=[])], "no passage has a question with an answer"),
        ([changed(ROW, questions=None)], "passage 1: expected 'questions' to be a list, got nothing"),
        (
            [changed(ROW, questions=[QUESTION, 7])],
            "passage 1: question 2: expected an object with 'question' and 'answer', got 7",
        ),
        ([changed(ROW, questions=[{"question": "?"}])], "passage 1: question 1: expected 'answer' to be a text"),
        ([ROW | {"self_edit": {"a": 1}}], "passage 1: expected 'self_edit' to be .* got an object with 1 fields"),
        ([ROW | {"completions": ["x", 2]}], "passage 1: expected 'completions' to be .* got 2"),
        ({"data": {}}, "expected 'data' to be a list of at least one, got an object with 0 fields"),
        ({"data": [{"title": "A"}]}, "article 1: expected 'paragraphs' to be a list of at least one, got nothing"),
        (
            {"data": [{"title": "A", "paragraphs": [changed(PARAGRAPH, qas=[QA, changed(QA, answers=7)])]}]},
            "article 1: paragraph 1: question 2: expected 'answers' to be a list, got 7",
        ),
        (
            {"data": [{"title": "A", "paragraphs": [changed(PARAGRAPH, qas=[changed(QA, answers=["Kiel"])])]}]},
            "article 1: paragraph 1: question 1: answer 1: expected an object with 'text', got 'Kiel'",
        ),
    ],
)
def test_a_wrong_file_is_named_with_place_and_value(tmp_path: Path, content: Any, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(TaskError, match=f"passages.json: {said}"):
        load_passages(path)


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, f"{json.dumps(ROW)}\n{{]\n", "lines.jsonl")
    with pytest.raises(TaskError, match=r"lines\.jsonl: line 2: not JSON"):
        load_passages(path)


def test_a_line_that_is_not_json_is_skipped_where_bad_tasks_are(tmp_path: Path) -> None:
    path = write(tmp_path, f"{json.dumps(ROW)}\n{{]\n", "lines.jsonl")
    with pytest.warns(UserWarning, match=r"lines\.jsonl: line 2: not JSON"):
        assert len(load_passages(path, "skip")) == 1


def test_a_folder_and_a_file_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot be read"):
        load_passages(str(tmp_path))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TaskError, match=r"bytes\.json: not JSON"):
        load_passages(str(tmp_path / "bytes.json"))


def test_the_published_passages_are_200_with_974_questions_and_a_self_edit_each(data_directory: Path) -> None:
    tasks = load_passages(str(data_directory / PUBLISHED))
    assert (len(tasks), sum(len(task.queries) for task in tasks)) == (200, 974)
    assert {len(published(task)) for task in tasks} == {1}
    assert validate_all(tasks) == {}


def test_a_count_takes_the_first_passages_of_a_file(data_directory: Path) -> None:
    path = str(data_directory / PUBLISHED)
    assert load_passages(f"{path}:20").task_ids == load_passages(path).task_ids[:20]


def test_a_range_takes_passages_from_the_middle(tmp_path: Path) -> None:
    path = write(tmp_path, [changed(ROW, title=f"Ship {number}") for number in range(1, 6)])
    assert [task.context.title for task in load_passages(f"{path}:2-4")] == ["Ship 2", "Ship 3", "Ship 4"]
    assert list(load_passages(f"{path}:1-3")) == list(load_passages(f"{path}:3"))
    assert load_passages("synthetic-eval:3-4").task_ids == load_passages("synthetic-eval:4").task_ids[2:]
    for empty in ("6-9", "3-2"):
        with pytest.raises(UnknownTaskError, match=f"{empty}.*none from {empty[0]} on"):
            load_passages(f"{path}:{empty}")


def test_a_path_may_end_like_a_count(tmp_path: Path) -> None:
    assert len(load_passages(write(tmp_path, [ROW, changed(ROW, context="Ann lives.")], "rows:1"))) == 2


def test_ids_are_taken_in_the_order_given() -> None:
    subset = "synthetic-eval-7-123, synthetic-train-0-5,"
    assert load_passages(subset).task_ids == ("synthetic-eval-7-123", "synthetic-train-0-5")


@pytest.mark.parametrize(
    "subset", ["", "synthetc-eval", "no-such-file.json", "synthetic-eval:0", "synthetic-eval:x", "synthetic-eval-0-99999"]
)
def test_anything_else_is_unknown(subset: str) -> None:
    with pytest.raises(UnknownTaskError, match="There are synthetic, synthetic-train"):
        load_passages(subset)


def test_a_name_that_is_close_is_offered() -> None:
    with pytest.raises(UnknownTaskError, match="did you mean synthetic-eval"):
        load_passages("synthetc-eval:20")


def test_more_passages_than_there_are_names_for_are_refused() -> None:
    with pytest.raises(SettingError, match="count=99999"):
        load_passages("synthetic-eval:99999")


def test_squad_from_the_hub_says_so_when_it_cannot_be_reached() -> None:
    """Tests run with HF_HUB_OFFLINE=1."""
    pytest.importorskip("datasets")
    with pytest.raises(TaskError, match=r"squad-validation: rajpurkar/squad cannot be loaded: .* give a file"):
        load_passages("squad-validation:20")


def test_squad_from_the_hub_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    for name, entry in HUB_TASKSETS.items():
        with pytest.raises(TaskError, match=f"{name}: needs the package datasets: pip install"):
            entry()


def test_rows_of_the_hub_become_passages_with_all_their_questions(tmp_path: Path) -> None:
    """The rows of `rajpurkar/squad`, one for each question, from a folder of their own."""
    datasets = pytest.importorskip("datasets")
    rows = [
        {
            "id": "1",
            "title": "A_Ship",
            "context": text,
            "question": question,
            "answers": {"text": golds, "answer_start": [0]},
        }
        for text, question, golds in (
            ("Ann sails.", "Who?", ["Ann"]),
            ("Bo rows.", "Who?", ["Bo"]),
            ("Ann sails.", "How?", ["sails"]),
        )
    ]
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "validation.parquet")
    tasks = read_squad("validation", repository=str(tmp_path))
    assert [task.context for task in tasks] == [Passage("A Ship", "Ann sails."), Passage("A Ship", "Bo rows.")]
    assert [question.answer for question in next(iter(tasks)).queries] == ["Ann", "sails"]
    assert len(read_squad("validation", 1, repository=str(tmp_path))) == 1


def test_no_task_set_needs_the_hub_but_those_that_are_named_for_it() -> None:
    assert not TASKSETS.keys() & HUB_TASKSETS.keys()
    assert all(10 < len(entry.description) < 100 for entry in HUB_TASKSETS.values())


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        ("Kiel", True),
        ("the kiel.", True),
        ("in  Kiel", True),
        ("Kiel, Ann", False),
        ("Kielwasser", False),
        ("", False),
        ("the", False),
    ],
)
def test_exact_match_overlooks_case_articles_and_punctuation_only(prediction: str, right: bool) -> None:
    assert exact_match(prediction, ("Kiel", "in Kiel")) is right


def test_nothing_matches_a_gold_answer_of_articles_alone() -> None:
    assert not exact_match("the", ("the",))


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        (PassageTask("x", Passage("T", "Ann sails."), ()), "no question"),
        (PassageTask("x", Passage(" ", "Ann sails."), (Question("Who?", "Ann"),)), "no title"),
        (PassageTask("x", Passage("T", ""), (Question("Who?", "Ann"),)), "no text"),
        (PassageTask("x", Passage("T", "Ann sails."), (Question("Who?", "Bo"),)), "'Bo' is no part of the passage"),
        (
            PassageTask("x", Passage("T", "Ann sails."), (Question("Who?", "Ann", ("Bo",)),)),
            "'Bo' is no part of the passage",
        ),
        (PassageTask("x", Passage("T", "Who? Ann sails."), (Question("Who?", "Ann"),)), "it stands in the passage"),
        (PassageTask("x", Passage("Who, then?", "Ann sails."), (Question("Who then?", "Ann"),)), "it stands in the passage"),
        (PassageTask("x", Passage("T", "Ann sails."), (Question("?!", "Ann"),)), "nothing is asked"),
        (PassageTask("x", Passage("T", "The sails."), (Question("Which?", "The"),)), "'The' does not count as right"),
    ],
)
def test_a_task_that_proves_nothing_is_found_out(task: PassageTask, problem: str) -> None:
    assert any(problem in said for said in validate(task))


def test_answers_need_not_be_spans_where_that_is_not_asked() -> None:
    assert validate(PassageTask("x", Passage("T", "Ann sails."), (Question("Who?", "Bo"),)), spans=False) == []


def test_an_id_that_comes_twice_is_found_out() -> None:
    task = PassageTask("x", Passage("T", "Ann sails."), (Question("Who?", "Ann"),))
    assert validate_all([task, task]) == {"x": ["another task has this id"]}
