"""Adapters merged into a base model: a model of its own, with weights of its own."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from seal_env.errors import ModelError
from seal_env.inner_loop.model.frozen_lm import FrozenLM


def merge(base: FrozenLM, adapters: Sequence[Path], name: str) -> FrozenLM:
    """A copy of `base` into which adapters in PEFT format are merged one after another; `base` itself stays as it is.

    name: of the new model, in messages. Raises ModelError for a directory without an adapter of this model.
    """
    model: Any = copy.deepcopy(base.model)
    devices = [base.device] if base.device.type == "cuda" else []
    with torch.random.fork_rng(devices), warnings.catch_warnings():  # PEFT draws weights before it reads them
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        for directory in adapters:
            try:
                model = PeftModel.from_pretrained(model, str(directory), local_files_only=True).merge_and_unload()
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                reason = str(error).strip().split("\n")[0]
                raise ModelError(f"adapter={str(directory)!r} does not fit model={base.name!r}: {reason}") from error
    model.requires_grad_(False).eval()
    return FrozenLM(name, model, base.tokenizer, base.device, base.max_tokens)


def save(model: FrozenLM, directory: Path) -> None:
    """Write model and tokenizer (safetensors), as transformers and vLLM load them."""
    model.model.save_pretrained(directory)
    model.tokenizer.save_pretrained(directory)


def save_new(model: FrozenLM, directory: Path) -> None:
    """Write model and tokenizer to a directory that must not exist yet."""
    directory.mkdir(parents=True)
    save(model, directory)
