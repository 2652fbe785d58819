"""PPO in one file, in the manner of CleanRL: the loop is here to be read and changed.

    pip install 'seal-env[examples]'
    python examples/ppo_cleanrl.py --updates 10
    tensorboard --logdir runs

An episode is one step, a whole self-edit. So every step of the environments ends all of their episodes (autoreset mode
"SameStep"), the advantage of an action is its reward less the value of the task, and generalised advantage estimation has
nothing to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from rich.console import Console
from torch import nn
from torch.distributions import Categorical
from torch.utils.tensorboard import SummaryWriter

import seal_env  # noqa: F401 (registers the environments)
from seal_env.envs.wrappers import VectorGridFeatures, VectorReplayFailures, VectorStructuredSelfEdit
from seal_env.report.progress import Progress
from seal_env.report.work import Work

EPISODES = "episodes"


@dataclass
class Args:
    """Arguments. An update learns from num_steps * num_envs episodes."""

    environment: str = "SEAL-ARC-Mini-v0"
    subset: str = "mini-train:400"
    max_examples: int | None = None
    """training examples of a self-edit; None is the model's own default"""
    seed: int = 1
    num_envs: int = 32
    num_steps: int = 2
    updates: int = 10
    evaluation: int = 64
    """episodes on which the trained policy and random self-edits are compared at the end, on tasks of the same set"""
    learning_rate: float = 3e-3
    update_epochs: int = 4
    minibatch: int = 32
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    hidden: int = 32
    log: Path = Path("runs")


def layer(inputs: int, outputs: int, std: float = 2**0.5) -> nn.Linear:
    """A linear layer with orthogonal weights and no bias at first."""
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, std)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    """Logits for each argument of the self-edit, and the value of the task, from one vector of features."""

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any], hidden: int) -> None:
        super().__init__()
        features = gym.spaces.flatdim(envs.single_observation_space)
        assert isinstance(envs.single_action_space, gym.spaces.MultiDiscrete)
        self.sizes: list[int] = envs.single_action_space.nvec.tolist()
        self.actor = nn.Sequential(layer(features, hidden), nn.Tanh(), layer(hidden, sum(self.sizes), std=0.01))
        self.critic = nn.Sequential(layer(features, hidden), nn.Tanh(), layer(hidden, 1, std=1.0))

    def value(self, observations: torch.Tensor) -> torch.Tensor:
        """[batch]."""
        values: torch.Tensor = self.critic(observations)
        return values.squeeze(-1)

    def choices(self, observations: torch.Tensor) -> list[Categorical]:
        """A distribution for each argument."""
        return [Categorical(logits=logits) for logits in self.actor(observations).split(self.sizes, dim=-1)]


def flat(observations: dict[str, np.ndarray]) -> torch.Tensor:
    """Features as one tensor [num_envs, features]."""
    return torch.from_numpy(np.concatenate(list(observations.values()), axis=-1))


def log_probs(choices: list[Categorical], actions: torch.Tensor) -> torch.Tensor:
    """Log-probability of actions [batch, arguments]."""
    return torch.stack([choice.log_prob(column) for choice, column in zip(choices, actions.T, strict=True)]).sum(0)


def entropy(choices: list[Categorical]) -> torch.Tensor:
    """[batch]."""
    return torch.stack([choice.entropy() for choice in choices]).sum(0)


def learn(agent: Agent, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, ...], args: Args) -> dict[str, float]:
    """Several epochs of PPO's clipped objective on one batch of episodes; losses of the last minibatch."""
    observations, actions, old_log_probs, rewards, values = batch
    advantages = rewards - values
    losses: dict[str, float] = {}
    for _ in range(args.update_epochs):
        for rows in torch.randperm(len(rewards)).split(args.minibatch):
            choices, value = agent.choices(observations[rows]), agent.value(observations[rows])
            ratio = (log_probs(choices, actions[rows]) - old_log_probs[rows]).exp()
            normal = (advantages[rows] - advantages[rows].mean()) / (advantages[rows].std(unbiased=False) + 1e-8)
            clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
            policy_loss = -torch.min(normal * ratio, normal * clipped).mean()
            value_loss = 0.5 * (value - rewards[rows]).square().mean()
            spread = entropy(choices).mean()
            loss = policy_loss + args.vf_coef * value_loss - args.ent_coef * spread
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
            optimizer.step()
            losses = {"policy_loss": policy_loss.item(), "value_loss": value_loss.item(), "entropy": spread.item()}
    return losses


