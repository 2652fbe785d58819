"""The tables that are reproduced: their rows, and the tasks, models and settings that each preset measures them with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from seal_env.agents.search.budget import SearchBudget
from seal_env.agents.trainers.settings import GrpoSettings, RestEmSettings
from seal_env.registration import environments

UNTRAINED: Final = "untrained"
GRPO: Final = "grpo"
REST_EM: Final = "rest-em"
SEARCH: Final = "search"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        label: What the table calls it.
        agent: The agent that is measured; None for rows that train or search, which are measured in their own ways.
        options: The agent's own.
        optional: Whether the row is left out, unless it is named, where the agent cannot be made for the held-out tasks.
        best_of: Self-edits for each held-out task, of which the one with the highest reward is measured again with a fresh
            seed: an upper bound, since that reward is what is measured.
        templates: Options, by name, of which the agent has those with the highest mean reward on the training tasks.
    """

    label: str
    agent: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False
    best_of: int = 1
    templates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_LEARNED: Final = {
    UNTRAINED: Row("self-edits, untrained policy"),
    GRPO: Row("self-edits after GRPO"),
    REST_EM: Row("self-edits after ReST-EM"),
}
_GRIDS: Final = {"none": Row("no update", "none"), **_LEARNED, SEARCH: Row("search for each task (oracle)")}
_CONSTRAINED: Final = {name: row for name, row in _GRIDS.items() if name != GRPO}
"""Without GRPO: TRL samples from the whole vocabulary."""
_TEXTS: Final = {"none": Row("no update", "none"), "passage": Row("passage alone", "passage_only"), **_LEARNED}
_WRITTEN: Final = {
    "none": _TEXTS["none"],
    "passage": _TEXTS["passage"],
    UNTRAINED: _LEARNED[UNTRAINED],
    REST_EM: _LEARNED[REST_EM],
    "published": Row("published self-edits of Qwen2.5-7B", "replay", optional=True),
}


def _trained(learning_rate: float, epochs: int) -> str:
    """A self-edit that chooses how training goes, and nothing else."""
    chosen = {"strategy": "train_using_all_tokens", "learning_rate": learning_rate, "num_train_epochs": epochs}
    return json.dumps([{"name": "training", "arguments": chosen}, {"name": "finetune", "arguments": {}}])


def _longer(epochs: int) -> Row:
    """The passage alone for as many steps as texts take: what texts are worth beyond longer training."""
    return Row(f"passage alone, {epochs} epochs", "fixed", {"self_edit": _trained(5e-4, epochs)})


_CHOSEN: Final = {
    "none": _TEXTS["none"],
    "default": Row("the default, 1e-3 for 10 epochs", "fixed", {"self_edit": _trained(1e-3, 10)}),
    UNTRAINED: _LEARNED[UNTRAINED],
    REST_EM: _LEARNED[REST_EM],
    "grid": Row("the best settings of a grid, for all tasks", "fixed", {"self_edit": _trained(3e-3, 12)}),
}
_SYNTHETIC: Final = {
    "none": _TEXTS["none"],
    "passage": _TEXTS["passage"],
    "passage-longer": _longer(12),
    **_LEARNED,
    "oracle": Row("the generator's own texts (oracle)", "oracle_texts"),
}
_LONG: Final = "implications-very-long"
_MIXED_POLICY: Final = {"mix": (_LONG, "self-qa"), "temperature": 0.5, "max_new_tokens": 256}
_TEMPLATES: Final = {
    name: {"temperature": 0.5, "max_new_tokens": 256, "mix": styles}
    for name, styles in (
        ("implications", ("implications",)),
        ("implications-very-long", (_LONG,)),
        ("self-qa", ("self-qa",)),
        ("rewrite", ("rewrite",)),
        ("statements-and-questions", (_LONG, "self-qa")),
        ("statements-and-questions-twice", (_LONG, "self-qa") * 2),
        ("statements-four-times", (_LONG,) * 4),
        ("one-of-each", (_LONG, "self-qa", "rewrite", "relations")),
    )
}
_MIXED: Final = {
    "none": _TEXTS["none"],
    "passage": _TEXTS["passage"],
    "passage-longer": _longer(20),
    UNTRAINED: _LEARNED[UNTRAINED],
    "proxy": Row("best of 8 replies by different words", "local_hf", {**_MIXED_POLICY, "best_of": 8}),
    "best-of": Row("best of 8 self-edits by reward (oracle)", "local_hf", _MIXED_POLICY, best_of=8),
    "template": Row("best of 8 templates on the training passages", "local_hf", templates=_TEMPLATES),
    GRPO: _LEARNED[GRPO],
    REST_EM: _LEARNED[REST_EM],
    "oracle": _SYNTHETIC["oracle"],
}


