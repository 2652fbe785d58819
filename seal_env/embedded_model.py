"""Where the embedded models lie; paths only, so that naming them imports no torch."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_EMBEDDED = Path(__file__).parent / "embedded"

MODEL_NAME = "seal-tiny"
TEXT_MODEL_NAME = "seal-tiny-text"
MODEL_DIRECTORIES: Mapping[str, Path] = MappingProxyType({name: _EMBEDDED / name for name in (MODEL_NAME, TEXT_MODEL_NAME)})
"""Each embedded model's directory, by its name."""
CARDS: Mapping[str, Path] = MappingProxyType(
    {MODEL_NAME: _EMBEDDED / "card.md", TEXT_MODEL_NAME: _EMBEDDED / "card-text.md"}
)

MODEL_DIRECTORY = MODEL_DIRECTORIES[MODEL_NAME]
