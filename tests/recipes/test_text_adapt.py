"""The recipe of seal-tiny-text: documents packed in one row, episodes, and what a step trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import get_scheduler

from recipes.fast_weights import pack_tasks, pad_tasks, row_mask, task_losses
from recipes.inner_graphs import LENGTH_MULTIPLE, document_step
from recipes.seal_tiny_text import RECIPE
from recipes.stage import MAX_POSITIONS, Losses, TrainSettings, build_model
from recipes.text_adapt import TextAdaptation, TextAdaptSettings, TextEpisodeSettings, draw_episode, episodes_source
from recipes.text_stream import TextStreamSettings
from recipes.text_tokenizer import build_text_tokenizer

TINY = TrainSettings(steps=4, warmup=2, width=32, layers=1, heads=2, inner_width=32, chunks=2, checkpoint_every=2)
FEW = TextStreamSettings(reading=1, replies=1, documents=1, questions=2)
ADAPT = TextAdaptSettings(tasks=3, chunks=2, optimizer=TINY, episodes=TextEpisodeSettings(max_steps=4), stream=FEW)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_text_tokenizer(MAX_POSITIONS)


def adaptation(tokenizer: Any, settings: TextAdaptSettings = ADAPT) -> TextAdaptation:
    return TextAdaptation(build_model(tokenizer, TINY), int(tokenizer.pad_token_id), settings)


def step(state: TextAdaptation, tokenizer: Any, number: int) -> tuple[Losses, int]:
    return state.step(state.prepare(episodes_source(tokenizer, state.settings)(number)))


def test_packed_rows_have_the_losses_that_they_have_apart(tokenizer: Any) -> None:
    state, rng = adaptation(tokenizer), np.random.default_rng(0)
    with torch.no_grad():
        for weight in state.fast.flat():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * 0.05)
    rows = [draw_episode(tokenizer, ADAPT.episodes, rng).queries for _ in range(3)]
    adapters = state.fast.take(torch.arange(3), learn=False)
    ids, labels, owners = pack_tasks(rows, pad=0)
    ids, labels, mask = ids[:, None], labels[:, None], row_mask(owners)
    packed = task_losses(state.model, ids, labels, adapters, state.fast.scale, mask)
    apart = task_losses(state.model, *pad_tasks(rows, pad=0), adapters, state.fast.scale)
    torch.testing.assert_close(packed, apart, atol=1e-5, rtol=0)
    joined = task_losses(state.model, ids, labels, adapters, state.fast.scale)
    assert (joined - apart).abs().min() > 1e-5


def test_an_episode_takes_every_document_once_an_epoch_at_the_rates_of_the_inner_loop(tokenizer: Any) -> None:
    rng = np.random.default_rng(3)
    for _ in range(12):
        episode = draw_episode(tokenizer, TextEpisodeSettings(), rng)
        seen = [tuple(ids) for batch in episode.batches_S for ids, _ in batch]
        assert len(set(map(seen.count, seen))) == 1
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=episode.rates_S[0])
        schedule = get_scheduler("linear", optimizer, 0, len(episode.batches_S))
        for rate in episode.rates_S:
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()


def test_episodes_have_the_passage_alone_and_texts_besides(tokenizer: Any) -> None:
    rng = np.random.default_rng(0)
    settings = TextEpisodeSettings(epochs=(1, 1), bare=0.5, withheld=0.0, passages=(1.0,))
    counts = [sum(map(len, draw_episode(tokenizer, settings, rng).batches_S)) for _ in range(40)]
    assert 8 <= counts.count(1) <= 32
    assert max(counts) > 8


def test_no_passage_has_more_texts_than_each_may(tokenizer: Any) -> None:
    settings = TextEpisodeSettings(epochs=(1, 1), bare=0.0, withheld=0.0, passages=(0.5, 0.0, 0.5), texts=60, texts_each=4)
    counts = [sum(map(len, draw_episode(tokenizer, settings, np.random.default_rng(n)).batches_S)) for n in range(30)]
    assert 5 in counts
    assert 5 < max(counts) <= 15


def test_questions_reach_the_base_model_and_documents_the_adapters(tokenizer: Any) -> None:
    silent = replace(ADAPT, plain_weight=0.0)
    state = adaptation(tokenizer, silent)
    before = [parameter.detach().clone() for parameter in state.model.parameters()]
    losses, tokens = step(state, tokenizer, 0)
    assert all(torch.equal(parameter, old) for parameter, old in zip(state.model.parameters(), before, strict=True))
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in state.model.parameters())
    assert all(b.any() for _, b in state.fast.weights.values())
    assert losses["last"] < losses["first"]
    assert tokens > 500


def test_a_step_is_a_function_of_its_number(tokenizer: Any) -> None:
    state, other = adaptation(tokenizer), adaptation(tokenizer)
    step(state, tokenizer, 0)
    state.model.zero_grad()
    assert step(state, tokenizer, 5) == step(other, tokenizer, 5)
    for parameter, again in zip(state.model.parameters(), other.model.parameters(), strict=True):
        assert parameter.grad is not None
        assert again.grad is not None
        assert torch.equal(parameter.grad, again.grad)


class Unrecorded:
    """Takes the place of CUDA graphs: batches have their shapes, and steps are taken as they come."""

    def __init__(self, state: TextAdaptation) -> None:
        self.state, self.shapes = state, set[torch.Size]()

    def step(self, ids: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        self.shapes.add(ids.shape)
        return document_step(self.state.model, self.state.fast, ids, *given)


def test_the_shapes_that_graphs_need_change_no_loss_and_no_gradient(tokenizer: Any) -> None:
    settings = replace(ADAPT, tasks=6, episodes=replace(ADAPT.episodes, max_steps=12, epochs=(1, 6)))
    state, rounded = adaptation(tokenizer, settings), adaptation(tokenizer, settings)
    graphs: Any = Unrecorded(rounded)
    rounded.graphs = graphs
    losses, tokens = step(state, tokenizer, 0)
    again, read = step(rounded, tokenizer, 0)
    assert len(graphs.shapes) > 2
    assert {(tasks % 2, length % LENGTH_MULTIPLE) for tasks, length in graphs.shapes} == {(0, 0)}
    assert (read, list(again)) == (tokens, list(losses))
    for kind, loss in losses.items():
        torch.testing.assert_close(torch.as_tensor(again[kind]), torch.as_tensor(loss), atol=1e-5, rtol=0, equal_nan=True)
    for parameter, expected in zip(rounded.model.parameters(), state.model.parameters(), strict=True):
        assert expected.grad is not None
        torch.testing.assert_close(parameter.grad, expected.grad, atol=1e-5, rtol=1e-3)


def test_each_stage_runs(tokenizer: Any) -> None:
    for settings in RECIPE.sizes["wide"].values():
        if isinstance(settings, TextAdaptSettings):
            losses, _ = step(adaptation(tokenizer, replace(settings, tasks=2, stream=FEW)), tokenizer, 0)
            assert all(loss > 0 for kind, loss in losses.items() if kind != "bare")  # NaN where there is no such task
