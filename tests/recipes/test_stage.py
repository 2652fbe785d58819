"""Both recipes from the beginning to the end, tiny: what they make, and that they resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from recipes import seal_tiny, seal_tiny_text
from recipes.adapt import Adaptation, AdaptSettings
from recipes.pretrain import PretrainSettings
from recipes.self_edit_data import EpisodeSettings
from recipes.stage import TrainSettings, rate_factor
from recipes.stream import StreamSettings
from recipes.text_adapt import TextAdaptation, TextAdaptSettings, TextEpisodeSettings
from recipes.text_pretrain import ReadSettings
from recipes.text_stream import TextStreamSettings

Make = Callable[[Path, Mapping[str, Any], str], None]
TINY = TrainSettings(steps=4, warmup=2, width=32, layers=1, heads=2, inner_width=32, chunks=2, checkpoint_every=2)
GRIDS = StreamSettings(tasks=2, small_steps=1, wide_from=2)
TEXTS = TextStreamSettings(reading=1, replies=1, documents=1, questions=2)
EPISODES = EpisodeSettings(max_examples=8, queries=2)
ADAPT = AdaptSettings(tasks=2, chunks=2, accumulate=1, self_edits=1, optimizer=TINY, episodes=EPISODES, stream=GRIDS)
TEXT_ADAPT = TextAdaptSettings(tasks=2, optimizer=TINY, episodes=TextEpisodeSettings(max_steps=4), stream=TEXTS)
RECIPES: dict[str, tuple[Make, dict[str, Any]]] = {
    "seal-tiny": (seal_tiny.make, {"pretrain": PretrainSettings(TINY, GRIDS), "adapt": ADAPT}),
    "seal-tiny-text": (seal_tiny_text.make, {"read": ReadSettings(TINY, TEXTS), "adapt": TEXT_ADAPT}),
}


def test_rate_warms_up_stays_and_decays_to_nothing() -> None:
    settings = TrainSettings(steps=100, warmup=10, decay_share=0.25)
    assert [rate_factor(step, settings) for step in (0, 50, 100)] == [0.1, 1.0, 0.0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_makes_a_model_and_the_record_of_every_stage(name: str, tmp_path: Path) -> None:
    make, stages = RECIPES[name]
    make(tmp_path, stages, "cpu")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / name, local_files_only=True)
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert type(model).__name__ == "LlamaForCausalLM"
    assert list(recipe) == list(stages)
    for stage in recipe.values():
        assert (stage["step"], stage["settings"]["optimizer"]["steps"]) == (4, 4)
        assert stage["tokens"] > 100
        assert "plain" in stage["means"]


def stopped(step: Any, at: int) -> Any:
    def stop(self: Any, number: int) -> Any:
        if number == at:
            raise KeyboardInterrupt
        return step(self, number)

    return stop


def test_training_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, stages = RECIPES["seal-tiny-text"]
    make(tmp_path / "whole", stages, "cpu")
    monkeypatch.setattr(TextAdaptation, "step", stopped(TextAdaptation.step, 3))
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "again", stages, "cpu")
    monkeypatch.undo()
    make(tmp_path / "again", stages, "cpu")
    first, second = (load_file(tmp_path / run / "seal-tiny-text" / "model.safetensors") for run in ("whole", "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_stage_resumes_after_its_last_checkpoint_and_a_finished_one_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, stages = RECIPES["seal-tiny"]
    seen: list[int] = []
    step = Adaptation.step

    def spied(self: Adaptation, number: int) -> Any:
        seen.append(number)
        return step(self, number)

    monkeypatch.setattr(Adaptation, "step", stopped(spied, 3))
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, stages, "cpu")
    monkeypatch.setattr(Adaptation, "step", spied)
    make(tmp_path, stages, "cpu")
    assert seen == [0, 1, 2, 2, 3]
    make(tmp_path, {**stages, "adapt": replace(ADAPT, seed=9)}, "cpu")
    assert seen == [0, 1, 2, 2, 3]
