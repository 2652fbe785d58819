"""One LoRA adapter on the base model, created by PEFT and reset between jobs; the base weights are never written."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer

from seal_env.errors import ModelError
from seal_env.inner_loop.model.adapter_files import save_adapter
from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.types import LoraSpec


class Adapter:
    """The adapter of the current job, on modules of its own. `reset` makes it a fresh one: A drawn from the seed, B zero."""

    def __init__(self, base: FrozenLM) -> None:
        self._base = base
        self._model = share(base.model)
        self._spec: LoraSpec | None = None
        self._peft: Any = None

    def reset(self, spec: LoraSpec, seed: int) -> Any:
        """The base model with a fresh adapter of this shape. Equal seeds give equal weights, on every device.

        Raises:
            SettingError: See `find_targets`.
            ModelError: See `find_targets`; or PEFT cannot adapt the layers.
        """
        if spec != self._spec:
            self._attach(spec)
        draw_adapter(self._peft, seed)
        return self._peft

    def _attach(self, spec: LoraSpec) -> None:
        self.detach()
        layers = self._base.targets(spec).layers
        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,  # type: ignore[arg-type]
            target_modules=[f"model.{name}" for name in layers],
            lora_dropout=0.0,
            bias="none",
            fan_in_fan_out=any(type(self._model.get_submodule(name)).__name__ == "Conv1D" for name in layers),
        )
        # PEFT draws weights that `reset` replaces; the caller's random state must not change. PEFT also reads an attribute
        # that transformers has renamed.
        devices = [self._base.device] if self._base.device.type == "cuda" else []
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            try:
                get_peft_model(_Untyped(self._model), config)
                self._check(layers)
            except ValueError as error:
                self.detach()
                raise ModelError(f"model={self._base.name!r} cannot be adapted by PEFT: {error}") from error
            except BaseException:
                self.detach()
                raise
        self._peft = self._model.eval()  # no dropout anywhere: train mode would change nothing but cost a walk
        self._spec = spec

    def _check(self, layers: tuple[str, ...]) -> None:
        found = {name for name, module in self._model.named_modules() if isinstance(module, BaseTunerLayer)}
        if found != set(layers):
            raise ValueError(f"it changes other layers than were named: {min(found ^ set(layers))}")

    def detach(self) -> None:
        """Remove the adapter, even one that was attached only in part."""
        base = self._model
        for name, module in list(base.named_modules()):
            if isinstance(module, BaseTunerLayer):
                base.set_submodule(name, module.get_base_layer())
        self._spec = self._peft = None

    def parameters(self) -> list[torch.nn.Parameter]:
        """The adapter's weights, the only trainable ones."""
        return [parameter for name, parameter in self._peft.named_parameters() if "lora_" in name]

    @torch.no_grad()
    def project(self, bases: Mapping[str, Any]) -> None:
        """Make the rows of A orthogonal to subspaces; see `UpdateJob.orthogonal_to`."""
        for name, module in self._peft.named_modules():
            if isinstance(module, LoraLayer) and name in bases:
                a: Any = module.lora_A["default"].weight
                basis = bases[name].to(a)
                a -= (a @ basis) @ basis.T

    def save(self, directory: Path) -> None:
        """Write the adapter in PEFT format (safetensors) to a directory that must not exist yet."""
        assert self._spec is not None
        weights: dict[str, tuple[Any, Any]] = {
            name: (module.lora_A["default"].weight, module.lora_B["default"].weight)
            for name, module in self._peft.named_modules()
            if isinstance(module, LoraLayer)
        }
        save_adapter(directory, self._spec, weights, self._base)


def draw_adapter(model: torch.nn.Module, seed: int) -> None:
    """Make the adapter on a model of PEFT's a fresh one, in place: A drawn from the seed on the CPU, B zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        parameter.grad = None  # an update that diverged or was interrupted leaves its gradient behind
        if "lora_A" in name:
            fresh = torch.empty(parameter.shape)
            torch.nn.init.kaiming_uniform_(fresh, a=math.sqrt(5), generator=generator)
            parameter.data.copy_(fresh)
        elif "lora_B" in name:
            parameter.data.zero_()


class _Untyped(torch.nn.Module):
    """A model without its configuration, by which PEFT would adapt experts in place of the layers that are named."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
