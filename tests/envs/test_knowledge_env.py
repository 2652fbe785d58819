"""SEAL-Knowledge-v0: a passage is read once, texts about it are learned, and questions come without it."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import pytest

from seal_env.envs.env import SealEnv
from seal_env.errors import GraderError, SettingError, UnknownTaskError
from seal_env.types import Outcome, Recipe

FINETUNE = '[{"name": "finetune", "arguments": {}}]'
TEXTS = ["The lamp burns blue oil.", "Blue oil burns in the lamp."]


def make(**settings: Any) -> SealEnv:
    given = {"model": "seal-tiny", "default_num_epochs": 1, "subset": "synthetic-train:4", "max_turns": 3, **settings}
    env = gymnasium.make("SEAL-Knowledge-v0", disable_env_checker=True, **given).unwrapped
    assert isinstance(env, SealEnv)
    env.reset(seed=0)
    return env


def same_letter(question: str, gold: str, prediction: str) -> bool:
    return prediction[:1] == gold[:1]


def jobs_of(env: SealEnv, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that the inner loop gets from now on."""
    seen: list[Any] = []
    run = env.runtime.inner_loop.run
    monkeypatch.setattr(env.runtime.inner_loop, "run", lambda jobs: seen.extend(jobs) or run(jobs))
    return seen


def test_the_observation_has_the_passage_and_none_of_the_questions() -> None:
    env = make()
    for task_id in env.taskset.task_ids:
        observation, _ = env.reset(options={"task_id": task_id})
        task = env.taskset[task_id]
        assert f"\n\nTask:\n{task.context.title}\n{task.context.text}\n\nTools:\n" in observation
        assert not any(question.question in observation for question in task.queries)


