"""The update jobs of the benchmark: presets, and self-edits made into jobs by the environment's own code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from benchmarks.inner_loop.hardware import pass_flops
from benchmarks.inner_loop.shapes import LLAMA_1B, QWEN_7B, build_model
from seal_env.envs.env import SealEnv
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.models.catalog import MODEL_DIRECTORIES
from seal_env.registration import environments
from seal_env.settings import Settings
from seal_env.tasks.knowledge.synthetic.taskset import synthetic_passage
from seal_env.types import (
    PROFILES,
    Answer,
    Example,
    LoraSpec,
    Message,
    Outcome,
    Query,
    Recipe,
    TrainingConfig,
    UpdateJob,
    UpdateResult,
)

KNOWLEDGE_LENGTHS = (36, 36, 36, 36, 36, 36, 36, 36, 135)
KNOWLEDGE_QUERIES, KNOWLEDGE_ANSWER = 5, 64
PUBLISHED_KNOWLEDGE = Recipe(batch_size=1, warmup_steps=0, schedule="linear", pad_loss=True)

Score = Callable[[Sequence[Answer]], float]
"""Accuracy of the answers to a job's queries."""


@dataclass(frozen=True)
class Preset:
    """What is measured.

    Attributes:
        name: For `--preset`.
        device: A device, or "cuda".
        edits: Number of self-edits.
        rounds: Number of parts in which they are measured.
        processes: Of row R2.
        shape: Of a model with random weights; None for the bundled model.
        environment: Id of the environment that makes the jobs; None for chats of random digits.
        settings: Of that environment.
        published: Recipe of row R0.
        pad_to: Length in tokens to which R0 pads; None for the longest example of a self-edit.
    """

    name: str
    device: str
    edits: int
    rounds: int
    processes: int
    shape: Mapping[str, Any] | None = None
    environment: str | None = "SEAL-ARC-v0"
    settings: Mapping[str, Any] = field(default_factory=dict)
    published: Recipe = PROFILES["paper"]
    pad_to: int | None = None


_PRESETS = (
    Preset("cpu", "cpu", edits=32, rounds=4, processes=2),
    Preset("llama-1b", "cuda", edits=32, rounds=2, processes=4, shape=LLAMA_1B, settings={"evaluation": "vote"}),
    Preset("qwen-7b-knowledge", "cuda", 64, 2, 4, QWEN_7B, None, published=PUBLISHED_KNOWLEDGE, pad_to=2048),
    Preset(
        "cpu-knowledge", "cpu", 16, 2, 2, None, "SEAL-Knowledge-v0", {"subset": "synthetic-eval"}, PUBLISHED_KNOWLEDGE, 2048
    ),
)
PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _PRESETS}


@dataclass(frozen=True)
class Case:
    """A job with its real tokens of training, the model FLOPs of training, and how its answers are scored."""

    job: UpdateJob
    tokens: int
    flops: float
    score: Score


class JobRecorder:
    """An inner loop that records jobs and answers none of them."""

    def __init__(self, encoder: JobEncoder) -> None:
        self.count_tokens, self.max_tokens = encoder.count_tokens, encoder.max_tokens
        self.jobs: list[UpdateJob] = []

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop."""
        self.jobs += jobs
        return [UpdateResult(Outcome.ENGINE_ERROR, "only recorded", ()) for _ in jobs]


def model_of(preset: Preset, folder: Path, device: str) -> str:
    """Name of the preset's model; one with random weights is written to `folder`."""
    if preset.shape is not None:
        return build_model(preset.shape, folder, device)
    assert preset.environment is not None
    return Settings.resolve(**{**environments()[preset.environment], **preset.settings}).model


def text_encoder(model: str) -> JobEncoder:
    """The model's encoder; the weights have shapes, but no values."""
    source = str(MODEL_DIRECTORIES.get(model, model))
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    with torch.device("meta"):
        shapes = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    longest = int(config.max_position_embeddings)
    return FrozenLM(
        model, shapes, AutoTokenizer.from_pretrained(source, trust_remote_code=False), torch.device("meta"), longest
    ).encoder


def make_cases(preset: Preset, model: str, count: int, seed: int, **settings: Any) -> list[Case]:
    """`count` different self-edits as jobs, tasks in turn; equal for equal arguments.

    Args:
        preset: Where the jobs come from.
        model: Whose tokens are counted.
        count: Number of jobs.
        seed: Of everything random.
        **settings: Override the preset's own settings of the environment.
    """
    encoder = text_encoder(model)
    config = AutoConfig.from_pretrained(str(MODEL_DIRECTORIES.get(model, model)), trust_remote_code=False)
    if preset.environment is None:
        jobs: list[tuple[UpdateJob, Score]] = [
            (knowledge_job(encoder, preset, seed + number), _share_exact) for number in range(count)
        ]
    else:
        given = {**environments()[preset.environment], "model": model, **preset.settings, **settings}
        jobs = environment_jobs(encoder, Settings.resolve(**given), count, seed)
    if preset.shape is not None:
        jobs = [(_with_fixed_answers(job, encoder), score) for job, score in jobs]
    return [_case(job, score, encoder, config) for job, score in jobs]


