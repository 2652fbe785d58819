"""The bundled models by name: paths only, so that naming one imports no torch."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

_HERE = Path(__file__).parent

MODEL_NAME = "seal-tiny"
TEXT_MODEL_NAME = "seal-tiny-text"
WIDE_TEXT_MODEL_NAME = "seal-tiny-text-wide"
MODEL_DIRECTORIES: Mapping[str, Path] = MappingProxyType(
    {name: _HERE / name for name in (MODEL_NAME, TEXT_MODEL_NAME, WIDE_TEXT_MODEL_NAME)}
)
"""Each bundled model's directory, by its name."""
CARDS: Mapping[str, Path] = MappingProxyType({name: _HERE / f"{name}.md" for name in MODEL_DIRECTORIES})
"""Each bundled model's card."""

MODEL_DIRECTORY = MODEL_DIRECTORIES[MODEL_NAME]

_TEXT_DEFAULTS = {
    "lora_alpha": 512.0,
    "default_num_epochs": 3,
    "batch_size": 4,
    "learn_end": True,
    "max_examples": 64,
    "max_training_tokens": 250_000,
}
# Small models want other adapters than those that SEAL uses for models of billions of parameters; see docs/decisions/.
MODEL_DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        MODEL_NAME: {
            "grid_format": "lettered",
            "lora_rank": 16,
            "lora_alpha": 256.0,
            "max_examples": 48,
            "max_training_tokens": 400_000,
        },
        TEXT_MODEL_NAME: {"lora_rank": 8, "default_learning_rate": 5e-4, **_TEXT_DEFAULTS},
        WIDE_TEXT_MODEL_NAME: {"lora_rank": 32, "default_learning_rate": 1e-3, **_TEXT_DEFAULTS},
    }
)
"""Settings of which a bundled model has its own default."""


def is_hub_id(model: str) -> bool:
    """Whether a model's name can only be a Hugging Face id: no bundled model's, no folder and no path to one."""
    path = model.startswith((".", os.sep, "~")) or model.endswith(os.sep) or model.count("/") > 1
    return bool(model) and not path and model not in MODEL_DIRECTORIES and not os.path.lexists(model)
