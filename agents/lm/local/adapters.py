"""LoRA adapters on top of a policy model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError

from seal_env.errors import ModelError


def with_adapters(model: Any, adapters: Sequence[str | Path]) -> PeftModel:
    """The model with all of these adapters active; their changes add up. torch's global random state is left as it is.

    Args:
        model: A Hugging Face model, whose modules are wrapped.
        adapters: Folders in PEFT format.

    Raises:
        ModelError: For a folder that is no adapter, or not one of this model.
    """
    for folder in map(Path, adapters):
        missing = [name for name in ("adapter_config.json", "adapter_model.safetensors") if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"policy_adapter={str(folder)!r} has no {missing[0]}; expected a folder in PEFT format")
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), warnings.catch_warnings():  # PEFT draws weights before it reads them
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        try:
            peft = PeftModel.from_pretrained(model, str(adapters[0]), adapter_name="0")
            for number, further in enumerate(adapters[1:], 1):
                peft.load_adapter(str(further), adapter_name=str(number))
        except (RuntimeError, ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ModelError(
                f"policy_adapter={[str(each) for each in adapters]} does not fit the model: {reason}"
            ) from error
    tuner: Any = peft.base_model  # the PeftModel itself activates one adapter at most
    tuner.set_adapter([str(number) for number in range(len(adapters))])
    peft.requires_grad_(False).eval()
    return peft
