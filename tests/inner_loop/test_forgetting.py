"""What a model still knows, in bits."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from seal_env.errors import ModelError
from seal_env.inner_loop.continual import forgetting
from seal_env.inner_loop.continual.forgetting import gold_bits, gold_log_probabilities, mean_divergence
from seal_env.inner_loop.continual.model import AdaptedModel
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.types import Example, LoraSpec, Message, Query, Recipe, TrainingConfig, UpdateJob

QUERIES = (
    Query("0", (Message("user", "1 2 3"),), "4 1 6 1"),
    Query("1", (), "4 6", prompt="2"),
    Query("2", (Message("user", "Input\n0 1 2\n3 4 5\nOutput"),), "6 7"),
    Query("3", (), "9 8 7 6 5", prompt="Every pair of grids follows"),
)


def learned(base: FrozenLM, out: Path) -> FrozenLM:
    """A model that has learned the answers."""
    documents = tuple(Example(document=f"{query.prompt} {query.answer}") for query in QUERIES if query.prompt)
    recipe = Recipe(batch_size=1, schedule="linear", warmup_steps=0)
    training = TrainingConfig("train_using_all_tokens", 1e-2, 4)
    model = AdaptedModel(base)
    model.inner_loop("batched").run([UpdateJob(documents, training, LoraSpec(4, 16.0), recipe, 0, (), save_to=out / "it")])
    model.merge(out / "it")
    return model.current


@torch.no_grad()
def by_hand(model: FrozenLM) -> tuple[torch.Tensor, list[int]]:
    """Probabilities in fp64, one query and one position at a time, and the gold tokens."""
    rows, gold = [], []
    for query in QUERIES:
        encoded = model.encoder.query(query)
        for at, token in enumerate(encoded.gold_T):
            ids = torch.tensor([[*encoded.prompt_T, *encoded.gold_T[:at]]])
            rows.append(model.model(input_ids=ids).logits[0, -1].double().softmax(0))
            gold.append(token)
    return torch.stack(rows), gold


def test_bits_are_those_of_each_gold_token_by_itself(base: FrozenLM) -> None:
    odds, gold = by_hand(base)
    bits = [-math.log2(float(row[token])) for row, token in zip(odds, gold, strict=True)]
    assert gold_bits(base, QUERIES) == pytest.approx(sum(bits) / len(bits), abs=1e-4)
    assert torch.allclose(gold_log_probabilities(base, QUERIES).double(), odds.log(), atol=1e-3)


def test_divergence_is_that_of_each_position_by_itself(base: FrozenLM, tmp_path: Path) -> None:
    now = learned(base, tmp_path)
    before, after = by_hand(base)[0], by_hand(now)[0]
    expected = float((before * (before / after).log2()).sum(1).mean())
    assert expected > 0.1
    assert mean_divergence(gold_log_probabilities(base, QUERIES), now, QUERIES) == pytest.approx(expected, rel=1e-3)


def test_a_state_does_not_diverge_from_itself(base: FrozenLM) -> None:
    assert mean_divergence(gold_log_probabilities(base, QUERIES), base, QUERIES) == pytest.approx(0, abs=1e-6)


def test_what_is_learned_takes_fewer_bits(base: FrozenLM, tmp_path: Path) -> None:
    prompts = [query for query in QUERIES if query.prompt]
    assert gold_bits(learned(base, tmp_path), prompts) < gold_bits(base, prompts) - 1


def test_size_of_a_pass_changes_nothing(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, bits = gold_log_probabilities(llama, QUERIES), gold_bits(llama, QUERIES)
    assert len(list(forgetting._passes(llama, QUERIES))) == 1
    for limit, passes in (("BATCH_TOKENS", 4), ("BATCH_LOGITS", 4)):
        with monkeypatch.context() as patch:
            patch.setattr(forgetting, limit, 1)
            assert len(list(forgetting._passes(llama, QUERIES))) == passes
            assert torch.allclose(gold_log_probabilities(llama, QUERIES), whole, atol=1e-4)
            assert gold_bits(llama, QUERIES) == pytest.approx(bits, abs=1e-5)
            assert mean_divergence(whole, llama, QUERIES) == pytest.approx(0, abs=1e-6)


def test_log_probabilities_of_other_queries_or_models_are_no_earlier_state(llama: FrozenLM) -> None:
    earlier = gold_log_probabilities(llama, QUERIES)
    for wrong in (earlier[:-1], torch.cat([earlier, earlier[:1]]), earlier[:, :-1]):
        with pytest.raises(ValueError, match="is not of these queries' positions"):
            mean_divergence(wrong, llama, QUERIES)


def test_no_queries_and_queries_that_are_too_long_are_errors(llama: FrozenLM) -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        gold_bits(llama, ())
    with pytest.raises(ModelError, match="query 'long' takes"):
        gold_bits(llama, [Query("long", (), "1 " * 3000, prompt="1")])
