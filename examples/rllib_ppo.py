"""PPO of RLlib on vectorised episodes: RLlib calls a creator for all environments of a runner, and each step is one batch.

The extra brings `ray[rllib]`, which pins gymnasium 1.2.2: use an environment of its own.

    pip install 'seal-env[rllib]'
    python examples/rllib_ppo.py --iterations 10
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from seal_env.envs.wrappers import numeric_vector_env
from seal_env.report.work import Work

try:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.connectors.env_to_module import FlattenObservations
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
    from ray.tune.registry import register_env
except ImportError as error:
    raise SystemExit(f"This example needs RLlib ({error}). Install it with: pip install 'seal-env[rllib]'") from error

NAME = "seal-arc-mini-vectorised"


def create(context: Any) -> Any:
    """RLlib adds `num_envs` to the context when it wants a vector environment, and expects the autoreset mode "NextStep"."""
    settings = dict(context)
    return numeric_vector_env("SEAL-ARC-Mini-v0", settings.pop("num_envs"), parts=("summary",), **settings)


def configure(num_envs: int, rollout: int, seed: int, settings: dict[str, Any]) -> PPOConfig:
    """settings: of the environment. rollout: episodes between two updates of the policy; an episode is one self-edit."""
    register_env(NAME, create)
    return (
        PPOConfig()
        .environment(NAME, env_config=settings)
        .env_runners(
            num_env_runners=0,  # the model lives in this process; each runner beside it would load its own
            num_envs_per_env_runner=num_envs,
            gym_env_vectorize_mode="vector_entry_point",
            env_to_module_connector=lambda env, spaces, device: FlattenObservations(),
        )
        .learners(num_learners=0)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[32], fcnet_activation="tanh"))
        .training(
            train_batch_size_per_learner=rollout,
            minibatch_size=min(32, rollout),
            num_epochs=4,
            lr=3e-3,
            gamma=1.0,
            lambda_=1.0,
            entropy_coeff=0.01,
            use_kl_loss=False,
        )
        .debugging(seed=seed)
    )


def main() -> list[float]:
    """Train and print the mean reward of each iteration's episodes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--num-envs", type=int, default=32)
    parser.add_argument("--rollout", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subset", default="mini-train:400")
    parser.add_argument("--max-examples", type=int, default=None)
    args = parser.parse_args()
    settings = {"subset": args.subset, "max_examples": args.max_examples, "decode": "never"}
    text = f"PPO of RLlib: {args.iterations} iterations of {args.rollout} episodes of {args.subset}; estimating the time"
    print(text, file=sys.stderr, flush=True)
    algorithm = configure(args.num_envs, args.rollout, args.seed, settings).build_algo()
    means, work = [], Work({"iterations": args.iterations})
    for iteration in range(1, args.iterations + 1):
        result = algorithm.train()
        means.append(float(result["env_runners"]["episode_return_mean"]))
        work.count("iterations", 1)
        print(f"iteration {iteration}: mean reward {means[-1]:.2f}; {work.in_words()}", flush=True)
    algorithm.stop()
    return means


if __name__ == "__main__":
    main()
