"""Settings of the loops that train a policy."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from seal_env.errors import SettingError
from seal_env.options import Options


class RestEmSettings(Options):
    """Settings of ReST-EM; the defaults are SEAL's for ARC."""

    rounds: int = Field(2, ge=1)
    """Number of rounds in which the policy samples and learns."""
    samples: int = Field(15, ge=1)
    """Self-edits sampled for each task of a round."""
    keep: Literal["rewarded", "contrast", "gained", "best"] = "rewarded"
    """Self-edits to learn from: rewarded (those after which the task is solved), contrast (the same, without tasks that all
    of their self-edits solve), gained (the same, without tasks that the base model solves without an update) or best (of
    each task the one with the highest reward, if it is above 0)."""
    eval_samples: int = Field(5, ge=1)
    """Self-edits sampled for each held-out task after each round."""
    sft_epochs: int = Field(8, ge=1)
    """Epochs of supervised fine-tuning on them."""
    sft_learning_rate: float = Field(5e-5, gt=0, le=1)
    """Peak learning rate of the fine-tuning."""
    sft_batch_size: int = Field(5, ge=1)
    """Answers of an optimizer step; an episode has one for each turn."""
    sft_rank: int = Field(16, ge=1)
    """Rank of the policy's adapter."""
    sft_alpha: float = Field(16.0, gt=0)
    """Scale of the policy's adapter, times its rank."""
    in_call: int = Field(32, ge=1)
    """Episodes whose updates train together."""
    merged: bool = False
    """Also write the policy after each round as a model of its own."""
    allow_overlap: bool = False
    """Whether tasks to learn from may be among the held-out ones, as where it is measured how well they were learned."""
    seed: int = Field(0, ge=0)
    """Fixes everything random."""


class GrpoSettings(Options):
    """Settings of GRPO through TRL."""

    steps: int = Field(100, ge=1)
    """Batches of self-edits to learn from."""
    iterations: int = Field(1, ge=1)
    """Optimizer steps on each of them (mu of arXiv 2402.03300)."""
    prompts: int = Field(4, ge=1)
    """Tasks of a batch, one prompt each."""
    samples: int = Field(8, ge=2)
    """Self-edits sampled for each prompt, whose rewards are compared with each other."""
    tool_calls: Literal["auto", "on", "off"] = "auto"
    """How the policy calls tools: auto (one by one where its chat template allows it, otherwise as text), on (one by one) or
    off (a JSON list, as text)."""
    learning_rate: float = Field(1e-5, gt=0, le=1)
    """Constant learning rate of the policy's adapter."""
    beta: float = Field(0.0, ge=0)
    """Weight of the divergence from the untrained policy; 0 leaves it out."""
    rank: int = Field(16, ge=1)
    """Rank of the policy's adapter."""
    alpha: float = Field(16.0, gt=0)
    """Scale of the policy's adapter, times its rank."""
    micro_batch: int | None = Field(None, ge=1)
    """Self-edits of one forward pass, a divisor of prompts x samples; None is samples."""
    save_every: int = Field(10, ge=1)
    """Batches between two checkpoints."""
    eval_samples: int = Field(5, ge=1)
    """Self-edits sampled for each held-out task, before and after."""
    in_call: int = Field(32, ge=1)
    """Held-out episodes whose updates train together."""
    merged: bool = False
    """Also write the trained policy as a model of its own."""
    allow_overlap: bool = False
    """Whether tasks to learn from may be among the held-out ones, as where it is measured how well they were learned."""
    seed: int = Field(0, ge=0)
    """Fixes everything random."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.micro_batch is not None and self.prompts * self.samples % self.micro_batch:
            raise SettingError("micro_batch", self.micro_batch, f"a divisor of {self.prompts * self.samples}")
        return self
