"""The reference inner loop takes the steps that Hugging Face's Trainer takes on the same job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.encoding import EncodedExample
from seal_env.inner_loop.reference import ReferenceInnerLoop
from seal_env.inner_loop.trainer import AdapterTrainer
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example
from seal_env.types import PROFILES, LoraSpec, Recipe, Strategy, TrainingConfig, UpdateJob

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
    training=TrainingConfig("train_using_output_tokens", 2e-3, 3),
    lora=LoraSpec(rank=8, alpha=16.0),
    recipe=Recipe(),
    seed=7,
    queries_Q=(),
)
STEPS = 33

Weights = dict[str, torch.Tensor]


class Ours(NamedTuple):
    """An update by the reference inner loop: its tokens, its adapter before and after, its losses."""

    encoded_E: list[EncodedExample]
    initial: Weights
    losses_S: tuple[float, ...]
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
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters() if "lora_" in name}


def ours(model: str, job: UpdateJob) -> Ours:
    loop = make_inner_loop("reference", model, "cpu")
    assert isinstance(loop, ReferenceInnerLoop)
    encoded = [loop._encode(chosen, job.recipe) for chosen in job.examples_E]
    initial = weights(loop._adapter.reset(job.lora, job.seed))
    losses = loop.run([job])[0].losses_S
    return Ours(encoded, initial, losses, weights(loop._adapter._peft))


def theirs(model: str, job: UpdateJob, start: Ours, collator: Collator, out: Path) -> RecordingTrainer:
    config = LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.0, target_modules=list(job.lora.target_modules), task_type=TaskType.CAUSAL_LM
    )
    peft = get_peft_model(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), config)
    peft.load_state_dict(start.initial, strict=False)
    arguments = TrainingArguments(
        output_dir=str(out), seed=job.seed, num_train_epochs=job.training.num_train_epochs, per_device_train_batch_size=2,
        learning_rate=job.training.learning_rate, lr_scheduler_type="cosine", warmup_steps=11, weight_decay=0.0,
        adam_epsilon=1e-8, max_grad_norm=1.0, use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_strategy="no", remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = RecordingTrainer(
        model=peft, args=arguments, train_dataset=rows(start.encoded_E, job.training), data_collator=collator
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


def pad(model: str) -> int:
    loop = make_inner_loop("reference", model, "cpu")
    assert isinstance(loop, ReferenceInnerLoop)
    return int(loop.base.tokenizer.pad_token_id)


def test_update_is_the_trainer_s_update(tiny_models: dict[str, str], tmp_path: Path) -> None:
    model = tiny_models["llama"]
    mine = ours(model, JOB)
    collator = Collator(pad(model), None)
    trainer = theirs(model, JOB, mine, collator, tmp_path)
    assert len(mine.losses_S) == STEPS
    assert collator.batches == order_of(mine)
    assert trainer.losses_S == pytest.approx(mine.losses_S, abs=1e-4)
    assert_close(mine, trainer)


@pytest.mark.parametrize("strategy", ["train_using_output_tokens", "train_using_all_tokens"])
def test_paper_profile_is_the_trainer_s_update_on_unmasked_padding(
    strategy: Strategy, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    model, training = tiny_models["llama"], replace(JOB.training, strategy=strategy)
    job = replace(JOB, recipe=PROFILES["paper"], training=training)
    mine = ours(model, job)
    collator = Collator(pad(model), max(len(encoded.ids_T) for encoded in mine.encoded_E))
    trainer = theirs(model, job, mine, collator, tmp_path)
    assert trainer.losses_S == pytest.approx(mine.losses_S, abs=1e-4)
    assert_close(mine, trainer)


def order_of(mine: Ours) -> list[list[int]]:
    """The numbers of the examples in each batch of ours."""
    numbered = [EncodedExample((number,), (True,)) for number in range(len(mine.encoded_E))]
    trainer = AdapterTrainer(None, [], JOB.recipe, 0, 2)
    return [[row.ids_T[0] for row in batch] for batch in trainer._batches(numbered, 3, JOB.seed)]


def assert_close(mine: Ours, trainer: RecordingTrainer) -> None:
    final = weights(trainer.model)
    assert final.keys() == mine.final.keys()
    moved = max(float((mine.final[name] - mine.initial[name]).abs().max()) for name in final)
    apart = max(float((mine.final[name] - final[name]).abs().max()) for name in final)
    assert moved > 0.01
    assert apart < 0.001 * moved
