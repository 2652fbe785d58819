"""Tasks of text pairs: prompts, training documents, and that no query is in sight."""

from __future__ import annotations

from seal_env.tasks.pairs.domain import PairsDomain
from seal_env.tasks.pairs.task import Pair, PairTask
from seal_env.types import Document

EXAMPLES = tuple(Pair(f"in {number}", f"out {number}") for number in range(3))
TASK = PairTask("t", EXAMPLES, (Pair("in 7", "out 7"), Pair("in 8", "out\n8")))


def score(task: object, answers: object) -> list[float]:
    return [0.5, 1.0]


DOMAIN = PairsDomain(score)


def test_queries_follow_the_solved_examples_and_do_not_show_their_answers() -> None:
    query, other = DOMAIN.queries(TASK, 0)
    assert query.prompt == "".join(f"Question: in {n}\nAnswer: out {n}\n\n" for n in range(3)) + "Question: in 7\nAnswer:"
    assert "out 7" not in f"{query.prompt}{other.prompt}"
    (alone, _) = PairsDomain(score, in_context=False).queries(TASK, 0)
    assert alone.prompt == "Question: in 7\nAnswer:"


def test_every_gold_answer_matches_the_pattern_that_ends_decoding() -> None:
    import regex

    for query in DOMAIN.queries(TASK, 0):
        assert query.pattern is not None
        assert regex.fullmatch(query.pattern, query.answer)
    blank = PairTask("b", EXAMPLES, (Pair("q", "a\n\nb"),))
    assert DOMAIN.queries(blank, 0)[0].pattern is None


def test_each_example_is_left_out_in_each_order() -> None:
    made = DOMAIN.leave_one_out(EXAMPLES, 2, seed=0)
    assert {text.rpartition("Question: ")[2] for text in made} == {f"in {n}\nAnswer: out {n}" for n in range(3)}
    assert 3 <= len(made) <= 6
    assert len(made) == len(set(made))
    assert made == DOMAIN.leave_one_out(EXAMPLES, 2, seed=0) != DOMAIN.leave_one_out(EXAMPLES, 2, seed=3)


def test_solved_examples_are_learned_unless_told_otherwise() -> None:
    own = (Document("", "mine"),)
    assert DOMAIN.add_default_examples(EXAMPLES, own) == (
        *own,
        *(Document("", f"Question: in {n}\nAnswer: out {n}") for n in range(3)),
    )
    assert PairsDomain(score, learn_examples=False).add_default_examples(EXAMPLES, None) is None


def test_accuracy_counts_full_scores_and_partial_credit_is_their_mean() -> None:
    from seal_env.types import Answer

    evaluation = DOMAIN.score(TASK, [Answer("0", False, "x", 0.0), Answer("1", False, None, 0.0)], 0)
    assert (evaluation.accuracy, evaluation.partial) == (0.5, 0.75)
    assert evaluation.predictions_Q == (("x",), (None,))
    assert evaluation.metrics == {}


def test_word_f1_and_length_of_the_answers_are_measured() -> None:
    from seal_env.types import Answer

    evaluation = DOMAIN.score(TASK, [Answer("0", False, "out 7", 0.0), Answer("1", False, "in the end", 0.0)], 0)
    assert evaluation.metrics == {"word_f1": 0.5, "answer_words": 2.5}


def test_the_agent_sees_the_examples_and_no_query() -> None:
    assert "in 7" not in DOMAIN.render(EXAMPLES)
    assert DOMAIN.render(EXAMPLES).startswith("3 solved examples.\n\nExample 1\nQuestion: in 0\nAnswer: out 0")
    assert DOMAIN.as_data(EXAMPLES)["examples"][2] == {"input": "in 2", "output": "out 2"}
