"""LoRA adapters on top of a policy model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, PeftModel

from seal_env.errors import ModelError
from seal_env.inner_loop.model.files import reason_of

PLAIN: Final = frozenset(
    (
        *("r", "lora_alpha", "lora_dropout", "bias", "use_rslora", "use_dora", "lora_bias", "fan_in_fan_out", "task_type"),
        *(
            "target_modules",
            "target_parameters",
            "exclude_modules",
            "layers_to_transform",
            "layers_pattern",
            "modules_to_save",
        ),
        *(
            "rank_pattern",
            "alpha_pattern",
            "trainable_token_indices",
            "peft_type",
            "peft_version",
            "auto_mapping",
            "revision",
        ),
        *("base_model_name_or_path", "inference_mode", "init_lora_weights", "ensure_weight_tying", "runtime_config"),
    )
)
"""Fields of the configuration of an adapter that is nothing but weights. Others name modules to import, or other files."""


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
        _check_config(folder)
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), warnings.catch_warnings():  # PEFT draws weights before it reads them
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        warnings.filterwarnings("error", message="Found missing adapter keys")
        try:
            peft = PeftModel.from_pretrained(model, str(adapters[0]), adapter_name="0")
            for number, further in enumerate(adapters[1:], 1):
                peft.load_adapter(str(further), adapter_name=str(number))
        except Exception as error:  # what a library raises for a file that somebody else wrote
            raise ModelError(
                f"policy_adapter={[str(each) for each in adapters]} does not fit the model: {reason_of(error)}"
            ) from error
    tuner: Any = peft.base_model  # the PeftModel itself activates one adapter at most
    tuner.set_adapter([str(number) for number in range(len(adapters))])
    peft.requires_grad_(False).eval()
    return peft


def _check_config(folder: Path) -> None:
    """Raise ModelError for an adapter that is more than LoRA weights."""
    where = f"policy_adapter={str(folder)!r}: adapter_config.json"
    try:
        content = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{where} cannot be read: {error}") from error
    kind = content.get("peft_type") if isinstance(content, dict) else None
    if kind != "LORA":
        raise ModelError(f"{where}: peft_type={kind!r} is not legal; expected 'LORA'")
    usual = LoraConfig().to_dict()
    for field in sorted(content.keys() - PLAIN):
        if content[field] and content[field] != usual.get(field):
            raise ModelError(f"{where}: {field}={content[field]!r} is not read; expected an adapter without it")
    if not isinstance(content.get("init_lora_weights", True), bool) and not content.get("inference_mode"):
        raise ModelError(f"{where}: init_lora_weights={content['init_lora_weights']!r} is not legal; expected true or false")
