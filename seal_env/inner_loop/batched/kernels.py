"""Which of the project's kernels in Triton run: those that no measurement leaves out, on NVIDIA where Triton works."""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from typing import Any

import torch

from seal_env.inner_loop.model.devices import is_nvidia

SWITCHES = ("rotary", "head", "optimizer", "gradients", "trim", "norm", "swiglu")
"""What can be left out. `gradients` replace the last step's and are not added to zeros; `trim` is that of the last layer.

`norm` and `swiglu` are of a CPU; `head`, `optimizer` and `gradients` of a GPU.
"""

LEFT_OUT: set[str] = set()
"""Those of `SWITCHES` that are off, for measurements, in models and jobs that begin from now on."""

logger = logging.getLogger(__name__)


def find_kernels(name: str, device: torch.device) -> Any | None:
    """The module `seal_env.inner_loop.batched.triton_kernels`, or None if torch alone does the work.

    Args:
        name: What asks: one of `SWITCHES`.
        device: Where the tensors are.
    """
    return _working_kernels(device) if is_nvidia(device) and name not in LEFT_OUT else None


@cache
def _working_kernels(device: torch.device) -> Any | None:
    try:
        kernels = import_module("seal_env.inner_loop.batched.triton_kernels")
        kernels.cross_entropy_in_place(
            torch.zeros(1, 8, device=device),
            *(torch.zeros(1, dtype=dtype, device=device) for dtype in (torch.long, torch.float32, torch.float32)),
        )
    except ImportError:
        return None
    except Exception:  # without a C compiler, say: whatever Triton's driver raises
        logger.warning("Triton is installed but does not work on %s; torch's kernels run instead", device, exc_info=True)
        return None
    return kernels
