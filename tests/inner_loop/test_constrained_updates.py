"""Updates that stay near to the model before, or out of what earlier adapters read: the same in both inner loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from seal_env.inner_loop import INNER_LOOPS
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.continual.forgetting import gold_log_probabilities, mean_divergence
from seal_env.inner_loop.continual.merge import merge
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.types import Example, LoraSpec, Query, Recipe, TrainingConfig, UpdateJob

ASKED = Query("0", (), "4 5 6", None, 8, prompt="1 2 3")
JOB = UpdateJob(
    examples_E=tuple(Example(document=f"{n} 2 3 4 5 6 {'7 ' * n}") for n in range(5)),
    training=TrainingConfig("train_using_output_tokens", 3e-3, 3),
    lora=LoraSpec(4, 64.0, ("q_proj", "down_proj")),
    recipe=Recipe(warmup_steps=0),
    seed=3,
    queries_Q=(ASKED,),
)


def regularised(weight: float) -> UpdateJob:
    return replace(JOB, recipe=replace(JOB.recipe, regularise=weight))


def bases(base: FrozenLM) -> dict[str, Any]:
    """Three directions of each layer's input."""
    generator = torch.Generator().manual_seed(0)
    widths = {name: base.model.get_submodule(name).weight.shape[1] for name in base.targets(JOB.lora).layers}
    return {name: torch.linalg.qr(torch.randn(width, 3, generator=generator)).Q for name, width in widths.items()}


def test_both_inner_loops_agree(llama: FrozenLM) -> None:
    apart = replace(regularised(0.5), orthogonal_to=bases(llama))
    jobs = [regularised(0.5), JOB, regularised(2.0), replace(JOB, orthogonal_to=bases(llama)), apart]
    ours, theirs = BatchedInnerLoop(llama).run(jobs), ReferenceInnerLoop(llama).run(jobs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.losses_S == pytest.approx(other.losses_S, abs=1e-4)
        assert mine.answers_Q[0].margin == pytest.approx(other.answers_Q[0].margin, abs=0.01)
    assert len({result.losses_S[-1] for result in ours}) == len(jobs)
    (alone,) = BatchedInnerLoop(llama).run([JOB])
    assert ours[1].losses_S == pytest.approx(alone.losses_S, abs=1e-6)


def test_regularised_updates_move_the_model_less(llama: FrozenLM, tmp_path: Path) -> None:
    before = gold_log_probabilities(llama, [ASKED])
    jobs = [replace(regularised(weight), save_to=tmp_path / str(weight)) for weight in (0.0, 1.0, 10.0)]
    BatchedInnerLoop(llama).run(jobs)
    moved = [mean_divergence(before, merge(llama, [each.save_to], "updated"), [ASKED]) for each in jobs if each.save_to]
    assert moved[0] > moved[1] > moved[2] > 0


@pytest.mark.parametrize("name", INNER_LOOPS)
def test_an_adapter_reads_nothing_of_a_subspace(name: str, llama: FrozenLM, tmp_path: Path) -> None:
    job = replace(JOB, orthogonal_to=bases(llama), save_to=tmp_path / "adapter")
    INNER_LOOPS[name](llama).run([job])
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    for layer, basis in job.orthogonal_to.items():
        a = weights[f"base_model.model.{layer}.lora_A.weight"]
        assert float((a @ basis).abs().max()) < 1e-5 < float(a.abs().max())