@dataclass(frozen=True)
class Preset:
    """The tasks, models and settings of a table.

    Attributes:
        summary: One line for help texts.
        train_set: Task set to learn from.
        held_out: Task set to measure on.
        env: Gymnasium id of the environment, for training and for measuring.
        overrides: Its settings that are not those of the id.
        rest_em: Settings of ReST-EM.
        grpo: Settings of GRPO.
        search: Budget of the search for each task.
        policy: Options of the trained policy.
        rows: By name, in order.
        in_call: Episodes of agents that do not learn whose updates train together.
    """

    summary: str
    train_set: str
    held_out: str
    env: str
    overrides: Mapping[str, Any]
    rest_em: RestEmSettings
    grpo: GrpoSettings
    search: SearchBudget = field(default_factory=SearchBudget)
    policy: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Row] = field(default_factory=lambda: _GRIDS)
    in_call: int = 32

    @property
    def environment(self) -> dict[str, Any]:
        """All settings of the environment."""
        return {**environments()[self.env], **self.overrides}

    def record(self) -> dict[str, Any]:
        """The preset as data that JSON can hold."""
        settings = {name: getattr(self, name).model_dump() for name in ("rest_em", "grpo", "search")}
        return {**vars(self), **settings, "rows": list(self.rows)}


_TINY_REST_EM: Final = RestEmSettings(rounds=3, samples=8, eval_samples=3, sft_learning_rate=1e-3)
_TINY_GRPO: Final = GrpoSettings(steps=18, iterations=4, eval_samples=3, learning_rate=1e-3, save_every=3)
_TINY_SEARCH: Final = SearchBudget(trials=16, width=8, finalists=4, repeats=1, fresh=3)

_SOLVABLE: Final = "e9afcf9a,25d8a9c8,c9e6f938,8d5021e8,88a62173,a416b8f3,a79310a0,f76d97a5"
"""The small training tasks of ARC-AGI-1 that one self-edit solves and seal-tiny does not: `benchmarks.solvable_tasks`."""

