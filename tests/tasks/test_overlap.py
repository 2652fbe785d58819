"""Tasks that two sets share are found by what is in them, and nothing is measured on tasks that were learned from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seal_env.domains.overlap import KnownPieces, SharedTask, known_pieces, refuse_overlap, shared_tasks
from seal_env.domains.registry import get_domain
from seal_env.errors import SettingError
from seal_env.experiments.reproduce.presets import TABLES
from seal_env.settings import Settings
from seal_env.types import Task, Taskset

ARC, KNOWLEDGE, CUSTOM = map(get_domain, ("arc", "knowledge", "custom"))
PASSAGE = {
    "title": "Orvel",
    "context": "The lamp of Orvel burns blue oil, and its keeper is Zemilu.",
    "questions": [{"question": "What burns in Orvel?", "answer": "blue oil"}],
}


def load(domain: str, subset: str, **options: Any) -> Taskset[Any, Any]:
    spec = get_domain(domain)
    return spec.load(subset, spec.options.checked(**options))


def write_arc(path: Path, task: Task[Any, Any], **changes: Any) -> Taskset[Any, Any]:
    sides = {"train": [pair._asdict() for pair in task.context], "test": [pair._asdict() for pair in task.queries]}
    path.write_text(json.dumps(sides | changes), encoding="utf-8")
    return load("arc", str(path))


def write_passages(path: Path, **changes: Any) -> Taskset[Any, Any]:
    path.write_text(json.dumps([PASSAGE | changes]), encoding="utf-8")
    return load("knowledge", str(path))


def write_custom(path: Path, tasks: Sequence[Mapping[str, Any]]) -> Taskset[Any, Any]:
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks), encoding="utf-8")
    return load("custom", str(path))


@pytest.mark.slow
@pytest.mark.usefixtures("arc_agi_2")
def test_tasks_of_arc_1_that_arc_2_has_again_are_known() -> None:
    assert len(shared_tasks(ARC, load("arc", "arc1-eval"), load("arc", "arc2-train"))) == 376
    assert len(shared_tasks(ARC, load("arc", "seal-eval"), load("arc", "arc2-train"))) == 9


def test_one_task_of_arc_1_is_in_training_and_in_evaluation() -> None:
    shared = shared_tasks(ARC, load("arc", "arc1-train"), load("arc", "arc1-eval"))
    assert shared == [SharedTask("40853293", "070dd51e")]
    assert str(shared[0]) == "40853293 = 070dd51e"


@pytest.mark.parametrize("subset", ["mini-eval:40", "seal-eval"])
@pytest.mark.parametrize("change", ["other id", "other order", "one less", "other test"])
def test_copies_of_grids_are_found(subset: str, change: str, tmp_path: Path) -> None:
    original = load("arc", subset)
    task = max(original, key=lambda task: max(len(pair.input) * len(pair.input[0]) for pair in task.context[:-1]))
    pairs = [pair._asdict() for pair in task.context]
    changes: dict[str, Any] = {
        "other id": {},
        "other order": {"train": pairs[::-1]},
        "one less": {"train": pairs[:-1]},
        "other test": {"test": [{"input": [[1]], "output": [[2]]}]},
    }
    copy = write_arc(tmp_path / "mine.json", task, **changes[change])
    assert shared_tasks(ARC, copy, original) == [SharedTask("mine", task.task_id)]


def test_tasks_are_not_the_same_because_small_grids_coincide() -> None:
    one, other = (next(iter(load("arc", task_id))) for task_id in ("mini-train-0-38", "mini-eval-0-237"))
    assert {*one.context, *one.queries} & {*other.context, *other.queries}
    assert not {*ARC.content(one)} & {*ARC.content(other)}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"title": "Elsewhere", "questions": [{"question": "Who keeps it?", "answer": "Zemilu"}]}, True),
        (
            {"context": "THE LAMP of Orvel\n burns blue oil and its keeper is  Zemilu", "questions": PASSAGE["questions"]},
            True,
        ),
        ({"context": "The lamp burns. Oil it is, and blue."}, True),
        (
            {
                "context": "The lamp of Orvel burns red oil.",
                "questions": [{"question": "What burns in Orvel?", "answer": "red oil"}],
            },
            False,
        ),
    ],
)
def test_copies_of_passages_are_found(change: dict[str, Any], found: bool, tmp_path: Path) -> None:
    one, other = write_passages(tmp_path / "one.json"), write_passages(tmp_path / "other.json", **change)
    assert bool(shared_tasks(KNOWLEDGE, one, other)) is found


def test_passages_are_found_within_groups() -> None:
    single, groups = load("knowledge", "synthetic-eval:9"), load("knowledge", "synthetic-eval:9", passages=3)
    assert [shared.other for shared in shared_tasks(KNOWLEDGE, single, groups)] == [
        name for name in groups.task_ids for _ in "abc"
    ]


def test_signs_tell_tasks_of_one_s_own_apart(tmp_path: Path) -> None:
    def task(sign: str) -> dict[str, Any]:
        pairs = [{"input": f"{number} {sign} 1", "output": "?"} for number in range(4)]
        return {"examples": pairs[:2], "queries": pairs[2:]}

    plus, minus, copy = (write_custom(tmp_path / f"{n}.jsonl", [task(sign)]) for n, sign in enumerate(("+", "-", " + ")))
    assert not shared_tasks(CUSTOM, plus, minus)
    assert len(shared_tasks(CUSTOM, plus, copy)) == 1


def test_a_text_task_whose_examples_are_the_queries_of_another_shares_them(tmp_path: Path) -> None:
    one, other = ([{"input": f"{word} {n}", "output": word} for n in range(2)] for word in ("lamp", "oil"))
    tasks = [
        {"id": f"t{n}", "examples": left, "queries": right} for n, (left, right) in enumerate(((one, other), (other, one)))
    ]
    left, right = (write_custom(tmp_path / f"{task['id']}.jsonl", [task]) for task in tasks)
    assert shared_tasks(CUSTOM, left, right) == [SharedTask("t0", "t1")]


def test_pairs_of_other_tasks_that_are_asked_about_are_known(tmp_path: Path) -> None:
    a, b, c, d = ({"input": word, "output": word.upper()} for word in ("lamp", "oil", "keeper", "light"))
    upper = {"input": " LAMP ", "output": "lamp"}
    train = write_custom(tmp_path / "train.jsonl", [{"id": "x", "examples": [a], "queries": [b]}])
    held_out = [{"id": "0", "examples": [c], "queries": [d, b]}, {"id": "1", "examples": [b], "queries": [upper, d]}]
    held_out.append({"id": "2", "examples": [c], "queries": [d]})
    tasks = write_custom(tmp_path / "held-out.jsonl", held_out)
    assert shared_tasks(CUSTOM, train, tasks) == [SharedTask("x", "1")]
    assert known_pieces(CUSTOM, train, tasks) == [KnownPieces("0", 1, 2, "x"), KnownPieces("1", 1, 2, "x")]


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({"context": "Orvel is old. The lamp of orvel burns blue oil, and its keeper is ZEMILU!", "questions": []}, 1),
        ({"context": "Old."}, 1),
        ({"context": "Old.", "questions": [{"question": "What burns in Orvel?", "answer": "red oil"}]}, 0),
        ({"context": "The lamp of Orvel burns red oil.", "questions": [{"question": "Who?", "answer": "she"}]}, 0),
    ],
)
def test_sentences_and_questions_of_other_passages_are_known(change: dict[str, Any], known: int, tmp_path: Path) -> None:
    other = [{"question": "Where is Orvel?", "answer": "north"}]
    asked = write_passages(tmp_path / "a.json", questions=[*PASSAGE["questions"], *other])
    changed = {**change, "questions": [*change.get("questions", PASSAGE["questions"]), {"question": "Why?", "answer": "so"}]}
    train = write_passages(tmp_path / "b.json", **changed)
    assert not shared_tasks(KNOWLEDGE, train, asked)
    assert [each.known for each in known_pieces(KNOWLEDGE, train, asked)] == [known] * bool(known)


def test_sets_of_passages_and_grids_share_no_pieces_by_chance() -> None:
    for spec, names in ((KNOWLEDGE, ("synthetic-train", "synthetic-eval")), (ARC, ("mini-train:99", "mini-eval:99"))):
        assert known_pieces(spec, *(load(spec.name, name) for name in names)) == []


@pytest.mark.parametrize("preset", [preset for table in TABLES.values() for preset in table.presets.values()], ids=str)
def test_presets_measure_on_tasks_that_they_do_not_learn_from(preset: Any) -> None:
    used = Settings.resolve(**preset.environment)
    named = used.spec.tasksets.get(preset.train_set.partition(":")[0])  # none where single tasks are named
    if named is not None and named.online:
        pytest.skip("needs a download")
    refuse_overlap(used.spec, *(used.spec.load(name, used.options) for name in (preset.train_set, preset.held_out)))


@pytest.mark.parametrize("domain", ["arc", "knowledge"])
def test_default_sets_share_nothing(domain: str) -> None:
    spec = get_domain(domain)
    refuse_overlap(spec, load(domain, spec.train_set), load(domain, spec.held_out))


def test_error_names_the_tasks() -> None:
    sets = load("arc", "arc1-train"), load("arc", "arc1-eval")
    with pytest.raises(
        SettingError, match=r"^held_out='arc1-eval'.* 'arc1-train' does not have.* 1 are in both: 40853293 = "
    ):
        refuse_overlap(ARC, *sets)
    with pytest.raises(SettingError, match=r"400 are in both: (\w{8}, ){19}\w{8} and 380 more$"):
        refuse_overlap(ARC, sets[0], replace(sets[0], name="copy"))  # type: ignore[type-var]
