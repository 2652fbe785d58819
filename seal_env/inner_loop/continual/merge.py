"""Trained updates merged into a model: an adapter's changes are added to its weights, a whole model replaces them.

Left out: the many options of PEFT that no inner loop uses. A file that asks for one of them is an error.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from transformers.pytorch_utils import Conv1D

from seal_env.errors import ModelError
from seal_env.inner_loop.model.files import load_model, reason_of
from seal_env.inner_loop.model.frozen_lm import FrozenLM

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "use_rslora": (False, None),
    "use_dora": (False, None),
    "bias": ("none", None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": ([], None),
}
"""Fields of an adapter's configuration that change what its weights mean, and the values that leave it as it is."""


class LoraWeights(NamedTuple):
    """A LoRA adapter that was read.

    Attributes:
        scale: alpha / rank.
        a: A of each layer, [rank, inputs].
        b: B of each layer, [outputs, rank].
    """

    scale: float
    a: dict[str, torch.Tensor]
    b: dict[str, torch.Tensor]

    def change(self, layer: str, weight: torch.Tensor) -> torch.Tensor:
        """What it adds to a layer, [outputs, inputs], on the device of a weight and in fp32 or better."""
        exact = torch.promote_types(weight.dtype, torch.float32)
        return self.scale * (self.b[layer].to(weight.device, exact) @ self.a[layer].to(weight.device, exact))


def merge(base: FrozenLM, updates: Sequence[Path], name: str) -> FrozenLM:
    """A copy of a model into which updates are merged one after another; the model itself stays as it is.

    Args:
        base: What they are merged into.
        updates: What jobs wrote by `save_to`, or adapters in PEFT format from elsewhere.
        name: The new model's name, used in messages.

    Raises:
        ModelError: A directory holds neither an adapter of this model nor a model of its shape.
    """
    merged = replace(base, name=name, model=copy.deepcopy(base.model), inner_loops={})
    weights = dict(merged.model.named_parameters())
    for directory in updates:
        for parameter, value in merged_weights(directory, merged):
            weights[parameter].data.copy_(value)
    return merged


def merged_weights(directory: Path, model: FrozenLM) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of a model that an update changes, with their new values.

    An adapter gives W + alpha / rank * B A for the layers that it has, computed in fp32 or better; a whole model gives all
    of its weights. Everything is checked before the first value is computed.

    Args:
        directory: What a job wrote by `save_to`.
        model: What the update is merged into; not written.

    Returns:
        Pairs of a parameter's name and its new value, which is not yet rounded to the model's dtype.

    Raises:
        ModelError: The directory holds neither an adapter of this model nor a model of its shape.
    """
    try:
        if (directory / ADAPTER_CONFIG).is_file():
            return added([_read_adapter(directory, model.model)], model.model)
        return _whole(directory, model.model)
    except Exception as error:  # what a library raises for a file that somebody else wrote
        raise _misfit(directory, model, error) from error


def read_adapter(directory: Path, model: FrozenLM) -> LoraWeights:
    """A LoRA adapter in PEFT format. Raises ModelError if it is none of this model."""
    try:
        return _read_adapter(directory, model.model)
    except Exception as error:  # what a library raises for a file that somebody else wrote
        raise _misfit(directory, model, error) from error


def _misfit(directory: Path, model: FrozenLM, error: Exception) -> ModelError:
    return ModelError(f"update={str(directory)!r} does not fit model={model.name!r}: {reason_of(error)}")


def _read_adapter(directory: Path, model: Any) -> LoraWeights:
    """The adapter, checked against the model's layers."""
    config = json.loads((directory / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    for field, legal in PLAIN.items():
        if config.get(field) not in legal:
            raise ValueError(f"{ADAPTER_CONFIG}: {field}={config.get(field)!r}, expected {legal[0]!r}")
    rank, tensors = int(config["r"]), load_file(directory / ADAPTER_WEIGHTS)
    parts: dict[str, dict[str, torch.Tensor]] = {"A": {}, "B": {}}
    for name, tensor in tensors.items():
        layer, _, part = name.removesuffix(".weight").rpartition(".lora_")
        if part not in parts or not layer.startswith(PREFIX):
            raise ValueError(f"{ADAPTER_WEIGHTS}: {name!r} is no weight of a linear layer's adapter")
        parts[part][layer.removeprefix(PREFIX)] = tensor
    if not parts["A"] or parts["A"].keys() != parts["B"].keys():
        raise ValueError(f"{ADAPTER_WEIGHTS}: not every layer has both A and B")
    layers, weights = dict(model.named_modules()), {name for name, _ in model.named_parameters()}
    for name, a in parts["A"].items():
        adapted, b = layers.get(name), parts["B"][name]
        if not isinstance(adapted, torch.nn.Linear | Conv1D):
            raise ValueError(f"{ADAPTER_WEIGHTS}: the model has no linear layer {name!r}")
        if f"{name}.weight" not in weights:
            raise ValueError(f"{ADAPTER_WEIGHTS}: {name!r} shares its weight with another layer")
        outputs, inputs = adapted.weight.T.shape if isinstance(adapted, Conv1D) else adapted.weight.shape
        if a.shape != (rank, inputs) or b.shape != (outputs, rank):
            shapes = f"A {tuple(a.shape)} and B {tuple(b.shape)}"
            raise ValueError(f"{ADAPTER_WEIGHTS}: {name!r} has {shapes}, expected {(rank, inputs)} and {(outputs, rank)}")
    return LoraWeights(float(config["lora_alpha"]) / rank, parts["A"], parts["B"])


def added(adapters: Sequence[LoraWeights], model: Any, share: float = 1.0) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of a model to which the changes of adapters are added.

    Args:
        adapters: Of this model.
        model: transformers' model; not written.
        share: By which the changes are multiplied.

    Returns:
        Pairs as of `merged_weights`.
    """
    for name in dict.fromkeys(name for adapter in adapters for name in adapter.a):
        layer = model.get_submodule(name)
        weight = layer.weight.detach()
        change = share * torch.stack([each.change(name, weight) for each in adapters if name in each.a]).sum(0)
        yield f"{name}.weight", weight.to(change.dtype) + (change.T if isinstance(layer, Conv1D) else change)


def _whole(directory: Path, model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if not (directory / "config.json").is_file():
        raise ValueError(f"there is neither {ADAPTER_CONFIG} nor config.json")
    new = dict(load_model(str(directory), model.dtype).named_parameters())
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    wrong = [name for name in shapes.keys() | new.keys() if name not in new or new[name].shape != shapes.get(name)]
    if wrong:
        raise ValueError(f"weight {min(wrong)!r} is missing or has another shape in one of the two")
    return ((name, weight.detach()) for name, weight in new.items())
