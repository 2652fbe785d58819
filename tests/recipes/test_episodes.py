"""What training for adaptation reads: episodes, self-edits to be written, and nothing of what is held out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from recipes import stream
from recipes.adapt import PHASES
from recipes.self_edit_data import EpisodeSettings, draw_episode, self_edit_row
from recipes.stage import MAX_POSITIONS
from recipes.step_data import IGNORED, Row, UpdateEpisode
from recipes.stream import batch_rows
from recipes.tokenizer import build_tokenizer
from seal_env.envs.spaces import SelfEditSpace
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.self_edits.prompt import SYSTEM
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridPair
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.arc.mini.rule import RuleInstance
from seal_env.tasks.arc.mini.rules import draw_task, mini_task
from seal_env.tasks.arc.prompt import example
from seal_env.tasks.arc.task import ArcTask
from seal_env.types import Recipe
from tests.helpers.tools import ARC_TOOLS

LETTERED = ArcDomain("lettered")
GRID = LETTERED.format.pattern
PAIR = re.compile(rf"Input[^\n]*\n({GRID})\nOutput[^\n]*(?:\n|<\|end\|><\|assistant\|>)({GRID})(?=\n\n|<)")
PLAIN = EpisodeSettings(max_examples=1, queries=1, plain_share=1.0)

WrittenPair = tuple[str, str]
"""Input and output grid, as written for the model."""


class Emitted(NamedTuple):
    """All that the recipe's generators gave: episodes, the texts of all rows, and the keys of the rules behind them."""

    episodes: list[UpdateEpisode]
    texts: set[str]
    keys: set[str]

    @property
    def pairs(self) -> set[WrittenPair]:
        return {pair for text in self.texts for pair in pairs_in(text)}


@pytest.fixture(scope="module")
def encoder() -> ChatEncoder:
    return ChatEncoder(build_tokenizer(MAX_POSITIONS), "seal-tiny")


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows_of(episode: UpdateEpisode) -> list[Row]:
    return [row for batch in episode.batches_S for row in batch]


def text_of(encoder: ChatEncoder, row: Row) -> str:
    return str(encoder.tokenizer.decode(row[0]))


def pairs_in(text: str) -> list[WrittenPair]:
    """Every pair of grids in a prompt with its answer."""
    found = PAIR.findall(text)
    assert len(found) == len(re.findall("Input[,\n]", text)) > 0
    return found


def written(pair: GridPair) -> WrittenPair:
    return LETTERED.format.write(pair.input), LETTERED.format.write(pair.output)


@pytest.fixture(scope="module")
def emitted(encoder: ChatEncoder) -> Emitted:
    keys: set[str] = set()

    def noted(*arguments: Any, **named: Any) -> Any:
        instance, pairs = draw_task(*arguments, **named)
        keys.add(instance.key)
        return instance, pairs

    phases = list(PHASES.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "draw_task", noted)
        patch.setattr("recipes.self_edit_data.draw_task", noted)
        drawn_by = [phases[seed % len(phases)].episodes for seed in range(150)]
        episodes = [draw_episode(encoder, LETTERED, settings, rng(seed)) for seed, settings in enumerate(drawn_by)]
        streams = [replace(phases[step % len(phases)].stream, tasks=8) for step in range(40)]
        rows = [row for step, settings in enumerate(streams) for row in batch_rows(encoder.tokenizer, settings, step)]
        rows += [self_edit_row(encoder, LETTERED, rng(seed)) for seed in range(40)]
    rows += [row for episode in episodes for row in (*rows_of(episode), *episode.queries)]
    return Emitted(episodes, {text_of(encoder, row) for row in rows}, keys)


@pytest.fixture(scope="module")
def held_out() -> list[tuple[str, ArcTask]]:
    """Keys of rules and tasks of `mini-eval:200`."""
    return [mini_task("eval", 0, index) for index in range(200)]


def test_loss_falls_on_the_answer_or_on_all_tokens(encoder: ChatEncoder, emitted: Emitted) -> None:
    kinds = set()
    for ids, labels in (row for episode in emitted.episodes[:40] for row in rows_of(episode)):
        answer = text_of(encoder, (ids, labels)).split("<|assistant|>")[1]
        kept = [label for label in labels if label != IGNORED]
        kinds.add(len(kept) == len(ids) - 1)
        assert kept == ids[-len(kept) :]
        assert len(kept) == len(ids) - 1 or encoder.tokenizer.decode(kept) == answer
    assert kinds == {True, False}


def test_loss_of_a_query_falls_on_its_answer(encoder: ChatEncoder, emitted: Emitted) -> None:
    for row in (row for episode in emitted.episodes for row in episode.queries):
        kept = [label for label in row[1] if label != IGNORED]
        assert encoder.tokenizer.decode(kept) == text_of(encoder, row).split("<|assistant|>")[1]


def test_no_query_is_a_demonstration(encoder: ChatEncoder, emitted: Emitted) -> None:
    for row in (row for episode in emitted.episodes for row in episode.queries):
        *shown, asked = pairs_in(text_of(encoder, row))
        assert asked[0] not in {pair[0] for pair in shown}


