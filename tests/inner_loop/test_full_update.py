"""Full fine-tuning: both inner loops take the steps of Hugging Face's Trainer, and the base model is itself afterwards."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from seal_env.errors import SettingError
from seal_env.inner_loop import INNER_LOOPS
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.packing import Packed
from seal_env.inner_loop.full import weights as full_weights
from seal_env.inner_loop.full.weights import FullWeights
from seal_env.inner_loop.model.fingerprint import fingerprint
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.inner_loop.served import ServedEvaluation, evaluation_server
from seal_env.types import (
    PROFILES,
    Example,
    InnerLoop,
    LoraSpec,
    Message,
    Outcome,
    Query,
    Recipe,
    TrainingConfig,
    UpdateJob,
)
from tests.inner_loop.test_batched_inner_loop import assert_same, in_fp64
from tests.inner_loop.test_trainer_equivalence import Collator, RecordingTrainer, rows, trainer_arguments

Weights = dict[str, torch.Tensor]

TEXTS = ("1 2 3 4", "2 4 6", "Input 3 1\nOutput 1 3", "9 8 7 6 5", "system user")
CHATS = tuple(Example((Message("user", f"{n} 2 3"), Message("assistant", f"4 {n} 6 {n}"))) for n in range(4))
DOCUMENTS = tuple(Example(document=text) for text in TEXTS)
QUERIES = (
    Query("chat", (Message("user", "1 2 3"),), "4 1 6 1", None, 6),
    Query("prompt", (), "4 6", None, 6, prompt="2"),
)
JOB = UpdateJob(
    examples_E=(*DOCUMENTS, *CHATS),
    training=TrainingConfig("train_using_all_tokens", 2e-3, 3),
    lora=LoraSpec(4, 8.0, ("no_such_layer",)),
    recipe=Recipe(warmup_steps=2),
    seed=5,
    queries_Q=QUERIES,
    method="full",
)
LORA = replace(JOB, lora=LoraSpec(4, 8.0), method="lora", seed=1)


def copied(base: FrozenLM, **changes: Any) -> FrozenLM:
    """A base model of one's own."""
    return replace(base, model=copy.deepcopy(base.model), inner_loops={}, **changes)


def make(name: str, base: FrozenLM) -> InnerLoop:
    return INNER_LOOPS[name](base)


