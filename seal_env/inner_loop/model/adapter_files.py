"""Adapters on the disk, in PEFT format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, TaskType
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

from seal_env.journal import storage_errors
from seal_env.types import LoraSpec

if TYPE_CHECKING:
    from seal_env.inner_loop.model.frozen_lm import FrozenLM


def save_adapter(
    directory: Path, spec: LoraSpec, weights: Mapping[str, tuple[torch.Tensor, torch.Tensor]], base: FrozenLM
) -> None:
    """Write an adapter (safetensors) to a directory that is empty or does not exist yet.

    Args:
        directory: Where to.
        spec: The adapter's shape.
        weights: A [rank, inputs] and B [outputs, rank] by the full name of the layer.
        base: The model that it adapts.

    Raises:
        FileExistsError: There is something in the directory.
        StorageError: It cannot be written.
    """
    tensors = {
        f"base_model.model.{name}.lora_{part}.weight": weight.detach().cpu().clone()
        for name, pair in weights.items()
        for part, weight in zip("AB", pair, strict=True)
    }
    with new_directory(directory):
        adapter_config(base, spec, tuple(weights)).save_pretrained(str(directory))
        _in_order(directory / "adapter_config.json")
        save_file(tensors, directory / "adapter_model.safetensors", metadata={"format": "pt"})


def _in_order(config: Path) -> None:
    """Have equal adapters in equal files: PEFT's order of layers differs from process to process."""
    found = json.loads(config.read_text(encoding="utf-8"))
    ordered = {name: sorted(value) for name, value in found.items() if name in _NAMES and isinstance(value, list)}
    config.write_text(json.dumps(found | ordered, indent=2, sort_keys=True), encoding="utf-8")


_NAMES = ("target_modules", "target_parameters")


@contextmanager
def new_directory(directory: Path) -> Iterator[None]:
    """A context that fills a directory, which it creates unless there is an empty one. It stays empty if that fails.

    Raises:
        FileExistsError: There is something in it.
        StorageError: It cannot be written.
    """
    with storage_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty")
    try:
        with storage_errors(directory):
            yield
    except BaseException:
        for each in directory.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
        raise


def adapter_config(base: FrozenLM, spec: LoraSpec, layers: tuple[str, ...]) -> LoraConfig:
    """PEFT's description of an adapter of these layers, by which it adapts them and no others."""
    model = base.model
    short = {name.rpartition(".")[2] for name in layers}
    alike = {name for name, _ in model.named_modules() if name.rpartition(".")[2] in short}
    names = sorted(short) if alike == set(layers) else list(layers)
    kept = [name for name in names if not _rewritten(name, model)]
    weights = [f"{name}.weight" for name in layers if not any(f".{name}".endswith(f".{each}") for each in kept)]
    return LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,  # type: ignore[arg-type]
        target_modules=kept,
        target_parameters=weights or None,
        lora_dropout=0.0,
        bias="none",
        fan_in_fan_out=isinstance(model.get_submodule(layers[0]), Conv1D),
        task_type=TaskType.CAUSAL_LM,
        base_model_name_or_path=base.name,
        inference_mode=True,
    )


def _rewritten(name: str, model: Any) -> bool:
    """True if PEFT takes a layer's name for that of experts in one tensor, as it does with models of many experts.

    Such a layer is described by its weight instead.
    """
    if find_spec(_CONVERSION) is None:  # before PEFT 0.19, which adapts layers by their names alone
        return False
    config = LoraConfig(target_modules=[name, *_PARTNERS])
    import_module(_CONVERSION).convert_peft_config_for_transformers(config, model, None)
    return name not in (config.target_modules or ())


_CONVERSION = "peft.utils.transformers_weight_conversion"
_PARTNERS = ("gate_proj", "up_proj", "w1", "w3")
"""PEFT refuses to rewrite one of these without its partner."""
