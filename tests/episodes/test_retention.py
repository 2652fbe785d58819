"""The retention matrix, what it says, and how it is drawn."""

from __future__ import annotations

import pytest

from seal_env.episodes.retention import RetentionMatrix

MATRIX = RetentionMatrix(("a", "b", "c"), [(0.1, 0.0, 0.2), (0.9, 0.1, None), (0.5, 0.8, 0.2), (0.6, 0.4, 1.0)])


def test_the_mean_over_what_was_seen() -> None:
    assert [MATRIX.seen(k) for k in (1, 2, 3)] == pytest.approx([0.9, 0.65, 2 / 3])
    assert MATRIX.seen() == MATRIX.seen(3)
    assert RetentionMatrix(("a",), [(0.4,)]).seen() == 0.0


def test_forgetting_is_from_the_best_and_backward_transfer_from_the_first_score() -> None:
    assert MATRIX.forgetting() == pytest.approx((0.9 - 0.6 + 0.8 - 0.4) / 2)
    assert MATRIX.backward_transfer() == pytest.approx((0.6 - 0.9 + 0.4 - 0.8) / 2)
    risen = RetentionMatrix(("a", "b", "c"), [(0.0, 0.0, 0.0), (0.2, 0.0, None), (0.9, 0.5, 0.0), (0.4, 0.5, 1.0)])
    assert risen.forgetting() == pytest.approx((0.9 - 0.4 + 0.0) / 2)
    assert risen.backward_transfer() == pytest.approx((0.4 - 0.2 + 0.0) / 2)


@pytest.mark.parametrize("rows", [[(0.1, 0.2)], [(0.1, 0.2), (0.3, 0.2)]])
def test_nothing_is_forgotten_before_the_second_update(rows: list[tuple[float, ...]]) -> None:
    matrix = RetentionMatrix(("a", "b"), list(rows))
    assert matrix.forgetting() == matrix.backward_transfer() == 0.0


def test_a_last_row_can_be_replaced() -> None:
    matrix = RetentionMatrix(("a", "b"), [(0.0, 0.0), (1.0, 0.0)])
    matrix.replace_last((0.5, None))
    assert matrix.as_lists() == [[0.0, 0.0], [0.5, None]]
