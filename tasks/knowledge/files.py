"""Passages from JSON files, in the forms in which they are published.

- SEAL's: a list of passages, or JSON lines (`.jsonl`) with one in each:
  `{"title", "context", "questions": [{"question", "answer"}, ...]}`. Published self-edits may stand beside them, one text or
  a list of texts, as "self_edit", "completion" or "completions".
- SQuAD's (versions 1.1 and 2.0): `{"data": [{"title", "paragraphs": [{"context", "qas": [{"question", "answers": [{"text"},
  ...]}, ...]}]}]}`.
- The rows of such a data set as `datasets` writes them, one question each, as a list, as JSON lines or as the hub's API
  gives them: `{"title", "context", "question", "answers": {"text": [...]}}`.

A passage that occurs more than once is one task with the questions and self-edits of all. A question without an answer, as
SQuAD 2.0 has them, is left out, and so is a passage without any question, with a warning. Files are untrusted: whatever is
wrong with one is a TaskError that says file, passage, question and value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from seal_env.errors import TaskError
from seal_env.tasks.bad_tasks import BadTasks, read_all, warn_of_no_questions
from seal_env.tasks.base import ListTaskset
from seal_env.tasks.json_values import kind_of
from seal_env.tasks.knowledge.passage import Passage, PassageTask, PassageTaskset, Question, passage_id
from seal_env.tasks.text_files import parse_json, read_text

EXPECTED = "expected passages in JSON: an object a line, or a list, with 'title', 'context' and 'questions', or SQuAD's form"
PUBLISHED = ("self_edit", "completion", "completions")
"""Fields of SEAL's form that may hold self-edits."""


def read_passages(path: Path, name: str | None = None, bad_tasks: BadTasks = "error") -> PassageTaskset:
    """The passages of a file, in its order. bad_tasks: what becomes of malformed ones. Raises TaskError."""
    text = read_text(path)
    readers = _lines(text, f"{path}") if _is_lines(text, path) else _whole_file(_json(text, f"{path}"), f"{path}")
    tasks = join(read_all(readers, f"{path}", bad_tasks))
    if not tasks:
        raise TaskError(f"{path}: no passages")
    asked = [task for task in tasks if task.queries]
    if not asked:
        raise TaskError(f"{path}: no passage has a question with an answer")
    warn_of_no_questions([task.context.title for task in tasks if not task.queries], f"{path}")
    return ListTaskset(name or str(path), tuple(asked))


def join(tasks: Iterable[PassageTask]) -> tuple[PassageTask, ...]:
    """The tasks in order, those with the same passage joined into one."""
    joined: dict[str, PassageTask] = {}
    for task in tasks:
        known = joined.setdefault(task.task_id, task)
        if known is not task:
            queries = tuple(question for question in task.queries if question not in known.queries)
            published = tuple(text for text in task.published if text not in known.published)
            joined[task.task_id] = replace(known, queries=known.queries + queries, published=known.published + published)
    return tuple(joined.values())


def squad_passage(title: str, text: str) -> Passage:
    """A passage of SQuAD, whose titles are written as in addresses: "Nikola_Tesla"."""
    return Passage(unquote(title).replace("_", " "), text)


def squad_question(question: str, answers: Iterable[str]) -> Question:
    """A question of SQuAD: the first answer is the gold answer, the others are alternatives, each once."""
    answer, *alternatives = dict.fromkeys(answers)
    return Question(question, answer, tuple(alternatives))


def _is_lines(text: str, path: Path) -> bool:
    """Whether a file holds JSON lines, as `datasets` writes them to `.json` too; a list in brackets is none."""
    first, _, rest = text.lstrip().partition("\n")
    if path.suffix.lower() == ".jsonl":
        return not first.startswith("[")
    return first.startswith("{") and first.rstrip().endswith("}") and rest.lstrip().startswith("{")


def _json(text: str, where: str) -> Any:
    try:
        return parse_json(text, where)
    except TaskError as error:
        raise TaskError(f"{error}; {EXPECTED}") from error


def _lines(text: str, where: str) -> Iterator[Callable[[], PassageTask]]:
    """A reader for each line of JSON lines; a line that is not JSON is one malformed passage among the others."""
    lines = enumerate(text.split("\n"), 1)  # a line break within a text may be any other
    return (partial(_line, line, f"{where}: line {number}") for number, line in lines if line.strip())


def _line(line: str, where: str) -> PassageTask:
    return _row(parse_json(line, where), where)


