"""What a sequence keeps of earlier tasks, and which part of it an update learns again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from seal_env.episodes.rehearsal import Rehearsal
from seal_env.self_edits.compile import FilteredExamples
from seal_env.tools.base import Rehearse
from seal_env.types import Example


def documents(name: str, count: int) -> FilteredExamples:
    return FilteredExamples(tuple(Example(document=f"{name}{n}") for n in range(count)), tuple(range(1, count + 1)))


LEARNED = Rehearsal().with_task("a", documents("a", 8)).with_task("b", documents("b", 4))


def rehearsed(wishes: Sequence[Rehearse], most: int = 99, seed: int = 0) -> list[str]:
    return [example.document or "" for example in LEARNED.choose(wishes, most, seed).examples_E]


@pytest.mark.parametrize(
    ("wishes", "counts"),
    [
        ([], (0, 0)),
        ([Rehearse(0.5, ())], (4, 2)),
        ([Rehearse(1, (2,))], (0, 4)),
        ([Rehearse(1, ()), Rehearse(0.25, (1,))], (2, 4)),
        ([Rehearse(1, (2, 3, 64))], (0, 4)),
        ([Rehearse(0, ())], (0, 0)),
    ],
)
def test_shares_are_of_the_tasks_that_are_named(wishes: Sequence[Rehearse], counts: tuple[int, int]) -> None:
    found = rehearsed(wishes)
    assert tuple(sum(text.startswith(name) for text in found) for name in "ab") == counts
    assert len(set(found)) == len(found)


def test_the_draw_depends_on_the_seed_alone() -> None:
    assert rehearsed([Rehearse(0.5, ())]) == rehearsed([Rehearse(0.5, ())]) != rehearsed([Rehearse(0.5, ())], seed=1)


def test_no_more_are_rehearsed_than_there_may_be() -> None:
    assert len(rehearsed([Rehearse(1, ())], most=5)) == 5


def test_lengths_stay_with_their_documents() -> None:
    chosen = LEARNED.choose([Rehearse(0.5, ())], 99, 0)
    numbers = [int((example.document or "")[-1]) for example in chosen.examples_E]
    assert [number + 1 for number in numbers] == list(chosen.lengths_E)


def test_prompt_and_info_say_what_there_is_and_what_it_costs() -> None:
    assert LEARNED.as_data()[1] == {"number": 2, "task_id": "b", "documents": 4, "tokens": 10}
    assert "Earlier tasks: 1 (8 documents, 36 tokens), 2 (4 documents, 10 tokens)." in LEARNED.render(99)
    assert Rehearsal().render(99).startswith("Earlier tasks: none yet.")
