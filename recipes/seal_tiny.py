"""The whole recipe of seal-tiny: `python -m recipes.seal_tiny --out DIR`; rerun the same command to resume.

Stage `pretrain` trains from scratch on plain sequences; the other stages train for adaptation. Ends with DIR/seal-tiny
(model and tokenizer) and DIR/recipe.json (settings, tokens, seconds and losses of each stage).
"""

from __future__ import annotations

from typing import Any

from recipes.adapt import PHASES, Adaptation, AdaptSettings
from recipes.adapt_source import AdaptSource
from recipes.pretrain import PretrainSettings, pretrain_source, pretrain_step
from recipes.recipe import BUNDLED, Recipe, main
from recipes.sizes import LARGE, TINY
from recipes.stage import StageStep
from recipes.step_data import Source
from recipes.tokenizer import build_tokenizer
from seal_env.models.catalog import MODEL_NAME

Settings = PretrainSettings | AdaptSettings
STAGES: dict[str, Settings] = {"pretrain": PretrainSettings(), **PHASES}


def _step(model: Any, pad: int, settings: Settings) -> StageStep:
    if isinstance(settings, PretrainSettings):
        return pretrain_step(model, pad, settings)
    adaptation = Adaptation(model, pad, settings)
    return StageStep(adaptation.step, adaptation.prepare)


def _source(tokenizer: Any, settings: Settings) -> Source:
    if isinstance(settings, PretrainSettings):
        return pretrain_source(tokenizer, settings)
    return AdaptSource(tokenizer, settings)


RECIPE = Recipe(MODEL_NAME, {BUNDLED: STAGES, "large": LARGE, "tiny": TINY}, build_tokenizer, _step, _source)

if __name__ == "__main__":
    main(RECIPE, __doc__)
