"""A model that has learned passages for good, saved, and served by a real vLLM on the CPU."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import pytest

from seal_env.agents.context import AgentContext
from seal_env.agents.registry import make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.served import ServedEvaluation
from seal_env.serving.client import ChatServer
from seal_env.types import UpdateJob
from tests.helpers.vllm_server import served

pytestmark = [pytest.mark.slow, pytest.mark.server]


def test_what_was_learned_is_served(tmp_path: Path) -> None:
    env = gymnasium.make("SEAL-Continual-v0", subset="synthetic-train:2", sequence=2, max_turns=1, device="cpu").unwrapped
    assert isinstance(env, SealContinualEnv)
    run_episode(env, make_agent("oracle_texts", AgentContext.of(env)), seed=0)
    assert env.position == 2
    env.model.save(tmp_path / "learned")
    own = env.settings
    queries = tuple(query for task in env.taskset for query in env.domain.queries(task, 0))
    job = UpdateJob((), own.training, own.lora, own.recipe, 0, queries)
    (here,) = env.model.inner_loop("batched").run([job])
    base = load_base_model("seal-tiny-text", "cpu")
    for server in served(tmp_path / "vllm", str(tmp_path / "learned")):
        asked = ServedEvaluation(BatchedInnerLoop(base), base.encoder, ChatServer(server.base_url))
        (there,) = asked.run([job])
        assert [answer.exact for answer in there.answers_Q] == [answer.exact for answer in here.answers_Q]
    assert sum(answer.exact for answer in here.answers_Q) >= len(queries) / 3
