"""The bundled model's tokenizer: a token a cell, prompts in few tokens, any text without loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recipes.tokenizer import SPECIAL_TOKENS, VOCABULARY, build_tokenizer
from seal_env.envs.spaces import SelfEditSpace
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.self_edits.prompt import chat_messages, observation_text
from seal_env.settings import Settings
from seal_env.tasks.arc import prompt
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridFormat, GridPair, to_grid
from seal_env.types import Recipe
from tests.helpers.tools import ARC_TOOLS, EPOCHS, RATE

LETTERED = GridFormat("lettered")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(8192)


@pytest.fixture(scope="module")
def self_edits() -> list[str]:
    """As they are sampled, and with the longest numbers that a tool accepts."""
    space = SelfEditSpace(ARC_TOOLS, seed=0)
    longest = SelfEditSpace(ARC_TOOLS, {RATE: (1.23e-5, 1.23e-5), EPOCHS: (20, 20)}, seed=0)
    return [*(space.sample() for _ in range(200)), longest.sample()]


def pieces(tokenizer: Any, text: str) -> list[str]:
    """The text that each token stands for."""
    return [tokenizer.decode([token]) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def random_pairs(count: int, rows: int, columns: int) -> list[GridPair]:
    rng = np.random.default_rng(0)
    grids = [to_grid(rng.integers(0, 10, size=(rows, columns))) for _ in range(2 * count)]
    return [GridPair(*grids[at : at + 2]) for at in range(0, 2 * count, 2)]


@pytest.mark.parametrize("before", ["Input\n", "<|assistant|>", "Output, 3 x 3 (rows x columns)\n"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 30), (30, 1), (3, 4), (27, 11), (30, 30)])
def test_a_grid_takes_one_token_a_cell_and_one_a_row(tokenizer: Any, before: str, rows: int, columns: int) -> None:
    grid = random_pairs(1, rows, columns)[0].input
    found = pieces(tokenizer, before + LETTERED.write(grid))[-rows * (columns + 1) :]
    lines = [found[at : at + columns + 1] for at in range(0, len(found), columns + 1)]
    assert [line[0].strip() for line in lines] == [line[0] for line in LETTERED.write(grid).split("\n")]
    assert [line[1:] for line in lines] == [[f" {cell}" for cell in row] for row in grid]


def test_every_cell_and_every_row_start_has_a_token(tokenizer: Any) -> None:
    grid = to_grid(np.arange(300).reshape(30, 10) % 10)
    found = pieces(tokenizer, f"\n{LETTERED.write(grid)}")
    assert len(found) == 30 * 11
    assert len(set(found)) == 30 + 10


def test_what_asks_for_a_grid_takes_at_most_two_tokens(tokenizer: Any) -> None:
    assert len(pieces(tokenizer, prompt.SOLVE_INSTRUCTION)) <= 2


@pytest.mark.parametrize("max_turns", [1, 8])
def test_the_whole_prompt_of_a_task_with_10_by_10_grids_fits_1024_tokens(tokenizer: Any, max_turns: int) -> None:
    described = ArcDomain("lettered").render(tuple(random_pairs(3, 10, 10)))
    observation = observation_text(ArcDomain(), ARC_TOOLS, described, Settings.resolve().budget, max_turns)
    ids, _ = ChatEncoder(tokenizer, "").tokenize(ChatEncoder(tokenizer, "").render(chat_messages(observation), True))
    assert 3 * 2 * 110 < len(ids) <= 1024


def test_a_question_with_10_by_10_grids_and_its_answer_fit_1024_tokens(tokenizer: Any) -> None:
    *shown, asked = random_pairs(4, 10, 10)
    encoded = ChatEncoder(tokenizer, "").encode_example(prompt.example(shown, asked, LETTERED), Recipe())
    assert 8 * 110 < len(encoded.ids_T) <= 1024


@settings(max_examples=200)
@given(st.text())
@example("")
@example(" \t\r\n\n  \u00a0\u2028")
@example("naïve café, 東京 🦭‍❄️ अनुच्छेद עברית ﷺ \x00\x7f\ufeff\U0010ffff e\u0301")
@example("\na 1 2\nb true false12  trueness <|end|>")
def test_any_text_survives(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_what_a_model_decides_in_a_self_edit_is_a_token_of_its_own(tokenizer: Any, self_edits: list[str]) -> None:
    for text in self_edits:
        found = pieces(tokenizer, text)
        assert [piece.strip() for piece in found if any(c.isdigit() for c in piece)] == [c for c in text if c.isdigit()]
        assert [piece for piece in found if "true" in piece or "false" in piece] == [
            f" {word.strip(',}')}" for word in text.split(" ") if word.startswith(("true", "false"))
        ]


def test_the_two_strategies_part_at_a_token(tokenizer: Any) -> None:
    space = SelfEditSpace(ARC_TOOLS[1:], {RATE: (0.001, 0.001), EPOCHS: (2, 2)}, seed=0)
    found = [pieces(tokenizer, text) for text in sorted({space.sample() for _ in range(20)})]
    first, second = found
    assert sum(one != other for one, other in zip(first, second, strict=True)) == 1


def test_a_self_edit_takes_at_most_32_tokens(tokenizer: Any, self_edits: list[str]) -> None:
    assert max(len(pieces(tokenizer, f"{text}<|end|>")) for text in self_edits) <= 32


def test_equal_text_gives_an_equal_tokenizer(tokenizer: Any) -> None:
    assert build_tokenizer(8192).backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_the_vocabulary_is_full_and_has_no_gap(tokenizer: Any) -> None:
    assert sorted(tokenizer.get_vocab().values()) == list(range(VOCABULARY))


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_special_token_is_one_token_anywhere(tokenizer: Any, token: str) -> None:
    assert pieces(tokenizer, f"a{token}b") == ["a", token, "b"]


def test_chat_template_writes_roles_and_tools(tokenizer: Any) -> None:
    tool = {"type": "function", "function": {"name": "finetune", "parameters": {}}}
    text = tokenizer.apply_chat_template([{"role": "user", "content": "go"}], tools=[tool], tokenize=False)
    assert text.startswith("<|begin|><|system|>{")
    assert '"finetune"' in text
    assert text.endswith("<|end|><|user|>go<|end|>")


def test_chat_template_opens_the_answer(tokenizer: Any) -> None:
    text = tokenizer.apply_chat_template([{"role": "user", "content": "go"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|begin|><|user|>go<|end|><|assistant|>"