def test_the_questions_are_asked_without_the_passage(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make()
    jobs = jobs_of(env, monkeypatch)
    env.step(FINETUNE)
    assert env.episode is not None
    passage = env.episode.task.context
    sentences = [sentence for sentence in passage.text.split(". ") if sentence]
    asked = [query.prompt or "" for job in jobs for query in job.queries_Q]
    assert asked
    assert not any(sentence in prompt for sentence in sentences for prompt in asked)
    assert all(query.messages == () for job in jobs for query in job.queries_Q)


def test_texts_are_documents_under_the_title_beside_the_passage(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make()
    jobs = jobs_of(env, monkeypatch)
    info = env.step("\n".join([TEXTS[0], "Question: What burns?", "Answer: oil"]))[4]
    assert env.episode is not None
    passage = env.episode.task.context
    documents = {example.document for job in jobs for example in job.examples_E}
    assert documents == {
        f"{passage.title}\n{passage.text}",
        f"{passage.title}\n{TEXTS[0]}",
        f"{passage.title}\nQuestion: What burns?\nAnswer: oil",
    }
    assert [call["name"] for call in info["self_edit"]] == ["implications", "self_qa", "finetune"]
    assert (info["texts"], info["empty"], info["repeated"], info["copied"]) == (2, 0, 0, 0)


def test_the_passage_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(learn_passage=False)
    jobs = jobs_of(env, monkeypatch)
    assert env.step(TEXTS[0])[4]["examples"] == 1
    assert [len(job.examples_E) for job in jobs] == [0, 1]
    env.reset(seed=0)
    assert env.step(FINETUNE)[4]["outcome"] == Outcome.EMPTY_DATA


def test_empty_repeated_and_copied_texts_are_counted() -> None:
    env = make()
    assert env.episode is not None
    copied = env.episode.task.context.text.split(". ")[0]
    call = {"name": "implications", "arguments": {"texts": [TEXTS[0], "", f" {TEXTS[0]} ", copied, TEXTS[1]]}}
    info = env.step(json.dumps([call, {"name": "finetune", "arguments": {}}]))[4]
    assert (info["texts"], info["empty"], info["repeated"], info["copied"]) == (5, 1, 1, 1)
    assert info["examples"] == 4


def test_too_many_or_too_long_texts_are_a_mistake_that_names_the_limit() -> None:
    env = make()
    for texts, limit in ((["a"] * 65, "64"), (["a" * 4001], "4000")):
        call = {"name": "rewrite", "arguments": {"texts": texts}}
        _, reward, terminated, _, info = env.step(json.dumps([call]))
        assert (reward, info["outcome"]) == (0.0, Outcome.INVALID_ARGUMENTS)
        assert limit in info["reason"]
        assert not terminated or texts == ["a" * 4001]


def test_the_usual_training_is_the_environment_s_and_a_call_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(default_learning_rate=2e-3)
    jobs = jobs_of(env, monkeypatch)
    env.step(FINETUNE)
    env.reset(seed=1)
    arguments = {"strategy": "train_using_all_tokens", "learning_rate": 1e-4, "num_train_epochs": 2}
    env.step(json.dumps([{"name": "training", "arguments": arguments}, {"name": "finetune", "arguments": {}}]))
    used = [job.training for job in jobs if job.examples_E]
    assert [(each.learning_rate, each.num_train_epochs) for each in used] == [(2e-3, 1), (1e-4, 2)]


def test_the_paper_s_recipe_is_the_default_for_other_models() -> None:
    settings = SealEnv(domain="knowledge", subset="synthetic-train:1", model="a-model").settings
    assert (settings.lora.rank, settings.lora.alpha) == (32, 64.0)
    assert (settings.training.learning_rate, settings.training.num_train_epochs) == (1e-3, 10)
    assert settings.recipe == Recipe(batch_size=1, warmup_steps=0, schedule="linear")
    assert make(model="seal-tiny-text").settings.recipe == Recipe(
        batch_size=4, warmup_steps=0, schedule="linear", learn_end=True
    )


def test_several_passages_are_written_about_in_turn_and_learned_together(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(passages=2)
    jobs = jobs_of(env, monkeypatch)
    observation, info = env.reset(options={"task_id": "synthetic-train-0-2"})
    first, second = (env.runtime.all_tasks.passages[f"synthetic-train-0-{number}"] for number in (2, 3))  # type: ignore[attr-defined]
    assert info["task_id"] == "synthetic-train-0-2+1"
    assert info["task"]["data"] == {"title": first.context.title, "text": first.context.text}
    assert info["segment"] == {"index": 0, "count": 2, "turn": 0}
    observation, reward, terminated, _, info = env.step(TEXTS[0])
    assert (reward, terminated, info["segment"]) == (0.0, False, {"index": 1, "count": 2, "turn": 0})
    assert info["task"]["text"] == f"{second.context.title}\n{second.context.text}"
    assert info["task"]["text"] in observation
    _, _, terminated, _, info = env.step(TEXTS[0])
    assert terminated
    assert (info["texts"], info["repeated"], info["examples"]) == (2, 0, 4)
    documents = [example.document or "" for job in jobs for example in job.examples_E]
    assert {document.split("\n")[0] for document in documents} == {first.context.title, second.context.title}
    assert len(info["gold"]) == len(first.queries) + len(second.queries)


def test_a_mistake_about_one_of_several_passages_costs_only_its_texts() -> None:
    env = make(passages=2, max_turns=1, invalid_reward=-0.5)
    _, reward, terminated, _, info = env.step("[]")
    assert (reward, terminated, info["outcome"]) == (-0.5, False, Outcome.NOT_JSON)
    _, reward, terminated, _, info = env.step(TEXTS[0])
    assert (terminated, info["outcome"], info["examples"]) == (True, Outcome.OK, 3)
    env.reset(seed=0)
    env.step(TEXTS[0])
    _, reward, terminated, _, info = env.step("{")
    assert (terminated, info["outcome"], info["examples"]) == (True, Outcome.NOT_JSON, 3)
    assert reward == info["accuracy_after"]


def test_mistakes_about_all_of_several_passages_are_a_mistake() -> None:
    env = make(passages=2, max_turns=1, invalid_reward=-1.0)
    env.reset(seed=0)
    env.step("{")
    _, reward, terminated, _, info = env.step("{")
    assert (reward, terminated, info["outcome"], "losses" in info) == (-1.0, True, "not_json", False)


def test_groups_are_of_neighbours_and_known_by_their_first() -> None:
    env = make(passages=2, subset="synthetic-train:5")
    assert env.taskset.task_ids == ("synthetic-train-0-0+1", "synthetic-train-0-2+1")
    assert env.taskset["synthetic-train-0-2"] == env.taskset["synthetic-train-0-2+1"]
    with pytest.raises(UnknownTaskError):
        env.taskset["synthetic-train-0-1"]
    with pytest.raises(SettingError, match="passages=6"):
        make(passages=6, subset="synthetic-train:5")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"profile": "paper"}, "profile"),
        ({"evaluation": "vote"}, "evaluation"),
        ({"decode": "never"}, "decode"),
        ({"reward": "cell_accuracy"}, "reward"),
        ({"passages": 0}, "passages"),
        ({"grader": "guess"}, "grader"),
        ({"grader_model": "x"}, "grader_model"),
        ({"grader_url": "http://127.0.0.1:1/v1"}, "grader_url"),
        ({"default_num_epochs": 21}, "default_num_epochs"),
        ({"default_learning_rate": 0.0}, "default_learning_rate"),
        ({"method": "half"}, "method"),
        ({"learn_passage": "maybe"}, "learn_passage"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingError, match=f"{field}="):
        make(**settings)


@pytest.mark.parametrize("name", ["passages", "learn_passage", "reward", "grader"])
def test_arc_has_none_of_it(name: str) -> None:
    values: dict[str, Any] = {"passages": 2, "learn_passage": False, "reward": "word_f1", "grader": "judge"}
    with pytest.raises(SettingError, match=f"{name}="):
        SealEnv(**{name: values[name]})


def test_full_fine_tuning_leaves_the_base_as_it_was() -> None:
    env = make(method="full")
    base = env.runtime.inner_loop
    first = env.step(FINETUNE)[4]
    env.reset(seed=0)
    assert env.step(FINETUNE)[4]["predictions_before"] == first["predictions_before"]
    assert env.runtime.inner_loop is base
    assert first["predictions_before"] != first["predictions_after"]


def test_rendering_shows_the_passage_and_what_was_answered() -> None:
    env = make()
    env.render_mode = "ansi"
    env.step(FINETUNE)
    assert env.episode is not None
    shown = env.render()
    assert env.episode.task.context.title in shown
    assert "gold" in shown


def test_a_grader_that_fails_is_no_reward_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make()

    def fail(*_: object) -> bool:
        raise GraderError("the judge does not answer")

    monkeypatch.setattr(type(env.domain.grader), "grade", fail)  # type: ignore[attr-defined]
    monkeypatch.setattr(type(env.domain.grader), "grade_all", fail)  # type: ignore[attr-defined]
    _, reward, terminated, truncated, info = env.step(FINETUNE)
    assert reward != reward
    assert (terminated, truncated, info["outcome"]) == (False, True, Outcome.ENGINE_ERROR)
    assert "does not answer" in info["reason"]


def test_info_says_what_graded_the_answers() -> None:
    assert make().step(FINETUNE)[4]["grader"] == "exact_match"
    assert make(grader="lexical").step(FINETUNE)[4]["grader"] == "lexical"
    assert make(grader=same_letter).step(FINETUNE)[4]["grader"].endswith(":same_letter")
