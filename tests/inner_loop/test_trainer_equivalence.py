"""Both inner loops take the steps that Hugging Face's Trainer takes on the same job, and give the same answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from seal_env.inner_loop import INNER_LOOPS, make_inner_loop
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.model.targets import find_targets
from seal_env.inner_loop.reference.answering import Answerer
from seal_env.inner_loop.tokens.batches import seeded_batches
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example, query
from seal_env.types import PROFILES, Example, LoraSpec, Recipe, Strategy, TrainingConfig, UpdateJob, UpdateResult

COLOURS = [(1, 2, 9), (3, 4, 8), (5, 6, 1), (7, 8, 2), (2, 9, 4)]
PAIRS = tuple(GridPair(((a, b), (b, c)), ((b, a), (c, b))) for a, b, c in COLOURS)
PLAIN = GridFormat("plain")
# An odd number of examples of five lengths: batches need padding, and each epoch ends with a smaller one.
SHOWN = [(shown, asked) for shown in (1, 2, 3, 4) for asked in PAIRS]
EXAMPLES = (
    example((), PAIRS[0], PLAIN),
    *(example([p for p in PAIRS if p != asked][:n], asked, PLAIN) for n, asked in SHOWN),
)
JOB = UpdateJob(
    examples_E=EXAMPLES,
    training=TrainingConfig("train_using_output_tokens", 2e-3, 5),
    lora=LoraSpec(rank=8, alpha=16.0),
    recipe=Recipe(),
    seed=7,
    queries_Q=tuple(query(str(n), PAIRS[:n], asked, PLAIN) for n, asked in SHOWN[::4]),
)
STEPS = 55

Weights = dict[str, torch.Tensor]


class Ours(NamedTuple):
    """An update by one of our loops: its tokens, its adapter before and after, what came of it."""

    encoded_E: list[EncodedExample]
    initial: Weights
    result: UpdateResult
    final: Weights


@dataclass
class Collator:
    """Right padding, written apart from ours. length None: to the batch's longest; else to it, with loss on the padding."""

    pad: int
    length: int | None
    batches: list[list[int]] = field(default_factory=list)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        self.batches.append([row["number"] for row in rows])
        longest = self.length or max(len(row["input_ids"]) for row in rows)
        label = -100 if self.length is None else self.pad

        def padded(name: str, filler: int) -> torch.Tensor:
            return torch.tensor([row[name] + [filler] * (longest - len(row[name])) for row in rows])

        return {
            "input_ids": padded("input_ids", self.pad),
            "labels": padded("labels", label),
            "attention_mask": padded("attention_mask", 0),
        }


class RecordingTrainer(Trainer):
    """Trainer that keeps the loss of every step."""

    losses_S: list[float]

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        loss = super().training_step(*arguments, **named)
        self.losses_S.append(float(loss))
        return loss


def weights(model: torch.nn.Module) -> Weights:
    return {
        name.replace(".default.", "."): parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if "lora_" in name
    }


def ours(loop_name: str, model: str, job: UpdateJob, out: Path) -> Ours:
    """The job among three others, so that the batched loop has something to keep apart."""
    initial, final = out / "initial", out / "final"
    others = [replace(job, seed=seed, training=replace(job.training, num_train_epochs=seed)) for seed in (1, 2, 3)]
    jobs = [others[0], replace(job, examples_E=(), save_to=initial), replace(job, save_to=final), *others[1:]]
    result = make_inner_loop(loop_name, model, "cpu").run(jobs)[2]
    encoder = load_base_model(model, "cpu").encoder
    return Ours(
        [encoder.example(chosen, job.recipe) for chosen in job.examples_E],
        load_file(initial / "adapter_model.safetensors"),
        result,
        load_file(final / "adapter_model.safetensors"),
    )


def trainer_arguments(job: UpdateJob, out: Path) -> TrainingArguments:
    """What the job's recipe and training are to Hugging Face's Trainer."""
    return TrainingArguments(
        output_dir=str(out), seed=job.seed, num_train_epochs=job.training.num_train_epochs,
        per_device_train_batch_size=job.recipe.batch_size,
        learning_rate=job.training.learning_rate, lr_scheduler_type=job.recipe.schedule,
        warmup_steps=job.recipe.warmup_steps, weight_decay=0.0,
        adam_epsilon=1e-8, max_grad_norm=1.0, use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_strategy="no", remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip


def theirs(model: str, job: UpdateJob, start: Ours, collator: Collator, out: Path) -> RecordingTrainer:
    fresh: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    config = LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.0, task_type=TaskType.CAUSAL_LM, fan_in_fan_out=fresh.config.model_type == "gpt2",
        target_modules=list(find_targets(fresh, job.lora.target_modules).layers),
    )  # fmt: skip
    peft = get_peft_model(fresh, config)
    set_peft_model_state_dict(peft, start.initial)
    peft.eval()  # GPT-2 has dropout, which our loops never use; Trainer would switch it on
    peft.train = lambda mode=True: peft  # type: ignore[method-assign]
    trainer = RecordingTrainer(
        model=peft,
        args=trainer_arguments(job, out),
        train_dataset=rows(start.encoded_E, job.training),
        data_collator=collator,
    )
    trainer.losses_S = []
    trainer.train()
    return trainer


