"""Examples and queries are encoded once, for whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

import pytest

from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.types import PROFILES, Example, Message, Query, Recipe

EXAMPLES = [Example((Message("user", "Repeat."), Message("assistant", f"{n} {n + 1}"))) for n in range(200)]
DOCUMENT = Example(document="1 2 3 4")
ASKED = Query("first", (Message("user", "What is it?"),), "one two")


@pytest.fixture
def encoder(tiny_models: dict[str, str]) -> JobEncoder:
    return JobEncoder(load_base_model(tiny_models["llama"], "cpu"))


@pytest.fixture
def encoded(encoder: JobEncoder, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the tokenizer is really asked to encode, in order."""
    asked: list[Any] = []
    for name in ("encode_example", "encode_query"):
        encode = getattr(encoder._encoder, name)
        monkeypatch.setattr(encoder._encoder, name, lambda *given, encode=encode: asked.append(given[0]) or encode(*given))
    return asked


def test_nothing_is_encoded_twice(encoder: JobEncoder, encoded: list[Any]) -> None:
    first, asked = encoder.example(EXAMPLES[0], Recipe()), encoder.query(ASKED)
    assert encoder.example(replace(EXAMPLES[0]), Recipe(batch_size=7)) is first
    assert encoder.query(replace(ASKED)) is asked
    assert encoder.count_tokens(EXAMPLES[:1]) == [len(first.ids_T)]
    assert encoded == [EXAMPLES[0], ASKED]


@pytest.mark.parametrize(
    ("quirk", "example"), [("double_bos", EXAMPLES[0]), ("trailing_prompt", EXAMPLES[0]), ("learn_end", DOCUMENT)]
)
def test_quirks_are_encoded_apart(quirk: str, example: Example, encoder: JobEncoder) -> None:
    flag: dict[str, Any] = {quirk: True}
    plain, quirky = (encoder.example(example, recipe) for recipe in (Recipe(), replace(Recipe(), **flag)))
    assert len(quirky.ids_T) > len(plain.ids_T)
    assert encoder.max_tokens(Recipe()) - encoder.max_tokens(replace(Recipe(), **flag)) == len(quirky.ids_T) - len(
        plain.ids_T
    )


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe) if field.type == "bool"])
@pytest.mark.parametrize("example", [EXAMPLES[0], DOCUMENT])
def test_what_is_known_of_one_recipe_is_not_taken_for_another(name: str, example: Example, encoder: JobEncoder) -> None:
    flag: dict[str, Any] = {name: True}
    for recipe in (Recipe(), replace(Recipe(), **flag), Recipe()):
        assert encoder.example(example, recipe) == encoder._encoder.encode_example(example, recipe)


def test_queries_have_to_make_room_too(encoder: JobEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.inner_loop.tokens.token_cache.CACHED_TOKENS", 100)
    for number in range(20):
        encoder.query(replace(ASKED, answer=f"{number}"))
        encoder.example(EXAMPLES[number], PROFILES["paper"])
    queries = [len(kept.prompt_T) + len(kept.gold_T) for kept in encoder._queries.values()]
    assert 0 < sum(queries) + sum(len(kept.ids_T) for kept in encoder._examples.values()) <= 100


def test_threads_may_share_it(encoder: JobEncoder, tiny_models: dict[str, str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda example: encoder.example(example, Recipe()).ids_T, EXAMPLES * 3))
    alone = JobEncoder(load_base_model(tiny_models["llama"], "cpu"))
    assert found == [alone.example(example, Recipe()).ids_T for example in EXAMPLES] * 3
