"""`seal-env train`: a policy trained by ReST-EM or GRPO, in a run folder that can be resumed."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.local_hf import LocalHFAgent, load_policy
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.trainers.rest_em import RestEm
from seal_env.agents.trainers.settings import GrpoSettings, RestEmSettings
from seal_env.domains.overlap import refuse_overlap
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.open_run import open_run
from seal_env.experiments.train_progress import HELD_OUT, SAMPLED, TrainProgress
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.report.result_tables import grpo_table, rest_em_table
from seal_env.settings import Settings


def untrained_policy(config: ExperimentConfig) -> FrozenLM:
    """The policy before training.

    Raises:
        SettingError: For a policy with an adapter.
        ModelError: If it does not load.
    """
    policy = config.policy
    if policy.policy_adapter:
        raise SettingError("policy_adapter", policy.policy_adapter, "none: training begins with policy_model as it is")
    used = Settings.resolve(**config.environment)
    return load_policy(policy, used)


def train_rest_em(
    settings: RestEmSettings,
    held_out: str | None,
    config: ExperimentConfig,
    console: Console,
    untrained_only: bool = False,
) -> dict[str, Any]:
    """Train a policy by ReST-EM.

    Args:
        settings: Of ReST-EM.
        held_out: Task set to measure on; None is the domain's.
        config: The environment with the tasks to learn from, the policy's options and the run folder.
        console: Where progress and the result are shown.
        untrained_only: Measure the policy before the first round, and leave the run so that it can be resumed.

    Returns:
        The content of result.json; nothing if the run is to be resumed.

    Raises:
        SealError: What is finished stays in the folder.
    """
    policy, used = config.policy, config.settings()
    held_out = held_out or used.spec.held_out
    run = {"command": "train rest-em", "held_out": held_out, **settings.model_dump()}
    with open_run(config, run, console, policy) as opened:
        config = opened.config
        base = untrained_policy(config)
        runtime, other = _loaded(config.runtime(), config.runtime(subset=held_out), settings.allow_overlap)
        opened.begin(runtime)
        chat = PolicyChat.of(runtime, policy.style, policy.mix)

        def agent(model: FrozenLM) -> LocalHFAgent:
            prompted = PolicyModel(model, chat, constrained=policy.constrained, tools=False, as_learned=True)
            return LocalHFAgent.sampling(prompted, policy)

        sizes = {SAMPLED: len(runtime.taskset) * settings.samples, HELD_OUT: len(other.taskset) * settings.eval_samples}
        with opened.track() as tracker, TrainProgress(tracker, console, sizes, settings.rounds) as progress:

            def note(text: str) -> None:
                console.print(text, soft_wrap=True, markup=False)

            trainer = RestEm(base, agent, runtime, other, settings, config.out, chat, progress.report, note)
            if untrained_only:
                trainer.evaluate_untrained()
                return {}
            result = trainer.run()
        config.show(result, rest_em_table(result), console)
        opened.finish(sum(each["failed"] for each in result["held_out"]))
    return result


def _loaded(runtime: Runtime, other: Runtime, allow_overlap: bool) -> tuple[Runtime, Runtime]:
    """The tasks to learn from and the held-out ones, with their model. Raises SettingError for tasks that are in both."""
    if not allow_overlap:
        refuse_overlap(runtime.spec, runtime.taskset, other.taskset)
    runtime.load()
    other.load()
    return runtime, other


def train_grpo(settings: GrpoSettings, held_out: str | None, config: ExperimentConfig, console: Console) -> dict[str, Any]:
    """Train a policy by GRPO; see `train_rest_em`.

    Raises:
        MissingExtraError: If TRL is not installed.
        SettingError: For replies that are chosen before they are learned from.
        SealError: What is finished stays in the folder.
    """
    from seal_env.agents.trainers.grpo import Grpo, calls_tools  # here: TRL is an extra

    policy, used = config.policy, Settings.resolve(**config.environment)
    if policy.best_of > 1:
        raise SettingError("best_of", policy.best_of, "1 in GRPO, which learns from every self-edit that it samples")
    base = untrained_policy(config)
    held_out = held_out or used.spec.held_out
    one_by_one = calls_tools(base.tokenizer, used.spec, settings.tool_calls)
    turns = used.max_turns if one_by_one or "max_turns" in config.environment else 1
    run = {"command": "train grpo", "held_out": held_out, **settings.model_dump()}
    with open_run(config, run, console, policy, max_turns=turns) as opened:
        config = opened.config
        both = config.runtime(max_turns=turns), config.runtime(subset=held_out, max_turns=1)
        runtime, other = _loaded(*both, settings.allow_overlap)
        opened.begin(runtime)
        sizes, steps = {HELD_OUT: len(other.taskset) * settings.eval_samples}, settings.steps * settings.iterations
        with opened.track() as tracker, TrainProgress(tracker, console, sizes, steps=steps) as progress:
            result = Grpo(base, runtime, other, settings, policy, config.out, progress.report, progress.log).run()
        if result["left_out"]:
            tasks = ", ".join(result["left_out"])
            text = f"left out  {tasks}: no room for {policy.max_new_tokens} new tokens"
            console.print(text, soft_wrap=True, markup=False)
        config.show(result, grpo_table(result), console)
        opened.finish(sum(each["failed"] for each in result["held_out"]))
    return result
