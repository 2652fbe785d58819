"""ARC as a domain: descriptions, questions, scores; and the proof of a task without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from seal_env.errors import SettingError
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.arc.task import ArcTask
from seal_env.tasks.arc.training_set import ArcExample
from seal_env.tasks.arc.validate import validate
from seal_env.types import Answer, Query, Task, TaskDomain

TURN = (
    GridPair(((1, 2, 3),), ((1,), (2,), (3,))),
    GridPair(((4, 5),), ((4,), (5,))),
    GridPair(((6, 7), (8, 9)), ((6, 8), (7, 9))),
)
TASK: ArcTask = Task("turn", TURN, (GridPair(((5, 1, 0),), ((5,), (1,), (0,))), GridPair(((2, 2),), ((2,), (2,)))))

VOTE = ArcDomain(evaluation="vote")


def answer(query: Query, text: str | None, exact: bool = False) -> Answer:
    return Answer(query.query_id, exact, text, 0.0)


def gold(query: Query) -> Answer:
    return answer(query, query.answer)


def test_it_is_a_domain() -> None:
    domain: TaskDomain = ArcDomain()
    assert domain.render_example(ArcExample((), TURN[0])).messages[-1].role == "assistant"


@pytest.mark.parametrize("setting", [{"grid_format": "json"}, {"evaluation": "best"}])
def test_unknown_settings_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="is not legal; expected '"):
        ArcDomain(**setting)


def test_description_shows_every_demonstration_with_its_sizes() -> None:
    assert ArcDomain().render(TURN[:2]) == (
        "2 demonstrations of one hidden rule.\n\n"
        "Demonstration 1\nInput, 1 x 3 (rows x columns)\n1 2 3\nOutput, 3 x 1 (rows x columns)\n1\n2\n3\n\n"
        "Demonstration 2\nInput, 1 x 2 (rows x columns)\n4 5\nOutput, 2 x 1 (rows x columns)\n4\n5"
    )


def test_description_follows_the_grid_format() -> None:
    assert "\na 4\nb 5" in ArcDomain("lettered").render(TURN)


def test_demonstrations_beyond_the_limit_of_cells_are_described_by_their_sizes_alone() -> None:
    sizes = "Demonstration 1\nInput, 1 x 3 (rows x columns), not shown\nOutput, 3 x 1 (rows x columns), not shown"
    text, whole = ArcDomain(max_prompt_cells=5).render(TURN[:2]), ArcDomain().render(TURN[:2])
    assert text.split("\n\n") == [whole.split("\n\n")[0], sizes, whole.split("\n\n")[2]]
    assert ArcDomain(max_prompt_cells=10).render(TURN[:2]) == whole


def test_the_limit_of_cells_is_of_the_agents_prompt_alone() -> None:
    assert ArcDomain(max_prompt_cells=0).queries(TASK, seed=0) == ArcDomain().queries(TASK, seed=0)


def test_example_is_the_question_with_its_answer() -> None:
    example = ArcDomain().render_example(ArcExample(TURN[:2], TURN[2]))
    (query,) = ArcDomain().queries(Task("t", TURN[:2], (TURN[2],)), seed=0)
    assert example.messages[:-1] == query.messages
    assert example.messages[-1].content == query.answer == "6 8\n7 9"


def test_example_may_show_no_demonstration() -> None:
    assert ArcDomain().render_example(ArcExample((), TURN[1])).messages[1].content == "Input\n4 5\nOutput"


def test_greedy_asks_once_for_each_test_input_with_all_demonstrations() -> None:
    queries = ArcDomain().queries(TASK, seed=0)
    assert [query.query_id for query in queries] == ["0", "1"]
    assert all(query.messages[1].content.count("Output\n") == len(TURN) for query in queries)
    assert queries[0].messages[1].content.endswith("\n\nInput\n5 1 0\nOutput")


@pytest.mark.parametrize(
    ("texts", "accuracy", "cells"),
    [
        (["5\n1\n0", "2\n2"], 1.0, 1.0),
        ([" 5\n1 \n0\n", "2\n3"], 0.5, 0.75),
        (["5\n1\n1", "2\n2"], 0.5, (2 / 3 + 1) / 2),
        (["5 1 0", "no grid"], 0.0, 0.0),
        (["", None], 0.0, 0.0),
    ],
)
def test_greedy_scores_what_can_be_read(texts: list[str | None], accuracy: float, cells: float) -> None:
    queries = ArcDomain().queries(TASK, 0)
    evaluation = ArcDomain().score(TASK, [answer(q, text) for q, text in zip(queries, texts, strict=True)], 0)
    assert evaluation.accuracy == accuracy
    assert evaluation.partial == pytest.approx(cells)


def test_exact_needs_no_text_and_its_prediction_is_the_gold() -> None:
    queries = ArcDomain().queries(TASK, 0)
    evaluation = ArcDomain().score(TASK, [answer(queries[0], None, exact=True), answer(queries[1], None)], 0)
    assert evaluation.predictions_Q == ((TASK.queries[0].output,), (None,))
    assert evaluation.accuracy == 0.5
    assert not evaluation.solved


def test_answers_to_other_questions_are_refused() -> None:
    queries = ArcDomain().queries(TASK, 0)
    with pytest.raises(ValueError, match="turn: these are not the answers"):
        ArcDomain().score(TASK, [gold(query) for query in reversed(queries)], 0)


def test_vote_asks_all_prompts_for_each_test_input() -> None:
    ids = [query.query_id for query in VOTE.queries(TASK, 0)]
    assert len(ids) == len(set(ids)) == 22
    assert ids[0] == "0.0.identity"
    assert ids[11:][-1] == "1.10.rotate-180"


def test_vote_maps_answers_back() -> None:
    queries = VOTE.queries(TASK, 0)
    transposed = next(query for query in queries if query.query_id == "0.6.transpose")
    assert transposed.answer == "5 1 0"
    answers = [gold(query) if query is transposed else answer(query, None) for query in queries]
    assert VOTE.score(TASK, answers, 0).predictions_Q == ((TASK.queries[0].output,), (None,))


def test_vote_is_solved_by_the_second_attempt() -> None:
    queries = VOTE.queries(TASK, 0)
    wrong = {query.query_id for query in queries if query.query_id.endswith("identity")}
    answers = [answer(query, "7 7 7") if query.query_id in wrong else gold(query) for query in queries]
    evaluation = VOTE.score(TASK, answers, 0)
    assert evaluation.accuracy == evaluation.partial == 1.0
    assert {len(attempts) for attempts in evaluation.predictions_Q} == {2}


def test_vote_has_at_most_two_attempts() -> None:
    queries = VOTE.queries(TASK, 0)
    answers = [answer(query, f"{index % 8} {index % 7}") for index, query in enumerate(queries)]
    evaluation = VOTE.score(TASK, answers, 0)
    assert [len(set(attempts)) for attempts in evaluation.predictions_Q] == [2, 2]
    assert evaluation.accuracy == 0.0


def test_exact_and_decoded_gold_count_alike_in_the_vote() -> None:
    queries = VOTE.queries(TASK, 3)
    exact = [answer(query, None, exact=True) for query in queries]
    assert VOTE.score(TASK, exact, 3) == VOTE.score(TASK, [gold(query) for query in queries], 3)


def test_questions_depend_on_the_seed_only_in_the_vote() -> None:
    assert ArcDomain().queries(TASK, 0) == ArcDomain().queries(TASK, 1)
    assert VOTE.queries(TASK, 0) == VOTE.queries(TASK, 0) != VOTE.queries(TASK, 1)


def test_a_sound_task_has_no_problems() -> None:
    assert validate(TASK) == []


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (replace(TASK, context=()), "0 demonstrations"),
        (replace(TASK, context=TURN[:1]), "1 demonstrations; training on them needs 2"),
        (replace(TASK, queries=()), "no test pair"),
        (replace(TASK, context=(GridPair(((10,),), ((1,),)), *TURN)), "demonstration 0: input, row 0: colour 10"),
        (replace(TASK, queries=(GridPair(((1,),), ((1, 2), (3,))),)), "test pair 0: output, row 1"),
        (replace(TASK, queries=(TURN[1],)), "test pair 0 is a demonstration"),
    ],
)
def test_problems_are_named(task: ArcTask, says: str) -> None:
    assert says in "\n".join(validate(task))


class Leaky(ArcDomain):
    """Shows the answer after the question."""

    def queries(self, task: ArcTask, seed: int) -> tuple[Query, ...]:
        first, *rest = super().queries(task, seed)
        system, user = first.messages
        return (replace(first, messages=(system, replace(user, content=f"{user.content}\n{first.answer}"))), *rest)


def test_an_answer_in_its_question_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.tasks.arc.validate.ArcDomain", Leaky)
    assert "plain, greedy: question 0: something follows the test input" in validate(TASK)


class Generous(ArcDomain):
    """Takes anything for right."""

    def score(self, task: ArcTask, answers_Q: list[Answer], seed: int) -> object:  # type: ignore[override]
        right = [replace(given, exact=True) for given in answers_Q]
        return super().score(task, right, seed)


def test_wrong_answers_that_score_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.tasks.arc.validate.ArcDomain", Generous)
    assert "lettered, vote: empty answers score 1.0 (cells 1.0), not 0.0" in validate(TASK)


@pytest.mark.parametrize("evaluation", ["greedy", "vote"])
@pytest.mark.parametrize("subset", ["seal-train", "seal-eval"])
def test_no_answer_is_in_a_question_or_description(subset: str, evaluation: str) -> None:
    domain, write = ArcDomain(evaluation=evaluation), GridFormat("plain").write
    for task in load_taskset(subset):
        pairs = [f"{write(pair.input)}\nOutput\n{write(pair.output)}" for pair in task.queries]
        asked = [message.content for query in domain.queries(task, 0) for message in query.messages]
        described = domain.render(task.context).replace(" (rows x columns)", "")
        assert not [pair for pair in pairs for text in [*asked, described] if pair in text]
        assert not [pair for pair in task.queries if write(pair.input) in described and len(pair.input) > 2]
