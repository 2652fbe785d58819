"""The whole recipe of seal-tiny-text: `python -m recipes.seal_tiny_text --out DIR`; rerun the same command to resume.

Ends with DIR/seal-tiny-text (model and tokenizer) and DIR/recipe.json (settings, tokens, seconds and losses of each stage).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipes.stage import MAX_POSITIONS, Step, parse_arguments, run_stages
from recipes.text_adapt import CLOSE, FIRST, FOURTH, SECOND, THIRD, TextAdaptation, TextAdaptSettings
from recipes.text_pretrain import AGAIN, COPY, ReadSettings, read_step
from recipes.text_tokenizer import build_text_tokenizer
from seal_env.models.catalog import TEXT_MODEL_NAME

Settings = ReadSettings | TextAdaptSettings
STAGES: Mapping[str, Settings] = {
    "read": ReadSettings(),
    "first": FIRST,
    "second": SECOND,
    "third": THIRD,
    "again": AGAIN,
    "fourth": FOURTH,
    "copy": COPY,
    "close": CLOSE,
}


def make(out: Path, stages: Mapping[str, Settings], device: str) -> None:
    """Run or resume the stages."""
    tokenizer = build_text_tokenizer(MAX_POSITIONS)

    def make_step(model: Any, settings: Settings) -> Step:
        if isinstance(settings, ReadSettings):
            return read_step(model, tokenizer, settings)
        return TextAdaptation(model, tokenizer, settings).step

    run_stages(out, TEXT_MODEL_NAME, tokenizer, stages, make_step, device)


if __name__ == "__main__":
    make(*parse_arguments(__doc__, STAGES))