def test_queries_of_an_episode_differ_and_show_the_same_demonstrations(encoder: ChatEncoder, emitted: Emitted) -> None:
    for episode in emitted.episodes[:40]:
        asked = [pairs_in(text_of(encoder, row)) for row in episode.queries]
        assert len({tuple(pairs[:-1]) for pairs in asked}) == 1
        assert len({pairs[-1] for pairs in asked[1:]}) == len(asked) - 1
    assert max(len(episode.queries) for episode in emitted.episodes) == EpisodeSettings.queries + 1


def test_an_episode_without_augmentation_trains_on_its_demonstrations_only(encoder: ChatEncoder) -> None:
    settings = EpisodeSettings(plain_share=1.0)
    for episode in (draw_episode(encoder, LETTERED, settings, rng(seed)) for seed in range(5)):
        *shown, asked = pairs_in(text_of(encoder, episode.queries[0]))
        trained = {pair for row in rows_of(episode) for pair in pairs_in(text_of(encoder, row))}
        assert trained == set(shown)
        assert asked not in trained


@pytest.mark.parametrize("phase", PHASES)
def test_an_episode_keeps_to_its_limits(encoder: ChatEncoder, phase: str) -> None:
    limits = PHASES[phase].episodes
    for episode in (draw_episode(encoder, LETTERED, limits, rng(seed)) for seed in range(12)):
        assert 1 <= len(episode.batches_S) <= min(limits.max_steps, len(episode.rates_S))
        assert all(1 <= len(batch) <= limits.batch_size for batch in episode.batches_S)
        assert all(len(ids) <= limits.max_tokens for ids, _ in rows_of(episode))
        assert all(len(ids) <= limits.max_query_tokens for ids, _ in episode.queries)
        assert max(episode.rates_S) <= limits.learning_rate[1]


@pytest.mark.parametrize("warmup", [2, Recipe.warmup_steps])
def test_rates_follow_the_schedule_of_the_inner_loop(encoder: ChatEncoder, warmup: int) -> None:
    settings = EpisodeSettings(warmup_steps=warmup, epochs=(3, 3), max_tokens=256)
    rates = draw_episode(encoder, LETTERED, settings, rng(0)).rates_S
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rates[warmup])
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup, len(rates))
    assert len(rates) > warmup + 5
    expected = []
    for _ in rates:
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected)


def test_an_episode_is_done_after_its_last_step(encoder: ChatEncoder) -> None:
    episode = draw_episode(encoder, LETTERED, PLAIN, rng(0))
    assert not episode.done
    episode.step = len(episode.batches_S)
    assert episode.done


def test_queries_come_in_turn_and_then_again() -> None:
    episode = UpdateEpisode([], [], [([number], [number]) for number in range(3)])
    turns = [[ids[0] for ids, _ in episode.next_queries(2)] for _ in range(3)]
    assert turns == [[0, 1], [2, 0], [1, 2]]
    assert len(episode.next_queries(9)) == 3


def test_an_episode_is_a_function_of_the_generator(encoder: ChatEncoder) -> None:
    assert draw_episode(encoder, LETTERED, PLAIN, rng(3)) == draw_episode(encoder, LETTERED, PLAIN, rng(3))
    assert draw_episode(encoder, LETTERED, PLAIN, rng(3)) != draw_episode(encoder, LETTERED, PLAIN, rng(4))


def test_no_rule_of_the_eval_split_is_in_200_episodes(encoder: ChatEncoder, emitted: Emitted) -> None:
    more = [draw_episode(encoder, LETTERED, PLAIN, rng(1000 + seed)) for seed in range(50)]
    keys = [episode.key for episode in (*emitted.episodes, *more)]
    assert len(keys) == 200
    assert {RuleInstance(key, lambda array: array).split for key in keys} == {"train"}


@pytest.mark.slow
def test_no_rule_of_the_held_out_tasks_is_trained_on(emitted: Emitted, held_out: list[tuple[str, ArcTask]]) -> None:
    assert {episode.key for episode in emitted.episodes} < emitted.keys
    assert not emitted.keys & {key for key, _ in held_out}


def test_no_pair_of_real_evaluation_tasks_is_trained_on(emitted: Emitted) -> None:
    held_out = {written(pair) for task in load_taskset("seal-eval") for pair in (*task.context, *task.queries)}
    assert len(held_out) > 30
    assert len(emitted.pairs) > 3000
    assert not held_out & emitted.pairs


@pytest.mark.slow
def test_no_query_of_the_held_out_tasks_is_trained_on(emitted: Emitted, held_out: list[tuple[str, ArcTask]]) -> None:
    """Pairs with fewer than six cells or three colours left out: a grid of one colour comes up by chance."""
    queries = [task.queries[0] for _, task in held_out]
    telling = [pair for pair in queries if sum(map(len, pair.input)) >= 6 and len(set().union(*pair.input)) >= 3]
    assert len(telling) > 100
    assert not set(map(written, telling)) & emitted.pairs


