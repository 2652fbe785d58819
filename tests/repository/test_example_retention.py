"""The example that learns how much to rehearse: what it learns from rewards, and that it goes on where it was stopped."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "retention_policy.py"
SMALL: dict[str, Any] = {
    "shares": (0.0, 1.0),
    "training": 2,
    "batch": 2,
    "measured": 2,
    "length": 2,
    "model": "seal-tiny-text",
    "train_set": "synthetic-train:4",
    "held_out": "synthetic-eval:4",
}


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    pytest.importorskip("tyro")
    return runpy.run_path(os.fspath(EXAMPLE))


def learned(example: dict[str, Any], reward: Callable[[int, float], float]) -> list[list[float]]:
    """The chances of each share at each position, after 30 batches of a reward of position and share."""
    arguments = example["Arguments"]()
    policy = example["RetentionPolicy"](example["OracleTextsAgent"](), arguments)
    rng = np.random.default_rng(0)
    positions = range(arguments.length)
    for _ in range(30):
        batch = []
        for _ in range(arguments.batch):
            shares = [float(rng.choice(arguments.shares, p=policy.chances(place))) for place in positions]
            batch.append({"shares": shares, "rewards": [reward(*each) for each in enumerate(shares)]})
        policy.learn_records(batch)
    return [policy.chances(place).tolist() for place in positions]


def test_the_share_with_the_highest_reward_is_learned(example: dict[str, Any]) -> None:
    shares = example["Arguments"]().shares
    for best in shares:
        chances = learned(example, lambda place, share, best=best: -abs(share - best))  # type: ignore[misc]
        assert [shares[int(np.argmax(each))] for each in chances[1:]] == [best] * 7


def test_the_share_may_depend_on_the_position(example: dict[str, Any]) -> None:
    chances = learned(example, lambda place, share: share if place < 4 else -share)
    assert np.argmax(chances[1]) == 3
    assert np.argmax(chances[7]) == 0


def test_equal_rewards_teach_nothing(example: dict[str, Any]) -> None:
    assert np.allclose(learned(example, lambda place, share: 1.0), 1 / 4)


def test_later_rewards_count_less(example: dict[str, Any]) -> None:
    assert example["discounted"]([1.0, 0.0, 4.0], 0.5) == [2.0, 2.0, 4.0]


@pytest.mark.parametrize("changes", [{"training": 3}, {"batch": 1}])
def test_a_batch_is_compared_with_itself(example: dict[str, Any], tmp_path: Path, changes: dict[str, int]) -> None:
    with pytest.raises(SystemExit, match="batch"):
        example["main"](example["Arguments"](**{**SMALL, **changes}, out=tmp_path))


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(example: dict[str, Any], tmp_path: Path) -> None:
    arguments = example["Arguments"](**SMALL, out=tmp_path)
    whole = example["main"](arguments)
    assert set(whole["rows"]) == {"learned", "random", "always 0", "always 1"}
    nothing, all_of_it = whole["rows"]["always 0"], whole["rows"]["always 1"]
    assert nothing["training_tokens"] < all_of_it["training_tokens"]
    for row in whole["rows"].values():
        assert 0 <= row["accuracy_at_the_end"]["mean"] <= 1
    records = [json.loads(line) for line in (tmp_path / "always 1.jsonl").read_text().splitlines()]
    for record in records:
        assert record["rewards"] == [
            pytest.approx(accuracy - 0.01 * tokens / 1000)
            for accuracy, tokens in zip(record["accuracies"], record["tokens"], strict=True)
        ]
    for name in ("training", "random"):
        journal = tmp_path / f"{name}.jsonl"
        journal.write_text(journal.read_text().splitlines(keepends=True)[0] + '{"half')
    assert example["main"](arguments) == whole
    with pytest.raises(SystemExit, match="other arguments"):
        example["main"](example["Arguments"](**{**SMALL, "price": 0.5}, out=tmp_path))
