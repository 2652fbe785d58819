"""The recipe's second stage: its adapters learn as the inner loop's do, it resumes, and it carries embeddings over."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from recipes.adapt import PHASES, Adaptation, AdaptSettings, adapt, carry_over
from recipes.fast_weights import pad_tasks
from recipes.self_edit_data import EpisodeSettings
from recipes.stream import StreamSettings
from recipes.tokenizer import SPECIAL_TOKENS, build_tokenizer
from recipes.train import MAX_POSITIONS, TrainSettings, build_model
from seal_env.tasks.arc.prompt import SOLVE_INSTRUCTION
from seal_env.types import LoraSpec

TINY = TrainSettings(steps=2, warmup=1, width=32, layers=1, heads=2, inner_width=32, checkpoint_every=2)
FEW = AdaptSettings(
    tasks=3,
    chunks=2,
    ask_always=True,
    accumulate=1,
    inner_weight=0.5,
    self_edits=1,
    optimizer=TINY,
    episodes=EpisodeSettings(max_examples=8, max_steps=32, queries=2),
    stream=StreamSettings(tasks=1, small_steps=0, wide_from=0),
)
SPEC = LoraSpec(4, 64.0)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(MAX_POSITIONS)


@pytest.fixture(scope="module")
def start(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first stage leaves: a small random model and its tokenizer."""
    folder = tmp_path_factory.mktemp("first") / "model"
    build_model(tokenizer, TINY).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adaptation(start: Path, tokenizer: Any, settings: AdaptSettings = FEW) -> Adaptation:
    return Adaptation(AutoModelForCausalLM.from_pretrained(start), tokenizer, settings, SPEC)


def spied_steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, torch.Tensor]]:
    """A list that every step adds to: its number, and a weight of the base model before it."""
    seen: list[tuple[int, torch.Tensor]] = []
    step = Adaptation.step

    def spied(self: Adaptation, number: int) -> dict[str, float]:
        seen.append((number, self.model.model.norm.weight.detach().clone()))
        return step(self, number)

    monkeypatch.setattr(Adaptation, "step", spied)
    return seen


