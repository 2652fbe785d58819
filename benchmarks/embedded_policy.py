"""The bundled model as a policy: are the self-edits that it writes valid, are they spread, does it read the task?"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from rich.table import Table

from seal_env.domains import arc
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.prompt import chat_messages
from seal_env.self_edits.validate import check_calls
from seal_env.tasks.arc.mini.rule import Split
from seal_env.tasks.arc.mini.rules import rules as mini
from seal_env.types import InvalidSelfEdit

BATCH = 16
LONGEST = 96


def family_of(task_id: str) -> str:
    """The rule family of a `mini` task."""
    _, split, seed, index = task_id.split("-")
    key, _ = mini.mini_task(cast(Split, split), int(seed), int(index))
    return mini.family_of(key)


def prompts_of(model: str, count: int) -> tuple[list[str], list[str]]:
    """The environment's own prompts of held-out `mini` tasks, and the tasks' rule families."""
    env = gymnasium.make("SEAL-ARC-v0", subset=f"mini-eval:{count}", model=model, max_turns=1)
    task_ids: tuple[str, ...] = env.unwrapped.taskset.task_ids  # type: ignore[attr-defined]
    prompts = [env.reset(seed=0, options={"task_id": task_id})[0] for task_id in task_ids]
    return prompts, [family_of(task_id) for task_id in task_ids]


def sample_actions(base: FrozenLM, prompts: list[str], seed: int) -> list[str]:
    """One self-edit for each prompt, sampled at temperature 1 from the whole vocabulary."""
    torch.manual_seed(seed)
    base.tokenizer.padding_side = "left"
    actions = []
    for start in range(0, len(prompts), BATCH):
        chats = [
            [{"role": m.role, "content": m.content} for m in chat_messages(prompt)]
            for prompt in prompts[start : start + BATCH]
        ]
        texts = [base.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
        inputs = base.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(base.device)
        inputs.pop("token_type_ids", None)
        output = base.model.generate(
            **inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=LONGEST,
            pad_token_id=base.tokenizer.pad_token_id,
        )  # fmt: skip
        actions += base.tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    base.tokenizer.padding_side = "right"
    return actions


def arguments_of(action: str) -> dict[str, Any] | None:
    """All arguments of a valid self-edit that ends with finetune, or None."""
    calls = parse(action)
    if isinstance(calls, InvalidSelfEdit) or isinstance(check_calls(calls, arc.TOOLS), InvalidSelfEdit):
        return None
    if not calls or calls[-1].name != "finetune":
        return None
    return {name: value for call in calls for name, value in call.arguments.items()}


def probe_families(base: FrozenLM, prompts: list[str], families: list[str]) -> dict[str, float]:
    """How well a linear probe reads the rule family off the state from which the first switch is chosen.

    Ridge regression on one-hot families, trained on the first two thirds of the prompts, tested on the rest; chance is the
    share of the commonest family among those.
    """
    opening = '[{"name": "augment", "arguments": {"use_basic_augmentations":'
    states = []
    for prompt in prompts:
        chat = [{"role": m.role, "content": m.content} for m in chat_messages(prompt)]
        text = base.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + opening
        ids = torch.tensor([base.tokenizer(text, add_special_tokens=False)["input_ids"]], device=base.device)
        with torch.no_grad():
            states.append(base.model.model(input_ids=ids).last_hidden_state[0, -1].float().cpu().numpy())
    names = sorted(set(families))
    x = np.array(states)
    x = np.hstack([(x - x.mean(0)) / (x.std(0) + 1e-6), np.ones((len(x), 1))])
    y = np.eye(len(names))[[names.index(family) for family in families]]
    cut = len(x) * 2 // 3
    weights = np.linalg.solve(x[:cut].T @ x[:cut] + 10.0 * np.eye(x.shape[1]), x[:cut].T @ y[:cut])
    right = (x[cut:] @ weights).argmax(1) == y[cut:].argmax(1)
    return {"accuracy": float(right.mean()), "chance": float(y[cut:].mean(0).max()), "tested": len(right)}


def distance_to_uniform(counts: Counter[Any], choices: int) -> float:
    """Total variation distance between a sample and the uniform distribution over `choices` values."""
    total = sum(counts.values())
    seen = sum(abs(count / total - 1 / choices) for count in counts.values())
    return 0.5 * (seen + (choices - len(counts)) / choices)


def measure_policy(model: str, samples: int, seed: int) -> dict[str, Any]:
    """Share of valid self-edits, how each argument is spread, and what the model knows of the task when it decides."""
    base = load_base_model(model, "auto")
    prompts, families = prompts_of(model, samples)
    actions = sample_actions(base, prompts, seed)
    valid = [arguments for action in actions if (arguments := arguments_of(action)) is not None]
    spread: dict[str, Any] = {}
    for name, choices in (("switch", 2), ("strategy", 2), ("num_train_epochs", 3)):
        fields = [field for field in (valid[0] if valid else ()) if field == name or (name == "switch" and "use_" in field)]
        for field in fields:
            counts = Counter(arguments[field] for arguments in valid)
            shares = {json.dumps(value): round(count / len(valid), 3) for value, count in sorted(counts.items())}
            spread[field] = {"shares": shares, "distance": round(distance_to_uniform(counts, choices), 3)}
    rates = np.log10([arguments["learning_rate"] for arguments in valid]) if valid else np.zeros(1)
    edges = np.linspace(np.log10(3e-5), np.log10(3e-3), 5)
    quarters = Counter(np.clip(np.searchsorted(edges, rates) - 1, -1, 4).tolist())
    return {
        "sampled": len(actions),
        "valid": len(valid) / len(actions),
        "different": len(set(actions)) / len(actions),
        "spread": spread,
        "rates": {
            "deciles": [float(f"{10**q:.3g}") for q in np.percentile(rates, [10, 50, 90])],
            "in quarters of the log range": [round(quarters[index] / len(rates), 3) for index in range(4)],
        },
        "family_probe": probe_families(base, prompts, families),
        "examples": actions[:3],
        "invalid": [action for action in actions if arguments_of(action) is None][:5],
    }


def policy_table(policy: dict[str, Any]) -> Table:
    """The policy's measurements as a table."""
    probe = policy["family_probe"]
    title = (
        f"{policy['sampled']} self-edits sampled at temperature 1: {100 * policy['valid']:.1f} % valid, "
        f"{100 * policy['different']:.0f} % different; rule family from its state: {100 * probe['accuracy']:.0f} % "
        f"(chance {100 * probe['chance']:.0f} %)"
    )
    table = Table("argument", "shares", "distance to uniform", title=title)
    for field, values in policy["spread"].items():
        table.add_row(
            field, "  ".join(f"{value} {share:.2f}" for value, share in values["shares"].items()), str(values["distance"])
        )
    table.add_row(
        "learning_rate", f"10, 50, 90 %: {policy['rates']['deciles']}", str(policy["rates"]["in quarters of the log range"])
    )
    return table
