"""The update jobs of benchmarks/inner_loop.py: presets, and self-edits made into jobs by the environment's own code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from inner_loop_measure import pass_flops
from inner_loop_models import LLAMA_1B, QWEN_7B, build_model
from transformers import AutoConfig, AutoTokenizer

from seal_env.agents.context import AgentContext
from seal_env.agents.registry import make_agent
from seal_env.envs.env import SealEnv
from seal_env.episodes.episode import Episode, Update
from seal_env.episodes.runtime import Runtime
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.models.catalog import MODEL_DIRECTORIES
from seal_env.registration import environments
from seal_env.settings import Settings, default_of
from seal_env.types import (
    PROFILES,
    Answer,
    Example,
    InnerLoop,
    LoraSpec,
    Message,
    Query,
    Recipe,
    TrainingConfig,
    UpdateJob,
)

REPEATED, NO_OPS = 0.2, 0.1
KNOWLEDGE_LENGTHS = (36, 36, 36, 36, 36, 36, 36, 36, 135)
KNOWLEDGE_QUERIES = 5
KNOWLEDGE_ANSWER = 64
PUBLISHED_KNOWLEDGE = Recipe(batch_size=1, warmup_steps=0, schedule="linear", pad_loss=True)

Scored = tuple[UpdateJob, Callable[[Sequence[Answer]], float]]
"""A job, and the accuracy that answers to it have."""


@dataclass(frozen=True)
class Preset:
    """What is measured.

    shape: of a model with random weights, None for the embedded one. environment, settings: what makes the jobs. agent:
    writes the self-edits; None draws them from the action space. published: R0's recipe. pad_to: the length in tokens to
    which R0 pads, None for the longest example of a self-edit.
    knowledge: synthetic passages instead of ARC tasks. processes: of R2. rounds: in how many parts the list is measured.
    """

    name: str
    device: str
    edits: int
    rounds: int
    processes: int
    shape: Mapping[str, Any] | None = None
    environment: str = "SEAL-ARC-v0"
    settings: Mapping[str, Any] = field(default_factory=dict)
    agent: str | None = None
    published: Recipe = PROFILES["paper"]
    pad_to: int | None = None
    knowledge: bool = False

    @property
    def random_weights(self) -> bool:
        """True if the model knows nothing, so that its answers say nothing."""
        return self.shape is not None


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("cpu", "cpu", edits=32, rounds=4, processes=2),
        Preset("llama-1b", "cuda", 32, 2, 4, shape=LLAMA_1B, settings={"evaluation": "vote"}),
        Preset(
            "qwen-7b-knowledge",
            "cuda",
            edits=64,
            rounds=2,
            processes=4,
            shape=QWEN_7B,
            published=PUBLISHED_KNOWLEDGE,
            pad_to=2048,
            knowledge=True,
        ),
        Preset(
            "cpu-knowledge",
            "cpu",
            edits=16,
            rounds=2,
            processes=2,
            environment="SEAL-Knowledge-v0",
            settings={"subset": "synthetic-eval"},
            agent="passage_only",
            published=PUBLISHED_KNOWLEDGE,
            pad_to=2048,
        ),
    )
}


@dataclass(frozen=True)
class Case:
    """A job and what it is worth: real tokens trained, model FLOPs of training, and the accuracy that its answers have."""

    job: UpdateJob
    tokens: int
    flops: float
    score: Callable[[Sequence[Answer]], float]


class Entry(NamedTuple):
    """One self-edit as sampled: the number of its case, and whether it changes nothing."""

    case: int
    no_op: bool = False


def model_of(preset: Preset, folder: Path, device: str) -> str:
    """The preset's model by name, written to `folder` if it is not embedded."""
    if preset.shape is not None:
        return build_model(preset.shape, folder, device)
    return str({**environments()[preset.environment], **preset.settings}.get("model", default_of("model")))


def text_encoder(model: str) -> JobEncoder:
    """The model's encoder, without its weights."""
    source = str(MODEL_DIRECTORIES.get(model, model))
    longest = int(AutoConfig.from_pretrained(source).max_position_embeddings)
    return FrozenLM(model, None, AutoTokenizer.from_pretrained(source), torch.device("cpu"), longest).encoder


def make_cases(preset: Preset, model: str, count: int, seed: int, **settings: Any) -> list[Case]:
    """`count` different self-edits as jobs, tasks in turn; equal for equal arguments. settings: over the preset's own."""
    encoder = text_encoder(model)
    config = AutoConfig.from_pretrained(str(MODEL_DIRECTORIES.get(model, model)))
    if preset.knowledge:
        jobs: list[Scored] = [(knowledge_job(encoder, preset, seed + number), _share_exact) for number in range(count)]
    else:
        given = {**environments()[preset.environment], "model": model, **preset.settings, **settings}
        jobs = environment_jobs(encoder, Settings.resolve(**given), count, seed, preset.agent)
    if preset.random_weights:
        jobs = [(_with_fixed_answers(job, encoder), score) for job, score in jobs]
    return [_case(job, score, encoder, config) for job, score in jobs]


