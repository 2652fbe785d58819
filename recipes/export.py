"""A trained model in bf16 as one file to carry: `python -m recipes.export MODEL_FOLDER FILE.tar`."""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def export(model: Path, file: Path) -> None:
    """Write weights (bf16), config and tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16, trust_remote_code=False).save_pretrained(folder)
        AutoTokenizer.from_pretrained(model, trust_remote_code=False).save_pretrained(folder)
        with tarfile.open(file, "w") as archive:
            archive.add(folder, model.name)
    print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
