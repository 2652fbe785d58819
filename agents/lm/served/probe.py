"""The sample request to a served policy, and the error where a policy gives no answer."""

from __future__ import annotations

from seal_env.agents.base import Info
from seal_env.agents.lm.options import SAME
from seal_env.episodes.info import task_info
from seal_env.episodes.runtime import Runtime
from seal_env.errors import PolicyError
from seal_env.redaction import redacted_message
from seal_env.self_edits.prompt import observation_text
from seal_env.serving.failures import ServerError


def sample_prompt(runtime: Runtime) -> tuple[str, Info]:
    """The prompt of the environment's first task with a single turn, which calls for a whole self-edit, and its info."""
    settings, task = runtime.settings, runtime.taskset[runtime.taskset.task_ids[0]]
    segment = runtime.domain.segments(task.context)[0]
    text = runtime.domain.render(segment)
    prompt = observation_text(
        runtime.domain,
        runtime.tools,
        text,
        settings.budget,
        max_turns=1,
        batch_size=settings.recipe.batch_size,
        defaults=settings.training,
        names_tokens=settings.prompt_names_tokens,
    )
    return prompt, {"task": task_info(runtime, segment, text)}


def policy_error(base_url: str, model: str, failed: ServerError) -> PolicyError:
    """The error for a policy that gives no answer: what happened, and what to check."""
    reason, advice = failed.reason.rstrip("."), failed.advice("base_url", "policy_model")
    named = "" if model == SAME else f" {redacted_message(model)!r}"
    return PolicyError(f"the policy{named} at {base_url} gives no answer: {reason}. {advice}")
