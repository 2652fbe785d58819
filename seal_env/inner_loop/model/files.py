"""Models and tokenizers from files that others have written: complete, numbers alone, and no code.

`trust_remote_code=False` refuses code at once where the default would ask on standard input. Left out: a chat template is a
program too, which transformers runs in Jinja's sandbox; it reaches nothing, but it can take its time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

WEIGHTS: Final = "model.safetensors"
INDEX: Final = f"{WEIGHTS}.index.json"
LOCAL: Final = {
    "_attn_implementation": (None, "eager", "sdpa"),
    "_experts_implementation": (None, "eager", "batched_mm", "grouped_mm"),
}
"""What a configuration may ask for; other names are those of kernels, which transformers would download."""
MOST: Final = 65_536
"""Most layers, heads or experts that a configuration may ask for."""


def load_tokenizer(source: str) -> Any:
    """A tokenizer from a directory or the hub. Raises whatever the libraries raise."""
    with _quiet():
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def load_config(source: str) -> Any:
    """The configuration of a model that can be loaded. Raises whatever the libraries raise, and ValueError."""
    here = Path(source)
    shapes = _shapes(here) if here.is_dir() else None
    with _quiet():
        config: Any = AutoConfig.from_pretrained(source, trust_remote_code=False)
    _check(config)
    if shapes is not None:
        _check_size(config, shapes)
    return config


def load_model(source: str, dtype: torch.dtype) -> Any:
    """A causal language model from a directory or the hub, of which every weight comes from its files.

    Raises:
        ValueError: Weights are missing, left over or of another shape, or the directory holds something else than a model.
            The libraries raise other errors as well.
    """
    config = load_config(source)
    with _quiet():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported below, with the names
            output_loading_info=True,
        )
    model, about = loaded
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError("it is an adapter with the name of its model; give the model itself, or merge them")
    _check_complete(about)
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
            shapes.update({key: file.get_slice(key).get_shape() for key in file.keys()})  # noqa: SIM118 (no mapping)
    return shapes


def _weight_files(directory: Path) -> list[str]:
    if (directory / WEIGHTS).exists():
        return [WEIGHTS]
    if not (directory / INDEX).exists():
        pickles = sorted(file.name for file in directory.iterdir() if file.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        if pickles:
            raise ValueError(f"its weights are pickles ({pickles[0]}), which can hold code. Save it as safetensors")
        raise ValueError(f"it has neither {WEIGHTS} nor {INDEX}")
    index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    names = index.get("weight_map") if isinstance(index, Mapping) else None
    if not isinstance(names, Mapping) or not names:
        raise ValueError(f"{INDEX} has no weight_map")
    for name in names.values():
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ValueError(f"{INDEX} names {name!r}, which is no safetensors file beside it")
        if not (directory / name).is_file():
            raise ValueError(f"{INDEX} names {name!r}, which is not there")
    return sorted(set(names.values()))


def _check(config: Any) -> None:
    """Refuse what is no plain model, and leave the choice of kernels to transformers where they would be downloaded."""
    if getattr(config, "quantization_config", None):
        raise ValueError("it is quantised, and updates need full-precision weights. Use the original model")
    if getattr(config, "transformers_weights", None):
        raise ValueError("its configuration names a file of weights (transformers_weights)")
    for part in _parts(config):
        for name, local in LOCAL.items():
            if getattr(part, name, None) not in local:
                setattr(part, name, None)


def _parts(config: Any) -> Iterator[Any]:
    """A configuration and those of its towers."""
    yield config
    for name in getattr(config, "sub_configs", None) or ():
        if (part := getattr(config, name, None)) is not None:
            yield from _parts(part)


def _check_size(config: Any, shapes: Mapping[str, list[int]]) -> None:
    """Refuse a configuration that asks for much more than the files hold, before anything is allocated."""
    text = config.get_text_config()
    for name, value in text.to_dict().items():
        if name.startswith(("num_", "n_layer")) and isinstance(value, int) and value > MOST:
            raise ValueError(f"its configuration has {name}={value}")
    layers = getattr(text, "num_hidden_layers", 0)
    if isinstance(layers, int) and layers > len(shapes):
        raise ValueError(f"its configuration has {layers} layers, and its files {len(shapes)} weights in all")
    with torch.device("meta"):
        wanted = sum(
            weight.numel() for weight in AutoModelForCausalLM.from_config(config, trust_remote_code=False).parameters()
        )
    held = sum(map(math.prod, shapes.values()))
    if wanted > 4 * held:
        raise ValueError(f"its configuration has {wanted:,} parameters, and its files {held:,}")


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