def _whole_file(content: Any, where: str) -> Iterator[Callable[[], PassageTask]]:
    """A reader for each passage of a file that is one JSON value."""
    if isinstance(content, Mapping) and "data" in content:
        return _squad(content["data"], where)
    rows = content if isinstance(content, list) else [content]
    if isinstance(content, Mapping) and isinstance(content.get("rows"), list):  # as the hub's API gives them
        rows = [row["row"] if isinstance(row, Mapping) and "row" in row else row for row in content["rows"]]
    return (partial(_row, row, f"{where}: passage {number}") for number, row in enumerate(rows, 1))


def _row(row: Any, where: str) -> PassageTask:
    """A passage in SEAL's form, or a question in the form of `datasets`."""
    content = _object(row, where, "'title', 'context' and 'questions'")
    if "answers" in content and "question" in content:
        passage = squad_passage(_text(content, "title", where), _text(content, "context", where))
        asked = _question(content, where)
        return PassageTask(passage_id(passage), passage, (asked,) if asked else ())
    passage = Passage(_text(content, "title", where), _text(content, "context", where))
    questions = []
    for index, item in enumerate(_list(content, "questions", where, least=0), 1):
        place = f"{where}: question {index}"
        pair = _object(item, place, "'question' and 'answer'")
        questions.append(Question(_text(pair, "question", place), _text(pair, "answer", place)))
    return PassageTask(passage_id(passage), passage, tuple(questions), tuple(_published(content, where)))


def _published(content: Mapping[str, Any], where: str) -> Iterator[str]:
    for field in PUBLISHED:
        texts = content.get(field, [])
        for text in [texts] if isinstance(texts, str) else texts if isinstance(texts, list) else [texts]:
            if not isinstance(text, str):
                raise TaskError(f"{where}: expected {field!r} to be a text or a list of texts, got {kind_of(text)}")
            yield _whole(text, field, where)


def _squad(articles: object, where: str) -> Iterator[Callable[[], PassageTask]]:
    for number, item in enumerate(_list({"data": articles}, "data", where), 1):
        place = f"{where}: article {number}"
        article = _object(item, place, "'title' and 'paragraphs'")
        title = _text(article, "title", place)
        for index, paragraph in enumerate(_list(article, "paragraphs", place), 1):
            yield partial(_paragraph, title, paragraph, f"{place}: paragraph {index}")


def _paragraph(title: str, paragraph: object, where: str) -> PassageTask:
    content = _object(paragraph, where, "'context' and 'qas'")
    passage = squad_passage(title, _text(content, "context", where))
    items = enumerate(_list(content, "qas", where, least=0), 1)
    places = ((item, f"{where}: question {index}") for index, item in items)
    questions = (_question(_object(item, place, "'question' and 'answers'"), place) for item, place in places)
    return PassageTask(passage_id(passage), passage, tuple(question for question in questions if question))


def _question(content: Mapping[str, Any], where: str) -> Question | None:
    """A question of SQuAD; None if it has no answer."""
    answers = content.get("answers")
    if isinstance(answers, Mapping):  # columns instead of rows, as `datasets` has them
        answers = [{"text": text} for text in _list(answers, "text", f"{where}: answers", least=0)]
    listed = _list({"answers": answers}, "answers", where, least=0)
    texts = [
        _text(_object(answer, f"{where}: answer {count}", "'text'"), "text", f"{where}: answer {count}")
        for count, answer in enumerate(listed, 1)
    ]
    question = _text(content, "question", where)
    return squad_question(question, texts) if texts else None


def _object(value: object, where: str, fields: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TaskError(f"{where}: expected an object with {fields}, got {kind_of(value)}")
    return value


def _list(content: Mapping[str, Any], field: str, where: str, least: int = 1) -> list[Any]:
    value = content.get(field)
    if not isinstance(value, list) or len(value) < least:
        size = " of at least one" if least else ""
        raise TaskError(f"{where}: expected {field!r} to be a list{size}, got {kind_of(value)}")
    return value


def _text(content: Mapping[str, Any], field: str, where: str) -> str:
    value = content.get(field)
    if not isinstance(value, str) or not value.strip():
        raise TaskError(f"{where}: expected {field!r} to be a text that is not empty, got {kind_of(value)}")
    return _whole(value, field, where)


def _whole(text: str, field: str, where: str) -> str:
    """The text, if every character of it is a whole one: JSON can hold halves of pairs, which are no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TaskError(f"{where}: {field!r} holds half a character: {text[error.start]!r}") from error
    return text
