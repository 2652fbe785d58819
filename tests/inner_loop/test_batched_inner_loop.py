"""The batched inner loop: a job's result depends on the job alone, whatever trains beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.batch import LATE
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import BASE, Piece, pack
from seal_env.inner_loop.batched.slots import TrainingSlots
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.inner_loop.reference.trainer import AdapterTrainer
from seal_env.inner_loop.tokens.batches import seeded_batches
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example, query
from seal_env.types import (
    PROFILES,
    Answer,
    LoraSpec,
    Outcome,
    Recipe,
    Strategy,
    TrainingConfig,
    UpdateJob,
    UpdateResult,
)

COLOURS = [(1, 2, 9), (3, 4, 8), (5, 6, 1), (7, 8, 2), (2, 9, 4)]
PAIRS = tuple(GridPair(((a, b), (b, c)), ((b, a), (c, b))) for a, b, c in COLOURS)
PLAIN = GridFormat("plain")
EXAMPLES = tuple(example([p for p in PAIRS if p != asked][:n], asked, PLAIN) for n in (0, 1, 3) for asked in PAIRS)
QUERIES = tuple(query(str(n), PAIRS[:n], PAIRS[n], PLAIN) for n in (1, 2, 4))
SPEC = LoraSpec(rank=4, alpha=8.0)
OUTPUT: Strategy = "train_using_output_tokens"
ALL: Strategy = "train_using_all_tokens"


def job(number: int, **changes: Any) -> UpdateJob:
    """Jobs that differ in data, length, loss, rate and seed."""
    training = TrainingConfig((OUTPUT, ALL)[number % 2], 1e-3 * (1 + number), 1 + number % 3)
    made = UpdateJob(EXAMPLES[number % 5 : 6 + 2 * (number % 4)], training, SPEC, Recipe(), number, QUERIES)
    return replace(made, **changes)


JOBS = [job(number) for number in range(16)]


def in_fp64(base: FrozenLM) -> FrozenLM:
    model: Any = AutoModelForCausalLM.from_pretrained(base.name, dtype=torch.float64).requires_grad_(False).eval()
    return replace(base, model=model, inner_loops={})


def final_weights(loop: BatchedInnerLoop, jobs: Sequence[UpdateJob], out: Path) -> list[torch.Tensor]:
    """All weights of each job's adapter after training, each as one vector."""
    loop.run([replace(each, save_to=out / str(number)) for number, each in enumerate(jobs)])
    files = [load_file(out / str(number) / "adapter_model.safetensors") for number in range(len(jobs))]
    return [torch.cat([file[name].flatten() for name in sorted(file)]) for file in files]


def assert_same(ours: UpdateResult, theirs: UpdateResult) -> None:
    """Equal but for rounding."""
    assert (ours.outcome, ours.reason, ours.tokens_trained) == (theirs.outcome, theirs.reason, theirs.tokens_trained)
    assert ours.losses_S == pytest.approx(theirs.losses_S, abs=1e-4)
    assert [answer.margin for answer in ours.answers_Q] == pytest.approx([a.margin for a in theirs.answers_Q], abs=0.01)
    assert [(a.query_id, a.exact, a.text) for a in ours.answers_Q] == [
        (a.query_id, a.exact, a.text) for a in theirs.answers_Q
    ]


def test_agrees_with_the_reference_loop_job_by_job(base: FrozenLM) -> None:
    jobs = [*JOBS[:8], job(8, examples_E=()), job(9, decode=False), job(3, lora=LoraSpec(2, 8.0))]
    ours, theirs = BatchedInnerLoop(base).run(jobs), ReferenceInnerLoop(base).run(jobs)
    assert any(answer.text for result in theirs for answer in result.answers_Q if not answer.exact)
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine, other)


def test_paper_profile_agrees_with_the_reference_loop(base: FrozenLM) -> None:
    jobs = [replace(each, recipe=PROFILES["paper"]) for each in JOBS[:4]]
    for mine, other in zip(BatchedInnerLoop(base).run(jobs), ReferenceInnerLoop(base).run(jobs), strict=True):
        assert_same(mine, other)


