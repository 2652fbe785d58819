"""Make a trained Llama's MLPs wider without changing what it computes, so that further stages start from what it knows."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from transformers import LlamaForCausalLM


@torch.no_grad()
def widened(model: Any, inner_width: int) -> Any:
    """The Llama with MLPs of `inner_width` units; itself if it has them.

    New units read at random (seed 0, with the spread of the old ones) and write nothing yet.

    Raises:
        ValueError: The MLPs are wider.
    """
    old = int(model.config.intermediate_size)
    if old == inner_width:
        return model
    if old > inner_width:
        raise ValueError(f"MLPs of {old} units cannot get {inner_width}")
    config = deepcopy(model.config)
    config.intermediate_size = inner_width
    grown: Any = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(0)
    found = dict(model.named_parameters())
    for name, parameter in grown.named_parameters():
        before = found[name]
        if name.endswith("down_proj.weight"):
            parameter.zero_()
            parameter[:, :old] = before
        elif parameter.shape != before.shape:
            drawn = torch.randn(parameter.shape, generator=generator) * before.std()
            parameter.copy_(drawn)
            parameter[:old] = before
        else:
            parameter.copy_(before)
    return grown
