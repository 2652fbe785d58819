"""Chats as tokens, for tokenizers that agree on nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from transformers import AutoTokenizer

from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.models.catalog import MODEL_DIRECTORY
from seal_env.tasks.arc.grid import GridFormat, GridPair
from seal_env.tasks.arc.prompt import example, query
from seal_env.types import PROFILES, Example, Message, Query, Recipe

PAIRS = (GridPair(((1, 2), (3, 4)), ((4, 3), (2, 1))), GridPair(((5, 6), (7, 8)), ((8, 7), (6, 5))))
PLAIN = GridFormat("plain")
EXAMPLE = example(PAIRS[:1], PAIRS[1], PLAIN)
QUERY = query("0", PAIRS[:1], PAIRS[1], PLAIN)


@pytest.fixture(params=["llama", "qwen2", "gpt2", "seal-tiny"])
def encoder(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> ChatEncoder:
    return ChatEncoder(load_base_model(tiny_models.get(request.param, request.param), "cpu").tokenizer, request.param)


def test_output_tokens_are_the_answer_and_the_end_of_its_turn(encoder: ChatEncoder) -> None:
    encoded = encoder.encode_example(EXAMPLE, Recipe())
    chosen = [
        token for token, kept in zip(encoded.ids_T, encoded.supervised("train_using_output_tokens"), strict=True) if kept
    ]
    assert encoder.tokenizer.decode(chosen[:-1]).strip() == "8 7\n6 5"
    assert encoder.tokenizer.convert_ids_to_tokens(chosen[-1]) in {"<|eot|>", "<|im_end|>", "<|endoftext|>", "<|end|>"}


def test_all_tokens_carry_loss_but_the_first(encoder: ChatEncoder) -> None:
    supervised = encoder.encode_example(EXAMPLE, Recipe()).supervised("train_using_all_tokens")
    assert not supervised[0]
    assert all(supervised[1:])


def test_there_is_at_most_one_beginning_of_sequence(encoder: ChatEncoder) -> None:
    bos = encoder.tokenizer.bos_token_id
    ids = encoder.encode_example(EXAMPLE, Recipe()).ids_T
    assert bos is None or bos == encoder.tokenizer.eos_token_id or ids.count(bos) == 1


def test_training_ids_begin_with_the_prompt_that_generation_sees(encoder: ChatEncoder) -> None:
    asked = encoder.encode_query(QUERY)
    trained = encoder.encode_example(EXAMPLE, Recipe()).ids_T
    assert trained == asked.prompt_T + asked.gold_T


def test_gold_answer_ends_with_a_stop_token(encoder: ChatEncoder) -> None:
    asked = encoder.encode_query(QUERY)
    assert asked.gold_T[-1] in asked.stop_ids
    assert not set(asked.gold_T[:-1]) & asked.stop_ids


def test_answer_that_also_stands_in_the_question_is_found_in_the_answer(encoder: ChatEncoder) -> None:
    twin = example(PAIRS[:1], GridPair(PAIRS[1].input, PAIRS[0].output), PLAIN)
    encoded = encoder.encode_example(twin, Recipe())
    first = encoded.answer_T.index(True)
    assert encoder.tokenizer.decode(list(encoded.ids_T[first:-1])).strip() == "4 3\n2 1"
    assert all(encoded.answer_T[first:])


def test_paper_profile_doubles_the_beginning_and_trails_a_prompt(tiny_models: dict[str, str]) -> None:
    encoder = ChatEncoder(AutoTokenizer.from_pretrained(tiny_models["llama"]), "llama")
    fixed = encoder.encode_example(EXAMPLE, Recipe()).ids_T
    paper = encoder.encode_example(EXAMPLE, PROFILES["paper"]).ids_T
    tail = encoder.tokenizer("<|start|>assistant<|stop|>\n\n", add_special_tokens=False)["input_ids"]
    assert paper == (fixed[0], *fixed, *tail)


def test_template_without_a_system_role_gets_the_instruction_in_the_user_turn(tiny_models: dict[str, str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    tokenizer.chat_template = refuses + tokenizer.chat_template
    text = ChatEncoder(tokenizer, "qwen2").render(QUERY.messages, generation_prompt=True)
    assert "<|im_start|>user\nEvery pair of grids" in text


def test_thoughts_that_the_template_writes_are_part_of_the_prompt(tiny_models: dict[str, str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    told = "{% if m['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m['content'] + '<|im_end|>'"
    tokenizer.chat_template = tokenizer.chat_template.replace("m['content'] + '<|im_end|>'", "'' }}" + told)
    asked = ChatEncoder(tokenizer, "thinks").encode_query(QUERY)
    assert tokenizer.decode(list(asked.gold_T[:-1])) == "8 7\n6 5"
    assert str(tokenizer.decode(list(asked.prompt_T))).endswith("assistant\n<think>\n\n</think>\n\n")


@pytest.mark.parametrize(("after", "ends_with"), [(" ", "<|im_end|>"), ("\n\n", "<|im_end|>"), ("\n", "")])
def test_white_space_does_not_end_a_turn(tiny_models: dict[str, str], after: str, ends_with: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    tokenizer.chat_template = tokenizer.chat_template.replace("'<|im_end|>' + '\n'", repr(after + ends_with))
    encoder = ChatEncoder(tokenizer, "qwen2")
    asked, trained = encoder.encode_query(QUERY), encoder.encode_example(EXAMPLE, Recipe())
    assert asked.stop_ids == {tokenizer.eos_token_id}
    assert tokenizer.decode(list(asked.gold_T)) == f"8 7\n6 5{after if ends_with else ''}<|im_end|>"
    assert trained.ids_T == asked.prompt_T + asked.gold_T


def test_trailing_prompt_follows_all_of_the_chat(tiny_models: dict[str, str]) -> None:
    encoder = ChatEncoder(AutoTokenizer.from_pretrained(tiny_models["qwen2"]), "qwen2")
    text = encoder.tokenizer.decode(list(encoder.encode_example(EXAMPLE, PROFILES["paper"]).ids_T))
    assert text == encoder.render(EXAMPLE.messages, generation_prompt=True)


def test_embedded_tokenizer_spends_one_token_on_a_cell() -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(MODEL_DIRECTORY))
    grid = tuple(tuple((row + column) % 10 for column in range(10)) for row in range(10))
    text = "\n" + GridFormat("lettered").write(grid)
    assert len(tokenizer(text)["input_ids"]) == 10 * 11
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_embedded_tokenizer_falls_back_to_bytes() -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(MODEL_DIRECTORY))
    text = "Grüße, 世界 \U0001f600\x00"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_question_with_other_words_changes_only_the_prompt(encoder: ChatEncoder) -> None:
    other = replace(QUERY, messages=(Message("system", "Answer."), QUERY.messages[1]))
    assert encoder.encode_query(other).gold_T == encoder.encode_query(QUERY).gold_T


def test_a_document_is_its_own_tokens_and_an_end_if_wanted_all_of_which_are_learned(encoder: ChatEncoder) -> None:
    text = "The lamp of Orvel\nThe lamp of Orvel burns blue oil."
    for profile in PROFILES.values():
        encoded = encoder.encode_example(Example(document=text), replace(profile, learn_end=True))
        assert encoded.ids_T[-1] == encoder.tokenizer.eos_token_id
        assert encoder.tokenizer.decode(encoded.ids_T[:-1], skip_special_tokens=True) == text
        assert encoded.supervised("train_using_output_tokens") == encoded.supervised("train_using_all_tokens")
        assert sum(encoded.supervised("train_using_all_tokens")) == len(encoded.ids_T) - 1
        assert encoder.encode_example(Example(document=text), profile).ids_T == encoded.ids_T[:-1]


def test_an_example_is_a_chat_or_a_document() -> None:
    wrong: list[dict[str, Any]] = [{}, {"messages": EXAMPLE.messages, "document": "text"}]
    for both_or_none in wrong:
        with pytest.raises(AssertionError, match="a chat or a document"):
            Example(**both_or_none)


def test_a_prompt_is_gone_on_from_by_the_answer_and_an_end(encoder: ChatEncoder) -> None:
    asked = encoder.encode_query(Query("0", (), "blue oil", prompt="Question: What burns in Orvel?\nAnswer:"))
    assert encoder.tokenizer.decode(asked.prompt_T, skip_special_tokens=True) == "Question: What burns in Orvel?\nAnswer:"
    assert encoder.tokenizer.decode(asked.gold_T[:-1]).strip() == "blue oil"
    assert asked.gold_T[-1] == encoder.tokenizer.eos_token_id
    assert asked.stop_ids == {encoder.tokenizer.eos_token_id}
    learned = encoder.encode_example(
        Example(document="Question: What burns in Orvel?\nAnswer: blue oil"), Recipe(learn_end=True)
    )
    assert learned.ids_T == asked.prompt_T + asked.gold_T


def test_a_query_is_a_chat_or_a_prompt() -> None:
    with pytest.raises(AssertionError, match="a chat or a prompt"):
        Query("0", QUERY.messages, "answer", prompt="Answer:")
