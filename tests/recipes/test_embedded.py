"""The bundled model as shipped, and the recipe that made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.stream import IGNORED, StreamSettings, batch_rows, to_tensors
from recipes.tokenizer import build_tokenizer
from recipes.train import MAX_POSITIONS, TrainSettings, rate_factor, train
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.models.catalog import MODEL_DIRECTORY
from seal_env.tasks.arc.grid import GridFormat
from seal_env.tasks.arc.loader import SEAL_EVAL_IDS, load_taskset
from seal_env.tasks.arc.mini.rules import draw_task, mini_task
from seal_env.tasks.arc.prompt import query

SMALL = TrainSettings(steps=4, warmup=2, width=32, layers=1, heads=2, inner_width=32, chunks=2, checkpoint_every=2)
FEW = StreamSettings(tasks=4, small_steps=1, wide_from=2)


def test_weights_are_small_safetensors_that_transformers_loads() -> None:
    assert (MODEL_DIRECTORY / "model.safetensors").stat().st_size <= 16 * 2**20
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIRECTORY, local_files_only=True)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert sum(parameter.numel() for parameter in model.parameters()) <= 8_000_000
    assert all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def test_shipped_tokenizer_is_the_one_that_the_recipe_builds() -> None:
    shipped: Any = AutoTokenizer.from_pretrained(MODEL_DIRECTORY)
    rebuilt = build_tokenizer(MAX_POSITIONS)
    assert json.loads(shipped.backend_tokenizer.to_str())["model"] == json.loads(rebuilt.backend_tokenizer.to_str())["model"]
    assert shipped.chat_template == rebuilt.chat_template


def test_model_has_an_embedding_for_every_token() -> None:
    config = json.loads((MODEL_DIRECTORY / "config.json").read_text())
    assert config["vocab_size"] == len(AutoTokenizer.from_pretrained(MODEL_DIRECTORY))


def numbers_named(name: str, recipe: Any) -> list[int]:
    """All numbers above 0 of that name, of every stage."""
    if not isinstance(recipe, dict):
        return []
    inside = [number for value in recipe.values() for number in numbers_named(name, value)]
    return [*inside, *([recipe[name]] if isinstance(recipe.get(name), int) and recipe[name] > 0 else [])]


def test_card_states_what_it_was_trained_on() -> None:
    card = (MODEL_DIRECTORY.parent / "card.md").read_text()
    recipe = json.loads((MODEL_DIRECTORY.parent / "recipe.json").read_text())
    steps, tokens = numbers_named("steps", recipe), numbers_named("tokens", recipe)
    assert all(f"{count:,}" in card for count in steps)
    assert all(f"{count / 1e6:.1f} M tokens" in card for count in tokens)
    assert len(steps) >= 1
    assert len(tokens) >= 1


def test_base_model_knows_more_than_chance() -> None:
    """Mean loss on outputs of unseen rules, far below the 2.3 of a uniform guess among ten colours."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIRECTORY)
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIRECTORY)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(12):
        _, pairs = draw_task(rng, "eval")
        encoded = ChatEncoder(tokenizer, "seal-tiny").encode_query(query("0", pairs[:-1], pairs[-1], GridFormat("lettered")))
        ids = torch.tensor([[*encoded.prompt_T, *encoded.gold_T]])
        with torch.no_grad():
            logits = model(ids).logits[0, len(encoded.prompt_T) - 1 : -1]
        losses.append(float(torch.nn.functional.cross_entropy(logits, torch.tensor(encoded.gold_T))))
    assert np.mean(losses) < 1.2


def test_batches_are_a_function_of_seed_and_step() -> None:
    tokenizer = build_tokenizer(MAX_POSITIONS)
    assert batch_rows(tokenizer, FEW, 3) == batch_rows(tokenizer, FEW, 3)
    assert batch_rows(tokenizer, FEW, 3) != batch_rows(tokenizer, FEW, 4)


def test_loss_falls_on_outputs_after_the_first_only() -> None:
    tokenizer = build_tokenizer(MAX_POSITIONS)
    for ids, labels in batch_rows(tokenizer, FEW, 0):
        text = str(tokenizer.decode(ids))
        kept = str(tokenizer.decode([label for label in labels if label != IGNORED]))
        outputs = [part.split("\n\nInput")[0] for part in text.split("Output\n")[1:]]
        answer = text.split("<|assistant|>")[1]
        assert kept == "".join(f"\n{output}\n\nInput" for output in outputs[1:]) + answer


def test_padding_carries_no_loss() -> None:
    ids, labels = to_tensors([([5, 6], [IGNORED, 6]), ([5, 6, 7], [IGNORED, 6, 7])], pad=0)
    assert ids.tolist() == [[5, 6, 0], [5, 6, 7]]
    assert labels.tolist() == [[IGNORED, 6, IGNORED], [IGNORED, 6, 7]]


def test_no_rule_of_the_eval_split_is_trained_on() -> None:
    rng = np.random.default_rng(0)
    trained = {draw_task(rng, "train")[0].key for _ in range(400)}
    held_out = {mini_task("eval", 0, index)[0] for index in range(100)}
    assert not trained & held_out


def test_no_grid_pair_of_arc_evaluation_tasks_is_in_the_stream() -> None:
    pairs = {pair for task in load_taskset("seal-eval") for pair in (*task.context, *task.queries)}
    assert {task.task_id for task in load_taskset("seal-eval")} == set(SEAL_EVAL_IDS)
    rng = np.random.default_rng(1)
    assert not pairs & {pair for _ in range(300) for pair in draw_task(rng, "train")[1]}


def test_rate_warms_up_stays_and_decays_to_nothing() -> None:
    settings = TrainSettings(steps=100, warmup=10, decay_share=0.25)
    assert rate_factor(0, settings) == 0.1
    assert rate_factor(50, settings) == 1.0
    assert rate_factor(100, settings) == 0.0


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    train(tmp_path / "whole", SMALL, FEW, "cpu")
    return tmp_path / "whole"


def test_training_that_was_interrupted_ends_with_the_same_weights(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recipes.train as recipe

    def stop(tokenizer: object, stream: object, step: int) -> object:
        if step == 3:
            raise KeyboardInterrupt
        return batch_rows(tokenizer, stream, step)  # type: ignore[arg-type]

    monkeypatch.setattr(recipe, "batch_rows", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "again", SMALL, FEW, "cpu")
    monkeypatch.undo()
    train(tmp_path / "again", SMALL, FEW, "cpu")
    first, second = (load_file(folder / "model" / "model.safetensors") for folder in (whole, tmp_path / "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
