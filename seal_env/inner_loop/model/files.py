"""Models and tokenizers from files that others have written: complete, numbers alone, and no code.

`trust_remote_code=False` refuses code at once where the default would ask on standard input. Left out: a chat template is a
program too, which transformers runs in Jinja's sandbox; it reaches nothing, but it can take its time.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file

from seal_env.inner_loop.model.memory import free_bytes, release_memory

CPU: Final = torch.device("cpu")
WEIGHTS: Final = "model.safetensors"
INDEX: Final = f"{WEIGHTS}.index.json"
LOCAL: Final = {
    "_attn_implementation": (None, "eager", "sdpa"),
    "_experts_implementation": (None, "eager", "batched_mm", "grouped_mm"),
}
"""What a configuration may ask for; other names are those of kernels, which transformers would download."""
NUMBERS: Final = ("F64", "F32", "F16", "BF16")
"""Types of weights in safetensors. Others are codes, which only a quantised model's configuration explains."""
MOST: Final = 65_536
"""Most layers, heads or experts that a configuration may ask for."""


def load_config(source: str, revision: str | None = None) -> Any:
    """The configuration of a model in a directory or on the hub, of which nothing else is read.

    Args:
        source: A directory or a hub id.
        revision: Of the hub; None is its main branch.

    Raises:
        ValueError: The model is quantised or asks for other files. The libraries raise other errors as well.
    """
    if os.path.isdir(source):
        _refuse_pipes(Path(source))
    with _quiet():
        config: Any = AutoConfig.from_pretrained(source, revision=revision or "main", trust_remote_code=False)
    _check(config)
    return config


def load_tokenizer(source: str, revision: str | None = None) -> Any:
    """A tokenizer; see `load_config`. Raises whatever the libraries raise."""
    with _quiet():
        return AutoTokenizer.from_pretrained(source, revision=revision or "main", trust_remote_code=False)


def load_model(
    source: str, dtype: torch.dtype, device: torch.device = CPU, revision: str | None = None, config: Any = None
) -> Any:
    """A causal language model from a directory or the hub, of which every weight comes from its files.

    Weights go straight to the device, one after another. On a CPU they may stay in the files, from which they are mapped.

    Args:
        source: A directory or a hub id.
        dtype: Of its weights.
        device: Where they go.
        revision: Of the hub; None is its main branch.
        config: What `load_config` has read; None reads it.

    Raises:
        MemoryError: The device has no room for the weights, of which none was read.
        ValueError: Weights are missing, left over or of another shape, or the directory holds something else than a model.
            The libraries raise other errors as well.
    """
    if config is None:
        config = load_config(source, revision)
    with _quiet():
        _check_room(count_weights(config, str(_folder(source, revision))) * dtype.itemsize, dtype, device)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=dtype,
            revision=revision or "main",
            device_map=None if device.type == "cpu" else {"": device},
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported below, with the names
            output_loading_info=True,
        )
    model, about = loaded
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError("it is an adapter with the name of its model; give the model itself, or merge them")
    _check_complete(about)
    for name, weight in model.named_parameters():
        if not weight.is_meta and not weight.sum(dtype=torch.float32).isfinite():  # one number, which needs no memory
            raise ValueError(f"weight {name!r} holds values that are no numbers (nan or inf)")
    return model


def reason_of(error: Exception) -> str:
    """Why something could not be loaded, in one line."""
    text = str(error).strip() or type(error).__name__
    if "trust_remote_code" in text or "custom code" in text:
        return "it needs code of its own (auto_map), and code of a model is never run"
    return text.split("\n")[0].rstrip(".")


