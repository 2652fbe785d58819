"""The bundled models by name: paths only, so that naming one imports no torch."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_HERE = Path(__file__).parent

MODEL_NAME = "seal-tiny"
TEXT_MODEL_NAME = "seal-tiny-text"
MODEL_DIRECTORIES: Mapping[str, Path] = MappingProxyType({name: _HERE / name for name in (MODEL_NAME, TEXT_MODEL_NAME)})
"""Each bundled model's directory, by its name."""
CARDS: Mapping[str, Path] = MappingProxyType({name: _HERE / f"{name}.md" for name in MODEL_DIRECTORIES})
"""Each bundled model's card."""

MODEL_DIRECTORY = MODEL_DIRECTORIES[MODEL_NAME]
