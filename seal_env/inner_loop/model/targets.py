"""Which layers of a model an adapter changes."""

from __future__ import annotations

import torch
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULT_TARGETS
from transformers.pytorch_utils import Conv1D

from seal_env.errors import SettingError
from seal_env.types import LoraSpec


def find_targets(model: torch.nn.Module, wanted: tuple[str, ...], model_type: str) -> list[str]:
    """The names of the linear layers to adapt.

    Args:
        model: The model.
        wanted: Names of linear layers. Of the default names, those that the model does not have are ignored; if it has none
            of them, PEFT's choice for its architecture is used.
        model_type: The model's architecture, as its configuration names it.

    Raises:
        SettingError: A name other than the default ones is no linear layer of the model.
    """
    modules = model.named_modules()
    linear = {name.rpartition(".")[2] for name, module in modules if isinstance(module, torch.nn.Linear | Conv1D)}
    found = [name for name in wanted if name in linear]
    if wanted == LoraSpec.target_modules:
        found = found or [name for name in DEFAULT_TARGETS.get(model_type, ()) if name in linear]
    elif len(found) < len(wanted):
        found = []
    if not found:
        raise SettingError("lora_targets", ",".join(wanted), f"linear layers of this model: {', '.join(sorted(linear))}")
    return found
