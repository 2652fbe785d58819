"""A recipe: the sizes in which a bundled model can be trained, and how its stages read and compute."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recipes.data_folder import DataFolder
from recipes.stage import MAX_POSITIONS, OutOfTimeError, StageStep, Time, run_stages
from recipes.step_data import Source
from seal_env.models.catalog import MODEL_DIRECTORIES

Stages = Mapping[str, Any]
"""Settings by name of the stage."""
CAN_RESUME = 75
"""Exit status of a command whose time is over; sysexits.h has it as EX_TEMPFAIL."""
BUNDLED = "bundled"
"""The size of the model that the package brings."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        name: Of the bundled model; one of another size is called NAME-SIZE.
        sizes: Stages by size.
        make_tokenizer: Longest input -> tokenizer.
        make_step: (model, id of padding, settings) -> the stage's steps.
        make_source: (tokenizer, settings) -> what they read.
    """

    name: str
    sizes: Mapping[str, Stages]
    make_tokenizer: Callable[[int], Any]
    make_step: Callable[[Any, int, Any], StageStep]
    make_source: Callable[[Any, Any], Source]

    def tokenizer(self) -> Any:
        """The model's."""
        return self.make_tokenizer(MAX_POSITIONS)

    def model_name(self, size: str) -> str:
        """What a model of this size is called."""
        return self.name if size == BUNDLED else f"{self.name}-{size}"

    def make(
        self,
        out: Path,
        stages: Stages,
        device: str,
        *,
        size: str = BUNDLED,
        data: DataFolder | None = None,
        limit: Time | None = None,
    ) -> None:
        """Run or resume the stages; what they read is drawn now, unless it is in the folder `data`."""
        tokenizer = self.tokenizer()
        pad = int(tokenizer.pad_token_id)
        if data:
            data.check(self.name, digest(tokenizer))

        def make_source(stage: str, settings: Any) -> Source:
            drawn = self.make_source(tokenizer, settings)
            return data.source(stage, settings, drawn) if data else drawn

        run_stages(
            out,
            self.model_name(size),
            tokenizer,
            stages,
            lambda model, settings: self.make_step(model, pad, settings),
            make_source,
            device,
            limit,
        )


def digest(tokenizer: Any) -> str:
    """Of all that decides how it cuts up text."""
    return hashlib.sha256(str(tokenizer.backend_tokenizer.to_str()).encode()).hexdigest()


def adopt(recipe: Recipe, out: Path) -> None:
    """Begin a folder with the stages of the model that the package brings, as if they had been trained here.

    A folder that has begun stays as it is.
    """
    record: Mapping[str, Any] = json.loads((Path(__file__).parent / f"{recipe.name}.json").read_text())
    last = out / list(record)[-1]
    if (last / "recipe.json").exists():
        return
    for stage, found in record.items():
        (out / stage).mkdir(parents=True, exist_ok=True)
        if out / stage == last:
            shutil.copytree(MODEL_DIRECTORIES[recipe.name], last / "model", dirs_exist_ok=True)
        (out / stage / "recipe.json").write_text(json.dumps(found, indent=1))


def main(recipe: Recipe, description: str | None) -> None:
    """Command line of a recipe. Exit status 75 if its time is over: the same command resumes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, loss curves and the model")
    parser.add_argument("--size", choices=recipe.sizes, default=BUNDLED)
    parser.add_argument("--shipped", action="store_true", help="take the stages of the bundled model as they are, trained")
    parser.add_argument("--until", help="the last stage to run")
    parser.add_argument("--data", type=Path, help="folder that recipes.ahead made; what it lacks is drawn now")
    parser.add_argument("--patience", type=float, default=0, help="seconds to wait for data that are still being made")
    parser.add_argument("--seconds", type=float, help="of training, all stages together: they end sooner, rates follow")
    parser.add_argument("--stop-after", type=float, help="seconds after which this command ends with a checkpoint")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    given = parser.parse_args()
    stages = recipe.sizes[given.size]
    until = given.until or list(stages)[-1]
    if until not in stages:
        parser.error(f"--until {until}: expected one of {', '.join(stages)}")
    if given.threads:
        torch.set_num_threads(given.threads)
    chosen = dict(list(stages.items())[: list(stages).index(until) + 1])
    if given.shipped:
        adopt(recipe, given.out)
    data = DataFolder(given.data, given.patience) if given.data else None
    limit = Time(*(float("inf") if value is None else value for value in (given.seconds, given.stop_after)))
    shown = ", ".join(f"{name} ({stage.optimizer.steps} steps)" for name, stage in chosen.items())
    print(f"{recipe.model_name(given.size)}: stages {shown}; results in {given.out}; estimating the time", flush=True)
    limit = Time(limit.training, time.monotonic() + limit.ends)
    try:
        recipe.make(
            given.out, chosen, "cuda" if torch.cuda.is_available() else "cpu", size=given.size, data=data, limit=limit
        )
    except OutOfTimeError as over:
        print(over)
        sys.exit(CAN_RESUME)
