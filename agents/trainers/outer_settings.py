"""Settings of what is done with agents: measuring them, training a policy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seal_env.errors import SettingError

KEEP = ("rewarded", "contrast", "best")
CALLS = ("auto", "on", "off")
ARC_PRESETS = ("mini", "seal", "llama-1b")
KNOWLEDGE_PRESETS = ("synthetic", "qwen-7b")
NONE, PASSAGE, UNTRAINED, GRPO, REST_EM, SEARCH = (
    "none",
    "passage",
    "untrained",
    "grpo",
    "rest-em",
    "search",
)
ARC_ROWS = (NONE, UNTRAINED, GRPO, REST_EM, SEARCH)
KNOWLEDGE_ROWS = (NONE, PASSAGE, UNTRAINED, GRPO, REST_EM)


@dataclass(frozen=True)
class EvalSettings:
    """Settings of `seal-env eval`.

    Attributes:
        samples: self-edits for each task.
        seed: decides everything random.
        in_call: episodes whose updates train together.
    """

    samples: int = 5
    seed: int = 0
    in_call: int = 32

    def __post_init__(self) -> None:
        """Raises SettingError."""
        for name in ("samples", "in_call"):
            if getattr(self, name) < 1:
                raise SettingError(name, getattr(self, name), "at least 1")
        if self.seed < 0:
            raise SettingError("seed", self.seed, "0 or more")


@dataclass(frozen=True)
class SearchBudget:
    """How many episodes a search may have for each task.

    trials: self-edits tried once each, `width` at a time. Then the best `finalists` of them (of equally good ones the
    latest, from when the search knew more) are tried again with `repeats` further seeds, the better half of those again, and
    so on until one is left. fresh: seeds with which that one is measured, none of which it was chosen by.
    """

    trials: int = 32
    width: int = 8
    finalists: int = 8
    repeats: int = 2
    fresh: int = 5

    def __post_init__(self) -> None:
        """Raises SettingError."""
        for name in ("trials", "width", "finalists", "repeats", "fresh"):
            if getattr(self, name) < 1:
                raise SettingError(name, getattr(self, name), "at least 1")


@dataclass(frozen=True)
class RestEmSettings:
    """Settings of ReST-EM; the defaults are SEAL's for ARC.

    Attributes:
        rounds: how often the policy samples and learns.
        samples: self-edits sampled for each task of a round.
        keep: what is learned from: rewarded (self-edits after which the task is solved), contrast (the same, without
            the tasks that all of their self-edits solve, which say nothing about self-edits) or best (of each task the one
            with the highest reward, if it is above 0).
        eval_samples: self-edits sampled for each held-out task after each round.
        sft_epochs: passes over what was kept.
        sft_learning_rate: peak rate of learning from it.
        sft_batch_size: self-edits of an optimizer step.
        sft_rank: rank of the policy's adapter.
        sft_alpha: scale of the policy's adapter, times its rank.
        in_call: episodes whose updates train together.
        merged: also write the policy after each round as a model of its own.
        seed: decides everything random.
    """

    rounds: int = 2
    samples: int = 15
    keep: str = "rewarded"
    eval_samples: int = 5
    sft_epochs: int = 8
    sft_learning_rate: float = 5e-5
    sft_batch_size: int = 5
    sft_rank: int = 16
    sft_alpha: float = 16.0
    in_call: int = 32
    merged: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises SettingError."""
        for name in ("rounds", "samples", "eval_samples", "sft_epochs", "sft_batch_size", "sft_rank", "in_call"):
            if getattr(self, name) < 1:
                raise SettingError(name, getattr(self, name), "at least 1")
        if self.keep not in KEEP:
            raise SettingError("keep", self.keep, " or ".join(map(repr, KEEP)))
        if not 0 < self.sft_learning_rate <= 1:
            raise SettingError("sft_learning_rate", self.sft_learning_rate, "a number in (0, 1]")
        if self.seed < 0:
            raise SettingError("seed", self.seed, "0 or more")


@dataclass(frozen=True)
class GrpoSettings:
    """Settings of GRPO through TRL.

    Attributes:
        steps: batches of self-edits that the policy learns from.
        iterations: optimizer steps on each of them (mu of arXiv 2402.03300).
        prompts: tasks of a batch, each asked in one prompt.
        samples: self-edits sampled for each prompt; their rewards are compared with each other.
        tool_calls: how the policy calls tools: auto (one by one where its chat template allows it, otherwise as text), on (one by
            one) or off (a JSON list, as text).
        learning_rate: of the policy's adapter, constant.
        beta: weight of the divergence from the untrained policy; 0 leaves it out.
        rank: of the policy's adapter.
        alpha: scale of the policy's adapter, times its rank.
        micro_batch: self-edits of one forward pass, a divisor of prompts x samples; None is samples.
        save_every: batches between two checkpoints.
        eval_samples: self-edits sampled for each held-out task, before and after.
        in_call: held-out episodes whose updates train together.
        merged: also write the trained policy as a model of its own.
        seed: decides everything random.
    """

    steps: int = 100
    iterations: int = 1
    prompts: int = 4
    samples: int = 8
    tool_calls: str = "auto"
    learning_rate: float = 1e-5
    beta: float = 0.0
    rank: int = 16
    alpha: float = 16.0
    micro_batch: int | None = None
    save_every: int = 10
    eval_samples: int = 5
    in_call: int = 32
    merged: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises SettingError."""
        for name in ("steps", "iterations", "prompts", "rank", "save_every", "eval_samples", "in_call"):
            if getattr(self, name) < 1:
                raise SettingError(name, getattr(self, name), "at least 1")
        if self.samples < 2:
            raise SettingError("samples", self.samples, "at least 2: rewards are compared within a prompt")
        if self.tool_calls not in CALLS:
            raise SettingError("tool_calls", self.tool_calls, " or ".join(map(repr, CALLS)))
        if not 0 < self.learning_rate <= 1:
            raise SettingError("learning_rate", self.learning_rate, "a number in (0, 1]")
        if not 0 <= self.beta < math.inf:
            raise SettingError("beta", self.beta, "a finite number of at least 0")
        if not 0 < self.alpha < math.inf:
            raise SettingError("alpha", self.alpha, "a finite number above 0")
        if self.micro_batch is not None and (self.micro_batch < 1 or self.prompts * self.samples % self.micro_batch):
            raise SettingError("micro_batch", self.micro_batch, f"a divisor of {self.prompts * self.samples}")
        if self.seed < 0:
            raise SettingError("seed", self.seed, "0 or more")
