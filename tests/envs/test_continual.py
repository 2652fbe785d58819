"""SEAL-Continual-v0: what is learned stays, is measured, and can be taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.domains.arc import ARC
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.wrappers.forgetting_gate import MEASURES, ForgettingGate
from seal_env.errors import SettingError, UpdateError
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult

SHORT: dict[str, Any] = {
    "domain": "arc",
    "subset": "mini-train:6",
    "model": "seal-tiny",
    "batch_size": 2,
    "sequence": 3,
    "max_examples": 6,
    "max_turns": 2,
}
TASKS = ["mini-train-0-0", "mini-train-0-1", "mini-train-0-2"]
STRONG = json.loads(ARC.default_self_edit)
STRONG[1]["arguments"] |= {"learning_rate": 0.003, "num_train_epochs": 3}
EDIT = json.dumps(STRONG)
NOTHING = EDIT.replace('"num_train_epochs": 3', '"num_train_epochs": 0')


def make(**settings: Any) -> SealContinualEnv:
    env = SealContinualEnv(**{**SHORT, **settings})
    env.reset(seed=0, options={"task_ids": TASKS})
    return env


def test_a_sequence_has_a_prompt_for_each_task_and_a_row_for_each_update() -> None:
    env = make()
    observation, info = env.reset(seed=1, options={"task_ids": TASKS})
    assert info["task_id"] == TASKS[0]
    for done in (1, 2, 3):
        before = observation
        observation, reward, terminated, truncated, info = env.step(EDIT)
        assert info["merged"]
        assert (info["position"], terminated, truncated) == (done, done == 3, False)
        assert [len(row) for row in info["retention"]] == [3] * (done + 1)
        assert [score is None for score in info["retention"][done]] == [column > done for column in range(3)]
        assert reward == pytest.approx(sum(info["retention"][done][:done]) / done)
        assert observation != before
    assert info["task_id"] == TASKS[2]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(EDIT)


def test_word_f1_and_length_are_of_the_new_task_and_of_all_so_far() -> None:
    env = SealContinualEnv(domain="knowledge", subset="synthetic-eval:2", sequence=2, default_num_epochs=1)
    _, info = env.reset(seed=0)
    assert info["seen_word_f1"] is info["new_answer_words"] is None
    first = env.step('[{"name": "finetune", "arguments": {}}]')[4]
    assert first["new_word_f1"] == first["seen_word_f1"] == first["word_f1_after"]
    last = env.step('[{"name": "finetune", "arguments": {}}]')[4]
    assert last["new_answer_words"] == last["answer_words_after"] > 0
    assert last["seen_answer_words"] != last["new_answer_words"]


def test_the_rewards_are_of_the_matrix() -> None:
    found: dict[str, Any] = {}
    for over in ("seen", "new", "change"):
        env = make(reward_over=over)
        rewards = [env.step(EDIT)[1] for _ in TASKS]
        found[over] = rewards, env.retention.rows
    rows = found["seen"][1]
    assert all(rows == other for _, other in found.values())
    assert found["new"][0] == [rows[k + 1][k] for k in range(3)]
    gains = [sum(rows[k + 1][t] - rows[k][t] for t in range(k + 1)) / (k + 1) for k in range(3)]
    assert found["change"][0] == pytest.approx(gains)


@pytest.mark.parametrize(("over", "rewards"), [("change", [0, 0, 0]), ("seen", [1, 1, 1]), ("new", [1, 1, 1])])
@pytest.mark.parametrize("edit", [ARC.no_update, NOTHING])
def test_self_edit_that_changes_nothing_is_paid_by_the_same_rule(
    over: str, rewards: list[int], edit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every task is solved already."""
    env = make(reward_over=over)

    def solve(job: UpdateJob) -> UpdateResult:
        return UpdateResult(
            Outcome.OK, "", tuple(Answer(query.query_id, True, query.answer, 1.0) for query in job.queries_Q)
        )

    monkeypatch.setattr(env.runtime.inner_loop, "run", lambda jobs: [solve(job) for job in jobs])
    env.reset(seed=0, options={"task_ids": TASKS})
    assert [env.step(edit)[1] for _ in TASKS] == rewards


