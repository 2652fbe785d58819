"""SealVectorEnv: one call of the inner loop a step, and otherwise what Gymnasium's SyncVectorEnv does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

from seal_env.domains.arc import ARC
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.errors import ModelError, SettingError, UnknownTaskError
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop

AUGMENT, TRAINING, FINETUNE = (json.dumps([call]) for call in json.loads(ARC.default_self_edit))
TASKS = ["5582e5ca", "6150a2bd", "44f52bb0"]


class RecordingInnerLoop(FakeInnerLoop):
    """Right after any training, wrong before; fails for the seeds in `fails`."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: dict[int, Outcome] = {}
        self.base_fails = False
        self.raises: Exception | None = None

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        if self.raises:
            raise self.raises
        return super().run(jobs)

    def result(self, job: UpdateJob) -> UpdateResult:
        trains = bool(job.examples_E)
        if trains and job.seed in self.fails:
            return UpdateResult(self.fails[job.seed], "it failed", ())
        if not trains and self.base_fails:
            return UpdateResult(Outcome.ENGINE_ERROR, "it failed", ())
        answers = tuple(Answer(q.query_id, trains, q.answer if trains else "?", 1.0) for q in job.queries_Q)
        return UpdateResult(Outcome.OK, "", answers, (1.0, job.seed / 7) if trains else (), timings={"train_seconds": 0.5})


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> RecordingInnerLoop:
    made = RecordingInnerLoop()
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: made)
    return made


def make(num_envs: int, **settings: Any) -> SealVectorEnv:
    envs = gymnasium.make_vec("SEAL-ARC-v0", num_envs=num_envs, **settings)
    assert isinstance(envs, SealVectorEnv)
    return envs


def make_sync(num_envs: int, autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP, **settings: Any) -> SyncVectorEnv:
    envs = gymnasium.make_vec("SEAL-ARC-v0", num_envs, "sync", vector_kwargs={"autoreset_mode": autoreset_mode}, **settings)
    assert isinstance(envs, SyncVectorEnv)
    return envs


@pytest.mark.integration
@pytest.mark.parametrize("num_envs", [1, 3, 8])
def test_step_is_one_call_of_the_inner_loop(loop: RecordingInnerLoop, num_envs: int) -> None:
    envs = make(num_envs)
    envs.reset(seed=0)
    envs.step([ARC.default_self_edit] * num_envs)
    assert len(loop.calls) == 1
    assert sum(bool(job.examples_E) for job in loop.calls[0]) == num_envs
    envs.step([""] * num_envs)  # resets all of them
    assert len(loop.calls) == 1
    envs.step([AUGMENT] * num_envs)
    assert len(loop.calls) == 1
    envs.step([FINETUNE] * num_envs)
    assert len(loop.calls) == 2


def test_call_holds_only_the_updates_of_episodes_that_end(loop: RecordingInnerLoop) -> None:
    envs = make(4)
    envs.reset(seed=0, options={"task_id": TASKS[0]})
    envs.step([ARC.default_self_edit, AUGMENT, "garbage", ARC.default_self_edit])
    assert [job.seed for job in loop.calls[0] if job.examples_E] == [0, 3]
    envs.step([ARC.default_self_edit, FINETUNE, FINETUNE, ARC.default_self_edit])  # the first and the last one are reset
    assert [job.seed for job in loop.calls[1]] == [1]


def test_base_model_is_asked_once_a_task_in_the_same_call(loop: RecordingInnerLoop) -> None:
    envs = make(4)
    envs.reset(seed=0, options={"task_ids": [TASKS[0], TASKS[1], TASKS[0], TASKS[0]]})
    envs.step([ARC.default_self_edit] * 4)
    assert [bool(job.examples_E) for job in loop.calls[0]] == [False, False, True, True, True, True]
    envs.reset(options={"task_id": TASKS[1]})
    envs.step([ARC.default_self_edit] * 4)
    assert all(job.examples_E for job in loop.calls[1])


