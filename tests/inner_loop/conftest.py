"""Small models with random weights, on the CPU."""

from __future__ import annotations

import pytest

from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model


@pytest.fixture(params=["llama", "qwen2", "gpt2"])
def base(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models[request.param], "cpu")


@pytest.fixture
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")
