"""Plug in an agent of your own: `act` on an observation, `learn` from finished episodes.

This one doubles its learning rate as long as its updates get less than nine tenths of the cells right, and trains longer
where there is less to train on.

    python examples/own_agent.py

The command line takes it too: PYTHONPATH=examples seal-env run --env SEAL-ARC-Mini-v0 --agent own_agent:DoublingAgent
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import gymnasium

import seal_env  # noqa: F401 (registers the environments)
from seal_env.agents.base import Agent, Info, Trajectory
from seal_env.agents.rollouts import run_episode


class DoublingAgent(Agent):
    """Doubles its learning rate as long as rewards are low."""

    learning_rate = 0.0001

    def act(self, observation: str, info: Info) -> str:
        """Choose a self-edit by the number of demonstrations."""
        few = len(info["task"]["data"]["demonstrations"]) <= 3
        switches = {f"use_{kind}_augmentations": kind == "basic" for kind in ("basic", "size", "chain", "repeat")}
        strategy = "train_using_output_tokens"
        training = {"strategy": strategy, "learning_rate": self.learning_rate, "num_train_epochs": 3 if few else 2}
        calls = {"augment": switches, "training": training, "finetune": {}}
        return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])

    def learn(self, trajectories: Sequence[Trajectory]) -> None:
        """Learn from rewards."""
        if all(trajectory.reward < 0.9 for trajectory in trajectories):
            self.learning_rate = min(2 * self.learning_rate, 0.002)


def main(episodes: int = 3, seed: int = 0) -> list[Trajectory]:
    """Run a few episodes of small generated tasks and print their rewards."""
    env = gymnasium.make("SEAL-ARC-Mini-v0", reward="cell_accuracy", max_examples=8)
    agent = DoublingAgent()
    print(f"{episodes} episodes of SEAL-ARC-Mini-v0, some seconds each", flush=True)
    trajectories = []
    for episode in range(episodes):
        rate = agent.learning_rate
        trajectory = run_episode(env, agent, seed=seed if episode == 0 else None)
        agent.learn([trajectory])
        print(f"{trajectory.task_id}: learning rate {rate:g}, {trajectory.info['outcome']}, reward {trajectory.reward:.2f}")
        trajectories.append(trajectory)
    return trajectories


if __name__ == "__main__":
    main()
