"""What each table is measured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from seal_env.agents.trainers.outer_settings import (
    ARC_ROWS,
    KNOWLEDGE_ROWS,
    NONE,
    PASSAGE,
    GrpoSettings,
    RestEmSettings,
    SearchBudget,
)
from seal_env.registration import environments


@dataclass(frozen=True)
class Preset:
    """One table.

    environment: settings of the environment, for learning and for measuring. policy: options of the trained policy. agents:
    by row, those that learn nothing.
    """

    summary: str
    learn_on: str
    held_out: str
    environment: Mapping[str, Any]
    rest_em: RestEmSettings
    grpo: GrpoSettings
    search: SearchBudget
    policy: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[str, ...] = ARC_ROWS
    agents: Mapping[str, str] = field(default_factory=lambda: {NONE: "none"})


_TINY_REST_EM = RestEmSettings(rounds=3, samples=8, eval_samples=3, sft_learning_rate=1e-3)
_TINY_GRPO = GrpoSettings(steps=18, iterations=4, eval_samples=3, learning_rate=1e-3, save_every=3)
_TINY_SEARCH = SearchBudget(trials=16, width=8, finalists=4, repeats=1, fresh=3)

ARC: Final[Mapping[str, Preset]] = {
    "mini": Preset(
        "generated tasks, the bundled model; hours on a CPU with 2 cores",
        "mini-train:24",
        "mini-eval:30",
        {"max_examples": 16},
        _TINY_REST_EM,
        _TINY_GRPO,
        _TINY_SEARCH,
    ),
    "seal": Preset(
        "SEAL's own tasks, the bundled model; hours on a CPU with 2 cores",
        "seal-train",
        "seal-eval",
        {"max_examples": 16},
        _TINY_REST_EM,
        replace(_TINY_GRPO, steps=9),
        _TINY_SEARCH,
        {"max_new_tokens": 128},
    ),
    "llama-1b": Preset(
        "SEAL's own tasks, model and settings; for a GPU",
        "seal-train",
        "seal-eval",
        {"model": "meta-llama/Llama-3.2-1B-Instruct", "device": "cuda", "profile": "paper", "evaluation": "vote"},
        RestEmSettings(),
        GrpoSettings(steps=100),
        SearchBudget(),
        {"temperature": 0.8},
    ),
}

_KNOWLEDGE: Final = environments()["SEAL-Knowledge-v0"]
_TEXT_AGENTS: Final = {NONE: "none", PASSAGE: "passage_only"}
_QWEN: Final[Mapping[str, Any]] = {
    "model": "Qwen/Qwen2.5-7B",
    "device": "cuda",
    "lora_targets": "q_proj,v_proj",
    "grader": "judge",
}

KNOWLEDGE: Final[Mapping[str, Preset]] = {
    "synthetic": Preset(
        "synthetic passages, the embedded text model; about an hour on a CPU with 2 cores",
        "synthetic-train:24",
        "synthetic-eval:50",
        _KNOWLEDGE,
        RestEmSettings(rounds=2, samples=8, keep="best", eval_samples=2, sft_learning_rate=1e-3),
        replace(_TINY_GRPO, steps=9),
        _TINY_SEARCH,
        {"max_new_tokens": 256},
        KNOWLEDGE_ROWS,
        _TEXT_AGENTS,
    ),
    "qwen-7b": Preset(
        "SEAL's own passages, model and settings, answers graded by a served model; for a GPU",
        "squad-train:50",
        "squad-validation:200",
        {**_KNOWLEDGE, **_QWEN},
        RestEmSettings(samples=5, keep="best", eval_samples=1),
        GrpoSettings(steps=50),
        SearchBudget(),
        {"max_new_tokens": 8192},
        KNOWLEDGE_ROWS,
        _TEXT_AGENTS,
    ),
}
