"""The whole recipe of seal-tiny-text: `python -m recipes.seal_tiny_text --out DIR`; rerun the same command to resume.

Ends with DIR/seal-tiny-text (model and tokenizer) and DIR/recipe.json (settings, tokens, seconds and losses of each stage).
"""

from __future__ import annotations

from typing import Any

from recipes.recipe import BUNDLED, Recipe, main
from recipes.stage import StageStep
from recipes.step_data import Source
from recipes.text_adapt import CLOSE, FIRST, FOURTH, SECOND, THIRD, TextAdaptation, TextAdaptSettings, episodes_source
from recipes.text_pretrain import AGAIN, COPY, ReadSettings, read_source, read_step
from recipes.text_tokenizer import build_text_tokenizer
from recipes.text_wide import TINY, WIDE
from seal_env.models.catalog import TEXT_MODEL_NAME

Settings = ReadSettings | TextAdaptSettings
STAGES: dict[str, Settings] = {
    "read": ReadSettings(),
    "first": FIRST,
    "second": SECOND,
    "third": THIRD,
    "again": AGAIN,
    "fourth": FOURTH,
    "copy": COPY,
    "close": CLOSE,
}


def _step(model: Any, pad: int, settings: Settings) -> StageStep:
    if isinstance(settings, ReadSettings):
        return read_step(model, pad, settings)
    adaptation = TextAdaptation(model, pad, settings)
    return StageStep(adaptation.step, adaptation.prepare, stateless=True)


def _source(tokenizer: Any, settings: Settings) -> Source:
    return read_source(tokenizer, settings) if isinstance(settings, ReadSettings) else episodes_source(tokenizer, settings)


SIZES = {BUNDLED: STAGES, "wide": {**STAGES, **WIDE}, "tiny": {**STAGES, **TINY}}
RECIPE = Recipe(TEXT_MODEL_NAME, SIZES, build_text_tokenizer, _step, _source)

if __name__ == "__main__":
    main(RECIPE, __doc__)
