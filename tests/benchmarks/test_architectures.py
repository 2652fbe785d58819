"""docs/models.md says what the inner loops do, and both compute the same on every architecture that both run."""

from __future__ import annotations

import pytest

from benchmarks.architectures.matrix import LoopsDifferError, compare, tiny_base
from benchmarks.architectures.models import MODELS
from benchmarks.architectures.page import PAGE, line, page
from seal_env.inner_loop.batched.lora import LoraStack

SOME = ["Llama", "Phi-3", "Gemma 3", "Qwen3 MoE with a dense layer", "OPT", "GPT-J", "Mamba", "BERT"]


@pytest.mark.parametrize("name", SOME)
def test_page_says_what_runs_an_architecture(name: str) -> None:
    assert line(name, compare(tiny_base(name))) in PAGE.read_text(encoding="utf-8").splitlines()


def test_page_names_every_family_once() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    names = [name for models in MODELS.values() for name in models]
    assert [
        each.split(" | ")[0].removeprefix("| ") for each in lines if each.startswith("| ") and "`model_type`" not in each
    ] == names
    assert len(set(names)) == len(names) >= 40


def test_loops_that_differ_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    base, reset = tiny_base("Llama"), LoraStack.reset
    monkeypatch.setattr(LoraStack, "reset", lambda self, slot, seed: reset(self, slot, seed + 1))
    with pytest.raises(LoopsDifferError, match="Llama, lora: losses are"):
        compare(base)


@pytest.mark.slow
def test_page_is_what_running_every_architecture_gives() -> None:
    rows = {group: {name: compare(tiny_base(name)) for name in models} for group, models in MODELS.items()}
    assert page(rows) == PAGE.read_text(encoding="utf-8")
