"""The environment of a rollout: the dialogue, until the self-edit is closed. Nothing is trained here."""

from __future__ import annotations

from functools import partial

from seal_env.adapters.verifiers.harness import SealHarnessConfig
from seal_env.adapters.verifiers.taskset import SealTask, action_of, episode_of
from seal_env.episodes.episode import PendingUpdate
from seal_env.errors import needs_extra

with needs_extra("verifiers"):
    import verifiers.v1 as vf
    from verifiers.v1.runtimes import SubprocessConfig

PLUGIN = "seal_env_verifiers"
"""The module by which verifiers finds all of this: examples/verifiers."""


class SealEnvironmentConfig(vf.SingleAgentEnvConfig):
    """Our harness, in this process: the default would be another harness in a hosted sandbox."""

    agent: vf.AgentConfig = vf.AgentConfig.model_construct(harness=SealHarnessConfig(id=PLUGIN), runtime=SubprocessConfig())


class SealEnvironment(vf.SingleAgentEnv, vf.Env[SealEnvironmentConfig]):
    """One turn after another: a policy reads what came of its calls and goes on, as long as the episode lets it."""

    async def start(self) -> None:
        """Load the model before the first rollout."""
        await self.config.taskset.task.engine()

    async def run(self, task: SealTask, agents: vf.Agents) -> None:
        """See the base class."""
        engine = await task.config.engine()
        episode = episode_of(engine, task.data)
        async with agents.agent.interaction(task) as talk:
            segment = await talk.turn()
            while not segment.terminated:
                message = segment.messages[-1]
                decision = await engine.batches.in_thread(partial(episode.decide, action_of(message)))
                if isinstance(decision, PendingUpdate) or episode.over:
                    break
                calls = message.tool_calls or ()
                replies = [vf.ToolMessage(tool_call_id=call.id, content=decision.observation) for call in calls]
                segment = await talk.turn(replies or decision.observation)

    async def finalize(self, task: SealTask, episode: vf.Episode) -> None:
        """Fail a rollout whose update the limit on scoring ended: verifiers would take that for a reward of 0."""
        for trace in episode.traces:
            if trace.stop_condition == "scoring_timeout":
                trace.record_error(vf.TaskError("no reward: scoring took longer than --env.agent.timeout.scoring"))
