"""What a GPU would run of the recipes, shown on a CPU: nothing waits for the device, and bf16 trains like fp32.

Tensors of the device `meta` have no values: whatever reads one, or mixes it with host memory, raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from recipes import fast_weights, inner_graphs, pretrain, seal_tiny, seal_tiny_text
from recipes.sizes import TINY
from recipes.stage import StageStep, build_model, build_optimizers
from recipes.step_data import StepData
from recipes.text_adapt import TextAdaptSettings, TextEpisodeSettings
from recipes.text_pretrain import ReadSettings
from recipes.text_stream import TextStreamSettings

TEXTS = TextStreamSettings(reading=1, replies=1, documents=1, questions=2)
STAGES: Mapping[str, Any] = {
    **TINY,
    "asked always": replace(TINY["simple"], ask_always=True),  # type: ignore[arg-type]
    "read": ReadSettings(TINY["pretrain"].optimizer, TEXTS),
    "first": TextAdaptSettings(
        tasks=3, optimizer=TINY["pretrain"].optimizer, episodes=TextEpisodeSettings(max_steps=3), stream=TEXTS
    ),
}
TEXT_STAGES = (ReadSettings, TextAdaptSettings)


Stage = tuple[Any, Any, StepData]
"""Tokenizer, settings and data of a step."""


@pytest.fixture(scope="module", params=STAGES)
def stage(request: pytest.FixtureRequest) -> Stage:
    settings = STAGES[request.param]
    recipe = seal_tiny_text.RECIPE if isinstance(settings, TEXT_STAGES) else seal_tiny.RECIPE
    tokenizer = recipe.tokenizer()
    return tokenizer, settings, recipe.make_source(tokenizer, settings)(0)


def stage_step(model: Any, tokenizer: Any, settings: Any) -> StageStep:
    recipe = seal_tiny_text.RECIPE if isinstance(settings, TEXT_STAGES) else seal_tiny.RECIPE
    return recipe.make_step(model, int(tokenizer.pad_token_id), settings)


def losses_and_gradients(stage: Stage, device: str) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    tokenizer, settings, data = stage
    model: Any = build_model(tokenizer, settings.optimizer)
    model.to(device).tie_weights()
    step = stage_step(model, tokenizer, settings)
    losses, _ = step.compute(step.prepare(data.copy()))
    gradients = [parameter.grad for parameter in model.parameters()]
    return {kind: torch.as_tensor(loss) for kind, loss in losses.items()}, gradients


def test_a_step_neither_waits_for_the_device_nor_mixes_it_with_host_memory(stage: Stage) -> None:
    _, gradients = losses_and_gradients(stage, "meta")
    assert {gradient.device.type for gradient in gradients} == {"meta"}


def test_bf16_has_the_losses_and_gradients_of_fp32(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, gradients = losses_and_gradients(stage, "cpu")
    for module in (fast_weights, inner_graphs, pretrain):
        monkeypatch.setattr(module, "half_precision", lambda _: torch.autocast("cpu", dtype=torch.bfloat16))
    rounded, rounded_gradients = losses_and_gradients(stage, "cpu")
    assert {kind: float(loss) for kind, loss in rounded.items()} == pytest.approx(
        {kind: float(loss) for kind, loss in losses.items()}, rel=5e-3, nan_ok=True
    )
    assert {gradient.dtype for gradient in rounded_gradients} == {torch.float32}
    for gradient, expected in zip(rounded_gradients, gradients, strict=True):
        assert torch.nn.functional.cosine_similarity(gradient.flatten(), expected.flatten(), dim=0) > 0.99


def test_adamw_is_fused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = build_model(seal_tiny.RECIPE.tokenizer(), TINY["pretrain"].optimizer)
    assert not build_optimizers(model, TINY["pretrain"].optimizer)[1].defaults["fused"]
    monkeypatch.setattr(type(model), "device", torch.device("cuda"))
    assert build_optimizers(model, TINY["pretrain"].optimizer)[1].defaults["fused"]
