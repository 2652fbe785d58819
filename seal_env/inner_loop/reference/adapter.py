"""One LoRA adapter on the base model, created by PEFT and reset between jobs; the base weights are never written."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer

from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.targets import find_targets
from seal_env.types import LoraSpec


class Adapter:
    """The adapter of the current job, on modules of its own. `reset` makes it a fresh one: A drawn from the seed, B zero."""

    def __init__(self, base: FrozenLM) -> None:
        self._base = base
        self._model = share(base.model)
        self._spec: LoraSpec | None = None
        self._peft: Any = None

    def reset(self, spec: LoraSpec, seed: int) -> PeftModel:
        """The base model with a fresh adapter of this shape. Equal seeds give equal weights, on every device."""
        if spec != self._spec:
            self._attach(spec)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self._peft.named_parameters():
            parameter.grad = None  # an update that diverged or was interrupted leaves its gradient behind
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
        base = self._model
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
        # PEFT draws weights that `reset` replaces; the caller's random state must not change. PEFT also reads an attribute
        # that transformers has renamed.
        devices = [self._base.device] if self._base.device.type == "cuda" else []
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            try:
                self._peft = get_peft_model(base, config)
            except BaseException:
                self.detach()
                raise
        self._peft.eval()  # no dropout anywhere: train mode would change nothing but cost a walk over all modules
        self._spec = spec

    def detach(self) -> None:
        """Remove the adapter, even one that was attached only in part."""
        base = self._model
        for name, module in list(base.named_modules()):
            if isinstance(module, BaseTunerLayer):
                base.set_submodule(name, module.get_base_layer())
        if hasattr(base, "peft_config"):
            del base.peft_config
        self._spec = self._peft = None

    def parameters(self) -> list[torch.nn.Parameter]:
        """The adapter's weights, the only trainable ones."""
        return [parameter for name, parameter in self._peft.named_parameters() if "lora_" in name]

    def save(self, directory: Path) -> None:
        """Write the adapter in PEFT format (safetensors) to a directory that must not exist yet."""
        directory.mkdir(parents=True)
        self._peft.save_pretrained(str(directory), save_embedding_layers=False)  # "auto" would ask the hub about the model
