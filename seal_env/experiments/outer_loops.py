"""`seal-env eval` and `seal-env train`: an agent measured, a policy trained, in a folder that can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seal_env.agents.context import AgentContext
from seal_env.agents.evaluation import EvalSample, sample_tasks, starts, summary
from seal_env.agents.lm.local_hf import LocalHFAgent
from seal_env.agents.lm.policy_chat import policy_chat
from seal_env.agents.lm.policy_model import PolicyModel
from seal_env.agents.lm.policy_settings import SAME, LocalPolicyOptions
from seal_env.agents.registry import check_options, get_agent, make_agent
from seal_env.agents.trainers.outer_settings import EvalSettings, GrpoSettings, RestEmSettings
from seal_env.agents.trainers.rest_em import RestEm
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.experiments.run_folder import begin_or_resume, package_versions
from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.model.device import describe_device
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.journal import Journal, write_whole
from seal_env.options import Options
from seal_env.report.result_tables import evaluation_table, grpo_table, rest_em_table
from seal_env.report.tracker import Tracker
from seal_env.settings import Settings, default_of
from seal_env.store import FILE_NAME, cache_path


@dataclass(frozen=True)
class Where:
    """What a run works on.

    Attributes:
        environment: Settings of the environment.
        options: The agent's own settings; those of the agent `local_hf` where a policy is trained.
        out: The run folder.
        track: Services that get its numbers too.
    """

    environment: Mapping[str, Any]
    options: Mapping[str, Any]
    out: Path
    track: Sequence[str] = field(default=())

    def runtime(self, **settings: Any) -> Runtime:
        """The environment's runtime, with one turn an episode unless more are asked for. Raises SettingError.

        Its cache is in the folder unless said otherwise. Answers are decoded only where a score needs their text.
        """
        given: dict[str, Any] = {"max_turns": 1, **self.environment, **settings}
        if given.get("cache", default_of("cache")) == "on" and cache_path(given.get("cache_file")) is None:
            given["cache_file"] = str(self.out / FILE_NAME)
        resolved = Settings.resolve(**given)
        if "decode" not in given and not resolved.scores_need_text:
            resolved = Settings.resolve(**given, decode="never")
        return Runtime(resolved)

    @property
    def domain(self) -> str:
        """The environment's."""
        return str(self.environment.get("domain", default_of("domain")))

    @property
    def policy(self) -> LocalPolicyOptions:
        """The options of a policy that is trained. Raises SettingError."""
        checked = check_options(get_agent("local_hf"), self.options)
        assert isinstance(checked, LocalPolicyOptions)
        return checked

    def begin(self, what: Mapping[str, Any], runtime: Runtime, options: Options | None = None) -> bool:
        """Make the folder, or see that it is this run's; True if there is something to resume.

        Args:
            what: The command and its settings.
            runtime: Of the run.
            options: Of the agent; None for one without.
        """
        device = resolve_device(runtime.settings.device)
        return begin_or_resume(
            self.out,
            {
                "run": what,
                "environment": runtime.settings.flat() | {"device": device, "cache_file": None},
                "agent_options": {} if options is None else options.model_dump(),
                "recipe": asdict(runtime.settings.recipe),
                "machine": {"device": describe_device(device)},
                "versions": package_versions(),
            },
        )

    def policy_base(self) -> FrozenLM:
        """The policy before training. Raises ModelError, and SettingError for what only the agents themselves can use."""
        policy = self.policy
        if policy.policy_adapter:
            raise SettingError("policy_adapter", policy.policy_adapter, "none: training begins with policy_model as it is")
        model = self.environment.get("model", default_of("model"))
        return load_base_model(model if policy.policy_model == SAME else policy.policy_model, policy.policy_device)


