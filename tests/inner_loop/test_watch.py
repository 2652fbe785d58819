"""Who watches an update sees the losses that its result has, and changes none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.watch import TrainingStep, watch_training
from seal_env.types import UpdateMethod
from tests.inner_loop.test_reference_inner_loop import JOB


@pytest.mark.parametrize(("name", "method"), [("batched", "lora"), ("batched", "full"), ("reference", "lora")])
def test_losses_are_seen_while_an_update_trains(name: str, method: UpdateMethod, tiny_models: dict[str, str]) -> None:
    loop, seen = make_inner_loop(name, tiny_models["llama"], "cpu"), list[TrainingStep]()
    job = replace(JOB, method=method)
    with watch_training(seen.append):
        (watched,) = loop.run([job])
    (alone,) = loop.run([job])
    assert watched.losses_S == alone.losses_S == tuple(round(step.loss, 6) for step in seen)
    assert [(step.number, step.total) for step in seen] == [(number, 9) for number in range(1, 10)]
