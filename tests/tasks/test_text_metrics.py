"""Measures of answers in free text."""

from __future__ import annotations

import pytest

from seal_env.tasks.text_metrics import TEXT_METRICS, text_metrics, word_f1


@pytest.mark.parametrize(
    ("prediction", "share"),
    [("Ada Byron", 1.0), ("the Ada, Byron!", 1.0), ("Ada", 2 / 3), ("Ada Byron Ada Byron", 2 / 3), ("Ana", 0.0), ("", 0.0)],
)
def test_word_f1_is_squad_s(prediction: str, share: float) -> None:
    assert word_f1(prediction, "Ada Byron") == pytest.approx(share)


@pytest.mark.parametrize("gold", ["A", "the", "?", "-", "C#"])
def test_an_empty_answer_or_another_sign_is_worth_nothing(gold: str) -> None:
    assert [word_f1(said, gold) for said in (gold, f" {gold.lower()} ", "", "!", "an")] == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_a_list_of_everything_costs_word_f1_and_shows_in_the_length() -> None:
    short, long = (text_metrics([text], [("1508",)]) for text in ("1508", "1501 1502 1508 Ada Byron London"))
    assert short == {"word_f1": 1.0, "answer_words": 1.0}
    assert long == {"word_f1": pytest.approx(2 / 7), "answer_words": 6.0}


def test_means_are_over_the_questions_and_the_best_gold_answer_counts() -> None:
    found = text_metrics(["two", ""], [("2", "two"), ("x",)])
    assert found == {"word_f1": 0.5, "answer_words": 0.5}
    assert found.keys() == TEXT_METRICS.keys()


def test_answers_that_were_not_decoded_are_not_measured() -> None:
    assert text_metrics(["two", None], [("two",), ("x",)]) == {}