def test_training_resumes_after_the_last_step_with_its_weights(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spied_steps(monkeypatch)
    adapt(start, tmp_path, FEW, "cpu")
    weight = load_file(tmp_path / "model" / "model.safetensors")["model.norm.weight"]
    adapt(start, tmp_path, replace(FEW, optimizer=replace(TINY, steps=4)), "cpu")
    assert [number for number, _ in seen] == [0, 1, 2, 3]
    assert torch.equal(seen[2][1], weight)
    assert not torch.equal(seen[1][1], weight)


def test_what_is_saved_is_a_model_and_its_recipe(start: Path, tmp_path: Path) -> None:
    adapt(start, tmp_path, FEW, "cpu")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model", local_files_only=True)
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert type(model).__name__ == "LlamaForCausalLM"
    assert recipe["step"] == recipe["adapt"]["optimizer"]["steps"] == 2
    assert {"inner", "early", "plain", "self-edit"} <= recipe["curve"][-1][1].keys()


def test_training_that_is_over_changes_nothing_more(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapt(start, tmp_path, FEW, "cpu")
    before = load_file(tmp_path / "model" / "model.safetensors")
    seen = spied_steps(monkeypatch)
    adapt(start, tmp_path, FEW, "cpu")
    after = load_file(tmp_path / "model" / "model.safetensors")
    assert seen == []
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_adapters_learn_as_they_would_alone(start: Path, tokenizer: Any) -> None:
    """Each task's adapter after some steps is what PEFT and AdamW make of its batches, one task at a time."""
    state = adaptation(start, tokenizer, replace(FEW, tasks=8, chunks=3))
    state.step(0)
    begun, first = list(state.episodes), deepcopy(state.fast.weights)  # the rate of the first step is 0
    for number in range(1, 4):
        state.step(number)
    lasting = [task for task, episode in enumerate(begun) if state.episodes[task] is episode]
    for task in lasting:
        alone = trained_alone(state, begun[task], {name: (a[task], b[task]) for name, (a, b) in first.items()})
        for name, (a, b) in state.fast.weights.items():
            for letter, weight in zip("AB", (a, b), strict=True):
                expected = alone[f"base_model.model.{name}.lora_{letter}.default.weight"]
                torch.testing.assert_close(weight[task], expected, atol=1e-6, rtol=1e-3)
    assert len(lasting) >= 2


def trained_alone(state: Adaptation, episode: Any, adapter: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Any:
    """The adapter's parameters after the steps that the episode has taken."""
    config = LoraConfig(r=SPEC.rank, lora_alpha=int(SPEC.alpha), target_modules=list(SPEC.target_modules))
    wrapped: Any = get_peft_model(deepcopy(state.model), config)
    parameters = {name: p for name, p in wrapped.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, (a, b) in adapter.items():
            parameters[f"base_model.model.{name}.lora_A.default.weight"].copy_(a)
            parameters[f"base_model.model.{name}.lora_B.default.weight"].copy_(b)
    optimizer = torch.optim.AdamW(parameters.values(), weight_decay=0)
    for rows, rate in list(zip(episode.batches_S, episode.rates_S, strict=False))[: episode.step]:
        ids, labels = pad_tasks([rows], pad=0)
        optimizer.zero_grad()
        wrapped(input_ids=ids[0], labels=labels[0]).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return parameters


@pytest.mark.parametrize("change", [{"chunks": 1}, {"chunks": 3}, {"inner_weight": 3.0}])
def test_adapters_depend_on_neither_chunks_nor_weights(start: Path, tokenizer: Any, change: dict[str, Any]) -> None:
    state, other = adaptation(start, tokenizer), adaptation(start, tokenizer, replace(FEW, **change))
    for number in range(3):
        state.step(number)
        other.step(number)
    for weight, expected in zip(state.fast.flat(), other.fast.flat(), strict=True):
        torch.testing.assert_close(weight, expected, atol=1e-6, rtol=1e-3)
    assert any(b.any() for _, b in state.fast.weights.values())


def test_the_base_model_gets_the_gradients_of_all_losses(start: Path, tokenizer: Any) -> None:
    norms = []
    changes: list[dict[str, Any]] = [{}, {"plain_weight": 0.0}, {"self_edit_weight": 0.0}, {"inner_weight": 0.01}]
    for change in changes:
        state = adaptation(start, tokenizer, replace(FEW, **change))
        state.step(0)
        norms.append(float(sum(p.grad.norm() for p in state.model.parameters())))
    assert min(norms) > 0
    assert len(set(norms)) == 4


def test_several_steps_of_the_adapters_make_one_of_the_base_model(start: Path, tokenizer: Any) -> None:
    state = adaptation(start, tokenizer, replace(FEW, accumulate=3, tasks=8))
    state.step(0)
    assert max(episode.step for episode in state.episodes if episode is not None) == 3


@pytest.mark.parametrize("ask_always", [True, False])
def test_queries_are_asked_always_or_after_the_last_step(start: Path, tokenizer: Any, ask_always: bool) -> None:
    """With no other loss, the base model has gradients where a query was asked."""
    silent = replace(FEW, tasks=1, inner_weight=0.0, plain_weight=0.0, self_edit_weight=0.0, ask_always=ask_always)
    state, asked, last = adaptation(start, tokenizer, silent), [], []
    for number in range(12):
        state.model.zero_grad()
        state.step(number)
        episode = state.episodes[0]
        assert episode is not None
        last.append(episode.done)
        asked.append(any(p.grad is not None and bool(p.grad.any()) for p in state.model.parameters()))
    assert asked == [ask_always or done for done in last]
    assert set(last) == {True, False}


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_runs(start: Path, tokenizer: Any, phase: str) -> None:
    settings = PHASES[phase]
    small: dict[str, Any] = {"tasks": 2, "self_edits": 1, "stream": replace(settings.stream, tasks=1)}
    losses = adaptation(start, tokenizer, replace(settings, **small)).step(0)
    assert all(losses[kind] > 0 for kind in ("inner", "plain", "self-edit"))
    assert any(losses[kind] > 0 for kind in ("early", "late"))


def test_a_finished_task_gives_its_place_to_a_new_one_with_a_fresh_adapter(start: Path, tokenizer: Any) -> None:
    state = adaptation(start, tokenizer)
    for number in range(3):
        state.step(number)
    finished, going = state.episodes[0], state.episodes[1]
    assert finished is not None
    assert going is not None
    finished.step, going.step = len(finished.batches_S), 0
    state.step(3)
    assert state.episodes[0] is not finished
    assert state.episodes[0] is not None
    assert state.episodes[0].step == 1
    assert state.episodes[1] is going
    assert [bool(b[0].any()) for _, b in state.fast.weights.values()] == [False] * len(state.fast.weights)


def older_tokenizer() -> Any:
    """Fewer merges and other ids than the recipe's own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=list(reversed(SPECIAL_TOKENS)),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([SOLVE_INSTRUCTION, " 0 1 2 3 4 5 6 7 8 9"] * 5, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|begin|>", eos_token="<|end|>"
    )


@pytest.fixture
def carried(tokenizer: Any, tmp_path: Path) -> tuple[Any, Any, Any]:
    """The older tokenizer, a model with it, and the same model carried over to the recipe's own."""
    older = older_tokenizer()
    before = build_model(older, TINY)
    before.save_pretrained(tmp_path)
    older.save_pretrained(tmp_path)
    return older, before, carry_over(tmp_path, tokenizer)


def test_equal_tokens_keep_their_embeddings_and_new_ones_get_their_parts_mean(
    tokenizer: Any, carried: tuple[Any, Any, Any]
) -> None:
    older, before, after = carried
    old, new = before.get_input_embeddings().weight, after.get_input_embeddings().weight
    shared = set(older.get_vocab()) & set(tokenizer.get_vocab())
    for token in shared:
        assert torch.equal(new[tokenizer.get_vocab()[token]], old[older.get_vocab()[token]])
    assert {*SPECIAL_TOKENS, "a", "Ġ7"} <= shared
    whole = tokenizer(SOLVE_INSTRUCTION, add_special_tokens=False)["input_ids"]
    parts = older(SOLVE_INSTRUCTION, add_special_tokens=False)["input_ids"]
    assert len(whole) == 1 < len(parts)
    torch.testing.assert_close(new[whole[0]], old[parts].mean(0))


def test_a_carried_over_model_is_whole(tokenizer: Any, carried: tuple[Any, Any, Any]) -> None:
    _, before, after = carried
    assert after.config.vocab_size == len(tokenizer) == after.get_output_embeddings().weight.shape[0]
    assert after.get_output_embeddings().weight is after.get_input_embeddings().weight
    for name, parameter in before.model.layers.named_parameters():
        assert torch.equal(after.model.layers.get_parameter(name), parameter)


def test_with_an_equal_tokenizer_nothing_changes(start: Path, tokenizer: Any) -> None:
    stored = load_file(start / "model.safetensors")
    carried = carry_over(start, tokenizer)
    assert all(torch.equal(parameter, stored[name]) for name, parameter in carried.named_parameters())
