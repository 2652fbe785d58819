"""The whole recipe of seal-tiny-text: `python -m recipes.seal_tiny_text --out DIR`. Can be stopped at any time.

Ends with DIR/seal-tiny-text (model and tokenizer) and DIR/recipe.json (settings, tokens, seconds and losses of each stage).
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from recipes.text_adapt import CLOSE, FIRST, FOURTH, SECOND, THIRD, TextAdaptation, TextAdaptSettings
from recipes.text_tokenizer import build_text_tokenizer
from recipes.text_train import AGAIN, COPY, ReadSettings, read_step, run_stage
from recipes.train import MAX_POSITIONS, build_model
from seal_env.models.catalog import TEXT_MODEL_NAME

STAGES: Mapping[str, ReadSettings | TextAdaptSettings] = {
    "read": ReadSettings(),
    "first": FIRST,
    "second": SECOND,
    "third": THIRD,
    "again": AGAIN,
    "fourth": FOURTH,
    "copy": COPY,
    "close": CLOSE,
}


def make(out: Path, stages: Mapping[str, ReadSettings | TextAdaptSettings], device: str) -> None:
    """Run all stages, or go on with them, and collect what they made."""
    tokenizer: Any = build_text_tokenizer(MAX_POSITIONS)
    model: Any = None
    recipe: dict[str, Any] = {}
    for name, settings in stages.items():
        if not (out / name / "recipe.json").exists():
            model = _begin(model, out, recipe, tokenizer, settings).to(device)
            if isinstance(settings, ReadSettings):
                step = read_step(model, tokenizer, settings)
            else:
                step = TextAdaptation(model, tokenizer, settings).step
            run_stage(out / name, model, tokenizer, step, settings.optimizer, asdict(settings))
        recipe[name] = json.loads((out / name / "recipe.json").read_text())
    shutil.copytree(out / list(stages)[-1] / "model", out / TEXT_MODEL_NAME, dirs_exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(recipe, indent=1))


def _begin(
    model: Any, out: Path, done: Mapping[str, Any], tokenizer: Any, settings: ReadSettings | TextAdaptSettings
) -> Any:
    """The model that a stage begins with: the last stage's, or random weights."""
    if not done:
        return build_model(tokenizer, settings.optimizer)
    return model if model is not None else AutoModelForCausalLM.from_pretrained(out / list(done)[-1] / "model")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, loss curves and the model")
    parser.add_argument("--until", choices=STAGES, default=list(STAGES)[-1], help="the last stage to run")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    wanted = list(STAGES)[: list(STAGES).index(arguments.until) + 1]
    make(arguments.out, {name: STAGES[name] for name in wanted}, "cuda" if torch.cuda.is_available() else "cpu")


if __name__ == "__main__":
    main()
