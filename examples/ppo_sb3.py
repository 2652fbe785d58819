"""Measure PPO of Stable-Baselines3 against random self-edits: trained on one task set, evaluated on another.

    pip install 'seal-env[examples]'
    python examples/ppo_sb3.py --seeds 5 --budget 448 --rollout 32 --max-examples 16 --held-out mini-eval:60 --out runs/ppo

One episode is one whole self-edit, so this is a contextual bandit: the return of an action is its reward, and nothing is
discounted. The policy reads a summary of the demonstrations as numbers and is evaluated by its likeliest self-edit; random
and the baselines are evaluated on the same held-out tasks with the same seeds of the update.

Every seed is written to OUT/seed-N.json when it is finished, and a finished seed is not run again. Its policy is in
OUT/seed-N.safetensors, for `seal-env eval --agent sb3 --policy-file`. A seed that was stopped begins anew, but the updates
that it has done come out of OUT/results.sqlite: they cost nothing and it ends as it would have.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray
from scipy import stats
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from seal_env.agents.rl.policy_file import save_policy
from seal_env.agents.rl.sb3 import Sb3VecEnv
from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.envs.wrappers import StructuredSelfEdit, numeric_vector_env
from seal_env.episodes.episode import Episode
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.intervals import bootstrap_crossed
from seal_env.journal import write_whole
from seal_env.report.work import Work
from seal_env.tasks.arc.features import GridShape, features
from seal_env.tasks.arc.loader import load_taskset

PARTS = ("summary",)


@dataclass(frozen=True)
class Arguments:
    """What is measured. All of it but `seeds` and `out` decides the numbers.

    seeds: of PPO, 0 to seeds - 1; the interval is over them. budget: training episodes of a seed, a multiple of rollout.
    tasks, held_out: task sets. rollout: episodes between two updates of the policy. num_envs: of them, how many train
    together. in_call: evaluation episodes that train together. max_examples: of a self-edit; None is the model's default.
    """

    seeds: int = 5
    budget: int = 640
    tasks: str = "mini-train:400"
    held_out: str = "mini-eval:100"
    out: Path = Path("runs/ppo")
    model: str = "seal-tiny"
    device: str = "auto"
    max_examples: int | None = None
    actions: str = "multi_discrete"
    levels: int = 9
    num_envs: int = 32
    in_call: int = 50
    rollout: int = 64
    learning_rate: float = 3e-3
    epochs: int = 4
    minibatch: int = 32
    ent_coef: float = 0.01
    hidden: int = 32

    def settings(self, subset: str) -> dict[str, Any]:
        """Of an environment on `subset`. What the model answers is not shown, so failed answers need not be decoded."""
        return {
            "subset": subset,
            "model": self.model,
            "device": self.device,
            "max_examples": self.max_examples,
            "max_turns": 1,
            "decode": "never",
            "cache_file": str(self.out / "results.sqlite"),
        }

    def measured(self) -> dict[str, Any]:
        """The arguments that decide a seed's numbers."""
        return {name: value for name, value in asdict(self).items() if name not in ("seeds", "out")}


class RolloutRewards(BaseCallback):
    """Notes the mean reward of each rollout and says it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.means = seed, list[float]()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.means.append(float(self.locals["rollout_buffer"].rewards.mean()))
        print(
            f"seed {self.seed}: {self.num_timesteps} episodes, mean reward of the last ones {self.means[-1]:.2f}", flush=True
        )


def train(arguments: Arguments, shape: GridShape, seed: int) -> tuple[PPO, list[float]]:
    """A policy, and the mean reward of each rollout it learned from."""
    envs = Sb3VecEnv(
        numeric_vector_env(
            "SEAL-ARC-Mini-v0",
            arguments.num_envs,
            actions=arguments.actions,
            levels=arguments.levels,
            shape=shape,
            parts=PARTS,
            autoreset_mode="SameStep",
            **arguments.settings(arguments.tasks),
        )
    )
    model = PPO(
        "MultiInputPolicy",
        envs,
        n_steps=arguments.rollout // arguments.num_envs,
        batch_size=min(arguments.minibatch, arguments.rollout),
        n_epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        ent_coef=arguments.ent_coef,
        gamma=1.0,
        gae_lambda=1.0,
        policy_kwargs={"net_arch": {"pi": [arguments.hidden], "vf": [arguments.hidden]}},
        seed=1000 * seed,  # environment i is seeded with this number + i
        device="cpu",
    )
    rewards = RolloutRewards(seed)
    model.learn(arguments.budget, callback=rewards)
    envs.close()
    return model, rewards.means


def policy_actions(model: PPO, arguments: Arguments, shape: GridShape, held_out: SealEnv) -> list[str]:
    """The likeliest self-edit for each held-out task."""
    rows = [features(task.context, shape) for task in held_out.taskset]
    actions, _ = model.predict({part: np.stack([row[part] for row in rows]) for part in PARTS}, deterministic=True)
    numeric = StructuredSelfEdit(held_out, arguments.actions, arguments.levels).numeric_actions
    return [numeric.decode(action) for action in actions]


def random_actions(held_out: SealEnv, seed: int) -> list[str]:
    """A self-edit of the environment's action space for each held-out task."""
    held_out.action_space.seed(seed)
    return [held_out.action_space.sample() for _ in held_out.taskset]


