"""A tiny encoder with random weights, and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_encoder(directory: Path, tokenizer: Any) -> str:
    """A BERT for `tokenizer`, written to `directory`; what from_pretrained takes."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "initializer_range": 0.5,
    }
    BertModel(BertConfig(**shape)).eval().save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(directory)
