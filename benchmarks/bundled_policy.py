"""seal-tiny as a policy: whether its self-edits are valid and diverse, and whether it reads the task before it decides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from rich.table import Table

from benchmarks.common import Document, chat_text, sample
from seal_env.domains import arc
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.prompt import chat_messages
from seal_env.self_edits.validate import check_calls
from seal_env.tasks.arc.mini.rules import family_of, mini_task
from seal_env.types import InvalidSelfEdit

MAX_NEW_TOKENS = 96
OPENING = '[{"name": "augment", "arguments": {"use_basic_augmentations":'
"""What the policy has written when it decides on the first switch."""


def task_family(task_id: str) -> str:
    """The rule family of a `mini` task."""
    _, split, seed, index = task_id.split("-")
    return family_of(mini_task(split, int(seed), int(index))[0])  # type: ignore[arg-type]


def prompts_of(model: str, count: int) -> dict[str, str]:
    """The environment's prompts of held-out `mini` tasks, by task id."""
    env = gymnasium.make("SEAL-ARC-v0", subset=f"mini-eval:{count}", model=model, max_turns=1)
    task_ids: tuple[str, ...] = env.unwrapped.taskset.task_ids  # type: ignore[attr-defined]
    return {task_id: env.reset(seed=0, options={"task_id": task_id})[0] for task_id in task_ids}


def arguments_of(action: str) -> dict[str, Any] | None:
    """All arguments of a valid self-edit that ends with finetune, or None."""
    calls = parse(action)
    if isinstance(calls, InvalidSelfEdit) or isinstance(check_calls(calls, arc.TOOLS), InvalidSelfEdit):
        return None
    if not calls or calls[-1].name != "finetune":
        return None
    return {name: value for call in calls for name, value in call.arguments.items()}


def probe_families(base: FrozenLM, prompts: Sequence[str], families: Sequence[str]) -> dict[str, float]:
    """How well a linear probe reads the rule family off the state in which the first switch is chosen.

    Ridge regression on one-hot families, trained on the first two thirds of the prompts, tested on the rest; chance is the
    share of the most frequent family there.
    """
    states = []
    model: Any = base.model
    for prompt in prompts:
        text = chat_text(base, chat_messages(prompt)) + OPENING
        ids = torch.tensor([base.tokenizer(text, add_special_tokens=False)["input_ids"]], device=base.device)
        with torch.no_grad():
            states.append(model.model(input_ids=ids).last_hidden_state[0, -1].float().cpu().numpy())
    names = sorted(set(families))
    x = np.array(states)
    x = np.hstack([(x - x.mean(0)) / (x.std(0) + 1e-6), np.ones((len(x), 1))])
    y = np.eye(len(names))[[names.index(family) for family in families]]
    cut = len(x) * 2 // 3
    weights = np.linalg.solve(x[:cut].T @ x[:cut] + 10.0 * np.eye(x.shape[1]), x[:cut].T @ y[:cut])
    right = (x[cut:] @ weights).argmax(1) == y[cut:].argmax(1)
    return {"accuracy": float(right.mean()), "chance": float(y[cut:].mean(0).max()), "tested": len(right)}


def measure_policy(model: str, samples: int, seed: int) -> Document:
    """Share of valid self-edits, how their arguments are spread, and what the model knows of the task when it decides."""
    base, prompts = load_base_model(model, "auto"), prompts_of(model, samples)
    actions = sample(base, [chat_messages(prompt) for prompt in prompts.values()], MAX_NEW_TOKENS, seed)
    valid = [arguments for action in actions if (arguments := arguments_of(action)) is not None]
    shares = {}
    for name in sorted({name for arguments in valid for name in arguments} - {"learning_rate"}):
        counts = Counter(json.dumps(arguments[name]) for arguments in valid if name in arguments)
        shares[name] = {value: round(count / len(valid), 3) for value, count in sorted(counts.items())}
    rates = [arguments["learning_rate"] for arguments in valid if "learning_rate" in arguments]
    quarters, _ = np.histogram(np.log10(rates), bins=np.linspace(np.log10(3e-5), np.log10(3e-3), 5))
    return {
        "sampled": len(actions),
        "valid": len(valid) / len(actions),
        "different": len(set(actions)) / len(actions),
        "shares": shares,
        "rates in quarters of the log range": (quarters / max(1, len(rates))).round(3).tolist(),
        "family_probe": probe_families(base, list(prompts.values()), list(map(task_family, prompts))),
        "examples": actions[:3],
        "invalid": [action for action in actions if arguments_of(action) is None][:5],
    }


def policy_table(policy: Document) -> Table:
    """The policy's measurements as a table."""
    probe = policy["family_probe"]
    title = (
        f"{policy['sampled']} self-edits sampled at temperature 1: {policy['valid']:.1%} valid, {policy['different']:.0%} "
        f"different; rule family read from its state: {probe['accuracy']:.0%} (chance {probe['chance']:.0%})"
    )
    table = Table("argument", "shares", title=title)
    for name, shares in policy["shares"].items():
        table.add_row(name, "  ".join(f"{value} {share:.2f}" for value, share in shares.items()))
    quarters = policy["rates in quarters of the log range"]
    table.add_row("learning_rate, quarters of the log range", "  ".join(f"{share:.2f}" for share in quarters))
    return table
