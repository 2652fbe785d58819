"""seal-tiny-text as shipped, its tokenizer, and what it was trained on."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.self_texts import LINES, draw_texts, reply
from recipes.stage import MAX_POSITIONS
from recipes.step_data import IGNORED
from recipes.text_stream import (
    TextStreamSettings,
    ask,
    document_row,
    plain_rows,
    question_row,
    random_passage,
    reply_row,
    whole_passage,
)
from recipes.text_tokenizer import build_text_tokenizer
from seal_env.agents.lm.text_styles import STYLES, SYSTEM, style_messages
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.models.catalog import MODEL_DIRECTORIES, TEXT_MODEL_NAME, WIDE_TEXT_MODEL_NAME
from seal_env.registration import environments
from seal_env.self_edits.compile import apply_calls
from seal_env.self_edits.parse_text import read_texts
from seal_env.settings import Settings
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.prompt import query
from seal_env.tasks.knowledge.synthetic.draw import draw_passage
from seal_env.tasks.knowledge.synthetic.names import names
from seal_env.tasks.knowledge.synthetic.vocabulary import values_of
from seal_env.tools.base import Draft, EditContext
from seal_env.types import InvalidSelfEdit
from tests.helpers.tools import KNOWLEDGE_TOOLS

DIRECTORY = MODEL_DIRECTORIES[TEXT_MODEL_NAME]
NAMES = (TEXT_MODEL_NAME, WIDE_TEXT_MODEL_NAME)
DOMAIN = KnowledgeDomain(LexicalGrader())


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_text_tokenizer(MAX_POSITIONS)


@pytest.fixture(scope="module")
def training_texts(tokenizer: Any) -> list[str]:
    """Rows of some steps, as text."""
    rows = [row for step in range(30) for row in plain_rows(tokenizer, TextStreamSettings(), step)]
    return [tokenizer.decode(ids) for ids, _ in rows]


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_safetensors_that_transformers_loads(name: str) -> None:
    directory = MODEL_DIRECTORIES[name]
    assert (directory / "model.safetensors").stat().st_size <= 8 * 2**20
    model = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(directory))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_loaded_by_its_name(name: str) -> None:
    base = load_base_model(name, "cpu")
    assert {weight.dtype for weight in base.model.parameters()} == {torch.float32}
    assert base.max_tokens == MAX_POSITIONS
    assert base.tokenizer.pad_token == "<|pad|>"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_tokenizer_is_the_one_that_the_recipe_builds(tokenizer: Any, name: str) -> None:
    shipped: Any = AutoTokenizer.from_pretrained(MODEL_DIRECTORIES[name])
    assert (
        json.loads(shipped.backend_tokenizer.to_str())["model"] == json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    )
    assert shipped.chat_template == tokenizer.chat_template


@given(st.text())
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(DIRECTORY)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_name_has_a_token_for_each_syllable_and_a_number_for_each_digit(tokenizer: Any) -> None:
    assert tokenizer.tokenize("Zemilu is 1749 Tavok") == ["Ze", "mi", "lu", "Ġis", "Ġ1", "7", "4", "9", "ĠTa", "vo", "k"]


def test_instructions_are_one_token_each(tokenizer: Any) -> None:
    for sentence in (SYSTEM, *(style.instruction for style in STYLES.values())):
        assert tokenizer.tokenize(sentence) == [sentence]


@pytest.mark.parametrize("split", ["train", "eval"])
def test_every_word_of_passages_and_questions_is_a_token(tokenizer: Any, split: Any) -> None:
    """Nothing falls back to letters but one word of a held-out wording; only names have more than one token."""
    for index in range(60):
        drawn = draw_passage(split, 0, index)
        questions = drawn.questions(held_out=split == "eval")
        for text in (drawn.passage.text, *drawn.statements(), *(question.question for question in questions)):
            known = text.replace(" since ", " ")
            spelled = [token for token in tokenizer.tokenize(known) if re.fullmatch("Ġ?[b-zB-Z]", token)]
            assert set(spelled) <= {"k", "m"}, text


def test_rows_are_what_the_inner_loop_reads(tokenizer: Any) -> None:
    encoder = ChatEncoder(tokenizer, TEXT_MODEL_NAME)
    drawn = draw_passage("train", 0, 3)
    ids, labels = document_row(tokenizer, whole_passage(drawn))
    recipe = Settings.resolve(**environments()["SEAL-Knowledge-v0"]).recipe
    encoded = encoder.encode_example(DOMAIN.render_example(whole_passage(drawn)), recipe)
    assert tuple(ids) == encoded.ids_T
    assert [label != IGNORED for label in labels] == list(encoded.supervised("train_using_all_tokens"))
    for question in drawn.questions():
        ids, labels = question_row(tokenizer, question)
        asked = encoder.encode_query(query("0", question))
        assert tuple(ids) == (*asked.prompt_T, *asked.gold_T)
        assert labels == [*[IGNORED] * len(asked.prompt_T), *asked.gold_T]


def test_a_reply_row_is_the_chat_that_asks_for_texts_and_carries_loss_on_the_reply(tokenizer: Any) -> None:
    encoder, rng = ChatEncoder(tokenizer, TEXT_MODEL_NAME), np.random.default_rng(0)
    drawn = draw_passage("train", 0, 3)
    ids, labels = reply_row(tokenizer, rng, drawn)
    chats = [style_messages(style, f"{drawn.passage.title}\n{drawn.passage.text}") for style in LINES]
    prompts = [encoder.tokenize(encoder.render(chat, generation_prompt=True))[0] for chat in chats]
    length = labels.count(IGNORED)
    assert ids[:length] in prompts
    assert labels[length:] == ids[length:]
    assert ids[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("style", STYLES)
def test_replies_are_valid_self_edits_of_bounded_length(tokenizer: Any, style: str) -> None:
    rng = np.random.default_rng(0)
    for index in range(20):
        drawn = draw_passage("train", 0, index)
        text = reply(rng, drawn, style)
        assert len(tokenizer(text)["input_ids"]) <= 360
        calls = read_texts(text)
        assert not isinstance(calls, InvalidSelfEdit)
        draft = apply_calls(Draft(), calls, EditContext(drawn.passage, 0, DOMAIN), KNOWLEDGE_TOOLS)
        assert not isinstance(draft, InvalidSelfEdit)
        assert 1 <= len(draft.candidates or ()) <= LINES[style][1]


def test_statements_are_true_unless_wrong_ones_are_wanted() -> None:
    rng = np.random.default_rng(0)
    for index in range(20):
        drawn = draw_passage("train", 0, index)
        values = [fact.value for fact in drawn.facts]
        texts = [each.text for each in draw_texts(rng, drawn, "implications", 6) if not each.asked]
        wrong = [each.text for each in draw_texts(rng, drawn, "implications", 6, wrong=1.0) if each.text.count(".") == 1]
        assert all(any(value in text for value in values) for text in texts)
        assert not set(wrong) & set(drawn.statements())


def test_no_name_of_the_eval_split_is_trained_on(training_texts: list[str]) -> None:
    held_out, words = set(names("eval")), {word for text in training_texts for word in re.findall("[A-Z][a-z]+", text)}
    assert not words & held_out
    assert len(words & set(names("train"))) > 500


@pytest.mark.parametrize("as_asked", [True, False])
def test_no_held_out_wording_is_trained_on(as_asked: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        drawn = random_passage(rng)
        held_out = {question.question for question in drawn.questions(held_out=True)}
        written = [each.text for style in LINES for each in draw_texts(rng, drawn, style, 4)]
        told = {line.removeprefix("Question: ") for text in written for line in text.split("\n")}
        assert not held_out & ({question.question for question in ask(rng, drawn, 99, as_asked)} | told)
        assert len(held_out) > 8


def test_no_pair_of_relation_and_value_of_the_eval_split_is_trained_on() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        drawn = random_passage(rng)
        texts = {each.text for each in draw_texts(rng, drawn, "implications", 6, wrong=0.7)}
        for fact in drawn.facts:
            if not fact.relation.named:
                held_out = values_of(fact.relation, "eval")
                assert fact.value not in held_out
                assert not texts & {said for value in held_out for said in replace(fact, value=value).statements()}