def test_what_is_learned_changes_the_model_and_reset_undoes_it_bit_by_bit() -> None:
    env = make()
    base = env.model.fingerprint
    assert base == load_base_model("seal-tiny", "cpu").fingerprint
    env.step(EDIT)
    once = env.model.fingerprint
    assert once != base
    env.step(EDIT)
    assert env.model.fingerprint not in (base, once)
    env.reset(options={"keep": True})
    assert env.model.fingerprint != base
    env.reset()
    assert env.model.fingerprint == base == load_base_model("seal-tiny", "cpu").fingerprint


def test_the_new_row_is_what_the_merged_model_answers() -> None:
    env = make()
    info = env.step(EDIT)[4]
    assert info["retention"][1][0] == info["accuracy_after"]
    assert info["retention"][0][0] == info["accuracy_before"]


def test_mistakes_leave_the_model_and_the_sequence_goes_on() -> None:
    env = make(invalid_reward=-1.0)
    base = env.model.fingerprint
    assert env.step("not JSON")[1] == -1.0
    observation, reward, terminated, _, info = env.step("not JSON")
    assert (reward, terminated, info["merged"], info["position"]) == (-1.0, False, False, 1)
    assert info["outcome"] == Outcome.NOT_JSON
    assert observation.startswith("Decide how")
    assert env.model.fingerprint == base
    assert not env.step(NOTHING)[4]["merged"]
    assert env.model.fingerprint == base
    assert env.retention.rows[0][:3] == env.retention.rows[2]


def test_a_failure_of_the_machine_ends_the_sequence_without_a_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make()
    failed = UpdateResult(Outcome.OUT_OF_MEMORY, "memory ran out", ())
    monkeypatch.setattr(env.runtime.inner_loop, "run", lambda jobs: [failed for _ in jobs])
    _, reward, terminated, truncated, info = env.step(EDIT)
    assert reward != reward
    assert (terminated, truncated, info["merged"]) == (False, True, False)
    assert info["outcome"] == Outcome.OUT_OF_MEMORY


