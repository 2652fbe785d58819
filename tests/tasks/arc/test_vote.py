"""The vote on two attempts, and the prompts it is held over."""

from __future__ import annotations

import pytest

from seal_env.tasks.arc.grid import Grid, GridPair
from seal_env.tasks.arc.voting.prompts import vote_prompts
from seal_env.tasks.arc.voting.vote import ballot, vote

A: Grid = ((1, 1), (1, 1))
B: Grid = ((2, 2), (2, 2))
C: Grid = ((3, 3), (3, 3))
D: Grid = ((4, 4), (4, 4))
WIDE: Grid = ((1, 2, 3),)


def demonstrations(count: int) -> tuple[GridPair, ...]:
    return tuple(GridPair(((index, 1, 2),), ((index,), (3,))) for index in range(count))


def test_no_answers_give_no_attempts() -> None:
    assert vote([]) == ()


def test_answers_that_are_no_grid_do_not_vote() -> None:
    assert vote([("identity", None), ("flip-0", A), ("flip-1", None)]) == (A,)


def test_agreement_gives_one_attempt() -> None:
    assert vote([("identity", A), ("identity", A), ("flip-0", A)]) == (A,)


def test_two_attempts_are_different_and_the_commonest_comes_first() -> None:
    assert vote([("identity", B), *[("identity", A)] * 3, ("flip-0", A), ("flip-1", B)]) == (A, B)


def test_a_category_that_agrees_outweighs_one_that_does_not() -> None:
    split = [("identity", A), ("identity", B), ("identity", C)]
    assert vote([*split, ("flip-0", D)])[0] == D


def test_more_categories_win_among_equal_votes() -> None:
    x, y, z, p, q, r, t = (((colour,),) for colour in range(7))
    answers = [("identity", grid) for grid in [x] * 5 + [z] * 4]  # two votes for x, and one of "all"
    answers += [("flip-0", grid) for grid in [p] * 4 + [q, y]]
    answers += [(category, grid) for category in ("flip-1", "rotate-90") for grid in (r, t, y)]
    assert vote(answers) == (y, x)  # three votes each: y from three categories, x from two and earlier


def test_the_first_answer_wins_a_tie() -> None:
    assert vote([("identity", A), ("identity", B)])[0] == A
    assert vote([("identity", B), ("identity", A)])[0] == B


def test_ballot_is_the_three_commonest() -> None:
    assert ballot([D, A, A, B, B, C, C, A]) == [A, B, C]


def test_a_category_of_one_mind_gives_it_all_three_votes() -> None:
    assert ballot([A, A]) == [A, A, A]


def test_left_over_votes_go_to_the_commonest() -> None:
    assert ballot([B, A, A]) == [A, B, A]


def test_answers_may_differ_in_shape() -> None:
    assert vote([("identity", WIDE), ("identity", A), ("identity", A)]) == (A, WIDE)


@pytest.mark.parametrize(("count", "plain", "total"), [(2, 2, 7), (3, 6, 11), (4, 12, 17), (6, 18, 23)])
def test_number_of_prompts_is_the_published_one(count: int, plain: int, total: int) -> None:
    prompts = vote_prompts(demonstrations(count), ((5, 6, 7),), seed=0)
    assert len(prompts) == total
    assert sum(prompt.transform.name == "identity" for prompt in prompts) == plain


def test_prompts_are_all_different() -> None:
    prompts = vote_prompts(demonstrations(4), ((5, 6, 7),), seed=1)
    assert len({prompt[1:] for prompt in prompts}) == len(prompts)


def test_every_prompt_leaves_one_demonstration_out() -> None:
    prompts = vote_prompts(demonstrations(4), ((5, 6, 7),), seed=0)
    assert {len(prompt.demonstrations) for prompt in prompts} == {3}


def test_a_single_demonstration_is_shown() -> None:
    prompts = vote_prompts(demonstrations(1), ((5, 6, 7),), seed=0)
    assert [len(prompt.demonstrations) for prompt in prompts] == [1] * 6


def test_a_symmetric_prompt_is_asked_once() -> None:
    pair = GridPair(A, A)
    assert len(vote_prompts((pair, pair), A, seed=0)) == 1


def test_prompts_depend_on_the_seed_alone() -> None:
    draws = [vote_prompts(demonstrations(5), ((5, 6, 7),), seed=seed) for seed in (0, 0, 1)]
    assert [[p[1:] for p in draws[0]] == [p[1:] for p in draw] for draw in draws] == [True, True, False]