def evaluate(agent_name: str, settings: EvalSettings, where: Where, console: Console) -> dict[str, Any]:
    """Measure an agent; what eval.json holds. Raises SealError; what is finished stays in the folder."""
    runtime = where.runtime()
    agent = make_agent(agent_name, AgentContext.of(SealEnv(runtime=runtime), settings.seed), **where.options)
    options = check_options(get_agent(agent_name), where.options)
    where.begin({"command": "eval", "agent": agent_name, **asdict(settings)}, runtime, options)
    runtime.load()
    episodes = starts(runtime.taskset.task_ids, settings.samples, settings.seed)
    with Tracker(where.out, asdict(settings), where.track) as tracker, console.status("") as status:

        def on_batch(samples: Sequence[EvalSample]) -> None:
            status.update(f"{len(samples)} of {len(episodes)} self-edits")
            tracker.log(len(samples), _scalars(summary(samples)))

        journal = Journal(where.out / "samples.jsonl")
        samples = sample_tasks(runtime, agent, episodes, settings.in_call, journal, on_batch)
    report = {"agent": agent_name, "subset": runtime.settings.subset, **summary(samples)}
    usage = getattr(agent, "usage", None)
    if usage is not None:
        report["usage"] = asdict(usage)
    write_whole(where.out / "eval.json", json.dumps(report, indent=1))
    _show(evaluation_table({agent_name: report}), where, console)
    return report


def _scalars(report: Mapping[str, Any]) -> dict[str, float]:
    return {name: report[name]["mean"] for name in ("accuracy", "reward", "solved", "valid") if name in report}


class _Steps:
    """Shows and tracks how far the steps of an outer loop are: their self-edits so far, and what these are worth."""

    def __init__(self, tracker: Tracker, console: Console) -> None:
        self._tracker, self._status = tracker, console.status("")
        self._done: dict[str, int] = {}

    def __enter__(self) -> _Steps:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def report(self, step: str, samples: Sequence[EvalSample]) -> None:
        """A batch of a step has ended; samples: all of the step."""
        self._status.update(f"{step}: {len(samples)} self-edits")
        self._done[step] = len(samples)
        values = {f"{step}/{name}": value for name, value in _scalars(summary(samples)).items()}
        self._tracker.log(sum(self._done.values()), values)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """An optimizer step of the policy has ended."""
        self._status.update(f"optimizer step {step}")
        self._tracker.log(step, {f"train/{name}": value for name, value in values.items()})


def train_rest_em(settings: RestEmSettings, held_out: str, where: Where, console: Console) -> dict[str, Any]:
    """Train a policy by ReST-EM; what result.json holds. Raises SealError; what is finished stays in the folder."""
    base, policy = where.policy_base(), where.policy
    runtime, other = where.runtime(), where.runtime(subset=held_out)
    where.begin({"command": "train rest-em", "held_out": held_out, **asdict(settings)}, runtime, policy)
    runtime.load()
    other.load()

    chat = policy_chat(policy.style, runtime.settings.domain, runtime.tools)

    def agent(model: FrozenLM) -> LocalHFAgent:
        prompted = PolicyModel(model, constrained=policy.constrained, tools=False, chat=chat)
        return LocalHFAgent(prompted, policy.temperature, policy.max_new_tokens)

    with Tracker(where.out, asdict(settings), where.track) as tracker, _Steps(tracker, console) as steps:
        result = RestEm(base, agent, runtime, other, settings, where.out, steps.report, chat).run()
    _show(rest_em_table(result), where, console)
    return result


def train_grpo(settings: GrpoSettings, held_out: str, where: Where, console: Console) -> dict[str, Any]:
    """Train a policy by GRPO; what result.json holds. Raises SealError; what is finished stays in the folder."""
    try:
        from seal_env.agents.trainers.grpo import Grpo, calls_tools  # here: TRL is an extra
    except ImportError as error:
        raise SettingError("loop", "grpo", "an installed TRL: pip install 'seal-env[grpo]'") from error

    base, policy = where.policy_base(), where.policy
    own_turns = where.environment.get("max_turns", default_of("max_turns"))
    turns = own_turns if calls_tools(base.tokenizer, settings.tool_calls, where.domain) else 1
    runtime, other = where.runtime(max_turns=turns), where.runtime(subset=held_out, max_turns=1)
    where.begin({"command": "train grpo", "held_out": held_out, **asdict(settings)}, runtime, policy)
    runtime.load()
    other.load()
    with Tracker(where.out, asdict(settings), where.track) as tracker, _Steps(tracker, console) as steps:
        result = Grpo(base, runtime, other, settings, policy, where.out, steps.report, steps.log).run()
    if result["left_out"]:
        tasks = ", ".join(result["left_out"])
        console.print(f"left out  {tasks}: no room for {policy.max_new_tokens} new tokens", soft_wrap=True, markup=False)
    _show(grpo_table(result), where, console)
    return result


def _show(table: Table, where: Where, console: Console) -> None:
    console.print(table)
    console.print(f"written   {where.out}", soft_wrap=True, markup=False)
