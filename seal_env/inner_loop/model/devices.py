"""What the names of devices and number types stand for on this machine, and which kernels a device has."""

from __future__ import annotations

import re

import torch

from seal_env.errors import SettingError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(device: str) -> torch.device:
    """The device of this name; `auto` is CUDA if available, otherwise the CPU. Equal devices compare equal.

    A GPU of AMD is a CUDA device for torch, see `is_nvidia`.

    Raises:
        SettingError: There is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not count):
        return torch.device("cpu")
    if device == "mps":
        if not torch.backends.mps.is_available():
            raise SettingError("device", device, "'auto' or 'cpu': torch finds no GPU of Apple on this machine")
        return torch.device("mps")
    if device != "auto" and not re.fullmatch("cuda(:[0-9]{1,3})?", device):
        raise SettingError("device", device, "'auto', 'cpu', 'cuda', 'cuda:N' or 'mps': one device holds the whole model")
    index = int(device.partition(":")[2] or 0)
    if not count:
        raise SettingError("device", device, "'auto' or 'cpu': this machine has no CUDA device that torch can use")
    if index >= count:
        raise SettingError("device", device, f"'cuda:0' to 'cuda:{count - 1}': there are {count} CUDA devices")
    return torch.device("cuda", index)


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The number type of this name; `auto` is bf16 on CUDA, otherwise fp32.

    Raises:
        SettingError: There is no such type.
    """
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise SettingError("dtype", dtype, f"'auto' or {' or '.join(map(repr, DTYPES))}")
    return DTYPES[dtype]


def is_nvidia(device: torch.device) -> bool:
    """True for a GPU of NVIDIA, for which there are kernels in Triton, CUDA graphs and attention of variable length.

    Elsewhere, with ROCm too, torch's plain operations do the same work.
    """
    return device.type == "cuda" and torch.version.hip is None


def as_double(x: torch.Tensor) -> torch.Tensor:
    """The same numbers in fp64; on the CPU, where the device has none."""
    return (x.cpu() if x.device.type == "mps" else x).double()
