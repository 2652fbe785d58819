"""Both inner loops on one architecture: the same jobs, by adapters, by updates of all weights, and in profile paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import torch
from transformers import AutoTokenizer

from benchmarks.architectures.models import tiny_model
from seal_env.errors import ModelError
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.models.catalog import MODEL_DIRECTORIES
from seal_env.types import (
    AdaptedLayers,
    Example,
    InnerLoop,
    LoraSpec,
    Message,
    Query,
    Recipe,
    TrainingConfig,
    UpdateJob,
    UpdateResult,
)

TOLERANCE: Final = 1e-4
"""On the losses, as differences; answers have to be equal."""

TEXTS = ("1 2 3 4", "Input\n0 1 2\n3 4 5\nOutput\n6 7 8\n9 0 1\n" * 2, "2 4 6")
ASKED: Final = (
    Query("chat", (Message("user", "1 2 3"),), "4 1 6 1", None, 6),
    Query("text", (), "4 6", None, 12, prompt="Input\n0 1 2\n3 4 5\nOutput\n6 7 8\n9"),
)
TRAINING = TrainingConfig("train_using_all_tokens", 5e-3, 3)
JOB: Final = UpdateJob(
    tuple(Example(document=text) for text in TEXTS),
    TRAINING,
    LoraSpec(8, 16.0),
    Recipe(batch_size=2, schedule="linear", warmup_steps=0),
    5,
    ASKED,
)
JOBS: Final[Mapping[str, tuple[UpdateJob, ...]]] = {
    "lora": (JOB, replace(JOB, seed=6, examples_E=JOB.examples_E[1:])),
    "full": (replace(JOB, method="full", training=replace(TRAINING, learning_rate=1e-3)),),
    "paper": (replace(JOB, recipe=replace(JOB.recipe, pad_loss=True)),),
}


class LoopsDifferError(AssertionError):
    """The two loops gave different results: names the model, the jobs and what differs."""


@dataclass(frozen=True)
class Row:
    """What runs an architecture.

    Attributes:
        kind: Its `model_type`.
        loops: By the names of `JOBS`: "batched", "reference" or "none", where the first runs in the second too.
        adapted: What adapters change by default, as "q_proj 2, v_proj 2".
        notes: Why a loop does not run it.
    """

    kind: str
    loops: Mapping[str, str]
    adapted: str
    notes: tuple[str, ...]


@cache
def tokenizer() -> Any:
    """The bundled model's tokenizer."""
    return AutoTokenizer.from_pretrained(str(MODEL_DIRECTORIES["seal-tiny-text"]), trust_remote_code=False)


def tiny_base(name: str, **changes: Any) -> FrozenLM:
    """A small model of a family of `benchmarks.architectures.models`, with a tokenizer; see `tiny_model`."""
    model = tiny_model(name, len(tokenizer()), **changes)
    return FrozenLM(name, model, tokenizer(), torch.device("cpu"), 512)


def compare(base: FrozenLM) -> Row:
    """Run all jobs in both loops.

    Raises:
        LoopsDifferError: Their results differ.
    """
    batched, reference = BatchedInnerLoop(base), ReferenceInnerLoop(base)
    loops: dict[str, str] = {}
    notes: list[str] = []
    for name, jobs in JOBS.items():
        theirs, ours = _results(reference, jobs), _results(batched, jobs)
        if isinstance(ours, list) and isinstance(theirs, list):
            _check(f"{base.name}, {name}", ours, theirs)
        loops[name] = "batched" if isinstance(ours, list) else "reference" if isinstance(theirs, list) else "none"
        notes.extend(_reason(each) for each in (theirs, ours) if isinstance(each, ModelError))
    found = _adapted(base)
    if "experts in one tensor" in found.missing.values():
        notes.append("experts in one tensor are not adapted")
    adapted = ", ".join(f"{layer} {count}" for layer, count in found.counts.items())
    return Row(str(base.model.config.model_type), loops, adapted, tuple(dict.fromkeys(notes)))


def _adapted(base: FrozenLM) -> AdaptedLayers:
    try:
        return base.adapted(JOB.lora, "lora")
    except ModelError:
        return AdaptedLayers({})


def _results(loop: InnerLoop, jobs: tuple[UpdateJob, ...]) -> list[UpdateResult] | ModelError:
    try:
        return loop.run(jobs)
    except ModelError as error:
        return error


def _check(what: str, ours: list[UpdateResult], theirs: list[UpdateResult]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        apart = max(abs(a - b) for a, b in zip(mine.losses_S, other.losses_S, strict=True))
        said, expected = ([answer.text for answer in result.answers_Q] for result in (mine, other))
        if not apart < TOLERANCE or said != expected:
            raise LoopsDifferError(f"{what}: losses are {apart:.1e} apart, answers {said} and {expected}")


def _reason(error: ModelError) -> str:
    """The reason in an error, without the model's name, the advice and figures."""
    text = str(error).partition(". Use ")[0].partition(". Set ")[0]
    text = re.sub(r"^model=.*?\) |^does not run packed: | by [0-9.]+%", "", text)
    return text.removeprefix("does not run packed: ")
