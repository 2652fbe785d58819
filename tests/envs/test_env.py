"""SealEnv: episodes, outcomes, rewards. Most tests use a tiny inner loop that is real enough to answer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest

import seal_env
from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError, UnknownTaskError
from seal_env.tasks.arc.grid import GridFormat
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop

assert seal_env.__version__


class ToldInnerLoop(FakeInnerLoop):
    """Answers right after any training, wrong before; or fails as told."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Outcome | None = None
        self.base_is_right = False

    def result(self, job: UpdateJob) -> UpdateResult:
        trains = bool(job.examples_E) and job.training.num_train_epochs > 0
        if trains and self.fails is not None:
            return UpdateResult(self.fails, "it failed", ())
        right = trains or self.base_is_right
        answers = tuple(
            Answer(q.query_id, right, q.answer if right else "nonsense", 1.0 if right else -1.0) for q in job.queries_Q
        )
        return UpdateResult(Outcome.OK, "", answers, losses_S=(1.0, 0.5) if trains else (), timings={"train_seconds": 0.1})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> ToldInnerLoop:
    loop = ToldInnerLoop()
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: loop)
    return loop


def make(**settings: Any) -> SealEnv:
    env = gymnasium.make("SEAL-ARC-v0", **settings).unwrapped
    assert isinstance(env, SealEnv)
    return env


def calls(*names: str, epochs: int = 2) -> str:
    arguments: dict[str, Any] = {
        "augment": {f"use_{kind}_augmentations": kind == "basic" for kind in ("basic", "size", "chain", "repeat")},
        "training": {"strategy": "train_using_output_tokens", "learning_rate": 0.001, "num_train_epochs": epochs},
        "finetune": {},
    }
    return json.dumps([{"name": name, "arguments": arguments[name]} for name in names])


def test_update_is_paid_the_accuracy_of_the_updated_model(fake: ToldInnerLoop) -> None:
    env = make()
    env.reset(seed=0, options={"task_id": "5582e5ca"})
    _, reward, terminated, truncated, info = env.step(ARC.default_self_edit)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert (info["accuracy_before"], info["accuracy_after"], info["outcome"]) == (0.0, 1.0, "ok")
    assert info["predictions_after"] == [[info["gold"][0]]]


@pytest.mark.parametrize(("mode", "expected"), [("accuracy", 1.0), ("gain", 0.0), ("solved", 1.0), ("cell_accuracy", 1.0)])
def test_reward_modes(fake: ToldInnerLoop, mode: str, expected: float) -> None:
    fake.base_is_right = True
    env = make(reward=mode)
    env.reset(seed=0)
    assert env.step(ARC.default_self_edit)[1] == expected


def test_one_shot_and_step_by_step_are_the_same_self_edit(fake: ToldInnerLoop) -> None:
    env = make()
    env.reset(seed=0, options={"task_id": "5582e5ca"})
    at_once = env.step(calls("augment", "training", "finetune"))
    env.reset(seed=0, options={"task_id": "5582e5ca"})
    first = env.step(calls("augment"))
    second = env.step(calls("training"))
    by_steps = env.step(calls("finetune"))
    assert "examples" in first[0]
    assert "optimizer steps" in second[0]
    assert [step[1:4] for step in (first, second)] == [(0.0, False, False)] * 2
    assert by_steps[4] | {"turn": 1, "segment": at_once[4]["segment"]} == at_once[4]
    assert fake.jobs[-1] == fake.jobs[-2]


def test_mistake_earns_the_invalid_reward_and_keeps_the_draft(fake: ToldInnerLoop) -> None:
    env = make(invalid_reward=-0.5)
    env.reset(seed=0)
    env.step(calls("augment"))
    text, reward, terminated, truncated, info = env.step("not json")
    assert (reward, terminated, truncated, info["outcome"]) == (-0.5, False, False, "not_json")
    assert text == info["reason"]
    assert env.step(calls("finetune"))[4]["outcome"] == "ok"