def test_a_job_alone_is_the_job_among_fifteen_others(base: FrozenLM, tmp_path: Path) -> None:
    among = final_weights(BatchedInnerLoop(base), JOBS, tmp_path / "among")
    (alone,) = final_weights(BatchedInnerLoop(base), [JOBS[5]], tmp_path / "alone")
    assert torch.allclose(among[5], alone, rtol=0, atol=1e-4 * float(alone.abs().max()))
    assert_same(BatchedInnerLoop(base).run(JOBS)[5], BatchedInnerLoop(base).run([JOBS[5]])[0])


@pytest.mark.parametrize(("slots", "tokens"), [(1, 10_000), (3, 700), (16, 1), (5, 10_000)])
def test_slots_and_tokens_of_a_pass_change_nothing(slots: int, tokens: int, llama: FrozenLM) -> None:
    expected = BatchedInnerLoop(llama).run(JOBS[:6])
    for mine, other in zip(BatchedInnerLoop(llama, slots, tokens).run(JOBS[:6]), expected, strict=True):
        assert_same(mine, other)


def test_more_jobs_than_slots_may_end_with_one_step(llama: FrozenLM) -> None:
    """The first ends alone, the third takes its slot and ends together with the second: one more than there is room for."""
    jobs = [
        job(number, examples_E=EXAMPLES[:4], training=TrainingConfig(ALL, 1e-3, epochs))
        for number, epochs in enumerate((1, 2, 1))
    ]
    for mine, other in zip(BatchedInnerLoop(llama, 2, 10_000).run(jobs), BatchedInnerLoop(llama).run(jobs), strict=True):
        assert_same(mine, other)


def test_in_fp64_it_takes_the_steps_of_separate_runs_by_hand(llama: FrozenLM, tmp_path: Path) -> None:
    """PEFT, AdamW, clipping and the schedule as anybody would write them, one job at a time, without padding."""
    base = in_fp64(llama)
    ours = final_weights(BatchedInnerLoop(base), JOBS[:5], tmp_path)
    for number, mine in enumerate(ours):
        theirs = by_hand(base, JOBS[number])
        assert float((mine - theirs).abs().max()) < 1e-9
        assert float(mine.abs().max()) > 0.1


def by_hand(base: FrozenLM, job: UpdateJob) -> torch.Tensor:
    loop = ReferenceInnerLoop(base)
    model = loop._adapter.reset(job.lora, job.seed)
    named = {name.replace(".default.", "."): weight for name, weight in model.named_parameters() if "lora_" in name}
    parameters = list(named.values())
    examples = [base.encoder.example(each, job.recipe) for each in job.examples_E]
    epochs = job.training.num_train_epochs
    steps = epochs * math.ceil(len(examples) / 2)
    optimizer = torch.optim.AdamW(parameters, lr=job.training.learning_rate, weight_decay=0.0)
    for step, rows in enumerate(seeded_batches(examples, epochs, job.seed, 2)):
        progress = (step - 11) / max(1, steps - 11)
        factor = step / 11 if step < 11 else max(0.0, 0.5 * (1 + math.cos(math.pi * progress)))
        optimizer.param_groups[0]["lr"] = factor * job.training.learning_rate
        count = sum(sum(row.supervised(job.training.strategy)) for row in rows)
        for row in rows:
            ids, kept = torch.tensor(row.ids_T), torch.tensor(row.supervised(job.training.strategy))
            logits = model(input_ids=ids[None]).logits[0, :-1][kept[1:]]
            (functional.cross_entropy(logits, ids[1:][kept[1:]], reduction="sum") / count).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([named[name].detach().flatten() for name in sorted(named)])


