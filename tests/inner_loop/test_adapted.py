"""A model that keeps what it learned: merging, going back, saving."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop import INNER_LOOPS
from seal_env.inner_loop.continual.model import AdaptedModel
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.types import (
    Example,
    LoraSpec,
    Message,
    Outcome,
    Query,
    Recipe,
    TrainingConfig,
    UpdateJob,
    UpdateMethod,
    UpdateResult,
)

DOCUMENTS = tuple(Example(document=text) for text in ("1 2 3 4", "2 4 6", "Input 3 1\nOutput 1 3"))
QUERIES = (
    Query("chat", (Message("user", "1 2 3"),), "4 1 6 1", None, 6),
    Query("prompt", (), "4 6", None, 6, prompt="2"),
)
JOB = UpdateJob(
    examples_E=DOCUMENTS,
    training=TrainingConfig("train_using_all_tokens", 5e-3, 4),
    lora=LoraSpec(4, 16.0),
    recipe=Recipe(batch_size=1, schedule="linear", warmup_steps=0),
    seed=5,
    queries_Q=QUERIES,
)
ASK = replace(JOB, examples_E=())
KINDS: tuple[UpdateMethod, ...] = ("lora", "full")


@pytest.fixture(params=["llama", "qwen2", "gpt2"])
def base(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models[request.param], "cpu")


@pytest.fixture
def model(tiny_models: dict[str, str]) -> AdaptedModel:
    return AdaptedModel(load_base_model(tiny_models["llama"], "cpu"))


def learn(
    model: AdaptedModel, out: Path, update: UpdateMethod = "lora", seed: int = 5, loop: str = "batched"
) -> UpdateResult:
    """Train on the model as it is, and merge; what the update itself answered."""
    directory = out / f"{update}-{seed}-{loop}"
    (result,) = model.inner_loop(loop).run([replace(JOB, method=update, seed=seed, save_to=directory)])
    assert result.outcome is Outcome.OK
    assert result.adapter == directory
    model.merge(result.adapter)
    return result


def margins(model: AdaptedModel, loop: str = "batched") -> list[float]:
    return [answer.margin for answer in model.inner_loop(loop).run([ASK])[0].answers_Q]


def state(model: AdaptedModel | FrozenLM) -> dict[str, torch.Tensor]:
    held = model.current if isinstance(model, AdaptedModel) else model
    return {name: weight.clone() for name, weight in held.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("update", KINDS)
@pytest.mark.parametrize("loop", INNER_LOOPS)
def test_merged_model_answers_as_the_update_did(loop: str, update: UpdateMethod, base: FrozenLM, tmp_path: Path) -> None:
    model = AdaptedModel(base)
    before = margins(model, loop)
    result = learn(model, tmp_path, update, loop=loop)
    said = [answer.margin for answer in result.answers_Q]
    assert max(abs(now - then) for now, then in zip(said, before, strict=True)) > 0.3
    for asking in INNER_LOOPS:
        assert margins(model, asking) == pytest.approx(said, abs=2e-3)
    asked = model.inner_loop(loop).run([ASK])[0]
    assert [answer.text for answer in asked.answers_Q] == [answer.text for answer in result.answers_Q]


@pytest.mark.parametrize("update", KINDS)
@pytest.mark.parametrize("loop", INNER_LOOPS)
def test_result_carries_what_was_written(loop: str, update: UpdateMethod, model: AdaptedModel, tmp_path: Path) -> None:
    saving = replace(JOB, method=update, save_to=tmp_path / "trained")
    jobs = [saving, replace(saving, examples_E=(), save_to=tmp_path / "untrained"), replace(saving, save_to=None)]
    results = model.inner_loop(loop).run(jobs)
    assert [result.adapter for result in results] == [job.save_to for job in jobs]


@pytest.mark.parametrize("update", KINDS)
def test_base_model_is_never_written(update: UpdateMethod, base: FrozenLM, tmp_path: Path) -> None:
    before, model = state(base), AdaptedModel(base)
    learn(model, tmp_path, update)
    assert not same(state(model), before)
    assert same(state(base), before)


@pytest.mark.parametrize("update", KINDS)
@pytest.mark.parametrize("loop", INNER_LOOPS)
def test_jobs_train_on_the_model_as_it_is_now(loop: str, update: UpdateMethod, model: AdaptedModel, tmp_path: Path) -> None:
    learn(model, tmp_path)
    model.save(tmp_path / "now")
    saved: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "now").requires_grad_(False).eval()
    job = replace(JOB, seed=8, method=update)
    expected = ReferenceInnerLoop(replace(model.base, model=saved, inner_loops={})).run([job])[0]
    (result,) = model.inner_loop(loop).run([job])
    assert result.losses_S == pytest.approx(expected.losses_S, abs=1e-3)
    assert result.losses_S[0] != pytest.approx(ReferenceInnerLoop(model.base).run([job])[0].losses_S[0], abs=1e-2)


@pytest.mark.parametrize("update", KINDS)
def test_going_back_is_bit_identical(update: UpdateMethod, base: FrozenLM, tmp_path: Path) -> None:
    model = AdaptedModel(base)
    states, snapshots = [state(model)], [model.snapshot()]
    for seed in (1, 2):
        learn(model, tmp_path, update, seed)
        states.append(state(model))
        snapshots.append(model.snapshot())
    for number in (1, 0, 2, 1):
        model.restore(snapshots[number])
        assert same(state(model), states[number])
    model.reset()
    assert same(state(model), state(base))
    assert [same(states[a], states[b]) for a, b in ((0, 1), (1, 2))] == [False, False]


def test_fingerprint_is_of_the_state(model: AdaptedModel, tmp_path: Path) -> None:
    found = [model.fingerprint]
    methods: tuple[tuple[UpdateMethod, int], ...] = (("lora", 1), ("full", 2), ("lora", 3))
    for update, seed in methods:
        learn(model, tmp_path, update, seed)
        found.append(model.fingerprint)
        if seed == 1:
            after_one = model.snapshot()
    assert len(set(found)) == 4
    assert found[0] == model.base.fingerprint
    model.restore(after_one)
    assert model.fingerprint == found[1]
    model.reset()
    assert model.fingerprint == found[0]


def test_snapshot_holds_what_has_changed(model: AdaptedModel, tmp_path: Path) -> None:
    assert model.snapshot().weights == {}
    learn(model, tmp_path)
    held = set(model.snapshot().weights)
    assert held == {name for name in held if name.rsplit(".", 2)[1] in LoraSpec.target_modules}
    assert len(held) == 2 * len(LoraSpec.target_modules)
    learn(model, tmp_path, "full")
    assert len(model.snapshot().weights) == len(dict(model.current.model.named_parameters()))
    model.merge(untouched(model, tmp_path))
    assert model.snapshot().weights == {}


def untouched(model: AdaptedModel, out: Path) -> Path:
    """The base model, as a full update without examples saves it."""
    ReferenceInnerLoop(model.base).run([replace(ASK, method="full", save_to=out / "base")])
    return out / "base"


def test_merging_that_is_interrupted_can_be_taken_back(
    model: AdaptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(model, tmp_path)
    model.inner_loop("batched").run([replace(JOB, method="full", save_to=tmp_path / "full")])
    before, snapshot, equal = state(model), model.snapshot(), torch.equal

    def interrupt(*_: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "equal", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.merge(tmp_path / "full")
    assert torch.equal is equal
    assert not same(state(model), before)
    model.restore(snapshot)
    assert same(state(model), before)


@pytest.mark.parametrize("update", KINDS)
def test_saved_model_is_loaded_by_transformers_and_by_load(update: UpdateMethod, base: FrozenLM, tmp_path: Path) -> None:
    model, other = AdaptedModel(base), AdaptedModel(base)
    learn(model, tmp_path, update)
    model.save(tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").glob("*.safetensors")] == ["model.safetensors"]
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model.current.model(ids).logits)
    before = model.fingerprint
    assert load_base_model(str(tmp_path / "model"), "cpu").fingerprint == before
    other.load(tmp_path / "model")
    assert other.fingerprint == before
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "model")


def test_adapter_is_added_in_fp32_and_rounded_once(model: AdaptedModel, tmp_path: Path) -> None:
    half = AdaptedModel(replace(model.base, model=copy.deepcopy(model.base.model).to(torch.bfloat16)))
    (result,) = half.inner_loop("reference").run([replace(JOB, save_to=tmp_path / "adapter")])
    assert result.outcome is Outcome.OK
    half.merge(tmp_path / "adapter")
    adapter, name = load_file(tmp_path / "adapter" / "adapter_model.safetensors"), "model.layers.1.mlp.up_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    start = half.base.model.get_submodule(name).weight
    assert torch.equal(half.current.model.get_submodule(name).weight, (start.float() + 4.0 * (b @ a)).to(torch.bfloat16))


def with_config(directory: Path, **changes: Any) -> None:
    path = directory / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = directory / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)


def without_last(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensors[name] for name in sorted(tensors)[:-1]}


def of_other_layers(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("layers.1", "layers.7"): tensor for name, tensor in tensors.items()}


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (
        lambda path: [file.unlink() for file in path.iterdir()],
        "neither adapter_config.json nor config.json",
    ),
    "other arithmetic": (lambda path: with_config(path, use_dora=True), "use_dora=True, expected False"),
    "other rank": (
        lambda path: with_config(path, r=8),
        r"has A \(4, 64\) and B \(32, 4\), expected \(8, 64\) and \(32, 8\)",
    ),
    "half a pair": (lambda path: with_weights(path, without_last), "not every layer has both A and B"),
    "layers of another model": (lambda path: with_weights(path, of_other_layers), "no linear layer 'model.layers.7"),
    "cut off": (lambda path: (path / "adapter_model.safetensors").write_bytes(b"12345678"), "deserializing header"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_adapter_that_does_not_fit_is_named_and_changes_nothing(broken: str, model: AdaptedModel, tmp_path: Path) -> None:
    model.inner_loop("batched").run([replace(JOB, save_to=tmp_path / "adapter")])
    breaking, reason = BROKEN[broken]
    breaking(tmp_path / "adapter")
    before = state(model)
    with pytest.raises(ModelError, match=f"update='.*adapter' does not fit model='.*llama': .*{reason}"):
        model.merge(tmp_path / "adapter")
    assert same(state(model), before)


def test_whole_model_that_does_not_fit_is_named_and_changes_nothing(
    model: AdaptedModel, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    before = state(model)
    for other in ("qwen2", "gpt2"):
        with pytest.raises(ModelError, match="is missing or has another shape"):
            model.merge(Path(tiny_models[other]))
    shutil.copytree(model.base.name, tmp_path / "part")
    tensors = load_file(tmp_path / "part" / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, tmp_path / "part" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"'model.norm.weight' is missing"):
        model.load(tmp_path / "part")
    assert same(state(model), before)


def test_models_on_one_base_model_learn_apart(model: AdaptedModel, tmp_path: Path) -> None:
    other = AdaptedModel(model.base)
    learn(model, tmp_path)
    assert model.fingerprint != other.fingerprint == model.base.fingerprint


def test_unknown_inner_loop_is_named(model: AdaptedModel) -> None:
    with pytest.raises(SettingError, match="inner_loop='fast' is not legal"):
        model.inner_loop("fast")


def test_equal_adapters_are_equal_files(model: AdaptedModel, tmp_path: Path) -> None:
    (result,) = model.inner_loop("batched").run([replace(JOB, save_to=tmp_path / "adapter")])
    assert result.outcome is Outcome.OK
    named = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["target_modules"]
    assert named == sorted(named)