_ARC: Final = {
    "mini": Preset(
        "generated tasks, the bundled model; hours on a CPU with 2 cores",
        "mini-train:24",
        "mini-eval:30",
        "SEAL-ARC-v0",
        {"max_examples": 16},
        _TINY_REST_EM,
        _TINY_GRPO,
        _TINY_SEARCH,
    ),
    "seal": Preset(
        "SEAL's own tasks, the bundled model; hours on a CPU with 2 cores",
        "seal-train",
        "seal-eval",
        "SEAL-ARC-v0",
        {"max_examples": 16},
        _TINY_REST_EM,
        _TINY_GRPO.model_copy(update={"steps": 9}),
        _TINY_SEARCH,
        {"max_new_tokens": 128},
    ),
    "seal-long": Preset(
        "SEAL's held-out tasks, training tasks that an update solves, short prompts, constrained decoding and more rounds, "
        "the bundled model; hours on a CPU with 2 cores",
        _SOLVABLE,
        "seal-eval",
        "SEAL-ARC-v0",
        {"max_prompt_cells": 200},
        _TINY_REST_EM.model_copy(update={"rounds": 4, "samples": 12, "keep": "gained"}),
        _TINY_GRPO,
        _TINY_SEARCH.model_copy(update={"trials": 24}),
        {"max_new_tokens": 128, "constrained": True},
        _CONSTRAINED,
    ),
    "llama-1b": Preset(
        "SEAL's own tasks, model and settings; for a GPU",
        "seal-train",
        "seal-eval",
        "SEAL-ARC-v0",
        {
            "model": "meta-llama/Llama-3.2-1B-Instruct",
            "device": "cuda",
            "profile": "paper",
            "evaluation": "vote",
        },
        RestEmSettings(),
        GrpoSettings(steps=100),
        policy={"temperature": 0.8},
    ),
}
_KNOWLEDGE: Final = {
    "synthetic": Preset(
        "synthetic passages, the bundled text model; about an hour on a CPU with 2 cores",
        "synthetic-train:24",
        "synthetic-eval:50",
        "SEAL-Knowledge-v0",
        {},
        RestEmSettings(rounds=2, samples=8, keep="best", eval_samples=2, sft_learning_rate=1e-3),
        _TINY_GRPO.model_copy(update={"steps": 9}),
        policy={"max_new_tokens": 256},
        rows=_SYNTHETIC,
    ),
    "mixed": Preset(
        "the same with self-edits of two styles, sampled at a lower temperature; hours on a CPU with 2 cores",
        "synthetic-train:24",
        "synthetic-eval:50",
        "SEAL-Knowledge-v0",
        {},
        RestEmSettings(rounds=3, samples=8, keep="best", eval_samples=2, sft_learning_rate=1e-3),
        _TINY_GRPO.model_copy(update={"steps": 12, "eval_samples": 2}),
        policy=_MIXED_POLICY,
        rows=_MIXED,
    ),
    "qwen-7b": Preset(
        "SEAL's own passages, model and settings, answers graded by a served model; for a GPU",
        "squad-train:50",
        "squad-validation:200",
        "SEAL-Knowledge-v0",
        {
            "model": "Qwen/Qwen2.5-7B",
            "device": "cuda",
            "lora_targets": ("q_proj", "v_proj"),
            "grader": "judge",
        },
        RestEmSettings(samples=5, keep="best", eval_samples=1),
        GrpoSettings(steps=50),
        policy={"max_new_tokens": 8192},
        rows=_TEXTS,
    ),
}
_REAL_TABLES: Final = {
    "passages": Preset(
        "passages of SQuAD, SmolLM2-135M as base model and as policy; hours on one CPU core",
        "squad-train:24",
        "squad-validation:20",
        "SEAL-Knowledge-v0",
        {"model": "HuggingFaceTB/SmolLM2-135M-Instruct", "default_num_epochs": 5},
        RestEmSettings(rounds=2, samples=4, keep="best", eval_samples=1, sft_learning_rate=3e-4, in_call=8),
        GrpoSettings(),
        policy={"style": "facts", "temperature": 0.7, "max_new_tokens": 192},
        rows=_WRITTEN,
        in_call=4,
    ),
    "few-shot": Preset(
        "word classes with invented labels, SmolLM2-135M as base model and as policy; hours on one CPU core",
        "word-classes-train:16",
        "word-classes-eval:20",
        "SEAL-Custom-v0",
        {
            "model": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "tools": ("training", "finetune"),
            "in_context": False,
            "learn_end": True,
            "max_turns": 1,
            "max_answer_tokens": 8,
            "batch_size": 9,
            "lora_rank": 8,
        },
        RestEmSettings(rounds=2, samples=8, keep="best", eval_samples=2, sft_epochs=4, sft_learning_rate=1e-3, in_call=8),
        GrpoSettings(),
        policy={"style": "tools", "constrained": True, "max_new_tokens": 112},
        rows=_CHOSEN,
        in_call=4,
    ),
}


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        summary: What it measures, for help texts.
        presets: By name; the first is the default.
    """

    summary: str
    presets: Mapping[str, Preset]


TABLES: Final[Mapping[str, Table]] = {
    "arc": Table("Accuracy on held-out tasks: no update, untrained self-edits, GRPO, ReST-EM, search.", _ARC),
    "knowledge": Table(
        "Accuracy without context on held-out passages: no update, the passage alone, untrained self-edits, GRPO, ReST-EM.",
        _KNOWLEDGE,
    ),
    "real": Table(
        "A pretrained model adapts itself to passages or few-shot tasks: no update, untrained, ReST-EM, upper rows.",
        _REAL_TABLES,
    ),
}