def rows(encoded_E: Sequence[EncodedExample], training: TrainingConfig) -> Any:
    return [
        {
            "number": number,
            "input_ids": list(encoded.ids_T),
            "labels": [
                token if kept else -100
                for token, kept in zip(encoded.ids_T, encoded.supervised(training.strategy), strict=True)
            ],
            "attention_mask": [1] * len(encoded.ids_T),
        }
        for number, encoded in enumerate(encoded_E)
    ]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("loop_name", INNER_LOOPS)
def test_update_is_the_trainer_s_update(
    loop_name: str, architecture: str, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    model = tiny_models[architecture]
    mine = ours(loop_name, model, JOB, tmp_path)
    collator = Collator(pad(model), None)
    trainer = theirs(model, JOB, mine, collator, tmp_path)
    assert len(mine.result.losses_S) == STEPS
    assert collator.batches == order_of(mine)
    assert trainer.losses_S == pytest.approx(mine.result.losses_S, abs=1e-4)
    assert_close(mine, trainer)
    assert_same_answers(mine, trainer, model)


@pytest.mark.parametrize("strategy", ["train_using_output_tokens", "train_using_all_tokens"])
@pytest.mark.parametrize("loop_name", INNER_LOOPS)
def test_paper_profile_is_the_trainer_s_update_on_unmasked_padding(
    loop_name: str, strategy: Strategy, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    model, training = tiny_models["llama"], replace(JOB.training, strategy=strategy)
    job = replace(JOB, recipe=PROFILES["paper"], training=training)
    mine = ours(loop_name, model, job, tmp_path)
    longest = max(len(encoded.ids_T) for encoded in mine.encoded_E)
    trainer = theirs(
        model, job, mine, Collator(int(load_base_model(model, "cpu").tokenizer.pad_token_id), longest), tmp_path
    )
    assert trainer.losses_S == pytest.approx(mine.result.losses_S, abs=1e-4)
    assert_close(mine, trainer)
    assert_same_answers(mine, trainer, model)


@pytest.mark.parametrize("loop_name", INNER_LOOPS)
def test_update_on_documents_one_by_one_down_a_line_is_the_trainer_s(
    loop_name: str, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    """The recipe of knowledge incorporation: no chat, batches of one, a linear schedule without warm-up."""
    model = tiny_models["llama"]
    texts = ("The lamp of Orvel burns blue oil.", "Q: What burns in Orvel?\nA: blue oil", "Orvel lies south of Tamm.")
    documents = tuple(Example(document=text) for text in texts)
    job = replace(JOB, examples_E=documents, recipe=Recipe(batch_size=1, schedule="linear", warmup_steps=0))
    mine = ours(loop_name, model, job, tmp_path)
    trainer = theirs(model, job, mine, Collator(pad(model), None), tmp_path)
    assert len(mine.result.losses_S) == len(texts) * JOB.training.num_train_epochs
    assert trainer.losses_S == pytest.approx(mine.result.losses_S, abs=1e-4)
    assert_close(mine, trainer)
    assert_same_answers(mine, trainer, model)


def pad(model: str) -> int:
    return int(load_base_model(model, "cpu").tokenizer.pad_token_id)


def assert_same_answers(mine: Ours, trainer: RecordingTrainer, model: str) -> None:
    """What the Trainer's model says is what ours says; near a tie rounding may decide."""
    base = load_base_model(model, "cpu")
    answerer = Answerer(trainer.model, base.tokenizer, base.device, base.max_tokens)
    theirs = [answerer.answer(query, base.encoder.query(query), decode=True) for query in JOB.queries_Q]
    assert [answer.margin for answer in mine.result.answers_Q] == pytest.approx([a.margin for a in theirs], abs=0.02)
    clear = [abs(answer.margin) > 0.02 for answer in theirs]
    assert any(clear)
    for ours, other, sure in zip(mine.result.answers_Q, theirs, clear, strict=True):
        assert not sure or ours.exact == other.exact


def order_of(mine: Ours) -> list[list[int]]:
    """The numbers of the examples in each batch of ours."""
    numbered = [EncodedExample((number,), (True,)) for number in range(len(mine.encoded_E))]
    return [
        [row.ids_T[0] for row in batch] for batch in seeded_batches(numbered, JOB.training.num_train_epochs, JOB.seed, 2)
    ]


def assert_close(mine: Ours, trainer: RecordingTrainer) -> None:
    assert trainer.model is not None
    final = weights(trainer.model)
    assert final.keys() == mine.final.keys()
    moved = max(float((mine.final[name] - mine.initial[name]).abs().max()) for name in final)
    apart = max(float((mine.final[name] - final[name]).abs().max()) for name in final)
    assert moved > 0.01
    assert apart < 0.001 * moved