@pytest.mark.parametrize("profile", ["fixed", "paper"])
def test_gradients_of_the_first_step_are_those_of_peft(profile: str, base: FrozenLM) -> None:
    jobs = [replace(each, recipe=PROFILES[profile]) for each in JOBS[:4]]
    pad = int(base.tokenizer.pad_token_id)
    slots = TrainingSlots(PackedModel(base, SPEC), len(jobs), pad, make_optimizer("adamw"))
    encoded = [[base.encoder.example(each, job.recipe) for each in job.examples_E] for job in jobs]
    begun = [slots.begin(slot, each, examples) for slot, (each, examples) in enumerate(zip(jobs, encoded, strict=True))]
    for slot, weights in enumerate(slots.stack.weights):  # B begins at zero, which would leave A without a gradient
        weights += torch.linspace(-0.1, 0.1, len(weights)) * (slot + 1)
        slots.stack.publish(slot)
    slots._gradients(begun)
    assert slots.stack.gradients is not None
    loop = ReferenceInnerLoop(base)
    for slot, each in enumerate(jobs):
        model = loop._adapter.reset(SPEC, each.seed)
        parameters = loop._adapter.parameters()
        torch.nn.utils.vector_to_parameters(slots.stack.weights[slot], parameters)
        trainer = AdapterTrainer(model, parameters, each.recipe, pad, 2)
        trainer._backward(begun[slot].rows, each.training, begun[slot].padded_to)
        theirs = torch.cat([weight.grad.flatten() for weight in parameters if weight.grad is not None])
        apart = (slots.stack.gradients[slot] - theirs).norm() / theirs.norm()
        assert float(apart) < 1e-5


def test_the_base_model_stays_as_it_is_bit_by_bit(base: FrozenLM) -> None:
    before = {name: weight.clone() for name, weight in base.model.state_dict().items()}
    BatchedInnerLoop(base).run(JOBS[:4])
    after = base.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(weight.requires_grad or weight.grad is not None for weight in base.model.parameters())


def test_equal_runs_are_equal_bit_by_bit(llama: FrozenLM) -> None:
    def run() -> list[UpdateResult]:
        return [replace(result, timings={}) for result in BatchedInnerLoop(llama).run(JOBS[:6])]

    assert run() == run()