def test_last_turn_without_finetune_ends_the_episode(fake: ToldInnerLoop) -> None:
    env = make(max_turns=2, invalid_reward=-1.0)
    env.reset(seed=0)
    env.step(calls("augment"))
    _, reward, terminated, truncated, info = env.step(calls("training"))
    assert (reward, terminated, truncated, info["outcome"]) == (-1.0, True, False, "missing_finetune")


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("{", "not_json"),
        ('[{"name": "train", "arguments": {}}]', "unknown_tool"),
        ('[{"name": "finetune", "arguments": {"now": true}}]', "invalid_arguments"),
        (calls("augment", "training"), "missing_finetune"),
        (calls("finetune"), "empty_data"),
        (calls("augment", "training", "finetune", epochs=20), "over_budget"),
    ],
)
def test_each_mistake_has_its_outcome_and_a_reason(fake: ToldInnerLoop, action: str, outcome: str) -> None:
    env = make(max_turns=1)
    env.reset(seed=0, options={"task_id": "5582e5ca"})
    text, reward, terminated, truncated, info = env.step(action)
    assert (info["outcome"], reward, terminated, truncated) == (outcome, 0.0, True, False)
    assert info["reason"]
    assert text == info["reason"]
    assert fake.jobs == []


def test_failing_machine_truncates_and_is_never_scored(fake: ToldInnerLoop) -> None:
    env = make()
    for fake.fails in (Outcome.OUT_OF_MEMORY, Outcome.ENGINE_ERROR):
        env.reset(seed=0)
        _, reward, terminated, truncated, info = env.step(ARC.default_self_edit)
        assert math.isnan(reward)
        assert (terminated, truncated, info["outcome"]) == (False, True, str(fake.fails))


def test_diverged_update_earns_the_invalid_reward(fake: ToldInnerLoop) -> None:
    fake.fails = Outcome.DIVERGED
    env = make(invalid_reward=-0.25)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(ARC.default_self_edit)
    assert (reward, terminated, truncated, info["outcome"]) == (-0.25, True, False, "diverged")


def test_paper_profile_scores_an_edit_over_the_budget_as_the_base_model(fake: ToldInnerLoop) -> None:
    fake.base_is_right = True
    env = make(profile="paper")
    env.reset(seed=0, options={"task_id": "5582e5ca"})
    _, reward, _, _, info = env.step(calls("augment", "training", "finetune", epochs=20))
    assert (reward, info["outcome"], info["optimizer_steps"]) == (1.0, "over_budget", 0)


def test_paper_profile_scores_an_edit_without_examples_as_the_base_model(fake: ToldInnerLoop) -> None:
    fake.base_is_right = True
    env = make(profile="paper", max_tokens=2)
    env.reset(seed=0, options={"task_id": "5582e5ca"})
    _, reward, _, _, info = env.step(ARC.default_self_edit)
    assert (reward, info["outcome"], info["accuracy_after"]) == (1.0, "empty_data", 1.0)


def test_base_model_is_asked_once_a_task(fake: ToldInnerLoop) -> None:
    env = make()
    for seed in (0, None, None):
        env.reset(seed=seed, options={"task_id": "5582e5ca"})
        env.step(ARC.default_self_edit)
    assert sum(not job.examples_E for job in fake.jobs) == 1


def test_base_model_is_asked_once_a_task_whatever_the_seed(fake: ToldInnerLoop) -> None:
    env = make()
    for seed in range(3):
        env.reset(seed=seed, options={"task_id": "5582e5ca"})
        env.step(ARC.default_self_edit)
    assert sum(not job.examples_E for job in fake.jobs) == 1


