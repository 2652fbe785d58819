"""Learn how much to rehearse: REINFORCE in SEAL-Continual-v0, where a self-edit's reward is what is retained.

    pip install 'seal-env[examples]'
    python examples/retention_policy.py --out runs/retention

Passages are learned one after another. The texts are the generator's own; the policy chooses the share of the documents of
all earlier passages that an update also learns. The reward of an update is the accuracy on all passages so far, less
`price` for every 1,000 training tokens, so that rehearsing everything is not free.

The policy is a softmax over shares whose logits are linear in the position in the sequence. Afterwards the likeliest shares
are measured on held-out sequences, beside shares drawn at random and fixed ones. Every sequence is a line of a journal in
OUT. Resumable: rerun the same command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro
from numpy.typing import NDArray

import seal_env  # noqa: F401 (registers the environments)
from seal_env.agents.base import Agent, Info, Trajectory
from seal_env.agents.baselines.oracle_texts import OracleTextsAgent
from seal_env.agents.baselines.rehearsing import RehearsingAgent
from seal_env.agents.rollouts import run_episode
from seal_env.intervals import bootstrap
from seal_env.journal import Journal, write_whole
from seal_env.report.work import Work
from seal_env.self_edits.with_rehearsal import with_rehearsal


@dataclass(frozen=True)
class Arguments:
    """What is measured. All of it but `out` decides the numbers.

    shares: to choose from. price: of 1,000 training tokens, in accuracy. training: sequences to learn from, a multiple of
    batch. batch: sequences between two updates of the policy. measured: held-out sequences. length: passages of a sequence.
    discount: of later rewards. learning_rate: of the policy.
    """

    shares: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5)
    price: float = 0.01
    training: int = 48
    batch: int = 8
    measured: int = 16
    length: int = 8
    model: str = "seal-tiny-text"
    train_set: str = "synthetic-train:512"
    held_out: str = "synthetic-eval:128"
    learning_rate: float = 2.0
    discount: float = 0.8
    seed: int = 0
    out: Path = Path("runs/retention")


class RetentionPolicy(Agent):
    """Adds a call of `rehearse` to the self-edits of a writer, and learns its share by REINFORCE.

    Args:
        writer: Writes the texts.
        arguments: The shares, and how they are learned.
    """

    def __init__(self, writer: Agent, arguments: Arguments) -> None:
        self.writer, self.arguments = writer, arguments
        self.weights_FS = np.zeros((2, len(arguments.shares)))
        """Of the two features, 1 and the position, for each share."""
        self.greedy = False
        """Whether the likeliest share is chosen, instead of one that is drawn."""
        self.seed(arguments.seed)

    def seed(self, seed: int) -> None:
        """Fix what is drawn from now on; what was learned stays."""
        self._rng = np.random.default_rng(seed)
        self.writer.seed(seed)

    def act(self, observation: str, info: Info) -> str:
        """The writer's self-edit, with a share of the earlier passages."""
        chances_S = self.chances(info["position"])
        chosen = int(np.argmax(chances_S) if self.greedy else self._rng.choice(len(chances_S), p=chances_S))
        return with_rehearsal(self.writer.act(observation, info), self.arguments.shares[chosen], plain_text=True)

    def chances(self, position: int) -> NDArray[np.float64]:
        """The probability of each share where `position` passages have been learned."""
        logits_S = self._features(position) @ self.weights_FS
        exponentials_S = np.exp(logits_S - logits_S.max())
        return np.asarray(exponentials_S / exponentials_S.sum(), dtype=np.float64)

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        """Learn from sequences. All of a call are compared with one another, so there should be several."""
        self.learn_records([record_of(each, self.arguments) for each in trajectories])

    def learn_records(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Learn from sequences as the journal has them.

        A choice is better than others by the discounted sum of the rewards from its update on, less the mean over the
        sequences at the same position, in standard deviations.
        """
        returns_NP = np.array([discounted(each["rewards"], self.arguments.discount) for each in records])
        better_NP = (returns_NP - returns_NP.mean(axis=0)) / (returns_NP.std(axis=0) + 1e-8)
        gradient_FS = np.zeros_like(self.weights_FS)
        positions = range(1, self.arguments.length)  # where the first passage is learned, nothing can be rehearsed
        for record, better_P in zip(records, better_NP, strict=True):
            for position in positions:
                chosen_S = np.array([share == record["shares"][position] for share in self.arguments.shares], dtype=float)
                score_S = chosen_S - self.chances(position)
                gradient_FS += better_P[position] * np.outer(self._features(position), score_S)
        self.weights_FS += self.arguments.learning_rate * gradient_FS / (len(records) * len(positions))

    def _features(self, position: int) -> NDArray[np.float64]:
        return np.array([1.0, position / (self.arguments.length - 1)])


def discounted(rewards: Sequence[float], discount: float) -> list[float]:
    """The discounted sum of the rewards from each step on."""
    sums, later = list[float](), 0.0
    for reward in reversed(rewards):
        later = reward + discount * later
        sums.append(later)
    return sums[::-1]


def record_of(trajectory: Trajectory, arguments: Arguments) -> dict[str, Any]:
    """A sequence as a line of a journal: shares, accuracies on all passages so far, tokens and rewards of its updates."""
    calls = [{call["name"]: call["arguments"] for call in json.loads(turn.action)} for turn in trajectory.turns]
    accuracies = [turn.reward for turn in trajectory.turns]
    tokens = [turn.info["training_tokens"] for turn in trajectory.turns]
    return {
        "sequence": list(trajectory.info["sequence"]),
        "shares": [each["rehearse"]["share"] for each in calls],
        "accuracies": accuracies,
        "tokens": tokens,
        "rewards": [accuracy - arguments.price * count / 1000 for accuracy, count in zip(accuracies, tokens, strict=True)],
    }


def in_words(record: Mapping[str, Any]) -> str:
    """A sequence's mean reward and last accuracy."""
    return f"mean reward {np.mean(record['rewards']):.3f}, accuracy at the end {record['accuracies'][-1]:.2f}"


def environment(arguments: Arguments, subset: str) -> gymnasium.Env[str, str]:
    """SEAL-Continual-v0 on a task set, where everything earlier can be rehearsed."""
    settings: dict[str, Any] = {
        "sequence": arguments.length,
        "model": arguments.model,
        "reward_over": "seen",
        "max_turns": 1,
    }
    return gymnasium.make("SEAL-Continual-v0", disable_env_checker=True, subset=subset, max_rehearsed=1024, **settings)


class Sequences:
    """Sequences of one kind, in a journal; those that it has are not run again."""

    def __init__(self, name: str, env: gymnasium.Env[str, str], arguments: Arguments, work: Work) -> None:
        self.name, self.env, self.arguments, self.work = name, env, arguments, work
        self.journal = Journal(arguments.out / f"{name}.jsonl")
        self.known = self.journal.read()
        work.skip(name, len(self.known))

    def of(self, agent: Agent, numbers: range) -> list[dict[str, Any]]:
        """The records of some sequences. Raises SystemExit after an infrastructure failure: rerun to go on."""
        for number in numbers:
            if number < len(self.known):
                continue
            seed = 1000 * self.arguments.seed + number
            agent.seed(seed)
            ids = self.env.get_wrapper_attr("taskset").task_ids
            first = ids[number * self.arguments.length % len(ids)]
            trajectory = run_episode(self.env, agent, first, seed)
            if trajectory.truncated:
                raise SystemExit(f"{self.name}, sequence {number}: {trajectory.info['reason']}; rerun the same command")
            self.known.append(record_of(trajectory, self.arguments))
            self.journal.append(self.known[-1])
            self.work.count(self.name, 1)
            say(f"{self.name}: sequence {number + 1}, {in_words(self.known[-1])}; {self.work.in_words()}")
        return self.known[numbers.start : numbers.stop]


def learned(env: gymnasium.Env[str, str], arguments: Arguments, work: Work) -> RetentionPolicy:
    """The policy after all training sequences; of those in the journal it learns without a run."""
    policy, sequences = RetentionPolicy(OracleTextsAgent(), arguments), Sequences("training", env, arguments, work)
    for start in range(0, arguments.training, arguments.batch):
        policy.learn_records(sequences.of(policy, range(start, start + arguments.batch)))
        likeliest = [arguments.shares[int(np.argmax(policy.chances(place)))] for place in range(1, arguments.length)]
        say(f"after {start + arguments.batch} sequences the likeliest shares are {', '.join(map(str, likeliest))}")
    return policy


def compared(policy: RetentionPolicy, arguments: Arguments) -> dict[str, Agent]:
    """The learned policy, the untrained one, which draws any share, and one agent for each share."""
    policy.greedy = True
    fixed = {f"always {share:g}": RehearsingAgent(OracleTextsAgent(), share, plain_text=True) for share in arguments.shares}
    return {"learned": policy, "random": RetentionPolicy(OracleTextsAgent(), arguments), **fixed}


def summarise(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over held-out sequences with 95 % bootstrap intervals; `learned_above` is paired by sequence."""
    rewards = {name: np.array([np.mean(each["rewards"]) for each in records]) for name, records in found.items()}
    return {
        name: {
            "reward": bootstrap(rewards[name].tolist())._asdict(),
            "learned_above": bootstrap((rewards["learned"] - rewards[name]).tolist())._asdict(),
            "accuracy_at_the_end": bootstrap([each["accuracies"][-1] for each in records])._asdict(),
            "training_tokens": float(np.mean([sum(each["tokens"]) for each in records])),
        }
        for name, records in found.items()
    }


def say(text: str) -> None:
    """Print a line on standard error: the result alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Arguments) -> dict[str, Any]:
    """Learn, measure, write OUT/summary.json and print it."""
    if arguments.training % arguments.batch or arguments.batch < 2:
        raise SystemExit("--batch has to be 2 or more, and --training a multiple of it")
    decisive = {name: value for name, value in asdict(arguments).items() if name != "out"}
    refuse_others(arguments.out / "arguments.json", decisive)
    rows = ("learned", "random", *(f"always {share:g}" for share in arguments.shares))
    work = Work({"training": arguments.training, **dict.fromkeys(rows, arguments.measured)})
    trained_on = f"{arguments.training} sequences of {arguments.length} passages of {arguments.train_set}"
    say(f"REINFORCE on {trained_on}, measured on {arguments.measured} of {arguments.held_out}; results in {arguments.out}")
    policy = learned(environment(arguments, arguments.train_set), arguments, work)
    env = environment(arguments, arguments.held_out)
    found = {
        name: Sequences(name, env, arguments, work).of(agent, range(arguments.measured))
        for name, agent in compared(policy, arguments).items()
    }
    report = {"arguments": decisive, "weights": policy.weights_FS.tolist(), "rows": summarise(found)}
    write_whole(arguments.out / "summary.json", json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return report


def refuse_others(path: Path, decisive: Mapping[str, Any]) -> None:
    """Write the arguments of a new folder. Raises SystemExit where the folder has been begun with others."""
    wanted = json.loads(json.dumps(decisive))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(wanted, indent=2) + "\n")
    elif (begun := json.loads(path.read_text(encoding="utf-8"))) != wanted:
        raise SystemExit(f"{path} has other arguments: {begun}; name another --out")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
