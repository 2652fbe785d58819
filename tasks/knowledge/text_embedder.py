"""Texts as vectors of a small local language model: the mean of its last hidden states over a text's tokens.

The semantic grader's own model was trained for that; models that were trained for another kind of pooling work less well.
The model computes in single precision: the company of a text in its batch, and the device, may change a vector near the
sixth digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from seal_env.errors import ModelError, SettingError

BATCH: Final = 64
MAX_TOKENS: Final = 256
"""What comes after is not read."""


class TextEmbedder:
    """An encoder in evaluation mode and its tokenizer."""

    def __init__(self, model: str, device: str = "auto") -> None:
        """model: a Hugging Face id or a local directory; only safetensors are read, and no code of its repository is run.

        device: auto (CUDA where there is one), cpu, cuda, cuda:N. Raises ModelError, and SettingError for the device.
        """
        self.device = _choose_device(device)
        self._tokenizer, self._model, self._longest = _load(model, self.device)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """[texts, width], each row of length 1. A text without any token is a row of zeros."""
        sound = [text.encode(errors="replace").decode() for text in texts]  # half a surrogate pair has no tokens
        ids = [self._tokenizer(text, truncation=True, max_length=self._longest)["input_ids"] for text in sound]
        rows = np.zeros((len(texts), self._model.config.hidden_size))
        order = sorted((index for index in range(len(texts)) if ids[index]), key=lambda index: len(ids[index]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            rows[batch] = self._embed_batch([ids[index] for index in batch])
        return rows

    @torch.inference_mode()
    def _embed_batch(self, ids: list[list[int]]) -> NDArray[np.float64]:
        inputs = self._tokenizer.pad({"input_ids": ids}, padding=True, return_tensors="pt").to(self.device)
        hidden = self._model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        mask = inputs["attention_mask"][..., None]
        means = (hidden * mask).sum(1) / mask.sum(1)
        vectors: NDArray[np.float64] = torch.nn.functional.normalize(means.double(), dim=-1).cpu().numpy()
        return vectors


def _choose_device(device: str) -> torch.device:
    try:
        chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:  # a name that torch does not know, or a device that is not there
        raise SettingError("device", device, "'auto', 'cpu', or a CUDA device of this machine: 'cuda', 'cuda:N'") from error
    return chosen


@lru_cache(maxsize=2)
def _load(name: str, device: torch.device) -> tuple[Any, Any, int]:
    """(tokenizer, model, tokens that it takes at most)."""
    transformers_logging.disable_progress_bar()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
        model: Any = AutoModel.from_pretrained(name, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise ModelError(
            f"the grader's model {name!r} cannot be loaded: {reason}. Expected a directory or a hub id"
        ) from error
    if tokenizer.pad_token is None or model.config.is_encoder_decoder:
        raise ModelError(
            f"the grader's model {name!r} is not fit: it has to be an encoder whose tokenizer has a padding token"
        )
    longest = min(MAX_TOKENS, tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", MAX_TOKENS))
    return tokenizer, model.requires_grad_(False).eval().to(device), int(longest)
