"""The rules of `mini`'s families: what each does to a grid, and which grids show it."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from itertools import product

import numpy as np
import pytest

from seal_env.tasks.arc.grid import Array, Grid, GridPair, to_array, to_grid
from seal_env.tasks.arc.mini.composed_rules import MINI_FAMILIES, PRACTICE_FAMILIES, compose
from seal_env.tasks.arc.mini.general_rules import GENERAL_FAMILIES
from seal_env.tasks.arc.mini.rule import SYMMETRIES, Rule, RuleInstance
from seal_env.tasks.arc.mini.rules import FAMILIES, Shape, draw_pairs, family_of
from seal_env.tasks.arc.mini.table_rules import TABLE_FAMILIES

Drawn = list[tuple[RuleInstance, list[GridPair]]]


@cache
def drawn(family: str, count: int = 4) -> Drawn:
    """Rules of a family, each with `count` pairs."""
    rng = np.random.default_rng(0)
    instances = [FAMILIES[family](rng) for _ in range(40)]
    drawn_pairs = [(instance, draw_pairs(instance, count, Shape(), rng)) for instance in instances]
    found = [(instance, pairs) for instance, pairs in drawn_pairs if pairs is not None]
    assert len(found) >= 10
    return found


def all_pairs(family: str) -> list[tuple[list[str], GridPair]]:
    """(parts of the key, pair) of all rules drawn."""
    return [(instance.key.split("/"), pair) for instance, pairs in drawn(family) for pair in pairs]


def with_key(key: str) -> RuleInstance:
    """The rule of that key, drawn until it comes."""
    rng = np.random.default_rng(0)
    instances = (FAMILIES[key.split("/")[0]](rng) for _ in range(200_000))
    return next(instance for instance in instances if instance.key == key)


def digits(text: str) -> list[int]:
    return list(map(int, text))


def sides(text: str) -> tuple[int, int]:
    rows, columns = digits(text.replace("x", ""))
    return rows, columns


def cells(grid: Grid) -> list[int]:
    return [cell for row in grid for cell in row]


def apply(instance: RuleInstance, rows: list[list[int]]) -> list[list[int]]:
    return np.asarray(instance.apply(np.array(rows, dtype=np.int8))).tolist()


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("symmetry/rotate-90/none", [[1, 2], [3, 4]], [[2, 4], [1, 3]]),
        ("mirror/turned-right/none", [[1, 2], [3, 4]], [[1, 2, 3, 4], [3, 4, 1, 2]]),
        ("tile/1x2/none", [[1, 2], [3, 4]], [[1, 2, 1, 2], [3, 4, 3, 4]]),
        ("scale/2x1/none", [[1, 2], [3, 4]], [[1, 2], [1, 2], [3, 4], [3, 4]]),
        ("shrink/2/none", [[1, 1, 2, 2], [1, 1, 2, 2]], [[1, 2]]),
        ("shift/1,0/none", [[1, 2], [3, 4], [5, 6]], [[5, 6], [1, 2], [3, 4]]),
        ("fill/bottom-left/none", [[1, 2], [3, 4]], [[3, 3], [3, 3]]),
        ("fill/most-common/none", [[1, 2], [2, 4]], [[2, 2], [2, 2]]),
        ("gravity/up/none", [[0, 1], [2, 0], [0, 3]], [[2, 1], [0, 3], [0, 0]]),
        ("paint/diagonal/5", [[1, 2, 3], [4, 6, 7]], [[5, 2, 3], [4, 5, 7]]),
        ("crop/0/2x1/none", [[1, 2], [3, 4], [5, 6]], [[1], [3]]),
        ("box/1-2", [[0, 0, 0], [0, 1, 3], [0, 0, 0]], [[2, 3]]),
        ("logic/xor/0/4", [[1, 0, 2], [0, 0, 3]], [[4, 0, 0]]),
        ("rays/left/none", [[0, 1, 0, 2], [0, 0, 0, 0]], [[1, 1, 2, 2], [0, 0, 0, 0]]),
        ("keep/not/3", [[3, 1], [0, 3]], [[0, 1], [0, 0]]),
        ("judge/flip-rows/12", [[3, 4], [3, 4]], [[1]]),
        ("judge/flip-rows/12", [[3, 4], [4, 3]], [[2]]),
        ("neighbour/0/123", [[2, 1, 0], [1, 1, 2]], [[2, 3, 0], [1, 1, 2]]),
        ("neighbour/1/123", [[2, 1], [1, 2]], [[2, 1], [3, 2]]),
        ("neighbour/2/123", [[2, 1, 0], [1, 1, 2]], [[2, 1, 0], [1, 3, 2]]),
        ("neighbour/3/123", [[2, 1], [1, 2]], [[2, 3], [1, 2]]),
        ("combine/1/1234", [[0, 0, 0, 9], [7, 0, 5, 6]], [[1, 2], [4, 2]]),
        ("lines/0/3/20", [[1, 2], [3, 4], [5, 6]], [[5, 6], [1, 2]]),
        ("lines/1/3/022", [[1, 2, 3], [4, 5, 6]], [[1, 3, 3], [4, 6, 6]]),
        ("mosaic/1x2/same,flip-columns", [[1, 2], [3, 4]], [[1, 2, 2, 1], [3, 4, 4, 3]]),
        ("mosaic/2x1/rotate-180,flip-rows", [[1, 2], [3, 4]], [[4, 3], [2, 1], [3, 4], [1, 2]]),
        ("paint-twice/paint/top/3/paint/left/5", [[1, 1, 1], [1, 1, 1]], [[5, 3, 3], [5, 1, 1]]),
        ("turned-crop/flip-columns/crop/0/1x3/none", [[1, 2, 3, 4], [5, 6, 7, 8]], [[3, 2, 1]]),
        ("turned-gravity/flip-rows/gravity/down/none", [[1, 0], [0, 2], [3, 0]], [[3, 2], [1, 0], [0, 0]]),
        ("turned-gravity/transpose/gravity/left/none", [[0, 1, 2], [3, 0, 4]], [[1, 3], [2, 4], [0, 0]]),
    ],
)
def test_rule_does_what_its_key_says(key: str, before: list[list[int]], after: list[list[int]]) -> None:
    assert apply(with_key(key), before) == after


def test_rearrange_keeps_every_cell() -> None:
    for _, pair in all_pairs("rearrange"):
        assert sorted(cells(pair.input)) == sorted(cells(pair.output))
        assert (len(pair.input), len(pair.input[0])) == (len(pair.output), len(pair.output[0]))


@pytest.mark.parametrize("family", ["rearrange", "select"])
def test_key_of_a_table_of_places_names_the_places(family: str) -> None:
    for instance, _ in drawn(family):
        parts = instance.key.split("/")
        rows, columns = sides(parts[1])
        numbered = np.arange(rows * columns, dtype=np.int8).reshape(rows, columns)
        assert cells(to_grid(instance.apply(numbered))) == digits(parts[-1])
        assert len(set(parts[-1])) == len(parts[-1])


def test_select_is_smaller_and_blind_to_the_other_cells() -> None:
    for instance, pairs in drawn("select"):
        _, _, size, places = instance.key.split("/")
        changed = to_array(pairs[0].input).copy()
        others = [place for place in range(changed.size) if str(place) not in places]
        changed.ravel()[others] = (changed.ravel()[others] + 1) % 10
        assert to_grid(instance.apply(changed)) == pairs[0].output != to_grid(changed)
        assert np.shape(pairs[0].output) == sides(size)
        assert others


def test_stamp_changes_its_places_only() -> None:
    for (_, _, places, colour), pair in all_pairs("stamp"):
        expected = [int(colour) if str(at) in places else cell for at, cell in enumerate(cells(pair.input))]
        assert cells(pair.output) == expected


def test_cipher_maps_colours_one_to_one() -> None:
    for instance, pairs in drawn("cipher"):
        _, source, target = instance.key.split("/")
        seen = {both for pair in pairs for both in zip(cells(pair.input), cells(pair.output), strict=True)}
        assert seen <= set(zip(digits(source), digits(target), strict=True))
        assert len(set(source)) == len(set(target)) == len(source)


def test_lines_are_those_that_the_key_names() -> None:
    for (_, axis, count, order), pair in all_pairs("lines"):
        before, after = (to_array(grid) if axis == "0" else to_array(grid).T for grid in pair)
        assert len(before) == int(count)
        assert [line.tolist() for line in after] == [before[number].tolist() for number in digits(order)]


def test_mosaic_is_made_of_the_grid_and_its_flips() -> None:
    for (_, shape, names), pair in all_pairs("mosaic"):
        grid, (rows, columns) = to_array(pair.input), sides(shape)
        lines = np.split(to_array(pair.output), rows)
        blocks = [block for line in lines for block in np.split(line, columns, axis=1)]
        flips = {"same": grid, "flip-rows": grid[::-1], "flip-columns": grid[:, ::-1], "rotate-180": grid[::-1, ::-1]}
        assert [block.tolist() for block in blocks] == [flips[name].tolist() for name in names.split(",")]


def test_combine_depends_on_emptiness_alone() -> None:
    for instance, _ in drawn("combine"):
        _, axis, table = instance.key.split("/")
        for filled in (1, 7):
            cases = np.array([[0, 0, filled, filled, 0, filled, 0, filled]], dtype=np.int8)
            assert cells(to_grid(instance.apply(cases if axis == "1" else cases.T))) == digits(table)


def test_substitute_gives_each_colour_a_pattern() -> None:
    for instance, pairs in drawn("substitute"):
        _, shape, palette, patterns = instance.key.split("/")
        rows, columns = sides(shape)
        own = {int(colour): digits(patterns[2 * at : 2 * at + 2]) for at, colour in enumerate(palette)}
        for pair in pairs:
            before, after = to_array(pair.input), to_array(pair.output)
            assert after.shape == (before.shape[0] * rows, before.shape[1] * columns)
            for row, column in np.ndindex(before.shape):
                block = after[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
                assert block.ravel().tolist() == own[int(before[row, column])]


def test_neighbour_changes_cells_of_the_first_colour_beside_the_second() -> None:
    sides_by_turns = {"0": (0, -1), "1": (-1, 0), "2": (0, 1), "3": (1, 0)}
    for (_, turns, colours), pair in all_pairs("neighbour"):
        first, second, third = [*colours]
        padded = np.pad(to_array(pair.input), 1)
        beside = np.roll(padded, [-step for step in sides_by_turns[turns]], axis=(0, 1))
        hit = ((padded == int(first)) & (beside == int(second)))[1:-1, 1:-1]
        assert hit.any()
        assert to_array(pair.output).tolist() == np.where(hit, int(third), to_array(pair.input)).tolist()


def test_paint_twice_paints_the_same_places_whatever_they_held() -> None:
    for instance, pairs in drawn("paint-twice"):
        colours = {int(instance.key.split("/")[at]) for at in (3, 6)}
        array = to_array(pairs[0].input)
        outputs = [instance.apply(np.full_like(array, held)) for held in range(10)]
        painted = np.all([output == outputs[0] for output in outputs], axis=0)
        assert set(outputs[0][painted].tolist()) <= colours
        assert all((output[~painted] == held).all() for held, output in enumerate(outputs))
        assert painted.any()


def test_turned_crop_is_a_window_turned() -> None:
    for instance, pairs in drawn("turned-crop"):
        name, _, _, size, swap = instance.key.split("/")[1:]
        for pair in pairs if swap == "none" else []:
            window, turned = to_array(pair.output), SYMMETRIES[name](to_array(pair.input))
            every = np.lib.stride_tricks.sliding_window_view(turned, window.shape)
            assert any((every[at] == window).all() for at in np.ndindex(every.shape[:2]))
            assert sorted(window.shape) == sorted(sides(size))


def test_turned_gravity_leaves_no_gap() -> None:
    for instance, pairs in drawn("turned-gravity"):
        for pair in pairs if instance.key.endswith("none") else []:
            filled = to_array(pair.output) != 0
            assert sorted(cells(pair.output)) == sorted(cells(pair.input))
            assert any((np.diff(np.rot90(filled, turns).astype(int), axis=0) >= 0).all() for turns in range(4))


@pytest.mark.parametrize("family", GENERAL_FAMILIES | TABLE_FAMILIES)
def test_equal_keys_give_equal_outputs(family: str) -> None:
    """Rules drawn apart; of `substitute`, no key comes twice."""
    rng, by_key = np.random.default_rng(1), defaultdict(list)
    for instance in (FAMILIES[family](rng) for _ in range(1500)):
        by_key[instance.key].append(instance)
    for first, *others in list(by_key.values())[:30]:
        pairs = draw_pairs(first, 2, Shape(), rng, patience=100) or []
        for other, pair in product(others[:3], pairs):
            assert to_grid(other.apply(to_array(pair.input))) == pair.output
    assert family == "substitute" or len(by_key) < 1500


@pytest.mark.parametrize("family", ["rearrange", "select", "stamp"])
def test_tables_of_places_have_one_input_size_in_a_task(family: str) -> None:
    for instance, pairs in drawn(family):
        assert {np.shape(pair.input) for pair in pairs} == {instance.size} == {sides(instance.key.split("/")[1])}


@pytest.mark.parametrize("family", ["rearrange", "select", "stamp", "cipher", "lines", "substitute", "neighbour"])
def test_inputs_show_the_palette_and_the_background_only(family: str) -> None:
    for instance, pairs in drawn(family):
        assert instance.palette is not None
        legal = {*instance.palette, *([0] if instance.background else [])}
        assert {cell for pair in pairs for cell in cells(pair.input)} <= legal


@pytest.mark.parametrize("family", ["cipher", "substitute"])
def test_a_table_of_colours_asks_no_colour_that_was_not_shown(family: str) -> None:
    for instance, pairs in drawn(family, count=2):
        assert set(cells(pairs[-1].input)) <= {cell for pair in pairs[:-1] for cell in cells(pair.input)}
        unseen = GridPair(((min(set(range(10)) - set(instance.palette or ())),),), pairs[-1].output)
        assert not instance.fair([*pairs[:-1], unseen])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda a: np.tile(a, (2, 2)), lambda a: np.block([[a, a], [a, a]])),
        (lambda a: a[::-1, ::-1], lambda a: np.rot90(a, 2)),
        (lambda a: np.split(a, 2)[0], lambda a: np.split(a, 2, axis=0)[0]),
    ],
)
def test_rules_that_do_the_same_are_of_one_split_under_any_name(first: Rule, second: Rule) -> None:
    one, other = RuleInstance("one", first), RuleInstance("other", second)
    assert (one.behaviour, one.split) == (other.behaviour, other.split)


def test_rules_that_differ_in_one_cell_behave_differently() -> None:
    def spoiled(array: Array) -> Array:
        array = array.copy()
        array[-1, -1] = 0
        return array

    assert RuleInstance("same", lambda array: array).behaviour != RuleInstance("same", spoiled).behaviour


def test_one_rule_in_five_is_of_the_eval_split() -> None:
    rng = np.random.default_rng(0)
    splits = Counter(FAMILIES["cipher"](rng).split for _ in range(600))
    assert 0.14 < splits["eval"] / 600 < 0.26


def test_composed_rules_apply_their_parts_in_order() -> None:
    crop = RuleInstance("crop", lambda array: array[:1, :2])
    tile = RuleInstance("tile", lambda array: np.tile(array, (2, 1)), background=0.9)
    both = compose([crop, tile])
    assert both.apply(np.array([[1, 2, 3], [4, 5, 6]])).tolist() == [[1, 2], [1, 2]]
    assert (both.key, both.background) == ("crop+tile", crop.background)


@pytest.mark.parametrize("family", PRACTICE_FAMILIES | MINI_FAMILIES)
def test_every_part_of_a_composed_rule_matters(family: str) -> None:
    rng = np.random.default_rng(0)
    for instance in (FAMILIES[family](rng) for _ in range(5)):
        assert not instance.swaps
        assert family_of(instance.key) == family
        assert instance.behaviour not in [part.behaviour for part in _parts(instance.key, rng)]


def _parts(key: str, rng: np.random.Generator) -> list[RuleInstance]:
    """The parts of a composed rule of few instances, drawn again until the key comes up."""
    few = [
        part for part in key.split("+") if part.split("/")[0] in ("paint", "tile", "gravity", "rays", "symmetry", "mirror")
    ]
    return [_redrawn(part, rng) for part in few]


def _redrawn(key: str, rng: np.random.Generator) -> RuleInstance:
    while True:
        instance = FAMILIES[family_of(key)](rng)
        if instance.key == key:
            return instance


def test_no_family_is_in_both_tables() -> None:
    tables = (GENERAL_FAMILIES, TABLE_FAMILIES, PRACTICE_FAMILIES | MINI_FAMILIES)
    assert len(FAMILIES) == sum(map(len, tables))
    assert set(FAMILIES) == set().union(*tables)