@pytest.fixture(params=INNER_LOOPS)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=["llama", "qwen2", "gpt2"])
def base(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> FrozenLM:
    return copied(load_base_model(tiny_models[request.param], "cpu"))


@pytest.fixture
def llama(tiny_models: dict[str, str]) -> FrozenLM:
    return copied(load_base_model(tiny_models["llama"], "cpu"))


@pytest.fixture(params=[True, False], ids=["beside", "in place"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether there is room for weights that learn beside the base model's."""
    beside: bool = request.param
    monkeypatch.setattr(full_weights, "has_room_apart", lambda *_: beside)
    return beside


def digest(base: FrozenLM) -> str:
    return fingerprint(base.model, base.tokenizer, base.device)


def weights(model: torch.nn.Module) -> Weights:
    return {name: weight.detach() for name, weight in model.named_parameters()}


def load(directory: Path, dtype: torch.dtype = torch.float32) -> Any:
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)


class ExactTrainer(RecordingTrainer):
    """Trainer whose loss is in the model's dtype, where transformers' own is in fp32."""

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *_: Any, **__: Any) -> torch.Tensor:
        labels = inputs.pop("labels")
        return functional.cross_entropy(model(**inputs).logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def trainer_of(base: FrozenLM, job: UpdateJob, out: Path) -> RecordingTrainer:
    """Hugging Face's Trainer on all weights of the base model in fp64, after it has trained."""
    model: Any = AutoModelForCausalLM.from_pretrained(base.name, dtype=torch.float64).eval()
    model.train = lambda mode=True: model  # GPT-2 has dropout, which our loops never use
    encoded = [base.encoder.example(each, job.recipe) for each in job.examples_E]
    longest = max(len(each.ids_T) for each in encoded) if job.recipe.pad_loss else None
    collator = Collator(int(base.tokenizer.pad_token_id), longest)
    trainer = ExactTrainer(
        model=model, args=trainer_arguments(job, out), train_dataset=rows(encoded, job.training), data_collator=collator
    )
    trainer.losses_S = []
    trainer.train()
    return trainer


RECIPES = {
    "fixed": JOB.recipe,
    "knowledge": Recipe(batch_size=1, schedule="linear", warmup_steps=0),
    "paper": replace(PROFILES["paper"], warmup_steps=2),
}


@pytest.mark.parametrize(
    ("architecture", "recipe"),
    [("llama", "fixed"), ("qwen2", "fixed"), ("gpt2", "fixed"), ("gpt2", "knowledge"), ("llama", "paper")],
)
def test_update_is_the_trainer_s_update(
    name: str, architecture: str, recipe: str, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    """In fp64: in fp32 a bias of the keys, whose gradient is only rounding, would move as that falls."""
    base = load_base_model(tiny_models[architecture], "cpu")
    job = replace(JOB, recipe=RECIPES[recipe], save_to=tmp_path / "ours")
    (result,) = make(name, in_fp64(base)).run([job])
    trainer = trainer_of(base, job, tmp_path / "theirs")
    models: list[Any] = [base.model, load(tmp_path / "ours", torch.float64), trainer.model]
    before, ours, theirs = map(weights, models)
    assert result.losses_S == pytest.approx(trainer.losses_S, abs=1e-6)
    assert before.keys() == ours.keys() == theirs.keys()
    assert all(float((ours[name] - theirs[name]).abs().max()) < 1e-7 for name in ours)
    still = {name for name in ours if float((ours[name] - before[name]).abs().max()) < 1e-3}
    assert all("bias" in name for name in still)  # of the keys


def test_both_loops_agree_on_a_list_of_both_kinds(base: FrozenLM) -> None:
    jobs = [
        LORA,
        JOB,
        replace(JOB, examples_E=()),
        replace(LORA, seed=2),
        replace(JOB, seed=6, training=TrainingConfig("train_using_output_tokens", 5e-3, 6), decode=False),
        replace(LORA, training=TrainingConfig(num_train_epochs=0)),
        replace(JOB, recipe=PROFILES["paper"], queries_Q=QUERIES[::-1]),
    ]
    ours, theirs = BatchedInnerLoop(base).run(jobs), ReferenceInnerLoop(base).run(jobs)
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine, other)
    assert [len(result.losses_S) for result in ours] == [15, 15, 0, 15, 30, 0, 15]
    assert ours[2].answers_Q == ours[5].answers_Q
    assert len({result.answers_Q for result in ours}) == 6


def test_a_job_s_result_does_not_depend_on_its_neighbours(name: str, llama: FrozenLM) -> None:
    loop = make(name, llama)
    alone = loop.run([JOB])[0]
    assert replace(loop.run([replace(JOB, seed=9), LORA, JOB])[2], timings={}) == replace(alone, timings={})


def test_queries_of_one_id_get_answers_of_their_own(name: str, llama: FrozenLM) -> None:
    twins = tuple(replace(query, query_id="same") for query in QUERIES)
    apart, same = make(name, llama).run([JOB, replace(JOB, queries_Q=twins)])
    assert len({answer.text for answer in apart.answers_Q}) == 2
    assert [answer.text for answer in same.answers_Q] == [answer.text for answer in apart.answers_Q]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_base_model_is_bit_identical_after_updates(
    name: str, place: bool, architecture: str, tiny_models: dict[str, str]
) -> None:
    base = copied(load_base_model(tiny_models[architecture], "cpu"))
    before = digest(base)
    results = make(name, base).run([JOB, LORA, replace(JOB, seed=6)])
    assert [result.outcome for result in results] == [Outcome.OK] * 3
    assert digest(base) == before
    assert not any(weight.requires_grad or weight.grad is not None for weight in base.model.parameters())


def test_where_the_weights_learn_changes_no_result(name: str, llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = make(name, llama).run([JOB])[0]
    monkeypatch.setattr(full_weights, "has_room_apart", lambda *_: False)
    assert replace(make(name, llama).run([JOB])[0], timings={}) == replace(expected, timings={})


class Interruption:
    """Something that happens in the middle of training, when weights have moved."""

    def __init__(self, happens: BaseException | None, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[Weights] = []
        publish = FullWeights.publish
        calls: Iterator[int] = iter(range(1000))

        def interrupted(self_: FullWeights) -> None:
            publish(self_)
            if next(calls) != at:
                return
            self.seen.append({name: weight.clone() for name, weight in weights(self_.learner.model).items()})
            if happens is not None:
                raise happens
            self_.masters[0].data.fill_(math.inf)

        monkeypatch.setattr(FullWeights, "publish", interrupted)


@pytest.mark.parametrize("happens", [KeyboardInterrupt(), ValueError("a bug")], ids=["interrupt", "bug"])
def test_base_model_is_restored_whatever_happens(
    name: str, place: bool, happens: BaseException, llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, loop = digest(llama), make(name, llama)
    expected = loop.run([JOB])[0]
    with monkeypatch.context() as patch:
        moved = Interruption(happens, 4, patch).seen
        with pytest.raises(type(happens)):
            loop.run([JOB])
    assert not torch.equal(moved[0]["model.norm.weight"], llama.model.model.norm.weight)
    assert digest(llama) == before
    assert replace(loop.run([JOB])[0], timings={}) == replace(expected, timings={})


def test_divergence_is_an_outcome_of_that_job_alone(
    name: str, place: bool, llama: FrozenLM, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, loop = digest(llama), make(name, llama)
    expected = loop.run([JOB])[0]
    Interruption(None, 4, monkeypatch)
    diverged, fine = loop.run([replace(JOB, save_to=tmp_path / "never"), JOB])
    assert diverged.outcome is Outcome.DIVERGED
    assert "learning_rate" in diverged.reason
    assert 4 <= len(diverged.losses_S) < 15
    assert not (tmp_path / "never").exists()
    assert diverged.adapter is None
    assert replace(fine, timings={}) == replace(expected, timings={})
    assert digest(llama) == before


def test_weights_that_are_no_numbers_after_the_last_step_are_divergence(
    llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    Interruption(None, 14, monkeypatch)
    (result,) = BatchedInnerLoop(llama).run([JOB])
    assert (result.outcome, len(result.losses_S)) == (Outcome.DIVERGED, 15)
    assert all(map(math.isfinite, result.losses_S))


def test_memory_that_runs_out_makes_batches_shorter(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(JOB, recipe=replace(JOB.recipe, batch_size=4))
    longest = max(len(llama.encoder.example(each, JOB.recipe).ids_T) for each in JOB.examples_E)
    loop = BatchedInnerLoop(llama, tokens=longest)
    expected = loop.run([job])[0]
    lengths = cramped(monkeypatch, longest)
    (result,) = loop.run([job])
    assert max(lengths) > longest
    assert result.micro_batch == 1
    assert_same(result, expected)


def cramped(monkeypatch: pytest.MonkeyPatch, room: int) -> list[int]:
    """Memory for passes of so many tokens; the lengths that were tried."""
    lengths: list[int] = []
    hidden = PackedReader.hidden

    def limited(self: PackedReader, packed: Packed, *arguments: Any) -> torch.Tensor:
        lengths.append(packed.ids.shape[1])
        if lengths[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hidden(self, packed, *arguments)

    monkeypatch.setattr(PackedReader, "hidden", limited)
    return lengths


def test_a_job_that_does_not_fit_is_out_of_memory_and_the_others_are_unharmed(
    llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = BatchedInnerLoop(llama)
    small = replace(JOB, examples_E=DOCUMENTS[:1], queries_Q=QUERIES[1:])
    expected = loop.run([small])[0]
    cramped(monkeypatch, 15)
    failed, fine = loop.run([JOB, small])
    assert (failed.outcome, failed.reason) == (Outcome.OUT_OF_MEMORY, "memory ran out with one example at a time")
    assert_same(fine, expected)


def test_reference_loop_halves_the_batch_when_memory_runs_out(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = ReferenceInnerLoop(llama)
    expected, train, tried = loop.run([JOB])[0], loop._train_all, []

    def limited(weights: FullWeights, job: UpdateJob, micro_batch: int) -> Any:
        tried.append(micro_batch)
        if micro_batch > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train(weights, job, micro_batch)

    monkeypatch.setattr(loop, "_train_all", limited)
    (result,) = loop.run([JOB])
    assert tried == [2, 1]
    assert_same(replace(result, micro_batch=2), expected)


def test_no_room_for_the_weights_is_out_of_memory(name: str, llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(full_weights, "has_room_apart", full)
    failed, fine = make(name, llama).run([JOB, LORA])
    assert (failed.outcome, fine.outcome) == (Outcome.OUT_OF_MEMORY, Outcome.OK)


def test_room_on_a_gpu_decides_where_weights_learn(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """bf16: 2 bytes for the weight and 2 for its gradient, fp32: 4 for the master and 8 for the optimizer."""
    half = replace(llama, model=copy.deepcopy(llama.model).to(torch.bfloat16), device=torch.device("cuda", 0))
    count = sum(weight.numel() for weight in llama.model.parameters())
    found = []
    for free in (19 * count, 21 * count):
        monkeypatch.setattr(full_weights, "free_bytes", lambda _, free=free: free)
        found.append(full_weights.has_room_apart(half, 2))
    assert found == [False, True]


@pytest.mark.parametrize(
    ("architecture", "examples_E"), [("llama", JOB.examples_E), ("gpt2", JOB.examples_E), ("qwen2", ())]
)
def test_saved_model_is_the_one_that_was_asked(
    name: str, architecture: str, examples_E: tuple[Example, ...], tiny_models: dict[str, str], tmp_path: Path
) -> None:
    base, job = load_base_model(tiny_models[architecture], "cpu"), replace(JOB, examples_E=examples_E)
    (result,) = make(name, base).run([replace(job, save_to=tmp_path / "model")])
    assert [path.name for path in (tmp_path / "model").glob("*.safetensors")] == ["model.safetensors"]
    assert AutoTokenizer.from_pretrained(tmp_path / "model").get_vocab() == base.tokenizer.get_vocab()
    saved = ReferenceInnerLoop(replace(base, model=load(tmp_path / "model").requires_grad_(False).eval()))
    (asked,) = saved.run([replace(JOB, examples_E=())])
    assert [a.margin for a in asked.answers_Q] == pytest.approx([a.margin for a in result.answers_Q], abs=1e-3)
    with pytest.raises(FileExistsError):
        make(name, base).run([replace(job, save_to=tmp_path / "model")])


def test_model_in_bf16_learns_in_fp32(name: str, llama: FrozenLM, tmp_path: Path) -> None:
    """What CUDA does, on the CPU. Steps of 3e-5 vanish in most weights in bf16 unless something adds them up."""
    small = replace(JOB, training=replace(JOB.training, learning_rate=3e-5), recipe=RECIPES["knowledge"])
    expected = make(name, llama).run([small])[0]
    half = replace(llama, model=copy.deepcopy(llama.model).to(torch.bfloat16), inner_loops={})
    before = digest(half)
    (result,) = make(name, half).run([replace(small, save_to=tmp_path / "model")])
    assert result.losses_S == pytest.approx(expected.losses_S, rel=0.05)
    assert digest(half) == before
    after, start = weights(load(tmp_path / "model", torch.bfloat16)), weights(half.model)
    changed = sum(int((after[name] != start[name]).sum()) for name in after)
    assert changed > 0.15 * sum(weight.numel() for weight in after.values())


def test_server_that_takes_adapters_is_given_no_whole_model(llama: FrozenLM) -> None:
    served = ServedEvaluation(BatchedInnerLoop(llama), llama.encoder, evaluation_server("http://127.0.0.1:9/v1"))
    with pytest.raises(SettingError, match="method='full' is not legal"):
        served.run([LORA, JOB])
