"""Where the embedded model lies; paths only, so that naming it imports no torch."""

from pathlib import Path

MODEL_NAME = "seal-tiny"
MODEL_DIRECTORY = Path(__file__).parent / "embedded" / MODEL_NAME
CARD = MODEL_DIRECTORY.parent / "card.md"
