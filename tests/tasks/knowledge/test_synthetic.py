"""Synthetic passages: nothing in them is real, shared between splits, ambiguous or given away."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
import pytest

from seal_env.errors import SettingError
from seal_env.tasks.knowledge.grading.exact_match import normalise
from seal_env.tasks.knowledge.loader import load_passages
from seal_env.tasks.knowledge.synthetic.draw import FACTS, MIN_NAMED, WORDS, SyntheticPassage, capacity, draw_passage
from seal_env.tasks.knowledge.synthetic.names import Split, avoided_names, names, split_of
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage
from seal_env.tasks.knowledge.synthetic.vocabulary import (
    CLOSINGS,
    KINDS,
    MONTHS,
    NUMBERS,
    PAIRS,
    RELATIONS,
    Relation,
    values_of,
)

SPLITS: tuple[Split, ...] = ("train", "eval")
SLOT = re.compile(r"\{\w+\}")
ASKING = ("asks", "held_out", "finds", "finds_held_out")
DIGESTS = {
    "train": "263f5cb911d04dbe8499163a8bfd3052f45ceaba929de8287618db2b8194984d",
    "eval": "5f4724f51c805852dd98edd6a2ca49143ff684014fd30bc42e9443d17895b330",
    "reworded": "5fc69883352a660a52e1a64b9f48f112a6ce98e88d3234b5a0d8902d080b988a",
}
"""Of the first 50 tasks of each set with all that can be stated and asked: ids are recipes that stored results refer to."""


@pytest.fixture(scope="module")
def drawn() -> dict[Split, list[SyntheticPassage]]:
    """400 passages of each split, of two seeds."""
    return {split: [draw_passage(split, seed, index) for seed in (0, 7) for index in range(200)] for split in SPLITS}


@pytest.fixture(scope="module")
def every(drawn: dict[Split, list[SyntheticPassage]]) -> list[SyntheticPassage]:
    return [*drawn["train"], *drawn["eval"]]


def digest(which: str) -> str:
    content: list[object] = []
    for task in SYNTHETIC.taskset(which, which, 50):
        drawn = synthetic_passage(task.task_id)
        content += [task.task_id, task.context.title, task.context.text, drawn.statements()]
        for questions in (task.queries, drawn.questions(), drawn.questions(held_out=True)):
            content.append([(question.question, question.answer, question.kind) for question in questions])
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def pairs(passage: SyntheticPassage) -> Iterator[tuple[str, str]]:
    return ((fact.relation.name, fact.value) for fact in passage.facts)


def own_names(passage: SyntheticPassage) -> set[str]:
    return {passage.subject.name, *(fact.value for fact in passage.facts if fact.relation.named)}


def wordings(relation: Relation) -> dict[str, tuple[str, ...]]:
    return {field: getattr(relation, field) for field in ("says", "known", *ASKING)}


def words_of(templates: Sequence[str]) -> set[str]:
    return {word.lower() for template in templates for word in re.findall("[A-Za-z]+", SLOT.sub("", template))}


def runs_of_four(templates: Sequence[str]) -> set[tuple[str, ...]]:
    """Four words in a row; the subject counts as one word."""
    split = [re.sub(r"\{[Ssx]\}", "{x}", template).lower().strip("?.").split() for template in templates]
    return {tuple(words[i : i + 4]) for words in split for i in range(len(words) - 3)}


@pytest.mark.parametrize("which", DIGESTS)
def test_the_passages_and_questions_behind_ids_never_change(which: str) -> None:
    assert digest(which) == DIGESTS[which]


def test_splits_share_no_name_and_no_pair_of_relation_and_value(drawn: dict[Split, list[SyntheticPassage]]) -> None:
    found = {split: set(chain.from_iterable(map(pairs, passages))) for split, passages in drawn.items()}
    assert not found["train"] & found["eval"]
    assert {relation for relation, _ in found["train"]} == {relation for relation, _ in found["eval"]} == set(RELATIONS)
    assert not set(names("train")) & set(names("eval"))
    assert {split_of(name.lower()) for name in names("eval")} == {"eval"}


def test_every_relation_has_values_enough_that_guessing_gains_little() -> None:
    for relation in RELATIONS.values():
        if not relation.named:
            train, evaluation = (values_of(relation, split) for split in SPLITS)
            assert not set(train) & set(evaluation)
            assert min(len(train) / 3, len(evaluation)) >= 8, relation.name
            assert all(1 <= len(value.split()) <= 3 for value in train + evaluation)


def test_no_name_occurs_in_two_passages_of_a_split_and_seed() -> None:
    for split in SPLITS:
        counts = Counter(chain.from_iterable(own_names(draw_passage(split, 3, index)) for index in range(500)))
        assert max(counts.values()) == 1


def test_another_seed_gives_other_passages() -> None:
    first, second = ([draw_passage("train", seed, index).passage.text for index in range(20)] for seed in (0, 1))
    assert not set(first) & set(second)


def test_names_are_no_real_names_and_no_words_of_the_passages() -> None:
    formed = {name for split in SPLITS for name in names(split)}
    assert not {name.lower() for name in formed} & avoided_names()
    assert {"geneva", "topeka", "tanaka", "malik", "kosovo", "modem", "saliva"} <= avoided_names()
    texts = [*CLOSINGS, MONTHS, *chain.from_iterable(PAIRS.values()), *(unit for _, _, unit in NUMBERS.values())]
    texts += [text for kind in KINDS for text in (kind.noun, *kind.opens)]
    texts += [text for relation in RELATIONS.values() for group in wordings(relation).values() for text in group]
    assert not words_of(texts) & {name.lower() for name in formed}
    syllables = r"[BDFGKLMNPRSTVZ][aeiou][bdfgklmnprstvz][aeiou]([bdfgklmnprstvz][aeiou]|k|m)"
    assert all(re.fullmatch(syllables, name) for name in formed)


def test_there_are_many_thousands_of_passages_for_each_seed() -> None:
    assert capacity("train") > 10_000
    assert capacity("eval") > 3_000
    assert draw_passage("train", 0, capacity("train") - 1).facts


def test_an_unknown_split_or_index_is_refused() -> None:
    with pytest.raises(SettingError, match="index="):
        draw_passage("train", 0, capacity("train"))
    with pytest.raises(SettingError, match="split='test'"):
        draw_passage("test", 0, 0)  # type: ignore[arg-type]


def test_passages_have_the_length_the_facts_and_the_title_they_should(every: list[SyntheticPassage]) -> None:
    assert {len(drawn.facts) for drawn in every} == set(range(FACTS[0], FACTS[1] + 1))
    assert {drawn.subject.kind.noun for drawn in every} == {kind.noun for kind in KINDS}
    for drawn in every:
        assert WORDS[0] <= len(drawn.passage.text.split()) <= WORDS[1]
        assert sum(fact.relation.named for fact in drawn.facts) >= MIN_NAMED
        assert len({fact.relation.name for fact in drawn.facts}) == len(drawn.facts)
        assert drawn.passage.title == drawn.subject.name
        assert drawn.subject.name in drawn.passage.text.split(".")[0]


def test_every_value_stands_in_the_passage_once_and_no_two_share_a_number(every: list[SyntheticPassage]) -> None:
    for drawn in every:
        text = drawn.passage.text
        for fact in drawn.facts:
            assert len(re.findall(rf"\b{re.escape(fact.value)}\b", text)) == 1, (fact.value, text)
        numbers = re.findall(r"\d+", text)
        assert len(numbers) == len(set(numbers)), text


def test_passages_are_well_formed_sentences(every: list[SyntheticPassage]) -> None:
    for drawn in every:
        text = drawn.passage.text
        assert re.fullmatch(r"([A-Z1-9][A-Za-z0-9, ]*[a-z0-9]\. )*[A-Z][A-Za-z0-9, ]*[a-z0-9]\.", text), text
        assert not re.search(r"  | [,.]|\b[Aa] [aeiou]|\b[Aa]n [^aeiou]|\b(\w+) \1\b", text), text


def test_a_pronoun_follows_only_a_sentence_about_the_subject_that_names_nothing_else(every: list[SyntheticPassage]) -> None:
    used = 0
    for drawn in every:
        values = own_names(drawn) - {drawn.subject.name}
        sentences = drawn.passage.text.removesuffix(".").split(". ")
        for before, sentence in pairwise(sentences):
            if re.match(r"(It|He|She)\b(?! takes)", sentence):
                used += 1
                assert not values & set(before.split()), drawn.passage.text
                assert re.match(rf"((The )?{drawn.subject.name}|The {drawn.subject.kind.noun}|It|He|She)\b", before)
    assert used > 100


def test_each_fact_is_asked_directly_and_in_one_other_way() -> None:
    kinds: Counter[str] = Counter()
    for task in load_passages("synthetic-eval"):
        facts = synthetic_passage(task.task_id).facts
        assert len(task.queries) == 2 * len(facts)
        for fact, direct, other in zip(facts, task.queries[::2], task.queries[1::2], strict=True):
            assert (direct.kind, direct.answer) == ("direct", fact.value)
            assert other.answer == (fact.subject.name if other.kind == "reversed" else fact.value)
            kinds[other.kind] += 1
    assert set(kinds) == {"reversed", "indirect"}
    assert min(kinds.values()) > 50


def test_questions_differ_show_their_kind_by_what_they_name_and_give_no_answer_away(every: list[SyntheticPassage]) -> None:
    for drawn in every[::10]:
        questions = (*drawn.questions(), *drawn.questions(held_out=True))
        assert len({question.question for question in questions}) == len(questions)
        for question in questions:
            words = set(re.findall(r"\w+", question.question))
            others = own_names(drawn) - {drawn.subject.name}
            assert (drawn.subject.name in words) == (question.kind == "direct"), question
            assert bool(others & words) == (question.kind != "direct"), question
            assert normalise(question.answer) not in normalise(question.question), question


def test_a_task_asks_some_of_all_the_questions_there_are() -> None:
    for name, held_out in (("synthetic-train:20", False), ("synthetic-reworded:20", True)):
        for task in load_passages(name):
            assert set(task.queries) <= set(synthetic_passage(task.task_id).questions(held_out))


def test_reworded_passages_are_those_of_eval_with_other_questions() -> None:
    for plain, reworded in zip(load_passages("synthetic-eval:30"), load_passages("synthetic-reworded:30"), strict=True):
        assert plain.context == reworded.context
        assert not {question.question for question in plain.queries} & {question.question for question in reworded.queries}


def test_every_relation_has_several_wordings_and_questions_are_not_worded_as_passages() -> None:
    for relation in RELATIONS.values():
        groups = wordings(relation)
        assert (len(groups["says"]), len(groups["asks"])) == (3, 3)
        assert groups["held_out"]
        assert [bool(groups[field]) for field in ("finds", "finds_held_out", "known")] == [relation.named] * 3
        texts = list(chain.from_iterable(groups.values()))
        assert len(texts) == len(set(texts)), relation.name
        assert all(text.endswith(".") and text.count("{v}") == 1 for text in groups["says"])
        asked = list(chain.from_iterable(groups[field] for field in ASKING))
        assert not runs_of_four(groups["says"]) & runs_of_four(asked), relation.name


def test_no_two_relations_of_a_kind_ask_alike() -> None:
    for kind in KINDS:
        groups = [group for relation in kind.relations for field, group in wordings(relation).items() if field != "says"]
        asked = Counter(chain.from_iterable(groups))
        assert max(asked.values()) == 1, (kind.noun, asked.most_common(3))


def test_held_out_wordings_use_no_word_that_training_does_not_know() -> None:
    known, held_out = set[str](), set[str]()
    for relation in RELATIONS.values():
        for field, texts in wordings(relation).items():
            (held_out if "held_out" in field else known).update(words_of(texts))
    known |= words_of([text for kind in KINDS for text in (kind.noun, *kind.opens)])
    assert held_out <= known


def test_the_vocabulary_is_small(every: list[SyntheticPassage]) -> None:
    texts = [text for drawn in every for text in (drawn.passage.text, *(q.question for q in drawn.questions()))]
    made_up = {name.lower() for split in SPLITS for name in names(split)}
    assert len(words_of(texts) - made_up) <= 620


def test_statements_stand_alone(every: list[SyntheticPassage]) -> None:
    for drawn in every[::10]:
        for fact in drawn.facts:
            assert len(fact.statements()) == 3
            for sentence in fact.statements():
                assert f"he {drawn.subject.kind.noun} {drawn.subject.name}" in sentence
                assert fact.value in sentence
                assert "{" not in sentence
        assert len(drawn.statements()) == 3 * len(drawn.facts)


def test_questions_drawn_with_the_same_generator_are_the_same() -> None:
    drawn = draw_passage("train", 0, 0)
    first, second, other = (drawn.some_questions(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second != other


def test_passages_do_not_depend_on_the_hash_seed(outputs_by_hash_seed: Callable[[str, Sequence[str]], set[str]]) -> None:
    code = "from seal_env.tasks.knowledge.loader import load_passages; print(list(load_passages('synthetic-eval:5')))"
    assert len(outputs_by_hash_seed(code, ["0", "1"])) == 1


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_every_passage_of_a_seed_has_names_and_spans_of_its_own(split: Split) -> None:
    seen: set[str] = set()
    for index in range(capacity(split)):
        drawn = draw_passage(split, 0, index)
        assert not seen & own_names(drawn)
        seen |= own_names(drawn)
        assert all(fact.value in drawn.passage.text for fact in drawn.facts)
