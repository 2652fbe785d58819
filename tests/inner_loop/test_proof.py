"""The batched loop proves on the model itself that it computes what the plain model computes, and refuses what it cannot."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers.pytorch_utils import Conv1D

from benchmarks.architectures.matrix import ASKED, JOB, JOBS, compare, tiny_base
from seal_env.errors import ModelError
from seal_env.inner_loop import INNER_LOOPS
from seal_env.inner_loop.batched import attention, proof
from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.key_cache import KeyCache
from seal_env.inner_loop.batched.limits import longest_packed, switches
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.lora import LoraLinear, LoraStack
from seal_env.inner_loop.batched.packed_model import Proof
from seal_env.inner_loop.batched.proof import prove
from seal_env.inner_loop.model import plain
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.model.plain import TEXT, check_plain, sample_ids
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.types import Example, LoraSpec, Recipe, UpdateJob

LONG = Example(document="0 1 2 3 4 5 6 7 8 9\n" * 20)


@pytest.fixture
def llama() -> FrozenLM:
    return tiny_base("Llama")


def refused(base: FrozenLM, what: str, spec: LoraSpec | None = JOB.lora) -> None:
    with pytest.raises(ModelError, match=rf"model='.*' \(.*\) does not run packed: .*{what}.*. Use inner_loop='reference'"):
        prove(base, spec)


def test_llama_is_proven_without_limits(llama: FrozenLM) -> None:
    for spec in (JOB.lora, LoraSpec(), LoraSpec(3, 1.0, ("q_proj",)), LoraSpec(4, 0.0), None):
        assert prove(llama, spec) == Proof(longest=None, padding=True)


@pytest.mark.parametrize(("name", "first"), [("llama", "<|bos|>"), ("qwen2", "")])
def test_tokens_are_plain_text_as_the_model_was_trained_on(name: str, first: str, tiny_models: dict[str, str]) -> None:
    base = load_base_model(tiny_models[name], "cpu")
    rows = [base.tokenizer.decode(row) for row in sample_ids(base, 6, 10)]
    assert all(row.startswith(first) and row.removeprefix(first) in TEXT for row in rows)
    assert len(set(rows)) == 6
    assert not torch.equal(sample_ids(base, 1, 10), sample_ids(base, 1, 10, begin=15))


def test_tokens_are_the_first_ones_where_the_tokenizer_has_too_few_for_the_text(
    llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "TEXT", "0 1 2 3")
    ids = sample_ids(llama, 2, 10)
    assert int(ids.max()) < 48
    assert llama.tokenizer.pad_token_id not in ids


def test_model_is_proven_once_for_each_set_of_layers(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    run, runs = proof._Comparison.run, list[Any]()

    def counted(self: Any) -> Proof:
        runs.append(self)
        return run(self)

    monkeypatch.setattr(proof._Comparison, "run", counted)
    loop = BatchedInnerLoop(llama)
    for job in (JOB, JOB, replace(JOB, seed=9), *JOBS["full"], *JOBS["full"]):
        loop.run([job])
    BatchedInnerLoop(llama.beside(llama.model)).run([JOB])
    assert len(runs) == 2


def test_proof_leaves_model_and_random_numbers_as_they_are(llama: FrozenLM) -> None:
    before, state = {name: weight.clone() for name, weight in llama.model.state_dict().items()}, torch.get_rng_state()
    prove(llama, JOB.lora)
    prove(llama, None)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weight, before[name]) for name, weight in llama.model.state_dict().items())
    assert not any(weight.requires_grad or weight.grad is not None for weight in llama.model.parameters())


def test_gradient_that_is_missing_is_found(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = LoraLinear.forward

    def without(self: LoraLinear, x: torch.Tensor) -> torch.Tensor:
        return forward(self, x.detach() if self.name.endswith("1.mlp.up_proj") else x)

    monkeypatch.setattr(LoraLinear, "forward", without)
    refused(llama, "gradients differ")


def test_layer_that_learns_half_as_much_is_found(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(LoraStack):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            name = "model.layers.0.self_attn.q_proj"
            self.gradients_by_layer[name] = (self.gradients_by_layer[name][0], torch.zeros_like(self.by_layer[name][1]))

    monkeypatch.setattr(proof, "LoraStack", Lazy)
    refused(llama, "gradients")


def test_head_that_does_not_learn_is_found(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def fixed_head(states: torch.Tensor, head: torch.Tensor, *rest: Any) -> Any:
        return cross_entropy(states, head.detach(), *rest)

    monkeypatch.setattr(proof, "cross_entropy", fixed_head)
    refused(llama, "lm_head.weight", None)
    prove(llama, JOB.lora)


def test_attention_beyond_a_window_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_band", lambda *_: None)
    prove(tiny_base("Llama"), JOB.lora)
    refused(tiny_base("Mistral 7B v0.1", sliding_window=4096), "logits differ")


def test_decoding_that_differs_is_found(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = KeyCache._mask
    monkeypatch.setattr(KeyCache, "_mask", lambda self, _: mask(self, 2))
    refused(llama, "decoded logits differ")


REFUSED = {
    "Cohere Command R": "logits differ by",
    "Phi-1 and 2": "its head has a bias",
    "Bloom": "logits differ by",
    "GPT-Neo": "",
    "RWKV": "logits differ by",
    "Llama 4": "",
    "DiffLlama": "",
}


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_compute_something_else_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=f"{REFUSED[name]}.*Use inner_loop='reference'"):
        prove(tiny_base(name), JOB.lora)


@pytest.mark.parametrize("name", ["gpt-oss", "Gemma 2"])
def test_attention_with_sinks_and_soft_caps_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"attention with (sinks|soft caps) .* Use inner_loop='reference'"):
        BatchedInnerLoop(tiny_base(name)).run([JOB])


def test_layers_that_choose_tokens_by_a_mask_are_refused() -> None:
    for name in ("DeepSeek V3.2", "GLM-5"):
        refused(tiny_base(name), r"its layers choose the tokens that a token attends to \(index_topk\)")


@pytest.mark.parametrize("loop", INNER_LOOPS)
def test_encoder_is_refused_by_both_loops(loop: str) -> None:
    with pytest.raises(ModelError, match=r"\(bert\) is not causal: .* from left to right"):
        INNER_LOOPS[loop](tiny_base("BERT")).run([JOB])


@pytest.mark.parametrize("name", ["Mistral 7B v0.1", "Gemma 3", "OLMo 3", "Qwen2 with windows"])
@pytest.mark.parametrize("window", [8, 16, 4096])
def test_windows_run_packed_whether_sequences_are_longer_or_not(window: int, name: str) -> None:
    base = tiny_base(name, sliding_window=window)
    rows = [BatchedInnerLoop(base).run(JOBS["lora"]), ReferenceInnerLoop(base).run(JOBS["lora"])]
    for mine, other in zip(*rows, strict=True):
        assert mine.losses_S == pytest.approx(other.losses_S, abs=1e-4)
        assert [answer.text for answer in mine.answers_Q] == [answer.text for answer in other.answers_Q]


def test_padding_beyond_a_window_is_refused_in_the_papers_profile() -> None:
    base = tiny_base("Mistral 7B v0.1")
    with pytest.raises(ModelError, match=r"window of 16 tokens .*inner_loop='reference', or a max_tokens of at most 16"):
        BatchedInnerLoop(base).run(JOBS["paper"])


def test_padding_that_moves_positions_is_refused_in_the_papers_profile() -> None:
    loop = BatchedInnerLoop(tiny_base("OPT"))
    assert [result.outcome for result in loop.run(JOBS["lora"])] == ["ok", "ok"]
    with pytest.raises(ModelError, match=r"profile='paper' .*inner_loop='reference', or profile='fixed'"):
        loop.run(JOBS["paper"])


@pytest.mark.parametrize("name", ["Phi-3 128k", "Llama with dynamic NTK"])
def test_sequences_beyond_a_switch_of_the_rotary_embedding_are_refused(name: str) -> None:
    base = tiny_base(name)
    loop, long = BatchedInnerLoop(base), replace(JOB, examples_E=(*JOB.examples_E, LONG))
    assert longest_packed(base.model.config) == 64
    assert loop.max_tokens(Recipe()) == 64
    assert ReferenceInnerLoop(base).max_tokens(Recipe()) == 512
    assert loop.run([JOB])[0].losses_S == pytest.approx(ReferenceInnerLoop(base).run([JOB])[0].losses_S, abs=1e-4)
    with pytest.raises(ModelError, match=r"beyond 64 the model changes .* or a max_tokens of at most 64"):
        loop.run([long])
    assert ReferenceInnerLoop(base).run([long])[0].outcome == "ok"


def test_answer_that_grows_beyond_a_switch_is_refused() -> None:
    base, query = tiny_base("Phi-3 128k"), replace(ASKED[1], prompt="0 1 2 3 4 5 6 7 8 9 0 1 2 3", max_answer_tokens=200)
    job: UpdateJob = replace(JOB, examples_E=(), queries_Q=(query,))
    with pytest.raises(ModelError, match="a sequence of 65 tokens does not run packed"):
        BatchedInnerLoop(base).run([job])


def test_far_positions_are_compared(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    assert switches(llama.model.config) >= {512}
    assert {16, 512} <= switches(tiny_base("Mistral 7B v0.1").model.config)
    monkeypatch.setattr(proof, "longest_packed", lambda _: None)
    refused(tiny_base("Phi-3 128k"), "logits")


@pytest.mark.parametrize("name", ["Mamba", "RWKV", "RecurrentGemma", "GPT-1"])
def test_reference_loop_decodes_models_without_keys_and_values(name: str) -> None:
    base = tiny_base(name)
    assert not check_plain(base).caches
    (result,) = ReferenceInnerLoop(base).run([replace(JOB, method="full")])
    assert any(answer.text for answer in result.answers_Q)


def test_tokens_beyond_the_embedding_are_named() -> None:
    base = tiny_base("Llama")
    highest = max(max(base.encoder.example(each, Recipe()).ids_T) for each in JOB.examples_E)
    base.model.resize_token_embeddings(highest)
    short = FrozenLM("short", base.model, base.tokenizer, base.device, 512)
    for loop in INNER_LOOPS.values():
        with pytest.raises(ModelError, match=rf"as token {highest}, but its embedding has {highest} rows. .* enlarge"):
            loop(short).run([JOB])


def test_padding_beyond_the_embedding_is_replaced() -> None:
    base = tiny_base("Llama")
    tokenizer = copy.deepcopy(base.tokenizer)
    tokenizer.add_special_tokens({"pad_token": "<padding>"})
    added = replace(base, tokenizer=tokenizer)
    assert tokenizer.pad_token_id >= added.embedding_rows
    assert added.pad_id == tokenizer.eos_token_id
    assert compare(added).loops == dict.fromkeys(JOBS, "batched")


@pytest.mark.parametrize("name", ["seal-tiny", "seal-tiny-text"])
def test_bundled_models_are_proven(name: str) -> None:
    base = load_base_model(name, "cpu")
    assert prove(base, LoraSpec()) == prove(base, None) == Proof()


def test_adapters_of_conv1d_are_plain_products() -> None:
    base = tiny_base("GPT-2")
    assert {type(base.model.get_submodule(name)) for name in base.targets(JOB.lora).layers} == {Conv1D}
    assert prove(base, JOB.lora) == Proof()
