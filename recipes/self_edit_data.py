"""Episodes of training for adaptation: a rule, the examples that a random self-edit makes of it, and fresh queries."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from recipes.step_data import IGNORED, Row, UpdateEpisode
from seal_env.domains import arc
from seal_env.envs.spaces import SelfEditSpace
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.models.catalog import MODEL_DEFAULTS, MODEL_NAME
from seal_env.self_edits.prompt import chat_messages, observation_text
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridPair
from seal_env.tasks.arc.mini.composed_rules import OFTEN_FAMILIES
from seal_env.tasks.arc.mini.rules import TRAINING_FAMILIES, Shape, draw_pairs, draw_task
from seal_env.tasks.arc.prompt import example
from seal_env.tasks.arc.training_set import build_candidates
from seal_env.types import Budget, Example, Message, Recipe

SHOWN_OUTPUTS = re.compile(r"Output,(.*?)(?=\n\n)", re.DOTALL)


@dataclass(frozen=True)
class EpisodeSettings:
    """How episodes are drawn.

    Attributes:
        learning_rate: Range of the random self-edit, log-uniform.
        epochs: Range of the random self-edit, uniform.
        max_steps: Maximum number of optimizer steps of an adapter.
        queries: Number of fresh query pairs.
        ask: How many of them are evaluated at a time, in turn.
    """

    learning_rate: tuple[float, float] = (3e-4, 3e-3)
    epochs: tuple[int, int] = (1, 3)
    max_examples: int = 32
    max_tokens: int = 128
    max_query_tokens: int = 200
    max_steps: int = 6
    warmup_steps: int = 2
    batch_size: int = 2
    queries: int = 8
    ask: int = 3
    plain_share: float = 0.4
    all_tokens_share: float = 0.2
    families: tuple[str, ...] = (*TRAINING_FAMILIES, *OFTEN_FAMILIES, *OFTEN_FAMILIES, *OFTEN_FAMILIES)


def encode(encoder: ChatEncoder, rendered: Example, all_tokens: bool = False) -> Row:
    """An example as ids and labels; loss on the answer, or on all tokens."""
    encoded = encoder.encode_example(rendered, Recipe())
    supervised = encoded.supervised("train_using_all_tokens" if all_tokens else "train_using_output_tokens")
    return list(encoded.ids_T), [token if loss else IGNORED for token, loss in zip(encoded.ids_T, supervised, strict=True)]


def draw_episode(
    encoder: ChatEncoder, domain: ArcDomain, settings: EpisodeSettings, rng: np.random.Generator
) -> UpdateEpisode:
    """A rule of the train split, demonstrations, a random self-edit of them, and queries that they do not show."""
    while True:
        instance, pairs = draw_task(rng, "train", families=settings.families)
        demonstrations = pairs[:-1]
        switches = rng.random(4) < 0.35
        if rng.random() < settings.plain_share:
            switches[:] = False
        basic, size, chain, repeat = switches.tolist()
        candidates = build_candidates(
            demonstrations, basic=basic, size=size, chain=chain, repeat=repeat, seed=int(rng.integers(2**31))
        )
        order = rng.permutation(len(candidates))[: settings.max_examples].tolist()
        all_tokens = bool(rng.random() < settings.all_tokens_share)
        rows = [encode(encoder, domain.render_example(candidates[index]), all_tokens) for index in order]
        rows = [row for row in rows if len(row[0]) <= settings.max_tokens]
        queries = _queries(
            encoder, domain, demonstrations, draw_pairs(instance, settings.queries, Shape(), rng) or [], pairs[-1]
        )
        if rows and max(len(query[0]) for query in queries) <= settings.max_query_tokens:
            break
    epochs = int(rng.integers(settings.epochs[0], settings.epochs[1] + 1))
    batches = [batch for _ in range(epochs) for batch in _batches(rows, settings.batch_size, rng)]
    low, high = settings.learning_rate
    rate = math.exp(rng.uniform(math.log(low), math.log(high)))
    rates = [rate * _schedule(step, len(batches), settings.warmup_steps) for step in range(len(batches))]
    return UpdateEpisode(batches[: settings.max_steps], rates, queries, key=instance.key)


def _queries(
    encoder: ChatEncoder, domain: ArcDomain, shown: list[GridPair], fresh: list[GridPair], first: GridPair
) -> list[Row]:
    inputs = {pair.input for pair in shown}
    known = {cell for pair in shown for row in pair.input for cell in row}
    fitting = [p for p in fresh if p.input not in inputs and {cell for row in p.input for cell in row} <= known]
    return [encode(encoder, example(shown, pair, domain.format)) for pair in [first, *fitting]]


def _batches(rows: list[Row], size: int, rng: np.random.Generator) -> list[list[Row]]:
    order = rng.permutation(len(rows)).tolist()
    return [[rows[index] for index in order[start : start + size]] for start in range(0, len(order), size)]


def _schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine: the inner loop's schedule."""
    if step < warmup:
        return step / warmup
    return max(0.0, 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))))


def self_edit_row(encoder: ChatEncoder, domain: ArcDomain, rng: np.random.Generator, read_task: bool = False) -> Row:
    """The environment's prompt for a task, answered by a self-edit that is drawn without looking at it.

    read_task: loss also on the prompt's output grids and their sizes, from the second demonstration on, so that the model
    has understood the task by the time it decides.
    """
    side = int(rng.choice([4, 4, 5, 7]))
    _, pairs = draw_task(rng, "train", Shape(max_side=side), tuple(TRAINING_FAMILIES))
    budget = Budget(max_examples=int(MODEL_DEFAULTS[MODEL_NAME]["max_examples"]))
    turns = int(rng.choice([1, 8]))
    observation = observation_text(domain, arc.TOOLS, domain.render(tuple(pairs[:-1])), budget, turns)
    action = SelfEditSpace(arc.TOOLS, {"training.num_train_epochs": (1, 3)}, seed=rng).sample()
    rendered = Example((*chat_messages(observation), Message("assistant", action)))
    ids, labels = encode(encoder, rendered)
    if read_task:
        text = encoder.render(rendered.messages, generation_prompt=False)
        _, spans = encoder.tokenize(text)
        outputs = [match.span(1) for match in SHOWN_OUTPUTS.finditer(text)][1:]
        for index, (start, _) in enumerate(spans[: len(ids)]):
            if any(first <= start < last for first, last in outputs):
                labels[index] = ids[index]
    return ids, labels
