"""Tasks of one's own: a file of JSON lines becomes a task set, and its metric decides on answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.domains.custom import CUSTOM
from seal_env.errors import SettingError, TaskError, UnknownTaskError
from seal_env.tasks.custom.loader import load_custom
from seal_env.tasks.custom.metrics import MetricScorer
from seal_env.tasks.pairs.domain import PairsDomain
from seal_env.types import Answer

ROW: dict[str, Any] = {
    "id": "caps",
    "examples": [{"input": "a", "output": "A"}, {"input": "b", "output": "B"}],
    "queries": [{"input": "c", "output": "C"}, {"input": "d", "output": "D"}],
}


def write(tmp_path: Path, *rows: Any) -> str:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def answers(*texts: str) -> list[Answer]:
    return [Answer(str(index), False, text, 0.0) for index, text in enumerate(texts)]


def test_each_line_is_a_task(tmp_path: Path) -> None:
    path = write(tmp_path, ROW, {key: value for key, value in ROW.items() if key != "id"}, "")
    tasks = load_custom(path)
    assert tasks.task_ids == ("caps", "mine-2")
    assert [pair.output for pair in tasks["caps"].queries] == ["C", "D"]
    assert load_custom(f"{path}:1").task_ids == ("caps",)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 1: not JSON"),
        ([], "line 1: expected an object, got a list of 0"),
        (ROW | {"exampels": []}, "unknown field 'exampels'"),
        (ROW | {"id": "../x"}, "id='../x' is not legal"),
        (ROW | {"id": 7}, "id=7 is not legal"),
        (ROW | {"metric": "os.system"}, "metric='os.system' is not legal; expected .*'exact_match'"),
        (ROW | {"queries": []}, "queries=a list of 0 is not legal"),
        (ROW | {"examples": [{"input": "a"}]}, r"examples\[0\]=an object with 1 fields is not legal"),
        (ROW | {"examples": [{"input": "a", "output": 3}]}, r"examples\[0\].output=3 is not legal"),
        (ROW | {"examples": [{"input": " ", "output": "A"}]}, r"examples\[0\].input=' ' is not legal"),
    ],
)
def test_a_malformed_line_is_named_with_its_field(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(TaskError, match=f"mine.jsonl.*{message}"):
        load_custom(write(tmp_path, row))


def test_files_that_are_not_there_or_empty_or_double_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UnknownTaskError, match=r"no file 'nowhere\.jsonl'"):
        load_custom("nowhere.jsonl")
    with pytest.raises(TaskError, match="there is no task in it"):
        load_custom(write(tmp_path, ""))
    with pytest.raises(TaskError, match="caps occurs more than once"):
        load_custom(write(tmp_path, ROW, ROW))


def test_the_task_s_metric_comes_before_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, ROW, ROW | {"id": "exact", "metric": "exact_match"})
    domain = PairsDomain(MetricScorer(lambda question, gold, answer: float(answer == "mine") / 2))
    first, second = load_custom(path)
    assert domain.score(first, answers("mine", "C"), 0).partial == 0.25
    assert domain.score(second, answers("mine", "D"), 0).accuracy == 0.5


def test_a_metric_of_another_range_is_a_bug_of_its_author(tmp_path: Path) -> None:
    (task,) = load_custom(write(tmp_path, ROW))
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        PairsDomain(MetricScorer(lambda *_: 3.0)).score(task, answers("x", "y"), 0)


def test_an_empty_answer_is_never_right(tmp_path: Path) -> None:
    (task,) = load_custom(write(tmp_path, ROW))
    assert PairsDomain(MetricScorer(lambda *_: True)).score(task, answers("", "y"), 0).accuracy == 0.5


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(SettingError, match=r"metric='no_such'.*'exact_match'"):
        gymnasium.make("SEAL-Custom-v0", metric="no_such")


def test_the_example_file_proves_itself() -> None:
    assert dict(CUSTOM.validate(load_custom("example"), False)) == {}


def test_an_own_metric_rewards_a_real_update() -> None:
    env = gymnasium.make(
        "SEAL-Custom-v0", metric=lambda question, gold, answer: 1.0, max_turns=1, default_num_epochs=1, cache="off"
    )
    env.reset(seed=0, options={"task_id": "plurals"})
    _, reward, terminated, _, info = env.step(CUSTOM.default_self_edit)
    assert (terminated, info["outcome"]) == (True, "ok")
    assert info["examples"] == 8 + 4  # two orders for each of four examples, and the examples themselves
    assert reward == info["accuracy_after"] == float(all(prediction[0] for prediction in info["predictions_after"]))
