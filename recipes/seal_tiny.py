"""The whole recipe of seal-tiny: `python -m recipes.seal_tiny --out DIR`; rerun the same command to resume.

Stage `pretrain` trains from scratch on plain sequences; the stages of `recipes.adapt` train for adaptation. Ends with
DIR/seal-tiny (model and tokenizer) and DIR/recipe.json (settings, tokens, seconds and losses of each stage).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipes.adapt import PHASES, Adaptation, AdaptSettings
from recipes.pretrain import PretrainSettings, pretrain_step
from recipes.stage import MAX_POSITIONS, Step, parse_arguments, run_stages
from recipes.tokenizer import build_tokenizer
from seal_env.models.catalog import MODEL_NAME

Settings = PretrainSettings | AdaptSettings
STAGES: Mapping[str, Settings] = {"pretrain": PretrainSettings(), **PHASES}


def make(out: Path, stages: Mapping[str, Settings], device: str) -> None:
    """Run or resume the stages."""
    tokenizer = build_tokenizer(MAX_POSITIONS)

    def make_step(model: Any, settings: Settings) -> Step:
        if isinstance(settings, PretrainSettings):
            return pretrain_step(model, tokenizer, settings)
        return Adaptation(model, tokenizer, settings).step

    run_stages(out, MODEL_NAME, tokenizer, stages, make_step, device)


if __name__ == "__main__":
    make(*parse_arguments(__doc__, STAGES))