def test_evaluations_of_the_base_model_are_kept_within_a_limit(fake: ToldInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.envs.env.MAX_BASE_ANSWERS", 2)
    env = make(evaluation="vote")
    for seed in range(4):
        env.reset(seed=seed, options={"task_id": "5582e5ca"})
        env.step(ARC.no_update)
    assert len(env._base) == 2


def test_examples_too_long_for_the_model_are_dropped(fake: ToldInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "max_tokens", lambda recipe: 9)
    monkeypatch.setattr("seal_env.episodes.runtime.longest_query", lambda queries, inner_loop: "")
    env = make()
    text, _ = env.reset(seed=0)
    assert "Examples of 10 tokens or more are dropped" in text
    assert env.step(ARC.default_self_edit)[4]["outcome"] == "empty_data"


def test_no_epochs_leave_the_base_model_s_accuracy(fake: ToldInnerLoop) -> None:
    env = make()
    env.reset(seed=0)
    info = env.step(ARC.no_update)[4]
    assert (info["outcome"], info["optimizer_steps"], info["accuracy_after"]) == ("ok", 0, info["accuracy_before"])


def test_every_task_comes_once_a_round_in_a_seeded_order(fake: ToldInnerLoop) -> None:
    env = make()
    orders = []
    for seed in (0, 0, 1):
        order = [env.reset(seed=seed)[1]["task_id"], *(env.reset()[1]["task_id"] for _ in range(11))]
        orders.append(order)
    assert sorted(orders[0]) == sorted(env.taskset.task_ids)
    assert orders[0] == orders[1] != orders[2]


def seeds(env: SealEnv, *given: int | None) -> list[int]:
    found = []
    for seed in given:
        env.reset(seed=seed, options={"task_id": "5582e5ca"})
        assert env.episode is not None
        found.append(env.episode.seed)
    return found


def test_episodes_after_a_seeded_one_have_seeds_of_their_own_that_it_decides(fake: ToldInnerLoop) -> None:
    first = seeds(make(), 7, *[None] * 20)
    assert first[0] == 7
    assert len(set(first)) == 21
    assert first == seeds(make(), 7, *[None] * 20)
    assert set(first[1:]).isdisjoint(seeds(make(), 8, *[None] * 20))


def test_seed_begins_the_same_episodes_whatever_came_before(fake: ToldInnerLoop) -> None:
    env = make()
    assert seeds(env, 3, None, None, 3, None, None, 4)[3:] == [*seeds(env, 3, None, None), 4]


def test_unseeded_environments_differ(fake: ToldInnerLoop) -> None:
    assert len({*seeds(make(), None, None), *seeds(make(), None, None)}) == 4


def test_generator_of_one_s_own_decides_the_seeds(fake: ToldInnerLoop) -> None:
    found = []
    for _ in range(2):
        env = make()
        env.np_random = np.random.default_rng(5)
        found.append(seeds(env, None, None))
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


def test_seed_decides_the_training_examples(fake: ToldInnerLoop) -> None:
    env = make()
    for seed in (0, 0, 1):
        env.reset(seed=seed, options={"task_id": "5582e5ca"})
        env.step(ARC.default_self_edit)
    first, second, third = [job for job in fake.jobs if job.examples_E]
    assert first == second
    assert first.seed != third.seed
    assert first.examples_E != third.examples_E


def test_stepping_after_the_end_asks_for_a_reset(fake: ToldInnerLoop) -> None:
    env = make()
    env.reset(seed=0)
    env.step(ARC.default_self_edit)
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(ARC.default_self_edit)


def test_unknown_task_and_option_are_named(fake: ToldInnerLoop) -> None:
    env = make()
    with pytest.raises(UnknownTaskError, match="zzz"):
        env.reset(options={"task_id": "zzz"})
    with pytest.raises(SettingError, match="task_id"):
        env.reset(options={"tsk": "5582e5ca"})


def test_gymnasium_passes_on_what_is_wrong_with_a_setting() -> None:
    with pytest.raises(SettingError, match="reward='acuracy' is not legal"):
        gymnasium.make("SEAL-ARC-v0", reward="acuracy")


def test_no_answer_is_in_sight_of_the_agent_or_the_training(fake: ToldInnerLoop) -> None:
    """Over all 22 SEAL tasks: no (input, output) pair of the queries in an observation, a reply, an info or an example."""
    write = GridFormat("lettered").write
    for subset in ("seal-train", "seal-eval"):
        env = make(subset=subset, max_examples=4000, max_steps=100000)
        for task in env.taskset:
            seen: list[Any] = [*env.reset(seed=0, options={"task_id": task.task_id})]
            seen += [part for action in (calls("augment"), "?", calls("training")) for part in env.step(action)]
            env.step(calls("finetune", epochs=1))
            visible = " ".join(map(str, seen))
            for pair in task.queries:
                answer, asked = write(pair.output), write(pair.input)
                if len(answer) > 30 and answer not in [write(demonstration.output) for demonstration in task.context]:
                    assert answer not in visible
                learnt = [e.messages[-1].content for e in fake.jobs[-1].examples_E if asked in e.messages[-2].content]
                assert answer not in learnt


def test_infos_hold_no_gold_before_the_end(fake: ToldInnerLoop) -> None:
    env = make()
    infos = [env.reset(seed=0)[1], env.step(calls("augment"))[4], env.step("?")[4]]
    assert all(set(info) == {"task_id", "turn", "outcome", "reason", "task", "budget", "segment"} for info in infos)


def test_timings_are_kept_out_of_infos(fake: ToldInnerLoop) -> None:
    env = make()
    env.reset(seed=0)
    info = env.step(ARC.default_self_edit)[4]
    assert not [key for key in info if "second" in key or "time" in key]
    assert env.last_timings["train_seconds"] == 0.1


def test_adapters_are_saved_only_on_request(fake: ToldInnerLoop, tmp_path: Any) -> None:
    env = make(save_adapters=str(tmp_path))
    for _ in range(2):
        env.reset(seed=0, options={"task_id": "5582e5ca"})
        env.step(ARC.default_self_edit)
    saved = [job.save_to for job in fake.jobs if job.save_to]
    assert [path.name for path in saved] == ["0000-5582e5ca", "0001-5582e5ca"]
    assert all(path.parent == tmp_path for path in saved)


def test_adapters_of_an_earlier_run_are_left_alone(fake: ToldInnerLoop, tmp_path: Any) -> None:
    (tmp_path / "0000-5582e5ca").mkdir()
    env = make(save_adapters=str(tmp_path))
    env.reset(seed=0, options={"task_id": "5582e5ca"})
    env.step(ARC.default_self_edit)
    assert fake.jobs[-1].save_to == tmp_path / "0001-5582e5ca"


def test_timings_of_a_base_model_asked_before_are_not_told_again(fake: ToldInnerLoop) -> None:
    env = make()
    for _ in range(2):
        env.reset(seed=0, options={"task_id": "5582e5ca"})
        env.step(ARC.no_update)
    assert set(env.last_timings) == {"compile_seconds"}


def test_render_ansi_shows_gold_only_after_the_end(fake: ToldInnerLoop) -> None:
    env = make(render_mode="ansi")
    env.reset(seed=0)
    before = env.render()
    env.step(ARC.default_self_edit)
    after = env.render()
    assert "gold" not in before
    assert all(caption in after for caption in ("prediction before", "prediction after", "gold"))


def test_frames_of_all_episodes_have_one_size_and_show_predictions(fake: ToldInnerLoop) -> None:
    env, frames = make(render_mode="rgb_array"), []
    for task_id in ("6150a2bd", "5582e5ca"):
        env.reset(seed=0, options={"task_id": task_id})
        frames.append(env.render())
        env.step(ARC.default_self_edit)
        frames.append(env.render())
    assert {(frame.dtype, frame.shape) for frame in frames} == {(np.dtype(np.uint8), (720, 1280, 3))}
    assert len({frame.tobytes() for frame in frames}) == 4


def test_decoding_never_leaves_wrong_predictions_out(fake: ToldInnerLoop) -> None:
    env = make(decode="never")
    env.reset(seed=0)
    env.step(ARC.default_self_edit)
    assert not any(job.decode for job in fake.jobs)


def test_cell_accuracy_is_unknown_without_decoding(fake: ToldInnerLoop) -> None:
    env = make(decode="never")
    env.reset(seed=0)
    info = env.step(ARC.default_self_edit)[4]
    assert (info["cell_accuracy_before"], info["accuracy_before"]) == (None, 0.0)


def test_sampled_actions_are_within_the_budget(fake: ToldInnerLoop) -> None:
    env = make()
    for index, task_id in enumerate(env.taskset.task_ids):
        env.reset(seed=index, options={"task_id": task_id})
        assert env.step(env.action_space.sample())[4]["outcome"] == "ok"


def test_equal_jobs_are_asked_with_equal_settings(fake: ToldInnerLoop) -> None:
    env = make(lora_rank=4, lora_alpha=8.0, lora_targets="q_proj", batch_size=4)
    env.reset(seed=0)
    env.step(ARC.default_self_edit)
    job = fake.jobs[-1]
    assert (job.lora.rank, job.lora.alpha, job.lora.target_modules, job.recipe.batch_size) == (4, 8.0, ("q_proj",), 4)
    assert replace(job, examples_E=()) != job
