"""Digest of a base model: models with equal fingerprints give equal answers."""

from __future__ import annotations

import hashlib
import json
from itertools import chain
from operator import itemgetter
from typing import Any

import torch

IGNORED = ("_name_or_path", "transformers_version")
"""Entries of a model's configuration that do not affect what it computes."""


def fingerprint(model: Any, tokenizer: Any, device: torch.device) -> str:
    """SHA-256 over parameters and buffers (name, dtype, shape, bytes), configuration, tokenizer and device.

    Reads every weight, one tensor at a time on the CPU: seconds for a model of 1 B parameters.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(chain(model.named_parameters(), model.named_buffers()), key=itemgetter(0)):
        _add(digest, [name, str(weight.dtype), list(weight.shape)])
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    _add(digest, {name: value for name, value in model.config.to_dict().items() if name not in IGNORED})
    _add(digest, [str(getattr(model.config, "_attn_implementation", None)), described(device)])
    _add(digest, [tokenizer.backend_tokenizer.to_str(), tokenizer.chat_template, tokenizer.pad_token_id])
    _add(digest, getattr(tokenizer, "clean_up_tokenization_spaces", None))
    return digest.hexdigest()


def fingerprint_anywhere(model: Any, tokenizer: Any) -> str:
    """The fingerprint that a model has on the CPU, wherever it is."""
    return fingerprint(model, tokenizer, torch.device("cpu"))


def described(device: torch.device) -> str:
    """The type of a device; of a GPU its name as well, because another one rounds differently."""
    return f"{device.type} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def _add(digest: Any, value: Any) -> None:
    digest.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\n")
