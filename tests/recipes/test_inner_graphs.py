"""A step of adapters by packed documents, of fixed shape: what single steps give, also as a CUDA graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recipes.fast_weights import FastWeights, pack_tasks, row_mask, task_losses
from recipes.inner_graphs import InnerGraphs, document_step
from recipes.stage import MAX_POSITIONS, TrainSettings, build_model
from recipes.step_data import Row
from recipes.text_adapt import TextEpisodeSettings, draw_episode
from recipes.text_tokenizer import build_text_tokenizer
from seal_env.types import LoraSpec

SHAPE = TrainSettings(width=32, layers=2, heads=2, inner_width=48)
TASKS, PAD = 3, 0


@pytest.fixture(scope="module")
def documents() -> list[list[Row]]:
    """A batch of each task."""
    tokenizer, rng = build_text_tokenizer(MAX_POSITIONS), np.random.default_rng(1)
    return [draw_episode(tokenizer, TextEpisodeSettings(bare=0.0), rng).batches_S[0] for _ in range(TASKS)]


def model(device: str = "cpu") -> Any:
    built: Any = build_model(build_text_tokenizer(MAX_POSITIONS), SHAPE)
    return built.to(device)


def fresh(model: Any) -> FastWeights:
    fast = FastWeights(model, LoraSpec(4, 64.0), TASKS)
    fast.begin(torch.arange(TASKS), fast.draw(range(TASKS)))
    return fast


def rates(device: str = "cpu") -> torch.Tensor:
    return torch.tensor([1e-2, 0.0, 1e-3], device=device)


def test_it_is_the_step_that_gradients_of_the_documents_losses_give(documents: list[list[Row]]) -> None:
    base = model()
    fast, expected = fresh(base), fresh(base)
    ids, labels, owners = pack_tasks(documents, PAD)
    for _ in range(3):
        adapters = expected.take(torch.arange(TASKS), learn=True)
        taken = [weight for pair in adapters.values() for weight in pair]
        losses = task_losses(base, ids[:, None], labels[:, None], adapters, expected.scale, row_mask(owners))
        expected.step(torch.autograd.grad(losses.sum(), taken), rates())
        torch.testing.assert_close(document_step(base, fast, ids, owners, rates()), losses.detach(), atol=1e-5, rtol=0)
    for found, wanted in zip(fast.state, expected.state, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-3)
    assert all(parameter.grad is None for parameter in base.parameters())


def test_a_task_without_documents_and_padding_change_nothing(documents: list[list[Row]]) -> None:
    base = model()
    fast, expected = fresh(base), fresh(base)
    ids, _, owners = pack_tasks(documents[:2], PAD)
    alone = document_step(base, expected, ids, owners, rates()[[0, 2]])
    ids, _, owners = pack_tasks([*documents[:2], []], PAD, multiple=64)
    assert ids.shape[1] % 64 == 0
    found = document_step(base, fast, ids, owners, rates()[[0, 2, 1]])
    torch.testing.assert_close(found, torch.cat([alone, torch.zeros(1)]), atol=1e-5, rtol=0)
    for state, wanted in zip(fast.state[:3], expected.state[:3], strict=True):
        torch.testing.assert_close(state, wanted, atol=1e-5, rtol=1e-3)
        assert torch.equal(state[2], wanted[2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device that torch can use")
def test_a_graph_gives_what_it_has_recorded(documents: list[list[Row]]) -> None:
    base = model("cuda")
    fast, expected = fresh(base), fresh(base)
    graphs = InnerGraphs(base, fast)
    for tasks, multiple in ((3, 64), (3, 128), (2, 64), (3, 64)):
        ids, _, owners = (tensor.cuda() for tensor in pack_tasks(documents[:tasks], PAD, multiple))
        given = (ids, owners, rates("cuda")[:tasks])
        found = graphs.step(*given).clone()
        torch.testing.assert_close(found, document_step(base, expected, *given), atol=2e-2, rtol=0)
        with torch.no_grad():  # a graph reads the base weights as they are by then
            for parameter in base.parameters():
                parameter *= 0.99
    for state, wanted in zip(fast.state[:2], expected.state[:2], strict=True):
        assert torch.nn.functional.cosine_similarity(state.flatten(), wanted.flatten(), dim=0) > 0.99
    assert torch.equal(fast.state[3], expected.state[3])
