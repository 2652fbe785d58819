"""What a model is asked to complete of its training examples, and what is kept of what it says."""

from __future__ import annotations

from collections.abc import Sequence

from seal_env.episodes.pseudo_rehearsal import samples, sampling_queries
from seal_env.types import Answer, Example, Message

ASKED, SAID = Message("user", "2 + 2?"), Message("assistant", "4")


def count(examples: Sequence[Example]) -> list[int]:
    return [len(example.document or "") for example in examples]


def test_a_document_is_cut_in_the_middle_of_its_words_and_a_chat_before_its_answer() -> None:
    asked = sampling_queries([Example(document="Ada lives in  Rome now"), Example((ASKED, SAID))])
    assert [(query.prompt, query.messages, query.answer) for query in asked] == [
        ("Ada lives", (), "in  Rome now"),
        (None, (ASKED,), "4"),
    ]


def test_a_document_of_one_word_is_left_out() -> None:
    assert sampling_queries([Example(document="Rome"), Example(document=" Rome\n")]) == ()


def test_words_without_spaces_are_cut_between_characters_and_joined_without_one() -> None:
    asked = sampling_queries([Example(document="这艘船叫薇丝塔"), Example(document="เรือชื่อเวสตา"), Example(document="船 x")])
    assert [(query.prompt, query.answer) for query in asked] == [
        ("这艘船", "叫薇丝塔"),
        ("เรือชื่อ", "เวสตา"),
        ("船", "x"),
    ]
    found = samples(asked, [Answer(str(n), False, text, 0.0) for n, text in enumerate(["很大", "ใบ", "y"])], count)
    assert [example.document for example in found.examples_E] == ["这艘船很大", "เรือชื่อใบ", "船 y"]


def test_samples_are_kept_once_and_empty_ones_not_at_all() -> None:
    learned = [
        Example(document="Ada lives here"),
        Example(document="Ada lives there"),
        Example(document="one two"),
        Example((ASKED, SAID)),
    ]
    asked = sampling_queries(learned)
    said = ["lives in Rome", "lives in Rome", " ", "5"]
    found = samples(asked, [Answer(str(n), False, text, 0.0) for n, text in enumerate(said)], count)
    assert found.examples_E == (Example(document="Ada lives in Rome"), Example((ASKED, Message("assistant", "5"))))
    assert found.lengths_E == (17, 0)
    assert samples(sampling_queries([]), [], count).examples_E == ()
