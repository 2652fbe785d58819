"""A description of the device. Importing this module imports no torch."""

from __future__ import annotations

from seal_env.inner_loop import resolve_device


def describe_device(device: str) -> str:
    """For example `cpu, 2 threads` or `cuda:0, NVIDIA H100 80GB HBM3, 79 GiB`.

    Raises:
        SettingError: There is no such device.
    """
    import torch

    chosen = torch.device(resolve_device(device))
    if chosen.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu, {threads} thread{'' if threads == 1 else 's'}"
    if chosen.type != "cuda":
        return str(chosen)
    properties = torch.cuda.get_device_properties(chosen)
    return f"{chosen}, {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
