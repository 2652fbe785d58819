"""SEAL-Reasoning-v0: procedural tasks of reasoning-gym, scored by verifiers that never run an answer."""

from __future__ import annotations

import sys

import gymnasium
import pytest

from seal_env.errors import MissingExtraError, TaskError, UnknownTaskError
from seal_env.tasks.reasoning import generators
from seal_env.tasks.reasoning.loader import SHOWN, load_reasoning

EVALUATES = ("puzzle24", "countdown", "binary_matrix", "string_insertion", "polynomial_multiplication", "simple_integration")


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'seal-env\[reasoning\]'"):
        gymnasium.make("SEAL-Reasoning-v0")


@pytest.fixture(autouse=True)
def _library(request: pytest.FixtureRequest) -> None:
    if "without" not in request.node.name:
        pytest.importorskip("reasoning_gym", reason="needs the extra `reasoning`")


def test_generators_whose_verifier_runs_the_answer_are_refused() -> None:
    known = generators.generator_names()
    assert len(known) > 60
    assert not {*EVALUATES, *generators.CREDULOUS} & set(known)
    with pytest.raises(UnknownTaskError, match="puzzle24"):
        load_reasoning("puzzle24", 4, 2)


@pytest.mark.parametrize("generator", ["chain_sum", "gcd", "letter_counting", "spell_backward", "mini_sudoku"])
def test_own_answers_score_1_and_empty_ones_0(generator: str) -> None:
    for task in load_reasoning(f"{generator}-eval:3", 4, 2):
        assert (len(task.context), len(task.queries)) == (4, 2)
        assert generators.score_answers(task, [pair.output for pair in task.queries]) == [1.0, 1.0]
        assert generators.score_answers(task, ["", ""]) == [0.0, 0.0]
        assert max(generators.score_answers(task, ["__import__('os')", "x" * 10_000])) < 1


def test_an_id_is_a_recipe_and_sets_differ() -> None:
    (one,) = load_reasoning("gcd-train-3-7", 4, 2)
    assert one == load_reasoning("gcd-train:2", 4, 2)["gcd-train-3-7"]
    (other,) = load_reasoning("gcd-eval-3-7", 4, 2)
    assert one.context != other.context


def test_a_generator_without_written_answers_says_so() -> None:
    with pytest.raises(TaskError, match="writes no answers"):
        list(load_reasoning("boxnet:1", 2, 1))


@pytest.mark.integration
def test_an_episode_is_a_real_update_scored_by_the_verifier() -> None:
    env = gymnasium.make("SEAL-Reasoning-v0", subset="gcd:2", num_examples=3, num_queries=2, max_turns=1, cache="off")
    _, info = env.reset(seed=0)
    assert len(info["task"]["data"]["examples"]) == 3
    _, reward, terminated, _, info = env.step(
        '[{"name": "augment", "arguments": {"num_orders": 1}}, {"name": "finetune", "arguments": {}}]'
    )
    assert (terminated, info["outcome"], info["examples"]) == (True, "ok", 6)
    assert 0 <= info["verifier_score_after"] <= 1
    assert reward == info["accuracy_after"]


@pytest.mark.parametrize("generator", SHOWN)
@pytest.mark.parametrize("form", ["not {}", "{0} or 77{0}", "77{0}, {0}, {0}77", "-{}", "{}%", "x" * 10_000 + "{}"])
def test_the_right_answer_beside_another_one_is_not_solved(generator: str, form: str) -> None:
    task = load_reasoning(f"{generator}-eval:1", 1, 4)["-".join((generator, "eval", "0", "0"))]
    assert max(generators.score_answers(task, [form.format(pair.output) for pair in task.queries])) < 1