def test_base_model_is_asked_for_every_seed_of_a_vote(loop: RecordingInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.envs.vector_env.MAX_BASE_ANSWERS", 2)
    envs = make(3, evaluation="vote")
    envs.reset(seed=0, options={"task_id": TASKS[0]})
    _, rewards, *_ = envs.step([ARC.default_self_edit] * 3)  # more answers than are kept
    assert [job.seed for job in loop.calls[0] if not job.examples_E] == [0, 1, 2]
    assert rewards.tolist() == [1.0] * 3
    assert len(envs._base) == 2


def test_environment_alone_asks_for_the_same_as_among_others(loop: RecordingInnerLoop) -> None:
    actions = [AUGMENT, "garbage", FINETUNE]
    among, alone = make(4), make(1)
    among.reset(seed=10)
    alone.reset(seed=12)
    for action in actions:
        steps = [among.step([action] * 4), alone.step([action])]
    jobs = [[job for job in call if job.seed == 12] for call in loop.calls]
    assert jobs[0] == jobs[1] != []
    assert [step[0][index] for step, index in zip(steps, (2, 0), strict=True)] == [steps[0][0][2]] * 2


@pytest.mark.parametrize("outcome", [Outcome.OUT_OF_MEMORY, Outcome.ENGINE_ERROR])
def test_machine_that_fails_one_update_truncates_that_episode_alone(loop: RecordingInnerLoop, outcome: Outcome) -> None:
    loop.fails = {1: outcome}
    envs = make(3)
    envs.reset(seed=0)
    _, rewards, terminations, truncations, infos = envs.step([ARC.default_self_edit] * 3)
    assert np.isnan(rewards).tolist() == truncations.tolist() == [False, True, False]
    assert terminations.tolist() == [True, False, True]
    assert infos["outcome"].tolist() == ["ok", outcome, "ok"]
    _, rewards, terminations, truncations, infos = envs.step([""] * 3)
    assert not (terminations | truncations).any()
    assert (rewards == 0).all()
    assert infos["turn"].tolist() == [0, 0, 0]


def test_base_model_that_could_not_be_asked_is_asked_again(loop: RecordingInnerLoop) -> None:
    envs = make(3, autoreset_mode="SameStep")
    envs.reset(seed=0, options={"task_ids": [TASKS[0], TASKS[0], TASKS[1]]})
    loop.base_fails = True
    *_, truncations, infos = envs.step([ARC.default_self_edit, ARC.default_self_edit, AUGMENT])
    assert truncations.tolist() == [True, True, False]
    assert infos["final_info"]["losses"][0] == []
    loop.base_fails = False
    envs.reset(seed=0, options={"task_id": TASKS[0]})
    assert envs.step([ARC.default_self_edit] * 3)[1].tolist() == [1.0] * 3


SCRIPT: dict[str, list[list[str]]] = {
    "of one length": [[ARC.default_self_edit, ARC.no_update, ARC.default_self_edit, ARC.default_self_edit]] * 5,
    "of different lengths": [
        ["garbage", ARC.default_self_edit, AUGMENT, "[]"],
        [AUGMENT, AUGMENT, FINETUNE, "{}"],
        [FINETUNE, ARC.default_self_edit, ARC.default_self_edit, ARC.default_self_edit],
        [ARC.default_self_edit, AUGMENT, "\x00", AUGMENT],
        [ARC.default_self_edit, FINETUNE, FINETUNE, AUGMENT],
        [AUGMENT, ARC.default_self_edit, AUGMENT, FINETUNE],
    ],
}


def transcript(envs: Any, script: list[list[str]], mode: AutoresetMode) -> list[Any]:
    """All that comes of a script, with resets where the mode leaves them to the caller."""
    seen = [envs.reset(seed=3)]
    for actions in script:
        step = envs.step(tuple(actions))
        seen.append(step)
        over = step[2] | step[3]
        if mode is AutoresetMode.DISABLED and over.any():
            seen.append(envs.reset(options={"reset_mask": over}))
    return seen


@pytest.mark.integration
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("episodes", SCRIPT)
def test_does_what_sync_vector_env_does(loop: RecordingInnerLoop, mode: AutoresetMode, episodes: str) -> None:
    ours, sync = make(4, autoreset_mode=mode, max_turns=3), make_sync(4, mode, max_turns=3)
    assert ours.metadata == sync.metadata
    assert (ours.observation_space, ours.single_observation_space) == (sync.observation_space, sync.single_observation_space)
    assert (ours.action_space, ours.single_action_space) == (sync.action_space, sync.single_action_space)
    theirs, after = transcript(sync, SCRIPT[episodes], mode), len(loop.calls)
    for mine, expected in zip(transcript(ours, SCRIPT[episodes], mode), theirs, strict=True):
        np.testing.assert_equal(mine, expected)
        assert repr(mine) == repr(expected)  # types too
        assert ours.observation_space.contains(mine[0])
    assert len(loop.calls) - after <= len(SCRIPT[episodes])


def test_final_observation_and_info_are_those_of_the_last_step(loop: RecordingInnerLoop) -> None:
    envs = make(2, autoreset_mode="SameStep")
    envs.reset(seed=0)
    observations, _, _, _, infos = envs.step([AUGMENT, ARC.default_self_edit])
    assert infos["final_obs"][1].startswith("The episode is over")
    assert infos["final_info"]["accuracy_after"][1] == 1.0
    assert infos["_final_info"].tolist() == [False, True]
    assert "demonstrations of one hidden rule" in observations[1]
    assert infos["turn"].tolist() == [1, 0]


def test_mode_is_told_in_the_metadata_and_a_wrong_one_named() -> None:
    assert make(1).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert make(1, autoreset_mode="Disabled").metadata["autoreset_mode"] is AutoresetMode.DISABLED
    with pytest.raises(SettingError, match="autoreset_mode='Sometimes' is not legal; expected 'NextStep' or 'SameStep'"):
        make(1, autoreset_mode="Sometimes")
    with pytest.raises(SettingError, match="num_envs=0"):
        make(0)
    with pytest.raises(SettingError, match="did you mean 'max_turns'"):
        make(1, max_turn=3)


def test_is_made_again_from_its_spec() -> None:
    envs = make(3, max_turns=2)
    assert envs.spec is not None
    again = gymnasium.make_vec(envs.spec)
    assert isinstance(again, SealVectorEnv)
    assert again.num_envs == 3
    assert again.get_attr("settings") == envs.get_attr("settings")


def test_seeds_and_tasks_are_given_to_all_or_to_each(loop: RecordingInnerLoop) -> None:
    envs = make(3)
    assert envs.reset(seed=4, options={"task_id": TASKS[0]})[1]["task_id"].tolist() == [TASKS[0]] * 3
    assert envs.np_random_seed == (4, 5, 6)
    assert envs.reset(seed=[7, 7, 9], options={"task_ids": TASKS})[1]["task_id"].tolist() == TASKS
    assert envs.np_random_seed == (7, 7, 9)


def test_mask_resets_some(loop: RecordingInnerLoop) -> None:
    envs = make(3, autoreset_mode="Disabled")
    envs.reset(seed=0)
    before = envs.step([AUGMENT, ARC.default_self_edit, ARC.default_self_edit])[0]
    options = {"reset_mask": np.array([False, True, False]), "task_ids": TASKS}
    observations, infos = envs.reset(options=options)
    assert set(options) == {"reset_mask", "task_ids"}
    assert infos["_task_id"].tolist() == [False, True, False]
    assert infos["task_id"][1] == TASKS[1]
    assert (observations[0], observations[2]) == (before[0], before[2])
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[2\]"):
        envs.step([FINETUNE] * 3)
    assert len(loop.calls) == 1  # nothing was played


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"task": "5582e5ca"}, SettingError, "task_ids"),
        ({"task_id": TASKS[0], "task_ids": TASKS}, SettingError, "'task_id' or 'task_ids'"),
        ({"task_ids": TASKS[:2]}, SettingError, "a list of 3"),
        ({"task_ids": "abc"}, SettingError, "a list of 3"),
        ({"task_ids": [*TASKS[:2], "zzz"]}, UnknownTaskError, "zzz"),
    ],
)
def test_options_that_make_no_sense_are_named(
    loop: RecordingInnerLoop, options: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        make(3).reset(options=options)


@pytest.mark.parametrize("actions", [[ARC.default_self_edit], "ab", [FINETUNE] * 3, []])
def test_actions_must_be_as_many_as_environments(loop: RecordingInnerLoop, actions: Any) -> None:
    envs = make(2)
    envs.reset(seed=0)
    with pytest.raises(SettingError, match="one for each environment"):
        envs.step(actions)


def test_step_before_reset_asks_for_it(loop: RecordingInnerLoop) -> None:
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[0, 1\]"):
        make(2).step([AUGMENT] * 2)


def test_bug_in_the_inner_loop_is_raised_and_a_reset_starts_afresh(loop: RecordingInnerLoop) -> None:
    envs = make(2)
    envs.reset(seed=0)
    loop.raises = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        envs.step([AUGMENT, ARC.default_self_edit])
    loop.raises = None
    with pytest.raises(gymnasium.error.ResetNeeded):
        envs.step([AUGMENT, ARC.default_self_edit])
    envs.reset(seed=0)
    assert envs.step([AUGMENT, ARC.default_self_edit])[4]["turn"].tolist() == [1, 1]


def test_step_that_was_played_in_vain_is_forgotten(loop: RecordingInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    envs = make(2)
    envs.reset(seed=0)
    envs.step([ARC.default_self_edit, AUGMENT])
    with monkeypatch.context() as patch:
        patch.setattr("seal_env.episodes.runtime.Runtime.load", no_model)
        with pytest.raises(ModelError):
            envs.step(["", TRAINING])  # the first is to be reset, the second has its step already
    envs.reset(seed=0)
    assert envs.envs[1].step("garbage")[4]["outcome"] == "not_json"


def no_model(*_: object) -> None:
    raise ModelError("the model is gone")


def test_one_of_its_environments_can_be_stepped_by_hand(loop: RecordingInnerLoop) -> None:
    envs = make(2)
    envs.reset(seed=0)
    assert envs.envs[1].step(ARC.default_self_edit)[1] == 1.0


def test_adapters_of_one_step_have_directories_of_their_own(loop: RecordingInnerLoop, tmp_path: Path) -> None:
    envs = make(3, save_adapters=str(tmp_path))
    envs.reset(seed=0, options={"task_id": TASKS[0]})
    envs.step([ARC.default_self_edit, ARC.no_update, ARC.default_self_edit])
    saved = [job.save_to.name for job in loop.calls[0] if job.save_to]
    assert saved == [f"{number:04d}-{TASKS[0]}" for number in range(3)]


def test_timings_are_each_environment_s_own(loop: RecordingInnerLoop) -> None:
    envs = make(2)
    envs.reset(seed=0)
    envs.step([ARC.default_self_edit, AUGMENT])
    first, second = envs.get_attr("last_timings")
    assert first["train_seconds"] == 0.5
    assert set(second) == {"compile_seconds"}


@pytest.mark.parametrize(("mode", "kind"), [("ansi", str), ("rgb_array", np.ndarray)])
def test_renders_every_environment(loop: RecordingInnerLoop, mode: str, kind: type) -> None:
    envs = make(2, render_mode=mode)
    envs.reset(seed=0)
    envs.step([ARC.default_self_edit, AUGMENT])
    frames = envs.render()
    assert [type(frame) for frame in frames] == [kind] * 2
    if kind is str:
        assert ["gold" in frame for frame in frames] == [True, False]
    envs.close()
    assert envs.closed


@pytest.mark.parametrize("maker", [make, make_sync])
def test_gymnasium_s_wrappers_work(loop: RecordingInnerLoop, maker: Callable[..., Any]) -> None:
    episodes = RecordEpisodeStatistics(maker(2))
    envs = DictInfoToList(episodes)
    envs.reset(seed=0)
    envs.step([AUGMENT, ARC.default_self_edit])
    *_, infos = envs.step([FINETUNE, ARC.default_self_edit])
    assert (infos[0]["episode"]["r"], infos[0]["episode"]["l"]) == (1.0, 2)
    assert infos[0]["self_edit"] == json.loads(AUGMENT) + json.loads(FINETUNE)
    assert set(infos[1]) == {"task_id", "turn", "outcome", "reason", "task", "budget", "segment"}
    assert list(episodes.length_queue) == [1, 2]


def test_mask_resets_some_of_the_statistics(loop: RecordingInnerLoop) -> None:
    envs = RecordEpisodeStatistics(make(2, autoreset_mode="Disabled"))
    envs.reset(seed=0)
    envs.step([AUGMENT, ARC.default_self_edit])
    envs.reset(options={"reset_mask": np.array([False, True])})
    envs.step([FINETUNE, ARC.default_self_edit])
    assert list(envs.length_queue) == [1, 2, 1]
