"""Self-edits as numbers: there and back, in the ranges of the space, for whatever tools there are."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from seal_env.domains.arc import ARC
from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import SettingError
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.self_edits.numeric_actions import (
    NUMERIC_FORMS,
    BoxActions,
    DiscreteActions,
    NumericActions,
    make_numeric_actions,
)
from seal_env.tools.base import Arguments, Tool
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS, EPOCHS, RATE, TOOLS

SPEC = ActionSpec(ARC_TOOLS)
BOTH = [make_numeric_actions(name, SPEC) for name in NUMERIC_FORMS]


def actions_of(numeric: NumericActions) -> st.SearchStrategy[np.ndarray]:
    """Every action of a numeric."""
    if isinstance(numeric, DiscreteActions):
        columns = [st.integers(0, len(coordinate.values) - 1) for coordinate in numeric.coordinates]
        return st.tuples(*columns).map(np.array)
    column = st.floats(-1, 1, width=32)
    return st.lists(column, min_size=len(numeric.coordinates), max_size=len(numeric.coordinates)).map(
        lambda numbers: np.array(numbers, np.float32)
    )


self_edits = st.integers(0, 2**31).map(lambda seed: SelfEditSpace(ARC_TOOLS, seed=seed).sample())


@given(data=st.data())
def test_every_action_is_a_valid_self_edit_that_says_it_all_at_once(data: st.DataObject) -> None:
    numeric = data.draw(st.sampled_from(BOTH))
    text = numeric.decode(data.draw(actions_of(numeric)))
    assert SPEC.contains(text)
    assert [call["name"] for call in json.loads(text)] == ARC_NAMES


@given(action=actions_of(BOTH[0]))
def test_a_discrete_action_goes_there_and_back(action: np.ndarray) -> None:
    numeric = BOTH[0]
    assert np.array_equal(numeric.encode(numeric.decode(action)), action)


@given(text=self_edits)
def test_a_self_edit_goes_through_a_box_unchanged(text: str) -> None:
    numeric = BOTH[1]
    action = numeric.encode(text)
    assert numeric.space.contains(action)
    assert numeric.decode(action) == text


@given(text=self_edits)
def test_a_rate_between_two_levels_becomes_the_nearest_one(text: str) -> None:
    numeric = BOTH[0]
    calls, nearest = json.loads(text), json.loads(numeric.decode(numeric.encode(text)))
    asked, rate = (each[1]["arguments"].pop("learning_rate") for each in (calls, nearest))
    assert nearest == calls
    levels = np.log(next(c.values for c in numeric.coordinates if c.argument == "learning_rate"))
    assert abs(np.log(rate) - np.log(asked)) == pytest.approx(np.abs(levels - np.log(asked)).min())


def test_levels_of_the_rate_are_spread_evenly_on_a_log_scale() -> None:
    rates = next(
        c.values for c in make_numeric_actions("multi_discrete", SPEC, 5).coordinates if c.argument == "learning_rate"
    )
    assert (rates[0], rates[-1], len(rates)) == (3e-5, 3e-3, 5)
    assert np.diff(np.log(rates)) == pytest.approx(np.log(100) / 4, rel=0.01)


def test_ranges_are_those_of_the_spec() -> None:
    spec = ActionSpec(ARC_TOOLS, {RATE: (1e-4, 2e-4), EPOCHS: (0, 2)})
    low, high = (json.loads(make_numeric_actions("box", spec).decode([edge] * 7))[1]["arguments"] for edge in (-1.0, 1.0))
    assert (low["learning_rate"], high["learning_rate"]) == spec.ranges[RATE]
    assert (low["num_train_epochs"], high["num_train_epochs"]) == spec.ranges[EPOCHS]
    *_, rates, epochs = (coordinate.values for coordinate in make_numeric_actions("multi_discrete", spec).coordinates)
    assert ((rates[0], rates[-1]), epochs) == (spec.ranges[RATE], (0, 1, 2))


def test_the_usual_self_edit_is_an_action_in_every_accepted_form() -> None:
    augment, training, _ = (call["arguments"] for call in json.loads(ARC.default_self_edit))
    paper = {"data_generation": augment, "training": training}
    for numeric in BOTH:
        assert np.array_equal(numeric.encode(ARC.default_self_edit), numeric.encode(paper))


@pytest.mark.parametrize("numeric", BOTH)
@pytest.mark.parametrize(
    ("self_edit", "message"),
    [
        ("nonsense", "not JSON"),
        ('[{"name": "finetune"}]', "one call each of augment, training, finetune"),
        (ARC.no_update, "num_train_epochs=0"),
        (ARC.default_self_edit.replace("0.0003", "0.5"), "a number from 3e-05 to 0.003"),
        (json.dumps(json.loads(ARC.default_self_edit)[:1] + json.loads(ARC.default_self_edit)), "one call each"),
    ],
)
def test_what_is_no_action_is_refused(numeric: NumericActions, self_edit: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        numeric.encode(self_edit)


@pytest.mark.parametrize(
    ("numeric", "action"),
    [
        (BOTH[0], [0, 0, 0, 0, 0, 9, 0]),
        (BOTH[0], [0, 0, 0, 0, 0, -1, 0]),
        (BOTH[0], [0, 0, 0]),
        (BOTH[0], [0.5] * 7),
        (BOTH[1], [0.0] * 6),
        (BOTH[1], [float("nan")] * 7),
        (BOTH[1], [[0.0] * 7]),
    ],
)
def test_an_array_of_another_space_is_refused(numeric: NumericActions, action: list[float]) -> None:
    with pytest.raises(SettingError, match="action="):
        numeric.decode(action)


class Broken:
    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("no array")


DEEP: list[object] = []
DEEP.append(DEEP)
NO_NUMBERS: dict[str, object] = {
    "complex": np.zeros(7, complex),
    "ragged": [[0], [0, 0], 0, 0, 0, 0, 0],
    "nested": [[0]] * 7,
    "a list in itself": DEEP,
    "infinite": np.full(7, np.inf),
    "objects": np.array([0] * 7, object),
    "truth values": np.zeros(7, bool),
    "texts": ["0"] * 7,
    "dates": np.zeros(7, "datetime64[s]"),
    "spans of time": np.zeros(7, "timedelta64[s]"),
    "bytes": np.zeros(7, "V4"),
    "records": np.zeros(7, [("a", int)]),
    "masked": np.ma.masked_equal(np.zeros(7, int), 0),
    "a number alone": np.array(0),
    "many numbers": np.zeros(10**6),
    "a large whole number": [10**400] + [0] * 6,
    "a long list": [0] * 10**5,
    "no array": Broken(),
    "nothing": None,
    "a text": "0000000",
    "a mapping": {0: 0},
    "a generator": (0 for _ in range(7)),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("numeric", BOTH, ids=NUMERIC_FORMS)
def test_what_are_no_numbers_is_refused_in_few_words(numeric: NumericActions, kind: str) -> None:
    with pytest.raises(SettingError, match="action=") as caught:
        numeric.decode(NO_NUMBERS[kind])  # type: ignore[arg-type]
    assert len(str(caught.value)) < 1200


def test_numbers_of_every_size_are_read() -> None:
    for kind in ("uint8", "int64", "uint64", "float16", "float64", "longdouble"):
        assert BOTH[1].decode(np.zeros(7, kind)) == BOTH[1].decode([0.0] * 7)
    assert BOTH[1].decode([1e308] * 7) == BOTH[1].decode([1.0] * 7)
    for kind in ("uint8", "int64", "uint64"):
        assert BOTH[0].decode(np.zeros(7, kind)) == BOTH[0].decode([0] * 7)


def test_numbers_beyond_the_box_count_as_its_ends() -> None:
    assert BOTH[1].decode([-5.0, 5.0] * 3 + [9.0]) == BOTH[1].decode([-1.0, 1.0] * 3 + [1.0])


class OtherArguments(Arguments):
    """Arguments of every kind that a number can stand for."""

    mode: Literal["a", "b", "c"] = Field(description="One of three.")
    only: Literal["this"] = Field(description="One of one.")
    flag: bool = Field(description="A switch.")
    few: int = Field(ge=-1, lt=3, description="Few whole numbers.")
    many: int = Field(ge=0, le=100_000, description="Many whole numbers.")
    share: float = Field(gt=0, lt=1, description="A share.")
    rate: float = Field(ge=1e-6, le=1, description="A rate.")


def new_tool(arguments: type[Arguments]) -> ActionSpec:
    other = Tool("other", "Another tool.", arguments, lambda draft, context, given: draft)
    return ActionSpec((TOOLS["augment"], other, TOOLS["finetune"]))


def test_a_new_tool_needs_no_new_code() -> None:
    spec = new_tool(OtherArguments)
    discrete, box = (make_numeric_actions(name, spec, levels=6) for name in NUMERIC_FORMS)
    assert isinstance(discrete.space, spaces.MultiDiscrete)
    assert discrete.space.nvec.tolist() == [2, 2, 2, 2, 3, 1, 2, 4, 6, 6, 6]
    for numeric in (discrete, box):
        legal = numeric.space
        legal.seed(0)
        for _ in range(50):
            text = numeric.decode(legal.sample())
            assert spec.contains(text)
            assert numeric.decode(numeric.encode(text)) == text
    rates = next(c.values for c in discrete.coordinates if c.argument == "rate")
    assert rates == pytest.approx((1e-6, 1.58e-5, 2.51e-4, 3.98e-3, 6.31e-2, 1.0), rel=1e-2)
    share = next(c for c in discrete.coordinates if c.argument == "share")
    assert 0 < share.values[0] < 0.01 < 0.99 < share.values[-1] < 1


def test_what_no_number_stands_for_is_named() -> None:
    class Texts(Arguments):
        text: str = Field(description="A text.")

    class Unbounded(Arguments):
        number: float = Field(ge=0, description="A number.")

    for arguments, message in ((Texts, "but text is"), (Unbounded, "bounds on both sides, but number is")):
        with pytest.raises(SettingError, match=message):
            BoxActions(new_tool(arguments))
    with pytest.raises(SettingError, match="actions='boxes'"):
        make_numeric_actions("boxes", SPEC)
    with pytest.raises(SettingError, match="levels=1"):
        DiscreteActions(SPEC, 1)
