"""seal-tiny as shipped, and the stream that it was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.stage import MAX_POSITIONS
from recipes.step_data import IGNORED
from recipes.stream import StreamSettings, batch_rows, to_tensors
from recipes.tokenizer import build_tokenizer
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.models.catalog import CARDS, MODEL_DIRECTORY
from seal_env.tasks.arc.grid import GridFormat
from seal_env.tasks.arc.mini.rules import draw_task
from seal_env.tasks.arc.prompt import query

RECIPES = Path(__file__).parents[2] / "recipes"
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


@pytest.mark.parametrize(
    ("model", "key", "form"),
    [
        ("seal-tiny", "steps", "{:.1f} M tokens"),
        ("seal-tiny-text", "step", "{:.1f} M"),
        ("seal-tiny-text-wide", "step", "{:.1f} M"),
    ],
)
def test_card_states_what_the_model_was_trained_on(model: str, key: str, form: str) -> None:
    card, recipe = CARDS[model].read_text(), json.loads((RECIPES / f"{model}.json").read_text())
    steps, tokens = numbers_named(key, recipe), numbers_named("tokens", recipe)
    assert len(steps) >= len(tokens) >= 2
    assert all(f"{count:,}" in card for count in steps)
    assert all(form.format(count / 1e6) in card for count in tokens)


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
