"""A description of the device. Importing this module imports no torch."""

from __future__ import annotations

from seal_env.inner_loop import resolve_device
from seal_env.inner_loop.workers.options import EVERY_GPU
from seal_env.inner_loop.workers.remote import REMOTE_INNER_LOOPS


def describe_device(device: str, inner_loop: str = "batched") -> str:
    """For example `cpu, 2 threads` or `cuda:0, NVIDIA H100 80GB HBM3, 79 GiB`.

    Args:
        device: Its name.
        inner_loop: See `resolve_device`.

    Raises:
        SettingError: There is no such device.
    """
    import torch

    from seal_env.inner_loop.model.devices import is_nvidia

    resolved = resolve_device(device, inner_loop)
    if inner_loop in REMOTE_INNER_LOOPS:
        return f"{resolved}, of each worker"
    if resolved == EVERY_GPU:
        return f"{torch.cuda.device_count()} of {describe_device('cuda')}"
    chosen = torch.device(resolved)
    if chosen.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu, {threads} thread{'' if threads == 1 else 's'}"
    if chosen.type == "mps":
        return f"mps, {torch.mps.recommended_max_memory() / 2**30:.0f} GiB"
    properties = torch.cuda.get_device_properties(chosen)
    rocm = "" if is_nvidia(chosen) else f", ROCm {torch.version.hip}"
    return f"{chosen}, {properties.name}, {properties.total_memory / 2**30:.0f} GiB{rocm}"