def rewards_of(held_out: SealEnv, actions: Sequence[str], seed: int, in_call: int) -> list[float]:
    """The reward of an action on each task, with seeds that depend on `seed` alone; nan after an infrastructure failure."""
    drawn = np.random.default_rng(seed).integers(2**31, size=len(actions)).tolist()
    episodes = [Episode(held_out.runtime, task, drawn[place]) for place, task in enumerate(held_out.taskset)]
    kept = BaseAnswerCache(len(episodes))
    calls = [slice(start, start + in_call) for start in range(0, len(episodes), in_call)]
    return [step[1] for call in calls for step in play(episodes[call], actions[call], kept)]


def measure_seed(arguments: Arguments, seed: int) -> dict[str, Any]:
    """Train and evaluate one policy, and evaluate what it is compared with."""
    began = time.perf_counter()
    held_out = SealEnv(**arguments.settings(arguments.held_out))
    held_out.runtime.load()
    shape = GridShape.of([*load_taskset(arguments.tasks), *held_out.taskset])
    model, means = train(arguments, shape, seed)
    save_policy(model, arguments.out / f"seed-{seed}.safetensors")
    trained = time.perf_counter()
    actions = {
        "ppo": policy_actions(model, arguments, shape, held_out),
        "random": random_actions(held_out, seed),
        "default": [ARC.default_self_edit] * len(held_out.taskset),
        "none": [ARC.no_update] * len(held_out.taskset),
    }
    rewards = {name: rewards_of(held_out, mine, seed, arguments.in_call) for name, mine in actions.items()}
    return {
        "seed": seed,
        "arguments": arguments.measured(),
        "rollouts": means,
        "seconds": {"training": trained - began, "evaluation": time.perf_counter() - trained},
        "failed": {name: int(np.isnan(mine).sum()) for name, mine in rewards.items()},
        "rewards": {name: [None if np.isnan(reward) else reward for reward in mine] for name, mine in rewards.items()},
        "self_edits": list(map(json.loads, actions["ppo"])),
    }


def finished_seed(arguments: Arguments, seed: int, measure: Callable[[Arguments, int], dict[str, Any]]) -> dict[str, Any]:
    """A seed's measurements, from its file if it has one."""
    path = arguments.out / f"seed-{seed}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["arguments"] != arguments.measured():
            raise SystemExit(f"{path} was measured with other arguments: {found['arguments']}; name another --out")
        return found
    found = measure(arguments, seed)
    write_whole(path, json.dumps(found) + "\n")
    return found


def summarise(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean rewards over seeds, and PPO's less random's with two 95 % intervals.

    The first is Student's t over the seeds. The second is a bootstrap that draws tasks again too: wider, since the held-out
    tasks are a sample themselves.
    """
    means = {
        name: [float(np.mean([reward for reward in seed["rewards"][name] if reward is not None])) for seed in measured]
        for name in measured[0]["rewards"]
    }
    gained = np.subtract(means["ppo"], means["random"])
    interval: dict[str, float | None] = {"mean": float(gained.mean()), "low": None, "high": None}
    if len(gained) > 1:
        half = stats.t.ppf(0.975, len(gained) - 1) * stats.sem(gained)
        interval |= {"low": float(gained.mean() - half), "high": float(gained.mean() + half)}
    less_random = _task_rewards(measured, "ppo") - _task_rewards(measured, "random")
    return {
        "seeds": len(measured),
        "mean_reward": {name: float(np.mean(mine)) for name, mine in means.items()},
        "mean_reward_by_seed": means,
        "ppo_less_random": interval,
        "over_seeds_and_tasks": bootstrap_crossed(less_random)._asdict(),
        "seconds": sum(sum(seed["seconds"].values()) for seed in measured),
        "failed": {name: sum(seed["failed"][name] for seed in measured) for name in means},
    }


def _task_rewards(measured: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    """Rewards of seeds (rows) on held-out tasks (columns); nan after an infrastructure failure."""
    return np.array([seed["rewards"][name] for seed in measured], dtype=float)


def say(text: str) -> None:
    """Print a line on standard error: the result alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure every seed, then write OUT/summary.json and print it."""
    if arguments.rollout % arguments.num_envs or arguments.budget % arguments.rollout:
        raise SystemExit("--rollout has to be a multiple of --num-envs, and --budget one of --rollout")
    training = f"PPO on {arguments.budget} episodes of {arguments.tasks} with each of {arguments.seeds} seeds"
    say(f"{training}, measured on {arguments.held_out} beside 3 baselines; results in {arguments.out}; estimating the time")
    work, measured = Work({"seeds": arguments.seeds}), list[dict[str, Any]]()
    for seed in range(arguments.seeds):
        known = (arguments.out / f"seed-{seed}.json").exists()
        measured.append(finished_seed(arguments, seed, measure_seed))
        (work.skip if known else work.count)("seeds", 1)
        say(f"seed {seed} is measured; {work.in_words()}")
    report = summarise(measured) | {"arguments": arguments.measured()}
    write_whole(arguments.out / "summary.json", json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return report


if __name__ == "__main__":
    main(tyro.cli(Arguments))