def environment_jobs(encoder: JobEncoder, settings: Settings, count: int, seed: int) -> list[tuple[UpdateJob, Score]]:
    """Jobs that the environment makes of self-edits; self-edits without an update are skipped.

    ARC self-edits are drawn from the action space; those about synthetic passages are all statements of their facts.
    """
    recorder = JobRecorder(encoder)
    runtime = Runtime(settings, recorder)
    space = SealEnv(runtime=runtime).action_space
    space.seed(seed)
    jobs: list[tuple[UpdateJob, Score]] = []
    while len(jobs) < count:
        task = runtime.taskset[runtime.taskset.task_ids[len(jobs) % len(runtime.taskset)]]
        texts = runtime.spec.reads_plain_text
        action = "\n".join(synthetic_passage(task.task_id).statements()) if texts else space.sample()
        recorder.jobs = []
        play([Episode(runtime, task, seed)], [action], BaseAnswerCache(1))
        score = partial(_accuracy, runtime, task, seed)
        jobs += [(job, score) for job in recorder.jobs if job.learns]
    return jobs


def knowledge_job(encoder: JobEncoder, preset: Preset, seed: int) -> UpdateJob:
    """One self-edit of the paper's knowledge setting: chats of digits, of the lengths of its documents.

    Nine documents, the passage last, 47 tokens on average, ten epochs of batch 1; five questions whose answers take 64
    tokens.
    """
    training = TrainingConfig("train_using_all_tokens", 1e-3, 10)
    lora, recipe = LoraSpec(32, 64.0, ("q_proj", "v_proj")), replace(preset.published, pad_loss=False)
    return digit_job(encoder, seed, KNOWLEDGE_LENGTHS, 1.0, training, lora, recipe, (KNOWLEDGE_QUERIES, KNOWLEDGE_ANSWER))


def digit_job(
    encoder: JobEncoder,
    seed: int,
    lengths_E: Sequence[int],
    answer_share: float,
    training: TrainingConfig,
    lora: LoraSpec,
    recipe: Recipe,
    queries: tuple[int, int],
) -> UpdateJob:
    """A job of chats of random digits, each digit a token.

    Args:
        encoder: Of the model.
        seed: Of the digits and of the job.
        lengths_E: Tokens of each example, template included.
        answer_share: Share of an example's digits that belong to the answer.
        training: Of the job.
        lora: Of the job.
        recipe: Of the job.
        queries: Number of queries, and tokens of each answer.
    """
    rng = np.random.default_rng(seed)

    def digits(count: int) -> str:
        return "".join(map(str, rng.integers(10, size=count).tolist()))

    template = encoder.count_tokens([_chat("", "0")])[0] - 1
    examples = []
    for length in lengths_E:
        answer = max(1, round((length - template) * answer_share))
        examples.append(_chat(digits(length - template - answer), digits(answer)))
    count, size = queries
    asked = tuple(Query(str(number), (Message("user", digits(16)),), digits(size), None, size) for number in range(count))
    return UpdateJob(tuple(examples), training, lora, recipe, seed, asked)


def _chat(question: str, answer: str) -> Example:
    return Example((Message("user", question), Message("assistant", answer)))


def _with_fixed_answers(job: UpdateJob, encoder: JobEncoder) -> UpdateJob:
    """Random weights never end an answer nor write a grid: every answer takes as many tokens as the gold answer."""
    queries = [
        replace(query, pattern=None, max_answer_tokens=len(encoder.query(query).gold_T) - 1) for query in job.queries_Q
    ]
    return replace(job, queries_Q=tuple(queries))


def _case(job: UpdateJob, score: Score, encoder: JobEncoder, config: Any) -> Case:
    encoded = [encoder.example(example, job.recipe) for example in job.examples_E]
    epochs = job.training.num_train_epochs
    lengths = [len(example.ids_T) for example in encoded]
    supervised = sum(sum(example.supervised(job.training.strategy)) for example in encoded)
    return Case(job, epochs * sum(lengths), epochs * pass_flops(config, job.lora, lengths, supervised), score)


def _accuracy(runtime: Runtime, task: Any, seed: int, answers: Sequence[Answer]) -> float:
    return runtime.domain.score(task, answers, seed).accuracy


def _share_exact(answers: Sequence[Answer]) -> float:
    return sum(answer.exact for answer in answers) / len(answers)
