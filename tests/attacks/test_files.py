"""Folders and files as they are found: what cannot be read is named, or left out and listed; the rest is read."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seal_env.episodes.runtime import Runtime, folder_name
from seal_env.errors import TaskError, UnknownTaskError
from seal_env.settings import Settings
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.custom.loader import load_custom
from seal_env.tasks.knowledge.loader import load_passages

GRID = [[1, 2], [3, 4]]
PAIR = {"input": GRID, "output": GRID}
TASK = {"train": [PAIR, PAIR], "test": [PAIR]}
WIDE = {"train": [PAIR], "test": [{"input": [[0] * 31], "output": GRID}]}


def folder(path: Path, **files: Any) -> str:
    for name, content in files.items():
        (path / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_hidden_files_of_a_folder_are_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "._aa.json").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    assert load_taskset(folder(tmp_path, aa=TASK)).task_ids == ("aa",)


def test_pipes_and_devices_of_a_folder_are_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bb.json")
    (tmp_path / "cc.json").symlink_to("/dev/zero")
    path = folder(tmp_path, aa=TASK)
    with pytest.warns(UserWarning, match=r"2 of 3 tasks of .* left out:\n.*bb\.json: a pipe.*\n.*cc\.json: a pipe"):
        assert load_taskset(path, "skip").task_ids == ("aa",)


def test_every_bad_file_of_a_folder_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    path = folder(tmp_path, aa=TASK, bb="{", cc=WIDE)
    with pytest.raises(TaskError) as error:
        load_taskset(path)
    said = str(error.value).splitlines()
    assert said[0].startswith(f"{tmp_path / 'bb.json'}: not JSON")
    assert said[1].startswith(
        f"{tmp_path / 'cc.json'}: task cc: test pair 0: input, row 0: 31 columns; expected a list of 1"
    )
    assert said[2:] == ["bad_tasks='skip' leaves them out"]


def test_bad_files_are_left_out_where_that_is_asked_for_and_listed(tmp_path: Path) -> None:
    path = folder(tmp_path, aa=TASK, bb="{", cc=WIDE)
    with pytest.warns(UserWarning, match=r"2 of 3 tasks of .* left out:\n.*bb\.json: not JSON.*\n.*cc\.json: .* 31 columns"):
        assert load_taskset(path, "skip").task_ids == ("aa",)


def test_bad_tasks_of_a_challenges_file_are_left_out_too(tmp_path: Path) -> None:
    path = folder(tmp_path, all={"aa": TASK, "bb": 3}) + "/all.json"
    with pytest.raises(TaskError, match="task bb: expected an object"):
        load_taskset(path)
    with pytest.warns(UserWarning, match="1 of 2 tasks of .* left out"):
        assert load_taskset(path, "skip").task_ids == ("aa",)


@pytest.mark.parametrize("task_id", ["", " ", "a\nb", "a\x00", "\ud800", "\x1b[31m", "a" * 101])
def test_an_id_that_cannot_be_shown_is_refused(tmp_path: Path, task_id: str) -> None:
    with pytest.raises(TaskError, match=r"the id is not legal; expected 1 to 100 printable characters") as error:
        load_taskset(folder(tmp_path, all={"aa": TASK, task_id: TASK}) + "/all.json")
    assert str(error.value).splitlines()[0].isprintable()


@pytest.mark.parametrize("task_id", ["x/../../../escaped", "..", "a:b", "C:\\x", "日本", "a" * 100, "mini-eval-0-7"])
def test_the_folder_of_an_adapter_is_named_by_no_more_than_letters_digits_and_marks(task_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,70}", folder_name(task_id))
    assert (folder_name(task_id) == task_id) == (task_id == "mini-eval-0-7")
    assert folder_name(task_id) != folder_name(f"{task_id}/")


def test_a_folder_of_nothing_but_bad_files_is_an_error_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="not JSON"):
        load_taskset(folder(tmp_path, bb="{", cc="["), "skip")


def test_the_setting_reaches_the_loader(tmp_path: Path) -> None:
    settings = Settings.resolve(domain="arc", subset=folder(tmp_path, aa=TASK, bb="{"), bad_tasks="skip")
    with pytest.warns(UserWarning, match="left out"):
        assert Runtime(settings).taskset.task_ids == ("aa",)


def answers(*texts: str) -> list[dict[str, Any]]:
    return [{"text": text, "answer_start": 0} for text in texts]


def asked(question: str, *texts: str) -> dict[str, Any]:
    return {"question": question, "answers": answers(*texts), "is_impossible": not texts, "plausible_answers": answers("x")}


SQUAD_2 = {
    "version": "v2.0",
    "data": [
        {
            "title": "Kiel",
            "paragraphs": [
                {"context": "Kiel is a port.", "qas": [asked("What is Kiel?", "a port", "port"), asked("Who?")]},
                {"context": "Nothing is asked.", "qas": [asked("Who?")]},
            ],
        }
    ],
}
PASSAGE = {"title": "Kiel", "context": "Kiel is a port."}
ROWS: list[dict[str, Any]] = [
    PASSAGE | {"question": "What?", "answers": {"text": ["a port"], "answer_start": [0]}},
    PASSAGE | {"question": "Who?", "answers": {"text": [], "answer_start": []}},
    PASSAGE | {"question": "Where?", "answers": {"text": ["here"], "answer_start": [3]}},
]


def test_questions_without_an_answer_and_passages_without_a_question_are_left_out(tmp_path: Path) -> None:
    path = folder(tmp_path, dev=SQUAD_2) + "/dev.json"
    with pytest.warns(UserWarning, match="1 passage without a question that has an answer is left out: 'Kiel'"):
        (task,) = load_passages(path)
    assert [(question.question, question.golds) for question in task.queries] == [("What is Kiel?", ("a port", "port"))]


@pytest.mark.parametrize("form", ["list", "lines", "hub"])
def test_rows_of_a_hub_data_set_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("rows.jsonl" if form == "lines" else "rows.json")
    hub = {"features": [], "rows": [{"row_idx": number, "row": row} for number, row in enumerate(ROWS)]}
    content = {"list": json.dumps(ROWS), "lines": "\n".join(map(json.dumps, ROWS)), "hub": json.dumps(hub)}
    path.write_text(content[form])
    (task,) = load_passages(str(path))
    assert [(question.question, question.answer) for question in task.queries] == [("What?", "a port"), ("Where?", "here")]


def test_bad_passages_are_left_out_where_that_is_asked_for_and_listed(tmp_path: Path) -> None:
    path = folder(tmp_path, rows=[*ROWS, {"title": "x"}, 7]) + "/rows.json"
    with pytest.raises(TaskError, match=r"passage 4: expected 'context'(.|\n)*passage 5: expected an object"):
        load_passages(path)
    with pytest.warns(UserWarning, match="2 of 5 tasks of .* left out"):
        assert len(load_passages(path, "skip")) == 1


CUSTOM = {"examples": [{"input": "a", "output": "b"}], "queries": [{"input": "c", "output": "d\u2028e"}]}


def test_lines_of_custom_tasks_end_at_line_feeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "my tasks.jsonl"
    path.write_text(json.dumps(CUSTOM, ensure_ascii=False) + "\r\n")
    (task,) = load_custom(str(path))
    assert (task.task_id, task.queries[0].output) == ("my-tasks-1", "d\u2028e")


@pytest.mark.parametrize("line", ["[" * 100_000, '{"examples": [{"input": "\\ud800", "output": "b"}], "queries": []}', "{}"])
def test_a_bad_line_of_custom_tasks_is_named_or_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(f"{json.dumps(CUSTOM)}\n{line}\n")
    with pytest.raises(TaskError, match="line 2"):
        load_custom(str(path))
    with pytest.warns(UserWarning, match="1 of 2 tasks of"):
        assert len(load_custom(str(path), bad_tasks="skip")) == 1


LOADERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "arc.json": (load_taskset, json.dumps(TASK)),
    "passages.json": (load_passages, json.dumps([PASSAGE | {"questions": [{"question": "What?", "answer": "a port"}]}])),
    "passages.jsonl": (load_passages, json.dumps(ROWS[0]) + "\n"),
    "custom.jsonl": (load_custom, json.dumps(CUSTOM) + "\n"),
}
UNREADABLE: dict[str, tuple[Callable[[str], bytes], str]] = {
    "UTF-16": (lambda text: text.encode("utf-16"), "not JSON in UTF-8: it is UTF-16; save it as UTF-8"),
    "big-endian": (lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "it is UTF-16; save it as UTF-8"),
    "UTF-16 without a mark": (lambda text: text.encode("utf-16-le"), "not JSON"),
    "Latin-1": (lambda text: b"\xe9" + text.encode(), "not JSON in UTF-8: byte 0 is 0xe9"),
    "gzip": (lambda text: gzip.compress(text.encode()), r"it is compressed \(gzip\); unpack it first"),
    "zip": (lambda text: b"PK\x03\x04\xff", r"it is compressed \(zip\); unpack it first"),
    "Parquet": (lambda text: b"PAR1\xff", "it is Parquet"),
    "NUL": (lambda text: text.encode() + b"\x00", "not JSON"),
    "empty": (lambda text: b"", "not JSON|no passages|there is no task in it"),
    "blank": (lambda text: b" \r\n\n", "not JSON|no passages|there is no task in it"),
    "number": (lambda text: b"3", "expected an? (JSON )?object"),
    "NaN": (lambda text: b"NaN", "expected an? (JSON )?object"),
    "deep": (lambda text: b"[" * 100_000, "nested too deeply|not JSON"),
    "digits": (lambda text: b"1" * 5000, "not JSON"),
    "field twice": (lambda text: text.replace("{", '{"a": 1, "a": 2, ', 1).encode(), "field 'a' occurs more than once"),
}


@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("name", LOADERS)
def test_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str, case: str) -> None:
    (load, text), (spoil, said) = LOADERS[name], UNREADABLE[case]
    (tmp_path / name).write_bytes(spoil(text))
    with pytest.raises(TaskError, match=f"{name}.*({said})"):
        load(str(tmp_path / name))


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("before", [b"", codecs.BOM_UTF8, 2 * codecs.BOM_UTF8, b" \r\n"])
def test_marks_and_line_ends_of_other_systems_do_not_matter(tmp_path: Path, name: str, before: bytes) -> None:
    load, text = LOADERS[name]
    (tmp_path / name).write_bytes(before + text.replace("\n", "\r\n").encode() + b"\r\n")
    assert len(load(str(tmp_path / name))) == 1


@pytest.mark.parametrize("name", ["a" * 5000, "a\x00b", "\ud800", "a/b/../c", "\x1b[31m"])
@pytest.mark.parametrize("load", [load_taskset, load_passages, load_custom])
def test_name_that_is_no_file_is_unknown(load: Callable[[str], Any], name: str) -> None:
    with pytest.raises(UnknownTaskError) as error:
        load(name)
    assert str(error.value).isprintable()


def test_lines_with_any_ending_and_lists_in_any_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "lines.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "list.jsonl").write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "one.json").write_text(json.dumps(ROWS[0], indent=1))
    found = [load_passages(str(tmp_path / name)) for name in ("lines.json", "list.jsonl", "one.json")]
    assert [len(task.queries) for tasks in found for task in tasks] == [2, 2, 1]


def test_folder_is_its_own_files_whatever_else_is_in_it(tmp_path: Path) -> None:
    path = folder(tmp_path, aa=TASK)
    for name in (".DS_Store", ".aa.json.swp", "Thumbs.db", "README", "bb.json.bak"):
        (tmp_path / name).write_bytes(b"\x00\x01")
    for name in ("deeper", "looks.json", "__MACOSX"):
        (tmp_path / name).mkdir()
    (tmp_path / "deeper" / "cc.json").write_text(json.dumps(TASK))
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "DD.JSON").write_text(json.dumps(TASK))
    assert load_taskset(path).task_ids == ("DD", "aa")


def test_links_that_lead_nowhere_are_named_or_left_out(tmp_path: Path) -> None:
    path = folder(tmp_path, aa=TASK)
    (tmp_path / "self.json").symlink_to(tmp_path / "self.json")
    (tmp_path / "dead.json").symlink_to("/nowhere")
    with pytest.raises(TaskError, match=r"dead\.json: cannot be read: No such(.|\n)*self\.json: cannot be read: Too many"):
        load_taskset(path)
    with pytest.warns(UserWarning, match="2 of 3 tasks"):
        assert load_taskset(path, "skip").task_ids == ("aa",)


def test_task_that_a_file_has_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(f'{{"aa": {json.dumps(TASK)}, "aa": {json.dumps(TASK)}}}')
    with pytest.raises(TaskError, match="field 'aa' occurs more than once"):
        load_taskset(str(tmp_path / "all.json"))
    (tmp_path / "custom.jsonl").write_text(2 * (json.dumps(CUSTOM | {"id": "same"}) + "\n"))
    with pytest.raises(TaskError, match="task same occurs more than once"):
        load_custom(str(tmp_path / "custom.jsonl"))


def test_many_bad_rows_are_counted_and_few_are_shown(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([1] * 1000))
    with pytest.raises(TaskError, match=r"passage 10: expected an object(.|\n)*and 990 more$"):
        load_passages(str(tmp_path / "rows.json"))


@pytest.mark.parametrize("title", ["\x1b]0;owned\x07", "../../etc", "a/b\\c", "CON", "x" * 3000, "文" * 300, "\x00", "."])
def test_title_of_a_passage_becomes_an_id_that_is_a_name_anywhere(tmp_path: Path, title: str) -> None:
    rows = [PASSAGE | {"title": title, "questions": [{"question": "What?", "answer": "a port"}]}]
    (task,) = load_passages(folder(tmp_path, rows=rows) + "/rows.json")
    assert re.fullmatch("[a-z0-9-]{1,70}", task.task_id)


def test_message_of_a_file_with_escapes_in_its_name_can_be_shown(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as error:
        load_taskset(folder(tmp_path, **{"\x1b[31m\x07": "{"}))
    assert r"\x1b[31m\x07.json: not JSON" in str(error.value)
