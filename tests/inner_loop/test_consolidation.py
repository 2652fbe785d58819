"""How updates stay: added, averaged, orthogonal, or apart with a question that picks its adapter."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.continual import consolidation
from seal_env.inner_loop.continual.consolidation import CONSOLIDATIONS, Consolidation
from seal_env.inner_loop.continual.model import AdaptedModel
from seal_env.inner_loop.continual.retrieval import Retriever
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.types import Example, LoraSpec, Query, Recipe, TrainingConfig, UpdateJob

TEXTS = (["the red lamp burns oil", "oil is in the lamp"], ["a blue ship sails far"])
LAYER = "model.layers.0.mlp.down_proj"
PROMPTS = ("who owns the lamp", "does a ship sail far", "xyz")


def job(texts: list[str], seed: int = 0) -> UpdateJob:
    return UpdateJob(
        examples_E=tuple(Example(document=text) for text in texts),
        training=TrainingConfig("train_using_all_tokens", 3e-3, 2),
        lora=LoraSpec(4, 64.0, ("q_proj", "down_proj")),
        recipe=Recipe(warmup_steps=0),
        seed=seed,
        queries_Q=tuple(Query(prompt, (), "x", None, 4, prompt=prompt) for prompt in PROMPTS),
    )


ASK = replace(job([]), examples_E=())


@pytest.fixture
def updated(llama: FrozenLM, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Consolidation, list[Path]]:
    """A consolidation after two updates, and their adapters."""
    model = AdaptedModel(llama)
    found = CONSOLIDATIONS[request.param](model, BatchedInnerLoop(model.current))
    paths = []
    for number, texts in enumerate(TEXTS):
        (result,) = found.run([replace(job(texts, number), save_to=tmp_path / str(number))])
        assert result.adapter is not None
        found.add(result.adapter, texts)
        paths.append(result.adapter)
    return found, paths


def change(llama: FrozenLM, found: Consolidation) -> torch.Tensor:
    """By what a weight of the model differs from the base model's."""
    return found.model.current.model.get_submodule(LAYER).weight - llama.model.get_submodule(LAYER).weight


def delta(path: Path) -> torch.Tensor:
    weights = load_file(path / "adapter_model.safetensors")
    b, a = (weights[f"base_model.model.{LAYER}.lora_{part}.weight"] for part in "BA")
    return 16.0 * b @ a


def margins(found: Consolidation) -> list[float]:
    return [answer.margin for answer in found.run([ASK])[0].answers_Q]


@pytest.mark.parametrize(("updated", "share"), [("merge", 1.0), ("average", 0.5), ("orthogonal", 1.0)], indirect=["updated"])
def test_changes_are_added_or_averaged(updated: tuple[Consolidation, list[Path]], share: float, llama: FrozenLM) -> None:
    found, paths = updated
    expected = share * sum(map(delta, paths), torch.zeros(()))
    assert torch.allclose(change(llama, found), expected, atol=1e-5)
    assert float(expected.abs().max()) > 1e-3


@pytest.mark.parametrize("updated", ["orthogonal"], indirect=True)
def test_orthogonal_adapters_read_nothing_in_common(updated: tuple[Consolidation, list[Path]]) -> None:
    first, second = map(delta, updated[1])
    assert float((first @ second.T).abs().max()) < 1e-4 * float(first.norm() * second.norm())


@pytest.mark.parametrize("updated", ["average", "retrieval"], indirect=True)
def test_updates_begin_from_the_base_model(updated: tuple[Consolidation, list[Path]], llama: FrozenLM) -> None:
    found, _ = updated
    (again,) = found.run([job(TEXTS[1], 1)])
    (apart,) = BatchedInnerLoop(llama).run([job(TEXTS[1], 1)])
    assert again.losses_S == apart.losses_S


@pytest.mark.parametrize("updated", ["retrieval"], indirect=True)
def test_each_question_is_answered_with_its_own_adapter(updated: tuple[Consolidation, list[Path]], llama: FrozenLM) -> None:
    found, _ = updated
    (base,) = BatchedInnerLoop(llama).run([ASK])
    alone = [BatchedInnerLoop(llama).run([job(texts, number)])[0] for number, texts in enumerate(TEXTS)]
    expected = [result.answers_Q[index].margin for index, result in enumerate([*alone, base])]
    assert margins(found) == pytest.approx(expected, abs=1e-3)
    assert not change(llama, found).any()


@pytest.mark.parametrize("updated", ["retrieval"], indirect=True)
def test_documents_are_indexed_once_for_all_calls_until_others_are_kept(
    updated: tuple[Consolidation, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, paths = updated
    made = list[int]()

    class Counted(Retriever):
        def __init__(self, documents: Sequence[Sequence[str]]) -> None:
            made.append(len(documents))
            super().__init__(documents)

    monkeypatch.setattr(consolidation, "Retriever", Counted)
    state, before = found.state(), [margins(found), margins(found)]
    assert (made, before[0]) == ([2], before[1])
    found.add(paths[0], TEXTS[0])
    margins(found)
    found.restore(state)
    assert margins(found) == before[0]
    assert made == [2, 3, 2]


@pytest.mark.parametrize("updated", CONSOLIDATIONS, indirect=True)
def test_states_come_back_and_copies_go_their_own_way(updated: tuple[Consolidation, list[Path]], llama: FrozenLM) -> None:
    found, paths = updated
    state, before = found.state(), margins(found)
    model = copy.deepcopy(found.model)
    copied = found.on(model, BatchedInnerLoop(model.current))
    found.add(paths[0], TEXTS[0])
    found.reset()
    assert margins(found) == pytest.approx([answer.margin for answer in BatchedInnerLoop(llama).run([ASK])[0].answers_Q])
    assert margins(copied) == pytest.approx(before)
    found.restore(state)
    assert margins(found) == pytest.approx(before)


def test_a_question_without_a_word_in_common_has_no_adapter() -> None:
    queries = [Query(text, (), "x", prompt=text) for text in (*PROMPTS, "?")]
    assert Retriever(TEXTS).choose(queries) == [0, 1, None, None]


@pytest.mark.parametrize(
    ("texts", "asked"),
    [
        (["这艘船叫薇丝塔，在海上航行。", "这盏灯烧油。"], ["船在哪里？", "什么烧油？"]),
        (["เรือชื่อเวสตาแล่นในทะเล", "ตะเกียงใช้น้ำมัน"], ["เรืออยู่ที่ไหน", "อะไรใช้น้ำมัน"]),
        (["जहाज़ समुद्र में है", "दीपक तेल से जलता है"], ["जहाज़?", "दीपक?"]),
    ],
)
def test_a_question_in_any_script_finds_its_adapter(texts: list[str], asked: list[str]) -> None:
    queries = [Query(text, (), "x", prompt=text) for text in asked]
    assert Retriever([[text] for text in texts]).choose(queries) == [0, 1]
