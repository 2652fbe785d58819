"""One teacher-forced pass says what greedy decoding would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seal_env.errors import ModelError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.reference.answering import Answerer
from seal_env.inner_loop.tokens.chat_template import ChatEncoder, EncodedQuery
from seal_env.tasks.arc.grid import GridFormat
from seal_env.tasks.arc.mini.rules import mini_task
from seal_env.tasks.arc.prompt import query
from seal_env.types import Query

LETTERED = GridFormat("lettered")


def asked(index: int) -> Query:
    _, task = mini_task("eval", 3, index)
    return query(str(index), task.context, task.queries[0], LETTERED)


@pytest.fixture(scope="module")
def base() -> FrozenLM:
    return load_base_model("seal-tiny", "cpu")


@pytest.fixture(scope="module")
def answerer(base: FrozenLM) -> Answerer:
    return Answerer(base.model, base.tokenizer, base.device, base.max_tokens)


@pytest.fixture(scope="module")
def encoder(base: FrozenLM) -> ChatEncoder:
    return ChatEncoder(base.tokenizer, base.name)


def greedy(base: FrozenLM, encoded: EncodedQuery, tokens: int) -> list[int]:
    """Greedy decoding by transformers' own generate, up to and including the stop token."""
    model: Any = base.model
    ids = torch.tensor([encoded.prompt_T])
    stops = sorted(encoded.stop_ids)
    out = model.generate(
        ids, do_sample=False, max_new_tokens=tokens, eos_token_id=stops, attention_mask=torch.ones_like(ids)
    )
    return list(out[0, ids.shape[1] :].tolist())


def test_verification_agrees_with_greedy_decoding(base: FrozenLM, answerer: Answerer, encoder: ChatEncoder) -> None:
    verdicts = []
    for index in range(30):
        encoded = encoder.encode_query(asked(index))
        decoded = greedy(base, encoded, len(encoded.gold_T))
        checked = answerer.verify(encoded)
        same = [ours == theirs for ours, theirs in zip(decoded, encoded.gold_T, strict=False)]
        agreed = same.index(False) if False in same else len(same)
        assert checked.matched == agreed
        assert (checked.margin > 0) == (decoded == list(encoded.gold_T))
        verdicts.append(decoded == list(encoded.gold_T))
    assert 0 < sum(verdicts) < len(verdicts), "the check needs right and wrong answers"


def test_decoded_text_is_that_of_greedy_decoding(base: FrozenLM, answerer: Answerer, encoder: ChatEncoder) -> None:
    for index in range(12):
        question = replace(asked(index), pattern=None, max_answer_tokens=40)
        encoded = encoder.encode_query(question)
        decoded = [token for token in greedy(base, encoded, 40) if token not in encoded.stop_ids]
        assert answerer.answer(question, encoded, decode=True).text == base.tokenizer.decode(decoded)


def test_exact_answers_are_not_decoded(answerer: Answerer, encoder: ChatEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> str:
        raise AssertionError("decoded")

    monkeypatch.setattr(answerer, "decode", refuse)
    found = []
    for index in range(30):
        encoded = encoder.encode_query(asked(index))
        if answerer.verify(encoded).matched == len(encoded.gold_T):
            found.append(answerer.answer(asked(index), encoded, decode=True))
    assert found
    assert all(answer.exact and answer.text is not None for answer in found)


def test_wrong_answers_have_no_text_without_decoding(answerer: Answerer, encoder: ChatEncoder) -> None:
    question = replace(asked(0), answer="a 9 9 9 9 9 9 9")
    answer = answerer.answer(question, encoder.encode_query(question), decode=False)
    assert (answer.exact, answer.text) == (False, None)
    assert answer.margin < 0


def test_decoding_stops_where_the_answer_can_no_longer_be_legal(answerer: Answerer, encoder: ChatEncoder) -> None:
    question = next(q for q in map(asked, range(30)) if len(q.answer) > 11)
    wrong = replace(question, answer="a 9 9 9 9 9 9 9", pattern=None)
    unbounded = answerer.answer(wrong, encoder.encode_query(wrong), decode=True).text
    stopped = answerer.answer(replace(wrong, pattern="a [0-9]"), encoder.encode_query(wrong), decode=True).text
    assert unbounded is not None
    assert stopped is not None
    assert unbounded.startswith(stopped)
    assert len(stopped) < len(unbounded)


@pytest.mark.parametrize("grid_format", ["plain", "lettered"])
def test_pattern_admits_every_beginning_of_every_grid(grid_format: str) -> None:
    import regex

    form = GridFormat(grid_format)
    pattern = regex.compile(form.pattern)
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (3, 5), (30, 30), (27, 2)]:
        text = form.write(tuple(map(tuple, rng.integers(0, 10, shape).tolist())))
        assert pattern.fullmatch(text)
        assert all(pattern.fullmatch(text[:end], partial=True) for end in range(0, len(text), 7))
        assert not pattern.fullmatch(text + "\n\n", partial=True)


def test_query_longer_than_the_model_takes_is_an_error(tiny_models: dict[str, str]) -> None:
    base = load_base_model(tiny_models["gpt2"], "cpu")
    long = replace(asked(0), answer="\n".join(["a 1"] * 700))
    encoded = ChatEncoder(base.tokenizer, "gpt2").encode_query(long)
    answerer = Answerer(base.model, base.tokenizer, base.device, base.max_tokens)
    with pytest.raises(ModelError, match="takes at most 1024"):
        answerer.answer(long, encoded, decode=True)
