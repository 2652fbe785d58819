"""The precision of forward passes: bf16 on CUDA, fp32 elsewhere; weights and optimizers stay in fp32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def half_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context for a forward pass."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()
