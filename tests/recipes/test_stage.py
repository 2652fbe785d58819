"""Both recipes from the beginning to the end, tiny: what they make, and that they resume."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from recipes import seal_tiny, seal_tiny_text
from recipes.adapt import AdaptSettings
from recipes.grow import widened
from recipes.prefetch import prefetched
from recipes.pretrain import PretrainSettings
from recipes.recipe import BUNDLED, Recipe, adopt, main
from recipes.self_edit_data import EpisodeSettings
from recipes.stage import OutOfTimeError, Time, TrainSettings, rate_factor
from recipes.step_data import Source, StepData
from recipes.stream import StreamSettings
from recipes.text_adapt import TextAdaptSettings, TextEpisodeSettings
from recipes.text_pretrain import ReadSettings
from recipes.text_stream import TextStreamSettings

TINY = TrainSettings(steps=4, warmup=2, width=32, layers=1, heads=2, inner_width=32, chunks=2, checkpoint_every=2)
GRIDS = StreamSettings(tasks=2, small_steps=1, wide_from=2)
TEXTS = TextStreamSettings(reading=1, replies=1, documents=1, questions=2)
EPISODES = EpisodeSettings(max_examples=8, queries=2)
ADAPT = AdaptSettings(tasks=2, chunks=2, accumulate=1, self_edits=1, optimizer=TINY, episodes=EPISODES, stream=GRIDS)
TEXT_ADAPT = TextAdaptSettings(tasks=2, optimizer=TINY, episodes=TextEpisodeSettings(max_steps=4), stream=TEXTS)
RECIPES: dict[str, tuple[Recipe, dict[str, Any]]] = {
    "seal-tiny": (seal_tiny.RECIPE, {"pretrain": PretrainSettings(TINY, GRIDS), "adapt": ADAPT}),
    "seal-tiny-text": (seal_tiny_text.RECIPE, {"read": ReadSettings(TINY, TEXTS), "adapt": TEXT_ADAPT}),
}


def test_rate_warms_up_stays_and_decays_to_nothing() -> None:
    settings = TrainSettings(steps=100, warmup=10, decay_share=0.25)
    assert [rate_factor(step, settings) for step in (0, 50, 100)] == [0.1, 1.0, 0.0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_makes_a_model_and_the_record_of_every_stage(name: str, tmp_path: Path) -> None:
    recipe, stages = RECIPES[name]
    recipe.make(tmp_path, stages, "cpu")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / name, local_files_only=True)
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert type(model).__name__ == "LlamaForCausalLM"
    assert list(record) == list(stages)
    for stage in record.values():
        assert (stage["step"], stage["settings"]["optimizer"]["steps"]) == (4, 4)
        assert stage["tokens"] > 100
        assert "plain" in stage["means"]


def killed(recipe: Recipe, at: int, seen: list[int]) -> Recipe:
    """The recipe, interrupted before a step of its adaptation; `seen` gets the steps that begin."""

    def make_source(tokenizer: Any, settings: Any) -> Source:
        source = recipe.make_source(tokenizer, settings)

        def draw(number: int) -> StepData:
            if isinstance(settings, AdaptSettings | TextAdaptSettings):
                if number == at:
                    raise KeyboardInterrupt
                seen.append(number)
            return source(number)

        return draw

    return replace(recipe, make_source=make_source)


def test_training_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe, stages = RECIPES["seal-tiny-text"]
    recipe.make(tmp_path / "whole", stages, "cpu")
    with pytest.raises(KeyboardInterrupt):
        killed(recipe, 3, []).make(tmp_path / "again", stages, "cpu")
    recipe.make(tmp_path / "again", stages, "cpu")
    first, second = (load_file(tmp_path / run / "seal-tiny-text" / "model.safetensors") for run in ("whole", "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_stage_resumes_after_its_last_checkpoint_and_a_finished_one_is_not_run_again(tmp_path: Path) -> None:
    recipe, stages = RECIPES["seal-tiny"]
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        killed(recipe, 3, seen).make(tmp_path, stages, "cpu")
    killed(recipe, -1, seen).make(tmp_path, stages, "cpu")
    assert seen == [0, 1, 2, 2, 3]
    killed(recipe, -1, seen).make(tmp_path, {**stages, "adapt": replace(ADAPT, seed=9)}, "cpu")
    assert seen == [0, 1, 2, 2, 3]


def test_rates_follow_the_time_used_if_that_is_further_than_the_steps() -> None:
    settings = TrainSettings(steps=100, warmup=1, decay_share=0.5)
    assert [rate_factor(10, settings, used) for used in (0.0, 0.5, 0.75, 1.0, 1.5)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert rate_factor(10, replace(settings, decay_share=0.0), 1.5) == 1.0


def test_a_stage_whose_time_is_over_ends_and_the_next_one_begins(tmp_path: Path) -> None:
    recipe, stages = RECIPES["seal-tiny"]
    recipe.make(tmp_path, stages, "cpu", limit=Time(training=1e-9))
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert [stage["step"] for stage in record.values()] == [0, 0]
    assert (tmp_path / "seal-tiny" / "model.safetensors").exists()


def test_a_command_whose_time_is_over_leaves_a_checkpoint_from_which_the_next_resumes(tmp_path: Path) -> None:
    recipe, stages = RECIPES["seal-tiny"]
    with pytest.raises(OutOfTimeError, match="pretrain has made 1 steps"):
        recipe.make(tmp_path, stages, "cpu", limit=Time(ends=0.0))
    recipe.make(tmp_path, {"pretrain": stages["pretrain"]}, "cpu")
    curve = json.loads((tmp_path / "recipe.json").read_text())["pretrain"]["curve"]
    assert [step for step, _ in curve] == [1, 2, 4]


def test_a_command_that_was_stopped_says_by_its_status_that_it_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(RECIPES["seal-tiny"][0], sizes={BUNDLED: RECIPES["seal-tiny"][1]})
    monkeypatch.setattr(sys, "argv", ["recipe", "--out", str(tmp_path), "--stop-after", "0"])
    with pytest.raises(SystemExit, match="75"):
        main(recipe, "")
    assert "pretrain has made 1 steps; the same command resumes" in capsys.readouterr().out


@pytest.mark.parametrize("depth", [0, 2])
def test_data_come_in_order_and_errors_in_their_turn(depth: int) -> None:
    made = []

    def make(number: int) -> int:
        made.append(number)
        return 6 // (7 - number)

    data = prefetched(make, 4, 9, depth)
    assert [next(data) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(data)
    assert made[:4] == [4, 5, 6, 7]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 and later
def test_data_made_in_processes_come_in_order_and_errors_in_their_turn() -> None:
    data = prefetched(lambda number: (os.getpid(), 6 // (7 - number)), 4, 9, depth=2, processes=2)
    made = [next(data) for _ in range(3)]
    assert [each for _, each in made] == [2, 3, 6]
    assert os.getpid() not in {process for process, _ in made}
    assert len({process for process, _ in made}) == 2
    with pytest.raises(ZeroDivisionError, match=r"^(integer )?division( or modulo)? by zero$"):
        next(data)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 and later
def test_processes_end_with_what_reads_from_them() -> None:
    data = prefetched(lambda number: os.getpid(), 0, 1000, depth=2, processes=2)
    process = next(data)
    data.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_at_most_so_many_steps_are_made_ahead() -> None:
    made: list[int] = []
    data = prefetched(made.append, 0, 100, depth=3)
    next(data)
    data.close()
    assert 1 <= len(made) <= 4


def test_a_wider_model_computes_the_same_and_goes_on_from_the_shipped_one(tmp_path: Path) -> None:
    recipe = replace(seal_tiny_text.RECIPE, sizes={"few": {}})
    adopt(recipe, tmp_path)
    narrow: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "close" / "model")
    wide, ids = widened(narrow, 400), torch.arange(300, 340)[None]
    torch.testing.assert_close(wide(ids).logits, narrow(ids).logits, atol=1e-4, rtol=0)
    assert wide.model.layers[0].mlp.gate_proj.weight[384:].std() > 0.01
    with pytest.raises(ValueError, match="384"):
        widened(narrow, 100)
    further = replace(TEXT_ADAPT, optimizer=replace(TINY, steps=1, inner_width=400))
    recipe.make(tmp_path, {**seal_tiny_text.STAGES, "further": further}, "cpu")
    made = AutoModelForCausalLM.from_pretrained(tmp_path / recipe.name)
    assert made.config.intermediate_size == 400
    assert made.model.layers[0].mlp.down_proj.weight[:, 384:].any()


def test_a_folder_that_has_begun_is_not_adopted_again(tmp_path: Path) -> None:
    adopt(seal_tiny_text.RECIPE, tmp_path)
    (tmp_path / "close" / "model" / "model.safetensors").write_bytes(b"trained on")
    adopt(seal_tiny_text.RECIPE, tmp_path)
    assert (tmp_path / "close" / "model" / "model.safetensors").read_bytes() == b"trained on"
