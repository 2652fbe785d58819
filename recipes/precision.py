"""The precision of forward passes: bf16 on CUDA, fp32 elsewhere; weights and optimizers stay in fp32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def half_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context for a forward pass, which may be recorded as a CUDA graph: no weight's copy outlives its use."""
    return torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False) if device.type == "cuda" else nullcontext()