def _shapes(directory: Path) -> dict[str, list[int]]:
    """The shape of each tensor in a directory's weights. Raises ValueError, OSError or SafetensorError."""
    if (directory / "adapter_config.json").exists():
        raise ValueError("it holds an adapter (adapter_config.json); give the model itself, or merge them")
    shapes = {}
    for name in _weight_files(directory):
        with safe_open(directory / name, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (no mapping)
                tensor = file.get_slice(key)
                if key in shapes:
                    raise ValueError(f"weight {key!r} is in more than one of its files")
                if key.endswith("weight") and tensor.get_dtype() not in NUMBERS:
                    raise ValueError(f"weight {key!r} is of type {tensor.get_dtype()}, of which there are no weights")
                shapes[key] = tensor.get_shape()
    return shapes


def _refuse_pipes(directory: Path) -> None:
    """Raise ValueError for what is neither file nor folder: to read it would be to wait for it."""
    for each in sorted(directory.iterdir()):
        if each.exists() and not each.is_file() and not each.is_dir():
            raise ValueError(f"{each.name} is a pipe or a device")


def _folder(source: str, revision: str | None) -> Path:
    """The folder with a model's weights: the model's own, or the one into which they are downloaded from the hub."""
    if os.path.isdir(source):
        return Path(source)
    with suppress(OSError):  # there is none
        if found := cached_file(source, WEIGHTS, revision=revision or "main"):
            return Path(found).parent
    folder = Path(str(cached_file(source, INDEX, revision=revision or "main"))).parent
    for name in _in_index(folder):
        cached_file(source, name, revision=revision or "main")
    return folder


def _weight_files(directory: Path) -> list[str]:
    if (directory / WEIGHTS).is_file():
        return [WEIGHTS]
    if not (directory / INDEX).exists():
        pickles = sorted(file.name for file in directory.iterdir() if file.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        if pickles:
            raise ValueError(f"its weights are pickles ({pickles[0]}), which can hold code. Save it as safetensors")
        raise ValueError(f"it has neither {WEIGHTS} nor {INDEX}")
    names = _in_index(directory)
    for name in names:
        if not (directory / name).is_file():
            raise ValueError(f"{INDEX} names {name!r}, which is not there")
    return names


def _in_index(directory: Path) -> list[str]:
    """The files that an index names, each once."""
    index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    names = index.get("weight_map") if isinstance(index, Mapping) else None
    if not isinstance(names, Mapping) or not names:
        raise ValueError(f"{INDEX} has no weight_map")
    for name in names.values():
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ValueError(f"{INDEX} names {name!r}, which is no safetensors file beside it")
    return sorted(set(names.values()))


def _check(config: Any) -> None:
    """Refuse what is no plain model, and leave the choice of kernels to transformers where they would be downloaded."""
    if found := getattr(config, "quantization_config", None) or getattr(config, "compression_config", None):
        raise ValueError(
            f"it is quantised ({_method(found)}), and updates need weights in fp32, bf16 or fp16. "
            f"Use the model that it was made from"
        )
    longest = getattr(config.get_text_config(), "max_position_embeddings", None)
    if isinstance(longest, int) and longest < 0:
        raise ValueError(f"its configuration has max_position_embeddings={longest}")
    if getattr(config, "transformers_weights", None):
        raise ValueError("its configuration names a file of weights (transformers_weights)")
    for part in _parts(config):
        for name, local in LOCAL.items():
            if getattr(part, name, None) not in local:
                setattr(part, name, None)


def _method(quantisation: Any) -> str:
    """How a model is quantised, as its configuration has it: `bitsandbytes 4-bit`, `torchao`."""
    found = quantisation if isinstance(quantisation, Mapping) else quantisation.to_dict()
    bits = next((f" {bits}-bit" for bits in (4, 8) if found.get(f"load_in_{bits}bit") or found.get("bits") == bits), "")
    return f"{found.get('quant_method', 'by a method that it does not name')}{bits}"


def _parts(config: Any) -> Iterator[Any]:
    """A configuration and those of its towers."""
    yield config
    for name in getattr(config, "sub_configs", None) or ():
        if (part := getattr(config, name, None)) is not None:
            yield from _parts(part)


def count_weights(config: Any, source: str) -> int:
    """How many weights a model has, before anything is allocated.

    Args:
        config: See `load_config`.
        source: A directory or a hub id.

    Raises:
        ValueError: The configuration asks for much more than the files of a directory hold, or they are not a model's.
    """
    here = Path(source)
    shapes = _shapes(here) if here.is_dir() else None
    text = config.get_text_config()
    for name, value in text.to_dict().items():
        if name.startswith(("num_", "n_layer")) and isinstance(value, int) and value > MOST:
            raise ValueError(f"its configuration has {name}={value}")
    layers = getattr(text, "num_hidden_layers", 0)
    if shapes is not None and isinstance(layers, int) and layers > len(shapes):
        raise ValueError(f"its configuration has {layers} layers, and its files {len(shapes)} weights in all")
    with torch.device("meta"):
        wanted: int = sum(
            weight.numel() for weight in AutoModelForCausalLM.from_config(config, trust_remote_code=False).parameters()
        )
    held = wanted if shapes is None else sum(map(math.prod, shapes.values()))
    if wanted > 4 * held:
        raise ValueError(f"its configuration has {wanted:,} parameters, and its files {held:,}")
    return wanted


def _check_room(needed: int, dtype: torch.dtype, device: torch.device) -> None:
    """Raise MemoryError for weights of so many bytes that do not fit on the device."""
    if needed > free_bytes(device):
        release_memory()
    if needed > (free := free_bytes(device)):
        halves = "dtype='bfloat16', " if dtype.itemsize > 2 else ""
        raise MemoryError(
            f"its weights take {needed / 2**30:.1f} GiB in {str(dtype).removeprefix('torch.')}, and {device} has "
            f"{free / 2**30:.1f} GiB free. One device holds the whole model: use {halves}another device or a smaller model"
        )


def _check_complete(about: Any) -> None:
    """Raise ValueError unless the model's weights and those of the files are the same."""
    for field, what in (
        ("missing_keys", "is missing from its files"),
        ("unexpected_keys", "is in its files and not in the model"),
    ):
        names = sorted(about[field])
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(f"weight {names[0]!r}{more} {what}")
    for name, found, expected in sorted(about["mismatched_keys"]):
        raise ValueError(f"weight {name!r} has the shape {list(found)}; expected {list(expected)}")
    if about["error_msgs"]:
        raise ValueError(str(about["error_msgs"][0]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' reports, in which there are names from the files as they are."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