def environment_jobs(
    encoder: JobEncoder, settings: Settings, count: int, seed: int, agent: str | None = None
) -> list[Scored]:
    """An agent's self-edits, made into jobs by the environment's episodes; what earns no update is not.

    agent: None draws them from the action space.
    """
    runtime = Runtime(settings)
    env = SealEnv(runtime=runtime)
    env.action_space.seed(seed)
    writer = None if agent is None else make_agent(agent, AgentContext.of(env, seed))
    runtime.use(cast("InnerLoop", encoder))  # an episode asks an inner loop for lengths in tokens and for nothing else
    jobs: list[Scored] = []
    while len(jobs) < count:
        task = runtime.taskset[runtime.taskset.task_ids[len(jobs) % len(runtime.taskset)]]
        episode = Episode(runtime, task, seed)
        update = episode.decide(env.action_space.sample() if writer is None else writer.act(*episode.opening()))
        if isinstance(update, Update) and (job := episode.job(update)) is not None:
            jobs.append((job, partial(_accuracy, runtime, task, seed)))
    return jobs


def knowledge_job(encoder: JobEncoder, preset: Preset, seed: int) -> UpdateJob:
    """One self-edit of the paper's knowledge setting: short chats of digits, of the lengths that its documents have.

    Nine documents, the passage last, 47 tokens on average, ten passes of batch 1; five questions whose answers take 64
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
    asks: tuple[int, int],
) -> UpdateJob:
    """A job about nothing: chats of random digits.

    lengths_E: tokens of each example, template included. answer_share: of an example's digits, the rest are the question.
    asks: how many queries, and the tokens of each answer.
    """
    rng = np.random.default_rng(seed)
    template = encoder.count_tokens([_chat("", "0")])[0] - 1
    examples = []
    for length in lengths_E:
        answer = max(1, round((length - template) * answer_share))
        examples.append(_chat(digits(rng, length - template - answer), digits(rng, answer)))
    queries = tuple(
        Query(str(number), (Message("user", digits(rng, 16)),), digits(rng, asks[1]), None, asks[1])
        for number in range(asks[0])
    )
    return UpdateJob(tuple(examples), training, lora, recipe, seed, queries)


def digits(rng: np.random.Generator, count: int) -> str:
    """So many digits in a row; each is a token."""
    return "".join(map(str, rng.integers(10, size=count).tolist()))


def _chat(asked: str, answer: str) -> Example:
    return Example((Message("user", asked), Message("assistant", answer)))


def _with_fixed_answers(job: UpdateJob, encoder: JobEncoder) -> UpdateJob:
    """Random weights never end an answer nor write a grid: every answer takes as many tokens as the right one."""
    queries = [
        replace(query, pattern=None, max_answer_tokens=len(encoder.query(query).gold_T) - 1) for query in job.queries_Q
    ]
    return replace(job, queries_Q=tuple(queries))


def _case(job: UpdateJob, score: Callable[[Sequence[Answer]], float], encoder: JobEncoder, config: Any) -> Case:
    encoded = [encoder.example(example, job.recipe) for example in job.examples_E]
    epochs = job.training.num_train_epochs
    lengths = [len(example.ids_T) for example in encoded]
    supervised = sum(sum(example.supervised(job.training.strategy)) for example in encoded)
    return Case(job, epochs * sum(lengths), epochs * pass_flops(config, job.lora, lengths, supervised), score)


def _accuracy(runtime: Runtime, task: Any, seed: int, answers: Sequence[Answer]) -> float:
    return runtime.domain.score(task, answers, seed).accuracy


def _share_exact(answers: Sequence[Answer]) -> float:
    return sum(answer.exact for answer in answers) / len(answers)


def as_sampled(count: int, seed: int) -> list[Entry]:
    """A list as long as the cases' as a policy might have sampled it: some repeat an earlier one, some change nothing.

    How many do is an assumption, REPEATED and NO_OPS: no self-edits of a large policy are recorded here. The entry at a
    place names a case of that place or before, so that every part of the list can be measured with that part of the cases.
    """
    rng = np.random.default_rng(seed)
    entries: list[Entry] = []
    for place in range(count):
        drawn = rng.random()
        if drawn < NO_OPS:
            entries.append(Entry(place, no_op=True))
        elif drawn < NO_OPS + REPEATED and entries:
            entries.append(entries[int(rng.integers(len(entries)))])
        else:
            entries.append(Entry(place))
    return entries


def parts(count: int, rounds: int) -> list[range]:
    """The list in `rounds` parts of equal size, the last one smaller where it does not divide; at most one per self-edit."""
    size = math.ceil(count / rounds)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