@pytest.mark.parametrize(("step", "losses", "late"), [(2, 4, 0), (2, 4, 1), (-1, 0, 1)])
def test_diverged_job_leaves_the_others_alone(
    step: int, losses: int, late: int, llama: FrozenLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight that is no number shows in the next step's loss, or at the end if it was the last step.

    Where losses are read late, the job takes a step more, of which nothing is left.
    """
    monkeypatch.setitem(LATE, "cpu", late)
    update = TrainingSlots._update
    expected = BatchedInnerLoop(llama).run(JOBS[:3])

    def poisoned(self: TrainingSlots, progress: Any) -> None:
        update(self, progress)
        if progress.job.seed == 1 and progress.taken == step % progress.steps:
            self.stack.weights[progress.slot, 3] = math.nan

    monkeypatch.setattr(TrainingSlots, "_update", poisoned)
    results = BatchedInnerLoop(llama).run(JOBS[:3])
    assert results[1].outcome is Outcome.DIVERGED
    assert "use a lower learning_rate" in results[1].reason
    assert results[1].answers_Q == ()
    assert len(results[1].losses_S) == (losses or len(expected[1].losses_S))
    for number in (0, 2):
        assert_same(results[number], expected[number])


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_saved_adapter_loads_in_peft_and_answers_alike(
    architecture: str, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    base = load_base_model(tiny_models[architecture], "cpu")
    results = BatchedInnerLoop(base).run(
        [job(3, save_to=tmp_path / "trained"), job(4, examples_E=(), save_to=tmp_path / "fresh")]
    )
    fresh = AutoModelForCausalLM.from_pretrained(base.name, dtype=torch.float32)
    model = PeftModel.from_pretrained(fresh, str(tmp_path / "trained")).eval()
    for asked, answer in zip(QUERIES, results[0].answers_Q, strict=True):
        assert margin_of(model, base, asked) == pytest.approx(answer.margin, abs=1e-3)
    b_weights = [
        weight for name, weight in load_file(tmp_path / "fresh" / "adapter_model.safetensors").items() if "_B" in name
    ]
    assert b_weights
    assert not any(weight.any() for weight in b_weights)


def margin_of(model: Any, base: FrozenLM, asked: Any) -> float:
    encoded = base.encoder.query(asked)
    gold = torch.tensor(encoded.gold_T)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*encoded.prompt_T, *encoded.gold_T[:-1]]])).logits[0, -len(gold) :]
    rivals = logits.scatter(1, gold[:, None], -torch.inf).amax(1)
    return float((logits.gather(1, gold[:, None])[:, 0] - rivals).min())


def test_failing_device_fails_what_was_not_finished(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(TrainingSlots, "step", failing)
    results = BatchedInnerLoop(llama).run([job(0, examples_E=()), JOBS[1]])
    assert [result.outcome for result in results] == [Outcome.OK, Outcome.ENGINE_ERROR]
    assert results[1].reason.startswith("the device failed: CUDA error")


def test_our_own_bugs_raise(llama: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(TrainingSlots, "step", wrong)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        BatchedInnerLoop(llama).run([JOBS[1]])


def small(config: Any, kind: Callable[[Any], Any], directory: Path, tokenizer: Any) -> str:
    torch.manual_seed(0)
    kind(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(directory)


SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "initializer_range": 0.2,
}  # fmt: skip


def test_model_that_would_not_be_reproduced_is_refused(llama: FrozenLM, tmp_path: Path) -> None:
    full = ["full_attention"] * 2
    capped = Gemma2Config(vocab_size=len(llama.tokenizer), **SHAPE, final_logit_softcapping=1.0, layer_types=full)
    base = load_base_model(small(capped, Gemma2ForCausalLM, tmp_path / "capped", llama.tokenizer), "cpu")
    with pytest.raises(ModelError, match="inner_loop='reference'"):
        BatchedInnerLoop(base).run([JOBS[0]])


def test_query_that_the_model_cannot_take_is_named(llama: FrozenLM) -> None:
    short = replace(llama, max_tokens=50, inner_loops={})
    with pytest.raises(ModelError, match=r"query '4' takes [0-9]+ tokens; the model takes at most 50"):
        BatchedInnerLoop(short).run([job(0, examples_E=(), queries_Q=QUERIES[2:])])


def test_decoding_ends_where_no_legal_answer_can_follow(llama: FrozenLM) -> None:
    """The random model writes nonsense: with a pattern it stops at once, without one it goes on to the limit."""
    free = tuple(replace(each, query_id=each.query_id + " free", pattern=None, max_answer_tokens=9) for each in QUERIES)
    (result,) = BatchedInnerLoop(llama).run([job(0, examples_E=(), queries_Q=(*QUERIES, *free))])
    (expected,) = ReferenceInnerLoop(llama).run([job(0, examples_E=(), queries_Q=(*QUERIES, *free))])
    assert_same(result, expected)

    def tokens(answer: Answer) -> int:
        return len(llama.tokenizer(answer.text, add_special_tokens=False)["input_ids"])

    assert any(tokens(answer) > 5 for answer in result.answers_Q[3:])
    assert all(tokens(answer) < 5 for answer in result.answers_Q[:3])


def test_packing_lays_sequences_end_to_end() -> None:
    packed = pack(
        [Piece([5, 6, 7], 3, 2), Piece([8, 9], 1, 2), Piece([1], 1, BASE), Piece([2, 3], 1, 0)], torch.device("cpu")
    )
    assert packed.ids.tolist() == [[5, 6, 7, 8, 9, 1, 2, 3]]
    assert packed.positions.tolist() == [[0, 1, 2, 0, 1, 0, 0, 1]]
    assert [(run.start, run.count, run.length, run.real) for run in packed.runs] == [
        (0, 1, 3, 3), (3, 1, 2, 1), (5, 1, 1, 1), (6, 1, 2, 1),
    ]  # fmt: skip
    assert packed.spans == ((2, slice(0, 5)), (0, slice(6, 8)))
    assert (packed.slots.tolist(), packed.ends.tolist()) == ([2, 0], [5, 8])
