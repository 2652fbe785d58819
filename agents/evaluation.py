"""Evaluation of agents: several self-edits for each task of a subset, and their results with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from seal_env.agents.base import Agent, Trajectory
from seal_env.agents.replays import Recorded, replay
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.errors import PolicyError
from seal_env.intervals import Interval, bootstrap, pass_at_k
from seal_env.journal import Journal, finite

MANY = 10_000
"""Evaluations of the base model that are cached."""
ANSWERS = ("grader", "predictions_before", "predictions_after", "correct_before", "correct_after")
"""Fields of info that are recorded with a sample."""


@dataclass(frozen=True)
class EvalSample:
    """One episode in numbers.

    Attributes:
        task_id: The task.
        number: Which of the self-edits for this task.
        action: The last action of the episode.
        outcome: See `seal_env.types.Outcome`.
        reason: Why the outcome is not ok.
        reward: The return; nan after an infrastructure failure.
        accuracy_before: Of the base model; nan if it was not measured.
        accuracy: Of the updated model; 0 after a mistake, nan after an infrastructure failure.
        steps: Optimizer steps.
        tokens: Of all training examples.
        seconds: Of the episode.
        metrics: Further measures of the updated model's answers, by the names in `DomainSpec.metrics`.
        earlier: The actions before the last one.
        answers: Of an update that was scored, unless answers are not decoded: the model's answers before and after it, which
            of them are right, and by which grader; see ANSWERS.
        earlier_reward: The part of the return before the last action.
    """

    task_id: str
    number: int
    action: str
    outcome: str
    reason: str
    reward: float
    accuracy_before: float
    accuracy: float
    steps: int
    tokens: int
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    earlier: tuple[str, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    earlier_reward: float = 0.0

    @property
    def actions(self) -> tuple[str, ...]:
        """All actions of the episode."""
        return (*self.earlier, self.action)

    @property
    def failed(self) -> bool:
        """Whether an infrastructure failure ended the episode: it says nothing about the agent."""
        return math.isnan(self.reward)

    @property
    def solved(self) -> bool:
        """True if the updated model solves every query."""
        return self.accuracy == 1.0


def sample_of(number: int, trajectory: Trajectory, metrics: Mapping[str, float], decoded: bool) -> EvalSample:
    """One episode in numbers.

    Args:
        number: Which of the self-edits for its task.
        trajectory: The episode.
        metrics: See `DomainSpec.metrics`.
        decoded: Whether its answers were decoded.
    """
    info, mistake = trajectory.info, not trajectory.truncated
    return EvalSample(
        task_id=trajectory.task_id,
        number=number,
        action=trajectory.turns[-1].action,
        outcome=info["outcome"],
        reason=info["reason"],
        reward=trajectory.reward,
        accuracy_before=_number(info.get("accuracy_before"), math.nan),
        accuracy=_number(info.get("accuracy_after"), 0.0 if mistake else math.nan),
        steps=info.get("optimizer_steps", 0),
        tokens=info.get("tokens", 0),
        seconds=round(sum(trajectory.timings.values()), 4),
        metrics={
            name: _number(info.get(f"{name}_after"), missing if mistake else math.nan) for name, missing in metrics.items()
        },
        earlier=tuple(turn.action for turn in trajectory.turns[:-1]),
        answers={name: info[name] for name in ANSWERS} if decoded and info.get("accuracy_after") is not None else {},
        earlier_reward=float(sum(turn.reward for turn in trajectory.turns[:-1])),
    )


def _number(value: float | None, missing: float) -> float:
    return missing if value is None else float(value)


def starts(task_ids: Sequence[str], samples: int, seed: int) -> list[tuple[int, Start]]:
    """Choose the episodes of an evaluation. They depend on the seed alone, so that agents can be compared task by task.

    Args:
        task_ids: The tasks.
        samples: Episodes for each task.
        seed: Of the episodes' own seeds.

    Returns:
        (number of the sample, start) of every episode.
    """
    drawn = np.random.SeedSequence(seed).generate_state(len(task_ids) * samples).reshape(len(task_ids), samples) % 2**31
    return [
        (number, Start(task_id, int(drawn[index, number])))
        for index, task_id in enumerate(task_ids)
        for number in range(samples)
    ]


def sample_tasks(
    runtime: Runtime,
    agent: Agent,
    episodes: Sequence[tuple[int, Start]],
    in_call: int,
    journal: Journal,
    on_batch: Callable[[Sequence[EvalSample]], None] | None = None,
    again: bool = True,
) -> list[EvalSample]:
    """Run episodes in batches, and record them. Batches that are in the journal already are not run again.

    The agent is seeded before each batch, so that a run that is killed and resumed ends as it would have. An agent that
    learns does so after each batch, and after those in the journal first. Infrastructure failures that are in the journal
    are tried again, with the same self-edit where there is one.

    Args:
        runtime: Of the environment, its model loaded.
        agent: Acts in all episodes.
        episodes: See `starts`.
        in_call: Episodes of a batch, whose updates train together.
        journal: A line for each batch.
        on_batch: Called with all samples so far: first with those that were there before, then after each batch.
        again: Whether infrastructure failures in the journal are tried again.

    Returns:
        Samples in the order of `episodes`.

    Raises:
        PolicyError: If the agent's policy gives no action for any episode of a batch.
    """
    base = BaseAnswerCache(MANY)
    done = _try_again(runtime, agent, episodes, in_call, journal, base) if again else read_samples(journal)
    if agent.learns:
        _learn_again(runtime, agent, episodes, in_call, done)
    if on_batch is not None:
        on_batch(done)
    for start in range(len(done), len(episodes), in_call):
        batch = episodes[start : start + in_call]
        agent.seed(batch[0][1].seed)
        trajectories = run_episodes(runtime, agent, [each for _, each in batch], base)
        measured = runtime.spec.metrics, runtime.settings.decode == "failed"
        fresh = [sample_of(number, each, *measured) for (number, _), each in zip(batch, trajectories, strict=True)]
        if agent.learns:
            agent.learn([trajectory for trajectory in trajectories if not trajectory.truncated])
        journal.append(_record(fresh))
        done += fresh
        if on_batch is not None:
            on_batch(done)
    return done


def read_samples(journal: Journal) -> list[EvalSample]:
    """All samples in a journal."""
    return [sample for batch in journal.read_as(_batch) for sample in batch]


def samples_of(lines: Iterable[Mapping[str, Any]]) -> list[EvalSample]:
    """All samples in the lines of a journal."""
    return [sample for line in lines for sample in _batch(line)]


def _batch(record: Mapping[str, Any]) -> list[EvalSample]:
    """The samples in a line of the journal. Raises TypeError, KeyError or AttributeError for a line of something else."""
    known = map(_with_nan, record["samples"])
    return [EvalSample(**each | {"earlier": tuple(each.get("earlier", ()))}) for each in known]


def _record(samples: Sequence[EvalSample]) -> dict[str, Any]:
    """A line of the journal."""
    return {"samples": [finite(vars(sample)) for sample in samples]}


def _try_again(
    runtime: Runtime,
    agent: Agent,
    episodes: Sequence[tuple[int, Start]],
    in_call: int,
    journal: Journal,
    base: BaseAnswerCache,
) -> list[EvalSample]:
    """All samples in a journal, after those that infrastructure failures ended have been run again, in batches.

    A batch for which the policy has no action again stays as it is: the prompts may be why, and the others are to be done.
    """
    measured = runtime.spec.metrics, runtime.settings.decode == "failed"
    read = journal.read_as(_batch)
    done, sizes = [sample for batch in read for sample in batch], list(map(len, read))
    failed = [index for index, sample in enumerate(done) if sample.failed]
    acted, silent = ([index for index in failed if bool(done[index].action) is has_action] for has_action in (True, False))
    ends = list(accumulate(sizes))
    batches = [each[at : at + in_call] for each in (acted, silent) for at in range(0, len(each), in_call)]
    for indices in batches:
        recorded = [done[index].actions for index in indices] if done[indices[0]].action else []
        begun = [episodes[index][1] for index in indices]
        agent.seed(begun[0].seed)
        try:
            trajectories = run_episodes(runtime, agent, begun, base, recorded)
        except PolicyError:
            continue
        for index, trajectory in zip(indices, trajectories, strict=True):
            done[index] = sample_of(done[index].number, trajectory, *measured)
        journal.replace([_record(done[end - size : end]) for size, end in zip(sizes, ends, strict=True)])
    return done


def _learn_again(
    runtime: Runtime, agent: Agent, episodes: Sequence[tuple[int, Start]], in_call: int, done: Sequence[EvalSample]
) -> None:
    """Have an agent choose and learn as it did in the run that wrote the journal. Nothing is trained."""
    for start in range(0, len(done), in_call):
        ended = done[start : start + in_call]
        batch = [each for _, each in episodes[start : start + len(ended)]]
        agent.seed(batch[0].seed)
        recorded = [Recorded(begun, each.actions, each.reward) for begun, each in zip(batch, ended, strict=True)]
        again = zip(ended, replay(runtime, agent, recorded, agent.act_all), strict=True)
        agent.learn(
            [Trajectory(each.task_id, turns, truncated=False, timings={}) for each, turns in again if not each.failed]
        )


def _with_nan(record: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: math.nan if value is None else value for name, value in record.items()}
    return {name: _with_nan(value) if isinstance(value, Mapping) else value for name, value in known.items()}


def by_task(samples: Iterable[EvalSample]) -> dict[str, list[EvalSample]]:
    """Samples by task, without those of infrastructure failures."""
    found: dict[str, list[EvalSample]] = {}
    for sample in samples:
        if not sample.failed:
            found.setdefault(sample.task_id, []).append(sample)
    return found


def summary(samples: Sequence[EvalSample]) -> dict[str, Any]:
    """Aggregate samples.

    Returns:
        `tasks`, `samples` and `failed` (infrastructure failures) as counts; means over tasks with 95 % bootstrap intervals:
        `accuracy_before` of the base model (None if no self-edit measured it), `accuracy` of the updated model, `reward`,
        `solved` (share of self-edits after which every query is solved) and
        `valid` (share of self-edits that were no mistake); `pass_at`, the probability that the best of k self-edits solves
        the task, for k = 1, 2, 4 ... up to the samples of a task; `cost`, mean optimizer steps, tokens and seconds;
        `metrics`, means over tasks of the domain's further measures.
    """
    tasks = by_task(samples)
    report: dict[str, Any] = {"tasks": len(tasks), "samples": len(samples), "failed": sum(each.failed for each in samples)}
    if not tasks:
        return report
    counted = [sample for mine in tasks.values() for sample in mine]
    least = min(map(len, tasks.values()))
    ks = sorted({*(2**power for power in range(least.bit_length())), least})
    measures: dict[str, Callable[[list[EvalSample]], float]] = {
        "accuracy": lambda mine: float(np.mean([sample.accuracy for sample in mine])),
        "reward": lambda mine: float(np.mean([sample.reward for sample in mine])),
        "solved": lambda mine: float(np.mean([sample.solved for sample in mine])),
        "valid": lambda mine: float(np.mean([sample.outcome == "ok" for sample in mine])),
    }
    known = [[each for sample in mine if not math.isnan(each := sample.accuracy_before)] for mine in tasks.values()]
    before = [float(np.mean(values)) for values in known if values]
    report["accuracy_before"] = bootstrap(before)._asdict() if before else None
    for name, measure in measures.items():
        report[name] = bootstrap([measure(mine) for mine in tasks.values()])._asdict()
    report["pass_at"] = {
        str(k): bootstrap([pass_at_k(len(mine), sum(each.solved for each in mine), k) for mine in tasks.values()])._asdict()
        for k in ks
    }
    report["cost"] = mean_cost(counted)
    names = dict.fromkeys(name for sample in counted for name in sample.metrics)
    means = {name: list(metric_by_task(counted, name).values()) for name in names}
    report["metrics"] = {name: bootstrap(values)._asdict() for name, values in means.items() if values}
    return report


def mean_cost(samples: Iterable[EvalSample]) -> dict[str, float]:
    """Mean optimizer steps, tokens and seconds of a self-edit, infrastructure failures left out; empty without any other."""
    counted = [sample for sample in samples if not sample.failed]
    if not counted:
        return {}
    return {name: float(np.mean([getattr(sample, name) for sample in counted])) for name in ("steps", "tokens", "seconds")}


def metric_by_task(samples: Iterable[EvalSample], name: str) -> dict[str, float]:
    """Mean of a further measure by task, over the self-edits for which it is known; tasks without one are missing."""
    known = {
        task: [value for sample in mine if not math.isnan(value := sample.metrics.get(name, math.nan))]
        for task, mine in by_task(samples).items()
    }
    return {task: float(np.mean(values)) for task, values in known.items() if values}


def difference(samples: Sequence[EvalSample], others: Sequence[EvalSample]) -> Interval:
    """Mean accuracy minus that of others on the same tasks, paired by task, with its interval."""
    mine, theirs = by_task(samples), by_task(others)
    return bootstrap(
        [
            float(
                np.mean([sample.accuracy for sample in mine[task]]) - np.mean([sample.accuracy for sample in theirs[task]])
            )
            for task in mine
            if task in theirs
        ]
    )
