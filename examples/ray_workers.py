"""Updates of many episodes on Ray workers: actions in, rewards out, one call of `step`.

    pip install 'seal-env[ray]'
    python examples/ray_workers.py --workers 2 --episodes 16
    python examples/ray_workers.py --address auto --episodes 256 --model Qwen/Qwen2.5-0.5B-Instruct    # in a cluster

Every episode writes the same self-edit here; an agent would write one for each.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import gymnasium

import seal_env  # noqa: F401 (registers the environments)

SWITCHES = {f"use_{kind}_augmentations": kind == "basic" for kind in ("basic", "size", "chain", "repeat")}
TRAINING = {"strategy": "train_using_output_tokens", "learning_rate": 0.002, "num_train_epochs": 2}
CALLS = {"augment": SWITCHES, "training": TRAINING, "finetune": {}}
SELF_EDIT = json.dumps([{"name": name, "arguments": arguments} for name, arguments in CALLS.items()])


def main() -> list[float]:
    """Play one episode in each environment and print the rewards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--workers", type=int, help="default: one for each GPU of the cluster, or for each CPU core")
    parser.add_argument(
        "--address", default="local", help="local starts Ray on this machine; auto or host:port joins a cluster"
    )
    parser.add_argument("--model", default="seal-tiny")
    parser.add_argument("--max-examples", type=int)
    given = parser.parse_args()
    settings: dict[str, Any] = {"model": given.model, "max_examples": given.max_examples, "reward": "cell_accuracy"}
    workers = {"inner_loop": "ray", "workers": given.workers, "ray_address": given.address}
    on = "workers, one for each GPU or core" if given.workers is None else f"{given.workers} workers"
    print(f"{given.episodes} updates of {given.model} on {on}, which have to start first", flush=True)
    envs = gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=given.episodes, **settings, **workers)
    envs.reset(seed=0)
    began = time.perf_counter()
    _, rewards, _, failed, _ = envs.step([SELF_EDIT] * given.episodes)
    seconds = time.perf_counter() - began
    print(f"{given.episodes} updates in {seconds:.1f} s, the start of the workers included; {failed.sum()} failed")
    print("rewards", " ".join(f"{reward:.2f}" for reward in rewards))
    envs.close()  # ends the workers
    return [float(reward) for reward in rewards]


if __name__ == "__main__":
    main()
