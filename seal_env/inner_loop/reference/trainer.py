"""The weight update of one job, of an adapter or of all weights, written as plainly as possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from seal_env.inner_loop.full.weights import FullWeights
from seal_env.inner_loop.optim.base import OptimizerState
from seal_env.inner_loop.optim.registry import find_schedule, make_optimizer
from seal_env.inner_loop.optim.schedules import learning_rate
from seal_env.inner_loop.results import TrainingLog
from seal_env.inner_loop.tokens.batches import seeded_batches
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.inner_loop.watch import report_step
from seal_env.types import Recipe, TrainingConfig


@dataclass(frozen=True)
class PaddedBatch:
    """ids, labels and mask are [rows, longest]; labels are -100 where there is no loss."""

    ids: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor | None


class AdapterTrainer:
    """Trains an adapter's parameters."""

    def __init__(
        self,
        model: Any,
        parameters: list[torch.nn.Parameter],
        recipe: Recipe,
        pad: int,
        micro_batch: int,
        keeps: bool = True,
        before: Any = None,
    ) -> None:
        """Nothing is allocated yet.

        Args:
            model: The model with the adapter.
            parameters: What is trained.
            recipe: How to train.
            pad: The padding token.
            micro_batch: Rows per forward pass; their gradients add up to the batch's.
            keeps: See `PlainModel`.
            before: The model without the adapter; needed where the recipe regularises.
        """
        self.before = before
        self.after_step: Callable[[], None] | None = None
        self.model, self.parameters, self.recipe = model, parameters, recipe
        self.pad, self.micro_batch, self.keeps = pad, micro_batch, keeps

    def train(self, examples_E: Sequence[EncodedExample], training: TrainingConfig, seed: int) -> TrainingLog:
        """Run all epochs, or stop at the first loss or weight that is not finite."""
        recipe, log = self.recipe, TrainingLog()
        steps = training.num_train_epochs * math.ceil(len(examples_E) / recipe.batch_size)
        state = OptimizerState(make_optimizer(recipe.optimizer), [parameter.detach() for parameter in self.parameters])
        schedule = find_schedule(recipe.schedule)
        longest = max(len(example.ids_T) for example in examples_E) if recipe.pad_loss else None
        for step, rows in enumerate(seeded_batches(examples_E, training.num_train_epochs, seed, recipe.batch_size)):
            loss = self._backward(rows, training, longest)
            log.losses_S.append(loss)
            log.tokens += sum(len(row.ids_T) for row in rows)
            report_step(step + 1, steps, loss)
            if not math.isfinite(loss):
                log.diverged = True
                return log
            torch.nn.utils.clip_grad_norm_(self.parameters, recipe.max_grad_norm)
            rate = learning_rate(schedule, training.learning_rate, step, recipe.warmup_steps, steps)
            gradients = {index: each.grad for index, each in enumerate(self.parameters) if each.grad is not None}
            state.step(list(gradients), list(gradients.values()), recipe, rate)
            if self.after_step is not None:
                self.after_step()
            for parameter in self.parameters:
                parameter.grad = None
        log.diverged = not all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters)
        return log

    def _backward(self, rows: list[EncodedExample], training: TrainingConfig, longest: int | None) -> float:
        """Add the batch's gradient. Returns the mean loss over all supervised tokens of the batch."""
        parts = [
            self._collate(rows[start : start + self.micro_batch], training, longest)
            for start in range(0, len(rows), self.micro_batch)
        ]
        supervised = max(1, sum(int((part.labels[:, 1:] != -100).sum()) for part in parts))
        total = 0.0
        for part in parts:
            loss = self._sum_loss(part) / supervised
            loss.backward()
            total += float(loss.detach())
        return total

    def _collate(self, rows: list[EncodedExample], training: TrainingConfig, longest: int | None) -> PaddedBatch:
        """Right padding to the longest row; with `longest` (the paper's profile) to that length, padding carrying loss."""
        length = longest or max(len(row.ids_T) for row in rows)
        ids = torch.full((len(rows), length), self.pad)
        labels = torch.full((len(rows), length), self.pad if longest else -100)
        mask = torch.zeros((len(rows), length), dtype=torch.long)
        for index, row in enumerate(rows):
            tokens = torch.tensor(row.ids_T)
            ids[index, : len(tokens)] = tokens
            labels[index, : len(tokens)] = torch.where(torch.tensor(row.supervised(training.strategy)), tokens, -100)
            mask[index, : len(tokens)] = 1
        device = self.parameters[0].device
        # Right padding is invisible to causal attention, so only the paper's profile, which trains on it, needs the mask.
        return PaddedBatch(ids.to(device), labels.to(device), mask.to(device) if longest else None)

    def _sum_loss(self, batch: PaddedBatch) -> torch.Tensor:
        """Cross-entropy summed over supervised tokens; logits only at positions where some row has one.

        If the recipe regularises, the divergence from the model before the update is added.
        """
        at = (batch.labels[:, 1:] != -100).any(dim=0).nonzero().squeeze(1)
        now, labels = self._logits(self.model, batch, at), batch.labels[:, 1:][:, at].flatten()
        loss = functional.cross_entropy(now, labels, ignore_index=-100, reduction="sum")
        if not self.recipe.regularise:
            return loss
        with torch.no_grad():
            before = self._logits(self.before, batch, at).log_softmax(1)
        divergence = functional.kl_div(now.log_softmax(1), before, reduction="none", log_target=True).sum(1)
        return loss + self.recipe.regularise * divergence[labels != -100].sum()

    def _logits(self, model: Any, batch: PaddedBatch, at: torch.Tensor) -> torch.Tensor:
        """A model's logits at some positions of each row, [rows * positions, vocabulary], in fp32 or better.

        The adapter's weights, gradients and optimizer are fp32 always; autocast lets them meet a base model in bf16.
        """
        half = model.get_input_embeddings().weight.dtype == torch.bfloat16
        kept = {"logits_to_keep": at} if self.keeps else {}
        with torch.autocast(batch.ids.device.type, dtype=torch.bfloat16, enabled=half):
            logits = model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False, **kept).logits
        logits = logits if self.keeps else logits[:, at]
        exact: torch.Tensor = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return exact.flatten(0, 1)


class FullTrainer(AdapterTrainer):
    """Trains all weights of a model."""

    def __init__(self, weights: FullWeights, recipe: Recipe, pad: int, micro_batch: int, keeps: bool = True) -> None:
        """See AdapterTrainer. weights: what is trained."""
        super().__init__(weights.learner.model, weights.masters, recipe, pad, micro_batch, keeps)
        self.weights = weights

    def train(self, examples_E: Sequence[EncodedExample], training: TrainingConfig, seed: int) -> TrainingLog:
        """See AdapterTrainer. The model computes with the trained weights afterwards."""
        log = super().train(examples_E, training, seed)
        self.weights.publish()
        return log

    def _backward(self, rows: list[EncodedExample], training: TrainingConfig, longest: int | None) -> float:
        self.weights.publish()
        loss = super()._backward(rows, training, longest)
        if self.weights.coarse:
            for used, master in zip(self.weights.used, self.weights.masters, strict=True):
                master.grad = None if used.grad is None else used.grad.to(master.dtype)
                used.grad = None
        return loss