def test_a_failure_after_a_merge_ends_the_sequence_too(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make()
    failed = UpdateResult(Outcome.OUT_OF_MEMORY, "memory ran out", ())
    run = env.runtime.inner_loop.run
    monkeypatch.setattr(env.runtime.inner_loop, "run", lambda jobs: run(jobs) if jobs[0].learns else [failed for _ in jobs])
    text, reward, terminated, truncated, info = env.step(EDIT)
    assert reward != reward
    assert (terminated, truncated, info["merged"], text) == (False, True, True, "memory ran out")
    assert (info["outcome"], info["reason"]) == (Outcome.OUT_OF_MEMORY, "memory ran out")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(EDIT)
    with pytest.raises(UpdateError, match="could not be evaluated: out_of_memory: memory ran out"):
        env.reset(seed=0)


def test_a_merge_can_be_rolled_back() -> None:
    env = make()
    env.keeps_undo = True
    base = env.model.fingerprint
    env.step(EDIT)
    reward, info = env.roll_back()
    assert env.model.fingerprint == base
    assert env.retention.rows[1][:2] == env.retention.rows[0][:2]
    assert reward == env.retention.rows[1][0]
    assert (info["merged"], info["rolled_back"]) == (False, True)
    with pytest.raises(SettingError, match="keeps_undo"):
        env.roll_back()


@pytest.mark.parametrize("measure", MEASURES)
def test_a_gate_takes_back_what_forgets_too_much_and_nothing_else(measure: str) -> None:
    env = make()
    for limit, kept in ((-2.0, False), (1e6, True)):
        gate = ForgettingGate(env, measure, limit)
        gate.reset(seed=0, options={"task_ids": TASKS})
        first = gate.step(EDIT)[4]
        assert "forgetting" not in first
        once = env.model.fingerprint
        info = gate.step(EDIT)[4]
        assert info["merged"] is kept
        assert info["rolled_back"] is not kept
        assert info["forgetting"] == info["forgetting"]
        assert (env.model.fingerprint == once) is not kept


def test_a_gate_wants_what_it_knows() -> None:
    env = make()
    with pytest.raises(SettingError, match="measure='guess'"):
        ForgettingGate(env, "guess")
    with pytest.raises(SettingError, match="SEAL-Continual-v0"):
        ForgettingGate(gymnasium.make("SEAL-ARC-Mini-v0"))


def test_the_saved_model_is_a_base_model_like_any_other(tmp_path: Path) -> None:
    env = make()
    env.step(EDIT)
    env.model.save(tmp_path / "learned")
    learned = env.retention.rows[1]
    other = make(model=str(tmp_path / "learned"))
    assert other.retention.rows[0][:2] == learned[:2]
    env.reset(options={"task_ids": TASKS})
    env.model.load(tmp_path / "learned")
    env.reset(options={"task_ids": TASKS, "keep": True})
    assert env.retention.rows[0][:2] == learned[:2]


def test_full_fine_tuning_is_merged_too() -> None:
    env = make(method="full", default_num_epochs=1)
    base = env.model.fingerprint
    info = env.step(EDIT)[4]
    assert info["retention"][1][0] == info["accuracy_after"]
    assert env.model.fingerprint != base
    env.reset()
    assert env.model.fingerprint == base


def test_passages_are_learned_one_after_the_other() -> None:
    env = SealContinualEnv(**{**SHORT, "domain": "knowledge", "subset": "synthetic-train:4", "sequence": 2})
    env.reset(seed=0)
    observation, _, _, _, info = env.step("The first thing is a thing.")
    assert info["merged"]
    assert info["texts"] == 1
    assert "Task:" in observation
    assert env.step('[{"name": "finetune", "arguments": {}}]')[2]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"sequence": 1}, "sequence"),
        ({"sequence": 7}, "sequence"),
        ({"reward": "gain"}, "reward"),
        ({"reward_over": "all"}, "reward_over"),
        ({"evaluator": "vllm", "cache": "off"}, "evaluator"),
    ],
)
def test_settings_that_make_no_sequence_are_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingError, match=f"{field}="):
        SealContinualEnv(**{**SHORT, **settings})


def test_only_this_environment_has_sequences() -> None:
    with pytest.raises(SettingError, match="sequence=2"):
        gymnasium.make("SEAL-ARC-Mini-v0", sequence=2)


@pytest.mark.parametrize("options", [{"task_ids": TASKS[:2]}, {"task_ids": [TASKS[0]] * 3}, {"tasks": TASKS}, TASKS])
def test_options_that_are_no_sequence_are_named(options: Any) -> None:
    with pytest.raises(SettingError):
        make().reset(options=options)


def test_another_domain_brings_its_own_defaults() -> None:
    env = gymnasium.make("SEAL-Continual-v0", domain="arc", sequence=2).unwrapped
    assert isinstance(env, SealContinualEnv)
    used = env.settings
    assert (used.subset, used.model, used.max_tokens, used.lora_rank) == ("seal-train", "seal-tiny", 8192, 16)


def test_close_leaves_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    env = make()
    env.step(EDIT)
    assert len(list(tmp_path.iterdir())) == 1
    env.close()
    assert list(tmp_path.iterdir()) == []


def test_a_sequence_is_not_continued_without_what_its_model_has_learned() -> None:
    env = make()
    env.close()
    with pytest.raises(gymnasium.error.ResetNeeded, match="was closed"):
        env.step(EDIT)
    with pytest.raises(SettingError, match=r"keep=True.*was closed"):
        env.reset(options={"keep": True})
    with pytest.raises(SettingError, match=r"keep='no' is not legal; expected True or False"):
        env.reset(options={"keep": "no"})
    env.reset(seed=0)
    assert env.step(NOTHING)[4]["outcome"] == "ok"
