"""One LoRA adapter on the base model, made by PEFT and reset between jobs; the base weights are never written."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULT_TARGETS

from seal_env.errors import ModelError
from seal_env.inner_loop.base_model import BaseModel
from seal_env.types import LoraSpec


def find_targets(model: torch.nn.Module, wanted: tuple[str, ...], model_type: str) -> list[str]:
    """Those of the wanted module names that the model has; if it has none, PEFT's choice for its architecture."""
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    found = [name for name in wanted if name in names] or [n for n in DEFAULT_TARGETS.get(model_type, ()) if n in names]
    if not found:
        raise ModelError(
            f"model type {model_type!r} has none of the modules {wanted}; name its linear layers in lora_targets"
        )
    return found


class Adapter:
    """The adapter of the job at hand. `reset` makes it a new one: A drawn from the seed, B zero."""

    def __init__(self, base: BaseModel) -> None:
        self._base = base
        self._spec: LoraSpec | None = None
        self._peft: Any = None

    def reset(self, spec: LoraSpec, seed: int) -> PeftModel:
        """The base model with a fresh adapter of this shape. Equal seeds give equal weights, on every device."""
        if spec != self._spec:
            self._attach(spec)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self._peft.named_parameters():
            if "lora_A" in name:
                fresh = torch.empty(parameter.shape)
                torch.nn.init.kaiming_uniform_(fresh, a=math.sqrt(5), generator=generator)
                parameter.data.copy_(fresh)
            elif "lora_B" in name:
                parameter.data.zero_()
        peft: PeftModel = self._peft
        return peft

    def _attach(self, spec: LoraSpec) -> None:
        self.detach()
        base = self._base.model
        model_type = str(base.config.model_type)
        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,  # type: ignore[arg-type]
            target_modules=find_targets(base, spec.target_modules, model_type),
            lora_dropout=0.0,
            bias="none",
            fan_in_fan_out=model_type == "gpt2",
            task_type=TaskType.CAUSAL_LM,
        )
        # PEFT draws weights that `reset` replaces: the caller's random state is not ours to move. It also reads an attribute
        # that transformers has renamed, a warning that nobody here can act on.
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            self._peft = get_peft_model(base, config)
        self._peft.eval()  # no dropout anywhere: train mode would change nothing but cost a walk over all modules
        self._spec = spec

    def detach(self) -> None:
        """Take the adapter off: the base model's own modules are back in place."""
        if self._peft is not None:
            self._peft.unload()
            if hasattr(self._base.model, "peft_config"):
                del self._base.model.peft_config
        self._spec = self._peft = None

    def parameters(self) -> list[torch.nn.Parameter]:
        """The adapter's own weights, the only ones that learn."""
        return [parameter for parameter in self._peft.parameters() if parameter.requires_grad]

    @contextmanager
    def base_only(self) -> Iterator[torch.nn.Module]:
        """The base model as it is without the adapter."""
        if self._peft is None:
            yield self._base.model
        else:
            with self._peft.disable_adapter():
                yield self._peft

    def save(self, directory: Path) -> None:
        """Write the adapter in PEFT format (safetensors) to a directory that must not exist yet."""
        directory.mkdir(parents=True)
        self._peft.save_pretrained(str(directory))
