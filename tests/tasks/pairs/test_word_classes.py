"""Words of three classes under invented labels: what a task is made of, and that the two sets share nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from seal_env.domains.custom import CUSTOM
from seal_env.errors import SettingError, UnknownTaskError
from seal_env.tasks.custom.loader import TASKSETS, load_custom
from seal_env.tasks.custom.word_classes import ASKED, CLASSES, SHOWN
from seal_env.tasks.custom.words import LABELS, WORDS
from seal_env.tasks.pairs.content import parts

NAMES = tuple(TASKSETS)


@pytest.mark.parametrize("name", NAMES)
def test_examples_and_queries_are_words_of_the_same_three_classes(name: str) -> None:
    classes = WORDS[name.rpartition("-")[2]]
    for task in load_custom(f"{name}:40"):
        assert Counter(pair.output for pair in task.queries) == dict.fromkeys({p.output for p in task.context}, ASKED)
        assert len(task.context) == CLASSES * SHOWN
        meaning = {(pair.output, _class_of(pair.input, classes)) for pair in (*task.context, *task.queries)}
        assert len(meaning) == CLASSES  # a label is a class


def _class_of(word: str, classes: object) -> str:
    assert isinstance(classes, dict)
    (found,) = (name for name, words in classes.items() if word in words)
    return str(found)


def test_the_sets_share_neither_words_nor_labels() -> None:
    train, held_out = ([word for words in WORDS[split].values() for word in words] for split in ("train", "eval"))
    assert len({*train, *held_out}) == len(train) + len(held_out)
    assert not {*LABELS["train"]} & {*LABELS["eval"]}
    assert not {*LABELS["train"], *LABELS["eval"]} & {*train, *held_out}


@pytest.mark.parametrize("name", NAMES)
def test_every_task_is_another_one_and_proves_itself(name: str) -> None:
    tasks = load_custom(name)
    assert len(tasks) == 100 == len({parts(task) for task in tasks})
    assert dict(CUSTOM.validate(tasks, False)) == {}


def test_tasks_are_found_by_name_with_a_count_and_by_id() -> None:
    few = load_custom("word-classes-eval:3")
    assert few.name == "word-classes-eval"
    assert few.task_ids[-1] == "word-classes-eval-0-2"
    assert list(load_custom("word-classes-eval-0-2, word-classes-eval-0-0")) == [few[few.task_ids[2]], few[few.task_ids[0]]]
    assert load_custom("word-classes-train-7-3").task_ids == ("word-classes-train-7-3",)


def test_what_is_none_of_them_is_refused_by_name() -> None:
    with pytest.raises(UnknownTaskError, match=r"no file 'word-classes'; expected .*'word-classes-train'"):
        load_custom("word-classes")
    with pytest.raises(SettingError, match="count=0"):
        load_custom("word-classes-eval", 0)
