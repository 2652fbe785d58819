"""Real updates on small random-weight models: what an update must and must not change."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.model.targets import find_targets
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example, query
from seal_env.types import PROFILES, LoraSpec, Outcome, Recipe, TrainingConfig, UpdateJob, UpdateResult

PLAIN = GridFormat("plain")
PAIRS = tuple(GridPair(((a, b), (b, a)), ((b, a), (a, b))) for a, b in [(1, 2), (3, 4), (5, 6), (7, 8), (2, 9)])
EXAMPLES = tuple(example(PAIRS[:index] + PAIRS[index + 1 : 4], PAIRS[index], PLAIN) for index in range(4))
JOB = UpdateJob(
    examples_E=EXAMPLES + EXAMPLES[:1],
    training=TrainingConfig("train_using_output_tokens", 1e-2, 3),
    lora=LoraSpec(rank=8, alpha=16.0),
    recipe=Recipe(warmup_steps=2),
    seed=7,
    queries_Q=(query("0", PAIRS[:3], PAIRS[4], PLAIN),),
)


@pytest.fixture(params=["llama", "qwen2", "gpt2"])
def loop(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> ReferenceInnerLoop:
    return reference(tiny_models[request.param])


def reference(model: str) -> ReferenceInnerLoop:
    made = make_inner_loop("reference", model, "cpu")
    assert isinstance(made, ReferenceInnerLoop)
    return made


def run(loop: ReferenceInnerLoop, job: UpdateJob) -> UpdateResult:
    return loop.run([job])[0]


def comparable(result: UpdateResult) -> UpdateResult:
    return replace(result, timings={})


def test_base_model_is_bit_identical_after_updates(loop: ReferenceInnerLoop) -> None:
    def weights() -> dict[str, torch.Tensor]:
        return {name: weight.clone() for name, weight in loop.base.model.state_dict().items()}

    before = weights()
    run(loop, JOB)
    run(loop, replace(JOB, training=replace(JOB.training, strategy="train_using_all_tokens")))
    after = weights()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_base_model_answers_as_before_after_updates(loop: ReferenceInnerLoop) -> None:
    ids = torch.tensor([loop._encoder.query(JOB.queries_Q[0]).prompt_T])
    before = loop.base.model(input_ids=ids).logits
    run(loop, JOB)
    after = loop.base.model(input_ids=ids).logits
    assert torch.equal(before, after)
    assert not after.requires_grad


def test_training_lowers_the_loss(loop: ReferenceInnerLoop) -> None:
    losses = run(loop, replace(JOB, training=replace(JOB.training, num_train_epochs=10))).losses_S
    assert len(losses) == 30
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])


def test_adapter_of_a_bf16_base_model_learns_in_fp32(loop: ReferenceInnerLoop) -> None:
    """What CUDA does, on the CPU."""
    model: Any = AutoModelForCausalLM.from_pretrained(loop.base.name, dtype=torch.bfloat16).requires_grad_(False).eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    half = ReferenceInnerLoop(replace(loop.base, model=model, inner_loops={}))
    assert run(half, JOB).losses_S == pytest.approx(run(loop, JOB).losses_S, rel=0.05)
    assert {parameter.dtype for parameter in half._adapter.parameters()} == {torch.float32}
    half._adapter.detach()
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_equal_jobs_give_equal_results_whatever_ran_between(loop: ReferenceInnerLoop) -> None:
    first = run(loop, JOB)
    run(loop, replace(JOB, lora=LoraSpec(4, 4.0), seed=1))
    assert comparable(run(loop, JOB)) == comparable(first)


def test_another_seed_gives_another_update(loop: ReferenceInnerLoop) -> None:
    assert run(loop, JOB).losses_S != run(loop, replace(JOB, seed=8)).losses_S


def test_no_epochs_answer_as_the_base_model_does(loop: ReferenceInnerLoop) -> None:
    untouched = run(loop, replace(JOB, examples_E=()))
    none = run(loop, replace(JOB, training=replace(JOB.training, num_train_epochs=0)))
    assert none.answers_Q == untouched.answers_Q
    assert none.losses_S == ()


def test_an_update_changes_the_answer_margin(loop: ReferenceInnerLoop) -> None:
    assert run(loop, JOB).answers_Q[0].margin != run(loop, replace(JOB, examples_E=())).answers_Q[0].margin


def test_micro_batches_add_up_to_the_batch(loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(loop, JOB)
    monkeypatch.setattr(loop, "_run_job", lambda job: loop._attempt(job, 1))
    split = run(loop, JOB)
    assert split.micro_batch == 1
    assert whole.micro_batch == 2
    assert split.losses_S == pytest.approx(whole.losses_S, abs=2e-5)


def test_memory_that_runs_out_halves_the_micro_batch(loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(loop, JOB)
    tried = fail_above(monkeypatch, loop, 1)
    survived = run(loop, JOB)
    assert tried == [2, 1]
    assert survived.outcome is Outcome.OK
    assert survived.micro_batch == 1
    assert survived.losses_S == pytest.approx(expected.losses_S, abs=2e-5)


def fail_above(monkeypatch: pytest.MonkeyPatch, loop: ReferenceInnerLoop, limit: int) -> list[int]:
    """Let training run out of memory for micro-batches above `limit`; the list of what was tried."""
    tried: list[int] = []
    train = loop._train

    def limited(model: Any, job: UpdateJob, micro_batch: int) -> Any:
        tried.append(micro_batch)
        if micro_batch > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train(model, job, micro_batch)

    monkeypatch.setattr(loop, "_train", limited)
    return tried


def test_memory_that_runs_out_at_one_example_is_an_outcome_of_that_job(
    loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_above(monkeypatch, loop, 0)
    failed, asked = loop.run([JOB, replace(JOB, examples_E=())])
    assert failed.outcome is Outcome.OUT_OF_MEMORY
    assert failed.answers_Q == ()
    assert asked.outcome is Outcome.OK


def test_the_cpu_allocator_s_complaint_is_understood_as_out_of_memory(loop: ReferenceInnerLoop) -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50)
    from seal_env.inner_loop.model.memory import is_out_of_memory

    assert is_out_of_memory(raised.value)


def test_a_bug_in_the_loop_raises(loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(loop, "_train", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(loop, JOB)


def test_loss_that_is_not_finite_stops_the_update(tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    loop = reference(tiny_models["llama"])
    reset = loop._adapter.reset

    def poisoned(spec: LoraSpec, seed: int) -> PeftModel:
        model = reset(spec, seed)
        loop._adapter.parameters()[1].data.fill_(math.inf)
        return model

    monkeypatch.setattr(loop._adapter, "reset", poisoned)
    result = run(loop, JOB)
    assert result.outcome is Outcome.DIVERGED
    assert len(result.losses_S) == 1
    assert "learning_rate" in result.reason


def test_a_diverged_update_leaves_nothing_to_the_next(loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(loop, JOB)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_train", lambda model, job, micro_batch: poisoned_training(loop, model, job))
        assert run(loop, JOB).outcome is Outcome.DIVERGED
    assert comparable(run(loop, JOB)) == comparable(expected)


def poisoned_training(loop: ReferenceInnerLoop, model: Any, job: UpdateJob) -> Any:
    loop._adapter.parameters()[1].data.fill_(math.inf)
    return ReferenceInnerLoop._train(loop, model, job, 2)


def test_a_rate_of_one_is_survived(loop: ReferenceInnerLoop) -> None:
    extreme = replace(JOB, training=TrainingConfig("train_using_all_tokens", 1.0, 3), lora=LoraSpec(8, 1e4))
    assert run(loop, extreme).outcome in (Outcome.OK, Outcome.DIVERGED)
    assert run(loop, JOB).outcome is Outcome.OK


def test_saved_adapter_loads_in_peft_with_the_same_logits(loop: ReferenceInnerLoop, tmp_path: Path) -> None:
    directory = tmp_path / "adapter"
    run(loop, replace(JOB, save_to=directory))
    ids = torch.tensor([loop._encoder.query(JOB.queries_Q[0]).prompt_T])
    with torch.no_grad():
        ours = loop._adapter._peft(input_ids=ids).logits
        fresh = AutoModelForCausalLM.from_pretrained(loop.base.name, dtype=torch.float32)
        theirs = PeftModel.from_pretrained(fresh, str(directory)).eval()(input_ids=ids).logits
        base = AutoModelForCausalLM.from_pretrained(loop.base.name, dtype=torch.float32)(input_ids=ids).logits
    assert (directory / "adapter_model.safetensors").exists()
    assert torch.equal(ours, theirs)
    assert not torch.allclose(ours, base)


def test_paper_profile_trains_on_padding(tiny_models: dict[str, str]) -> None:
    loop = reference(tiny_models["llama"])
    short = example((), PAIRS[0], PLAIN)
    fixed = run(loop, replace(JOB, examples_E=(*EXAMPLES, short)))
    paper = run(loop, replace(JOB, examples_E=(*EXAMPLES, short), recipe=replace(PROFILES["paper"], warmup_steps=2)))
    assert paper.outcome is Outcome.OK
    assert fixed.losses_S != paper.losses_S


def test_padding_on_the_right_changes_nothing(tiny_models: dict[str, str]) -> None:
    loop = reference(tiny_models["llama"])
    long, short = EXAMPLES[0], example((), PAIRS[0], PLAIN)
    alone = [run(loop, one_step(e)).losses_S[0] for e in (long, short)]
    sizes = [sum(loop._encoder.example(e, Recipe()).supervised("train_using_output_tokens")) for e in (long, short)]
    together = run(loop, replace(one_step(long), examples_E=(long, short))).losses_S[0]
    assert together == pytest.approx((alone[0] * sizes[0] + alone[1] * sizes[1]) / sum(sizes), abs=1e-5)


def one_step(chosen: Any) -> UpdateJob:
    return replace(JOB, examples_E=(chosen,), training=replace(JOB.training, num_train_epochs=1))


def test_token_counts_are_those_of_the_encoding(loop: ReferenceInnerLoop) -> None:
    assert loop.count_tokens(EXAMPLES) == [len(loop._encoder.example(e, Recipe()).ids_T) for e in EXAMPLES]


def test_model_that_does_not_exist_is_named() -> None:
    with pytest.raises(ModelError, match="model='no-such-model' cannot be loaded"):
        load_base_model("no-such-model", "cpu")


def test_environments_share_one_inner_loop(tiny_models: dict[str, str]) -> None:
    assert reference(tiny_models["llama"]) is reference(tiny_models["llama"])


def test_one_base_model_has_one_inner_loop_whatever_its_device_is_called(
    tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert make_inner_loop("reference", tiny_models["llama"], "auto") is reference(tiny_models["llama"])


def test_module_that_cannot_be_adapted_is_named_and_leaves_the_model_whole(loop: ReferenceInnerLoop) -> None:
    loop._adapter.detach()
    linear = tuple(find_targets(loop.base.model, LoraSpec.target_modules).counts)
    for wrong in ("mlp", "no_such_layer"):
        with pytest.raises(SettingError, match=f"lora_targets='{linear[0]},{wrong}' is not legal"):
            run(loop, replace(JOB, lora=LoraSpec(4, 4.0, (linear[0], wrong))))
        assert not [name for name, _ in loop._adapter._model.named_modules() if "lora" in name]


def test_adapter_that_was_put_on_in_part_comes_off(loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any) -> None:
        get_peft_model(*arguments)
        raise KeyboardInterrupt

    loop._adapter.detach()
    names = [name for name, _ in loop._adapter._model.named_modules()]
    monkeypatch.setattr("seal_env.inner_loop.reference.adapter.get_peft_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(loop, JOB)
    assert [name for name, _ in loop._adapter._model.named_modules()] == names
    assert not hasattr(loop._adapter._model, "peft_config")


def test_failing_device_is_an_outcome_and_not_a_bug(loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    for message in ("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED\nmore", "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"):
        monkeypatch.setattr(loop, "_train", raising(RuntimeError(message)))
        result = run(loop, JOB)
        assert (result.outcome, result.reason) == (Outcome.ENGINE_ERROR, f"the device failed: {message.splitlines()[0]}")


def test_libraries_of_cuda_can_run_out_of_memory_too(loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    monkeypatch.setattr(loop, "_train", raising(error))
    assert run(loop, JOB).outcome is Outcome.OUT_OF_MEMORY


def raising(error: Exception) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail


def test_tensors_of_an_update_that_ran_out_of_memory_are_gone_before_the_next_try(
    loop: ReferenceInnerLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def hungry(model: Any, job: UpdateJob, micro_batch: int) -> None:
        activations = torch.zeros(3)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop, "_train", hungry)
    monkeypatch.setattr(loop, "_release_memory", lambda: alive.append(held[-1]() is not None))
    run(loop, JOB)
    assert alive == [False, False]


def test_encodings_are_kept_within_a_limit(tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = JobEncoder(load_base_model(tiny_models["llama"], "cpu"))
    monkeypatch.setattr("seal_env.inner_loop.tokens.token_cache.CACHED_TOKENS", 300)
    assert sum(encoder.count_tokens(EXAMPLES * 3)) > 300
    assert 0 < sum(len(encoded.ids_T) for encoded in encoder._examples.values()) <= 300


def test_quirks_of_the_paper_leave_less_room_for_an_example(loop: ReferenceInnerLoop) -> None:
    extra = len(loop._encoder.example(EXAMPLES[0], PROFILES["paper"]).ids_T) - len(
        loop._encoder.example(EXAMPLES[0], Recipe()).ids_T
    )
    assert extra > 0 or loop.base.name.endswith("gpt2")
    assert loop.max_tokens(Recipe()) == loop.base.max_tokens
    assert loop.max_tokens(PROFILES["paper"]) == loop.base.max_tokens - extra
