"""Memory: how much is free, how to recognise that it ran out, and how to release it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from ctypes import CDLL
from typing import TypeVar

import psutil  # type: ignore[import-untyped]
import torch

ItemT = TypeVar("ItemT")

OUT_OF_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "HIP error: out of memory",
    "MPS backend out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
DEVICE_FAILURE = ("CUDA error", "cuDNN error", "CUDA driver error", "HIP error", "MPS error")


def is_out_of_memory(error: BaseException) -> bool:
    """True for the errors with which GPUs, their libraries and the CPU allocator report that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def is_device_failure(error: BaseException) -> bool:
    """True if the device failed in another way. torch has a class for CUDA's own errors but none for its libraries'."""
    return isinstance(error, torch.AcceleratorError) or str(error).startswith(DEVICE_FAILURE)


def release_memory() -> None:
    """Release memory that is no longer referenced."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    with suppress(OSError, AttributeError, TypeError):  # another C library than glibc, which keeps what is freed
        CDLL(None).malloc_trim(0)


def in_halves(items: Sequence[ItemT], work: Callable[[Sequence[ItemT]], None], give_up: Callable[[ItemT], None]) -> None:
    """Process items in as few parts as memory allows.

    Args:
        items: What to process.
        work: Processes some of the items at once. It is repeated on each half if memory runs out.
        give_up: Called with an item for which memory ran out alone.
    """
    if not items:
        return
    try:
        work(items)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return
    release_memory()  # out here, where the error and the tensors of its frames are gone
    if len(items) == 1:
        give_up(items[0])
        return
    middle = len(items) // 2
    in_halves(items[:middle], work, give_up)
    in_halves(items[middle:], work, give_up)


def free_bytes(device: torch.device) -> int:
    """Bytes that can be allocated on the device."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    available = int(psutil.virtual_memory().available)
    if device.type == "mps":  # which shares the machine's memory
        return max(0, min(available, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
    return available


def address_of(tensor: torch.Tensor) -> int:
    """Where a tensor's storage begins; on the device `meta`, where none begins anywhere, a number of the storage."""
    storage = tensor.untyped_storage()
    return storage.data_ptr() or int(storage._cdata)  # noqa: SLF001 (torch has no other name for it)


def bytes_stored(work: Callable[[], object], apart: set[int]) -> int:
    """Bytes that autograd stores for the backward pass of `work`, without tensors whose `address_of` is in `apart`."""
    stored: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        stored[address_of(tensor)] = tensor.untyped_storage().nbytes()
        held.append(tensor)  # an address is free for another tensor once its own is gone
        return tensor.detach()  # a hook that returns the tensor itself makes a reference cycle with its graph

    held: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        work()
    held.clear()  # their graph has hooks that refer to it
    return sum(size for address, size in stored.items() if address not in apart)
