"""Which layers of a model an adapter changes: one answer for every inner loop, saved adapter and merge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULT_TARGETS
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop.model.devices import as_double
from seal_env.types import LoraSpec

FUSED = dict.fromkeys(("q_proj", "k_proj", "v_proj"), "qkv_proj") | dict.fromkeys(("gate_proj", "up_proj"), "gate_up_proj")
"""Layers that some models (Phi-3, GLM) compute as parts of a larger one, which is adapted in their place."""

PLAIN_FORWARD = (torch.nn.Linear.forward, Conv1D.forward)
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Targets:
    """The layers that an adapter changes.

    Attributes:
        layers: Their full names, in the model's order.
        missing: What was asked for and is not adapted, or not everywhere, with the reason.
    """

    layers: tuple[str, ...]
    missing: dict[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """How many layers there are of each name, as {"q_proj": 28}."""
        return dict(Counter(name.rpartition(".")[2] for name in self.layers))


def text_decoder(model: Any) -> Any:
    """The part of a model that turns tokens into hidden states, without towers for images or sound and without the head."""
    parts = (model.get_decoder(), model.base_model, getattr(model, "model", None))
    return next((part for part in parts if isinstance(part, PreTrainedModel) and part is not model), model)


def find_targets(model: Any, wanted: tuple[str, ...]) -> Targets:
    """The linear layers to adapt.

    A name stands for every linear layer of that name in the model's text decoder, and for the fused layer that contains it.
    Weights of experts that lie in one tensor are no layers. Of the default names, those that the model does not have are
    left out, which `Targets.missing` tells; if it has none of them, PEFT's choice for its architecture is used.

    Args:
        model: The model.
        wanted: Names of linear layers.

    Raises:
        SettingError: A name other than the default ones is no linear layer of the model.
        ModelError: A name stands for the head, for experts in one tensor, or for layers that compute something else than a
            matrix product, such as quantised ones; or the model has none of the default names.
    """
    decoder, defaults = text_decoder(model), wanted == LoraSpec.target_modules
    inside = {id(module) for module in decoder.modules()}
    layers = {
        name: module
        for name, module in model.named_modules()
        if id(module) in inside and isinstance(module, torch.nn.Linear | Conv1D)
    }
    linear = {_last(name) for name in layers}
    experts = {_last(name) for name, weight in decoder.named_parameters() if weight.ndim == 3}
    _check_head(model, wanted)
    if defaults and not any(_names(name) & linear for name in wanted):
        kind = str(model.config.model_type)
        wanted = tuple(name for name in DEFAULT_TARGETS.get(kind, ()) if name in linear)
        if not wanted:
            raise ModelError(
                f"a model of type {kind!r} has no layers that are adapted by default. Set lora_targets to {_list(linear)}"
            )
    chosen = {name for each in wanted for name in _names(each)}
    missing = {
        name: "experts in one tensor" if _names(name) & experts else "no such layer"
        for name in (LoraSpec.target_modules if defaults else wanted)
        if not _names(name) & linear & chosen or _names(name) & experts
    }
    if missing and not defaults:
        _refuse(missing, wanted, linear)
    found = tuple(name for name in layers if _last(name) in chosen)
    for name in found:
        _check_layer(name, layers[name])
    return Targets(found, missing)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _names(name: str) -> set[str]:
    """The name itself and that of the layer that may contain it."""
    return {name, FUSED.get(name, name)}


def _list(names: set[str]) -> str:
    return f"some of {', '.join(sorted(names))}"


def _check_head(model: Any, wanted: tuple[str, ...]) -> None:
    head = model.get_output_embeddings()
    heads = [_last(name) for name, module in model.named_modules() if module is head]
    for name in wanted:
        if name in heads:
            raise ModelError(
                f"lora_targets={','.join(wanted)!r}: {name!r} is the model's head, which adapters leave as it is"
            )


def _refuse(missing: dict[str, str], wanted: tuple[str, ...], linear: set[str]) -> None:
    for name, reason in missing.items():
        if reason != "no such layer":
            raise ModelError(
                f"lora_targets={','.join(wanted)!r}: the model has {name!r} in {reason}, which adapters do not reach. "
                f"Leave the name out, or leave lora_targets at its default to adapt the layers that there are"
            )
    raise SettingError("lora_targets", ",".join(wanted), f"linear layers of this model: {', '.join(sorted(linear))}")


def _check_layer(name: str, module: Any) -> None:
    if not _is_product(module):
        raise ModelError(
            f"layer {name!r} is a {type(module).__name__} with weights of {module.weight.dtype}, not a plain linear layer. "
            f"Use a model that is not quantised, or leave {_last(name)!r} out of lora_targets"
        )


@torch.no_grad()
def _is_product(module: Any) -> bool:
    """True if a layer multiplies by its weight and adds its bias; one with code of its own (Falcon's) is tried out."""
    weight = module.weight
    if weight.dtype not in FLOATS:
        return False
    if type(module).forward in PLAIN_FORWARD or weight.is_meta:  # without numbers it is tried out where they are
        return True
    columns = weight.T if isinstance(module, Conv1D) else weight
    x = torch.linspace(-1, 1, columns.shape[1]).cos().to(weight)[None]
    expected = as_double(torch.nn.functional.linear(x, columns, module.bias))
    return bool((as_double(module(x)) - expected).norm() <= 0.01 * expected.norm())