def plan(args: Args, folder: Path) -> Progress:
    """Say what will be done, on standard error, and show how far it has come."""
    batch, rounds = args.num_steps * args.num_envs, -(-args.evaluation // args.num_envs)
    console = Console(stderr=True)
    training = f"{args.updates} updates of the policy, each on {batch} episodes of {args.subset}"
    compared = f"{rounds * args.num_envs} episodes of the policy and of random self-edits"
    text = f"PPO: {training}; then {compared}; curves in {folder}; estimating the time"
    console.print(text, soft_wrap=True, markup=False, highlight=False)
    return Progress(console, Work({EPISODES: args.updates * batch + 2 * rounds * args.num_envs}), EPISODES)


def mean_reward(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    act: Callable[[torch.Tensor], np.ndarray],
    episodes: int,
    seed: int,
    on_step: Callable[[int], None],
) -> float:
    """Mean over at least `episodes` episodes. Equal seeds give equal tasks, whatever is done about them."""
    observations, _ = envs.reset(seed=seed)
    rewards: list[float] = []
    while len(rewards) < episodes:
        observations, reward, _, _, _ = envs.step(act(flat(observations)))
        rewards += reward.tolist()
        on_step(len(rewards))
    return float(np.mean(rewards))


def main(args: Args) -> dict[str, float]:
    """Train, then compare the policy's likeliest self-edits with random ones."""
    folder = args.log / f"ppo-cleanrl-{args.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    with plan(args, folder) as progress:
        return train(args, folder, progress)


def train(args: Args, folder: Path, progress: Progress) -> dict[str, float]:
    """The whole run; returns the mean rewards that are compared."""
    torch.manual_seed(args.seed)
    envs = gym.make_vec(
        args.environment,
        num_envs=args.num_envs,
        subset=args.subset,
        max_examples=args.max_examples,
        max_turns=1,
        decode="never",
        autoreset_mode="SameStep",
    )
    envs = VectorGridFeatures(VectorStructuredSelfEdit(VectorReplayFailures(envs)), parts=("summary",))
    agent = Agent(envs, args.hidden)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    writer = SummaryWriter(str(folder))
    writer.add_text(
        "arguments", "|name|value|\n|-|-|\n" + "\n".join(f"|{name}|{value}|" for name, value in asdict(args).items())
    )
    observations, _ = envs.reset(seed=args.seed)
    progress.begin(EPISODES, "training", args.updates * args.num_steps * args.num_envs)
    for update in range(1, args.updates + 1):
        steps: list[tuple[torch.Tensor, ...]] = []
        for _ in range(args.num_steps):
            seen = flat(observations)
            with torch.no_grad():
                choices, values = agent.choices(seen), agent.value(seen)
                actions = torch.stack([choice.sample() for choice in choices], dim=-1)
            observations, rewards, _, _, _ = envs.step(actions.numpy())
            progress.reach(((update - 1) * args.num_steps + len(steps) + 1) * args.num_envs)
            steps.append((seen, actions, log_probs(choices, actions), torch.from_numpy(rewards).float(), values))
        batch = tuple(map(torch.cat, zip(*steps, strict=True)))
        losses = learn(agent, optimizer, batch, args)
        episodes, mean = update * len(batch[0]), batch[3].mean().item()
        for name, number in (losses | {"reward": mean}).items():
            writer.add_scalar(f"train/{name}", number, episodes)
        print(f"{episodes} episodes: mean reward of the last {len(batch[0])} is {mean:.2f}", flush=True)

    @torch.no_grad()
    def likeliest(seen: torch.Tensor) -> np.ndarray:
        return torch.stack([choice.logits.argmax(-1) for choice in agent.choices(seen)], dim=-1).numpy()

    envs.action_space.seed(args.seed)
    compared = {}
    for name, act in {"ppo": likeliest, "random": lambda seen: envs.action_space.sample()}.items():
        progress.begin(EPISODES, f"evaluation of {name}", args.evaluation)
        compared[name] = mean_reward(envs, act, args.evaluation, seed=args.seed + 10_000, on_step=progress.reach)
    for name, number in compared.items():
        writer.add_scalar(f"evaluation/{name}", number, args.updates)
    writer.close()
    envs.close()
    print(f"mean reward on {args.subset}: PPO {compared['ppo']:.2f}, random {compared['random']:.2f}")
    return compared


if __name__ == "__main__":
    main(tyro.cli(Args))
