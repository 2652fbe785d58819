"""A model without its weights: tokenizer, configuration and architecture, for a process whose updates run elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM

from seal_env.inner_loop.model.files import count_weights, load_config, load_tokenizer
from seal_env.inner_loop.model.frozen_lm import FrozenLM, context_length, loading, with_defaults
from seal_env.inner_loop.model.hub import commit_of
from seal_env.inner_loop.tokens.arguments import DEFAULT, TemplateArguments


def load_outline(name: str, template: TemplateArguments = DEFAULT, revision: str | None = None) -> FrozenLM:
    """A model whose weights are on torch's device `meta`: everything that needs no numbers works.

    Only the configuration and the tokenizer are read, or downloaded. What is wrong with the weights is said where they are.

    Args:
        name: A bundled model, a local directory or a Hugging Face id.
        template: What the chat template is given beside messages.
        revision: Branch, tag or commit of a Hugging Face id; None is its main branch.

    Raises:
        ModelError: The configuration or the tokenizer cannot be loaded, or lacks what inner loops need.
    """
    with loading(name, revision) as (source, chosen):
        config, tokenizer = load_config(source, chosen), load_tokenizer(source, chosen)
        count_weights(config, source)
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    model.tie_weights()  # which some releases of transformers leave to the weights
    model.requires_grad_(False).eval()
    with_defaults(tokenizer, name)
    longest, commit = context_length(model, tokenizer), commit_of(source, chosen)
    return FrozenLM(name, model, tokenizer, torch.device("meta"), longest, template, commit=commit)