@pytest.mark.slow
def test_no_question_of_the_held_out_tasks_is_trained_on(
    encoder: ChatEncoder, emitted: Emitted, held_out: list[tuple[str, ArcTask]]
) -> None:
    for _, task in held_out:
        chat = example(task.context, task.queries[0], LETTERED.format).messages
        assert encoder.render(chat, generation_prompt=False) not in emitted.texts


def test_what_is_trained_on_would_be_found(encoder: ChatEncoder, emitted: Emitted) -> None:
    """By each of the three searches above: some of the tasks that the first episodes may have drawn."""
    families = next(iter(PHASES.values())).episodes.families
    tasks = [draw_task(rng(seed), "train", families=families) for seed in range(0, 20, 2)]
    assert any(instance.key in emitted.keys for instance, _ in tasks)
    assert any(set(map(written, pairs)) <= emitted.pairs for _, pairs in tasks)
    chats = [example(pairs[:-1], pairs[-1], LETTERED.format).messages for _, pairs in tasks]
    assert any(encoder.render(chat, generation_prompt=False) in emitted.texts for chat in chats)


class NoInnerLoop:
    """Enough for an episode to begin."""

    def max_tokens(self, recipe: Recipe) -> int:
        return MAX_POSITIONS


@pytest.fixture
def environment_prompt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
    """Turns -> the observation that an episode begins with."""
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: NoInnerLoop())

    def begin(max_turns: int) -> str:
        return str(gymnasium.make("SEAL-ARC-v0", subset="mini-train", max_turns=max_turns).reset(seed=0)[0])

    return begin


def parts_of(encoder: ChatEncoder, row: Row) -> tuple[str, str, str]:
    """System message, user message and answer."""
    found = re.fullmatch(
        r"<\|begin\|><\|system\|>(.*)<\|end\|><\|user\|>(.*)<\|end\|><\|assistant\|>(.*)<\|end\|>",
        text_of(encoder, row),
        re.DOTALL,
    )
    assert found is not None
    return found[1], found[2], found[3]


def test_self_edits_to_be_written_are_valid(encoder: ChatEncoder) -> None:
    space = SelfEditSpace(ARC_TOOLS)
    rows = [self_edit_row(encoder, LETTERED, rng(seed)) for seed in range(60)]
    answers = [parts_of(encoder, row)[2] for row in rows]
    assert all(answer in space for answer in answers)
    assert len(set(answers)) == 60
    assert {json.loads(answer)[1]["arguments"]["num_train_epochs"] for answer in answers} == {1, 2, 3}


def test_loss_of_a_self_edit_falls_on_the_self_edit(encoder: ChatEncoder) -> None:
    row = self_edit_row(encoder, LETTERED, rng(0))
    kept = [label for label in row[1] if label != IGNORED]
    assert encoder.tokenizer.decode(kept) == f"{parts_of(encoder, row)[2]}<|end|>"


def test_prompts_of_self_edits_are_those_of_the_environment(
    encoder: ChatEncoder, environment_prompt: Callable[[int], str]
) -> None:
    ends = {without_task(environment_prompt(turns)) for turns in (1, 8)}
    found = [parts_of(encoder, self_edit_row(encoder, LETTERED, rng(seed)))[:2] for seed in range(20)]
    assert {system for system, _ in found} == {SYSTEM}
    assert {without_task(user) for _, user in found} == ends


def without_task(observation: str) -> tuple[str, str]:
    """What comes before and after the demonstrations."""
    before, rest = re.split(r"\d demonstrations of one hidden rule\.", observation)
    return before, rest[rest.index("\n\nTools:\n") :]


def test_a_self_edit_is_drawn_without_looking_at_the_task(encoder: ChatEncoder) -> None:
    """Each switch is on about half the time, and rates spread over two powers of ten."""
    answers = [parts_of(encoder, self_edit_row(encoder, LETTERED, rng(seed)))[2] for seed in range(100)]
    calls = [{call["name"]: call["arguments"] for call in json.loads(answer)} for answer in answers]
    assert all(30 < sum(call["augment"][switch] for call in calls) < 70 for switch in calls[0]["augment"])
    rates = [math.log10(call["training"]["learning_rate"]) for call in calls]
    assert max(rates) - min(rates) > 1.8


def test_a_prompt_that_is_read_carries_loss_on_its_outputs_after_the_first(encoder: ChatEncoder) -> None:
    domain = ArcDomain("lettered")
    (ids, plain), (same, read) = (self_edit_row(encoder, domain, rng(3), read_task) for read_task in (False, True))
    assert ids == same
    added = [token for token, before, after in zip(ids, plain, read, strict=True) if after != before]
    shown = encoder.tokenizer.decode(ids).split("Tools:")[0].split("Output,")[2:]
    assert encoder.tokenizer.decode(added) == "".join(part.split("\n\n")[0] for part in shown)
