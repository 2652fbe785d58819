"""The whole recipe: `python -m recipes.seal_tiny --out DIR`. Can be stopped and started at any time.

Stage 1 (`train.py`) trains from scratch on plain sequences; stage 2 (`adapt.py`) goes on in phases that train for
adaptation. Ends with DIR/seal-tiny (model and tokenizer) and DIR/recipe.json (settings, tokens, seconds and loss curve of
every stage).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch

from recipes.adapt import PHASES, adapt
from recipes.stream import StreamSettings
from recipes.train import TrainSettings, train
from seal_env.models.catalog import MODEL_NAME


def make(out: Path, device: str, compiled: bool) -> None:
    """Run all stages, or go on with them, and collect what they made."""
    train(out / "pretrain", TrainSettings(), StreamSettings(), device, compiled)
    last = out / "pretrain"
    stages = {"pretrain": json.loads((last / "recipe.json").read_text())}
    for name, settings in PHASES.items():
        adapt(last / "model", out / name, settings, device)
        last = out / name
        stages[name] = json.loads((last / "recipe.json").read_text())
    shutil.copytree(last / "model", out / MODEL_NAME, dirs_exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(stages, indent=1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, loss curves and the model")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    parser.add_argument("--compile", action="store_true", help="torch.compile stage 1 (needs a C++ compiler)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    make(arguments.out, "cuda" if torch.cuda.is_available() else "cpu", arguments.compile)


if __name__ == "__main__":
    main()
