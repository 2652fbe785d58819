"""A gate that repeats an update with more rehearsal before it gives up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.wrappers.replay_gate import SHARES, ReplayGate
from seal_env.errors import SettingError

SHORT: dict[str, Any] = {"domain": "knowledge", "subset": "synthetic-train:3", "sequence": 3, "max_rehearsed": 9}
TEXT = '[{"name": "implications", "arguments": {"texts": ["One thing."]}}]'
FINETUNE = '[{"name": "finetune", "arguments": {}}]'


@pytest.fixture(scope="module")
def env() -> Iterator[SealContinualEnv]:
    made = SealContinualEnv(**SHORT, default_num_epochs=1, max_turns=2)
    yield made
    made.close()


def test_an_update_that_always_forgets_too_much_is_repeated_and_rolled_back(env: SealContinualEnv) -> None:
    gate = ReplayGate(env, limit=-2.0)
    gate.reset(seed=0)
    first = gate.step(FINETUNE)[4]
    assert (first["attempts"], first["merged"]) == (1, True)
    once, tokens = env.model.fingerprint, first["rehearsal"][0]["tokens"]
    gate.step(TEXT)
    prompt, *_, info = gate.step(FINETUNE)
    assert (info["attempts"], info["merged"], info["rolled_back"], info["position"]) == (1 + len(SHARES), False, True, 2)
    assert [call["name"] for call in info["self_edit"]] == ["implications", "rehearse", "finetune"]
    assert info["self_edit"][1]["arguments"] == {"share": SHARES[-1], "tasks": []}
    assert info["training_tokens"] > (1 + len(SHARES)) * tokens
    assert env.model.fingerprint == once
    assert env.sequence.opening()[0] == prompt
    assert f"Earlier tasks: 1 (1 documents, {tokens} tokens). At most" in prompt
    assert [len(row) for row in info["retention"]] == [3, 3, 3]
    assert info["retention"][2][0] == info["retention"][1][0]


def test_an_update_that_forgets_little_is_taken_at_once(env: SealContinualEnv) -> None:
    gate = ReplayGate(env, limit=2.0)
    gate.reset(seed=0)
    infos = [gate.step(FINETUNE)[4] for _ in range(3)]
    assert [info["attempts"] for info in infos] == [1, 1, 1]
    assert all(info["merged"] for info in infos)


def test_the_attempt_that_forgets_little_enough_stays(env: SealContinualEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = ReplayGate(env, limit=0.1)
    lost = iter([0.5, 0.5, 0.0, 0.0])
    monkeypatch.setattr(gate, "_lost", lambda before, learned: next(lost))
    gate.reset(seed=0)
    gate.step(FINETUNE)
    info = gate.step(FINETUNE)[4]
    assert (info["attempts"], info["merged"], info["rolled_back"]) == (3, True, False)
    assert info["self_edit"][0]["arguments"]["share"] == SHARES[1]
    assert len(info["rehearsal"]) == 2
    assert json.dumps(info["retention"][1]) == json.dumps(env.retention.as_lists()[1])


def test_an_attempt_that_is_over_the_budget_is_no_mistake_of_the_agent() -> None:
    made = SealContinualEnv(**SHORT, default_num_epochs=1, max_turns=1, max_training_tokens=110)
    gate = ReplayGate(made, limit=-2.0, shares=(1.0,))
    gate.reset(seed=0)
    first = gate.step(FINETUNE)
    once = made.model.fingerprint
    prompt, reward, _, _, info = gate.step(FINETUNE)
    assert prompt == made.sequence.opening()[0]
    assert (info["outcome"], info["attempts"], info["merged"], info["rolled_back"]) == ("ok", 1, False, True)
    assert (info["position"], len(info["rehearsal"]), made.model.fingerprint) == (2, 1, once)
    assert (reward, info["retention"][2][0]) == (first[1] / 2, first[1])
    assert 0 < info["training_tokens"] <= 110
    assert info["forgetting"] is not None
    made.close()


def test_settings_that_a_gate_cannot_work_with_are_named(env: SealContinualEnv) -> None:
    with pytest.raises(SettingError, match="shares="):
        ReplayGate(env, shares=(0.5, 1.5))
    with pytest.raises(SettingError, match="max_rehearsed=0"):
        ReplayGate(SealContinualEnv(**{**SHORT, "max_rehearsed": 0}))
    with pytest.raises(SettingError, match="measure='kl'"):
        ReplayGate(SealContinualEnv(**SHORT, consolidation="retrieval"), "kl")
