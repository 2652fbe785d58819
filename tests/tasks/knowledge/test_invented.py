"""Synthetic passages: that nothing in them is real, shared between splits, ambiguous or given away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
import pytest

from seal_env.errors import SettingError, UnknownTaskError
from seal_env.tasks.knowledge.grading.exact_match import normalise
from seal_env.tasks.knowledge.loader import load_passages
from seal_env.tasks.knowledge.synthetic.avoided import AVOIDED
from seal_env.tasks.knowledge.synthetic.draw import FACTS, MIN_NAMED, WORDS, SyntheticPassage, capacity, draw_passage
from seal_env.tasks.knowledge.synthetic.kinds import CLOSINGS, KINDS
from seal_env.tasks.knowledge.synthetic.names import Split, names, split_of
from seal_env.tasks.knowledge.synthetic.relation import Relation
from seal_env.tasks.knowledge.synthetic.taskset import is_synthetic_id, synthetic_passage, synthetic_taskset
from seal_env.tasks.knowledge.synthetic.values import MONTHS, NUMBERS, PAIRS, values_of

SPLITS: tuple[Split, ...] = ("train", "eval")
RELATIONS = {relation.name: relation for kind in KINDS for relation in kind.relations}
SLOT = re.compile(r"\{\w+\}")


@pytest.fixture(scope="module")
def drawn() -> dict[Split, list[SyntheticPassage]]:
    """400 passages of each split, of two seeds."""
    return {split: [draw_passage(split, seed, index) for seed in (0, 7) for index in range(200)] for split in SPLITS}


@pytest.fixture(scope="module")
def every(drawn: dict[Split, list[SyntheticPassage]]) -> list[SyntheticPassage]:
    return [*drawn["train"], *drawn["eval"]]


def pairs(passage: SyntheticPassage) -> Iterator[tuple[str, str]]:
    return ((fact.relation.name, fact.value) for fact in passage.facts)


def own_names(passage: SyntheticPassage) -> set[str]:
    return {passage.subject.name, *(fact.value for fact in passage.facts if fact.relation.named)}


def wordings(relation: Relation) -> dict[str, tuple[str, ...]]:
    fields = ("says", "asks", "held_out", "finds", "finds_held_out", "known")
    return {field: getattr(relation, field) for field in fields}


def words_of(templates: Sequence[str]) -> set[str]:
    return {word.lower() for template in templates for word in re.findall("[A-Za-z]+", SLOT.sub("", template))}


def test_splits_share_no_name_whatever_the_seeds() -> None:
    assert not set(names("train")) & set(names("eval"))
    assert {split_of(name.lower()) for name in names("eval")} == {"eval"}


def test_splits_share_no_pair_of_relation_and_value(drawn: dict[Split, list[SyntheticPassage]]) -> None:
    found = {split: set(chain.from_iterable(map(pairs, passages))) for split, passages in drawn.items()}
    assert not found["train"] & found["eval"]
    assert {relation for relation, _ in found["train"]} == {relation for relation, _ in found["eval"]} == set(RELATIONS)


@pytest.mark.parametrize(
    "relation", [relation for relation in RELATIONS.values() if not relation.named], ids=lambda r: r.name
)
def test_every_relation_has_values_enough_that_guessing_gains_little(relation: Relation) -> None:
    train, evaluation = (values_of(relation.name, relation.values, split) for split in SPLITS)
    assert not set(train) & set(evaluation)
    assert min(len(train) / 3, len(evaluation)) >= 8
    assert all(1 <= len(value.split()) <= 3 for value in train + evaluation)


def test_no_name_occurs_in_two_passages_of_a_split_and_seed() -> None:
    for split in SPLITS:
        counts = Counter(chain.from_iterable(own_names(draw_passage(split, 3, index)) for index in range(500)))
        assert max(counts.values()) == 1


def test_another_seed_gives_other_passages() -> None:
    first, second = ([draw_passage("train", seed, index).passage.text for index in range(20)] for seed in (0, 1))
    assert not set(first) & set(second)


def test_real_names_and_words_are_no_names() -> None:
    formed = {name.lower() for split in SPLITS for name in names(split)}
    assert not formed & AVOIDED
    assert {"geneva", "topeka", "tanaka", "malik", "kosovo", "modem", "saliva"} <= AVOIDED


def test_no_name_is_a_word_of_the_passages(every: list[SyntheticPassage]) -> None:
    texts = [
        *CLOSINGS,
        MONTHS,
        *(part for pair in PAIRS.values() for part in pair),
        *(unit for _, _, unit in NUMBERS.values()),
    ]
    texts += [text for kind in KINDS for text in (kind.noun, *kind.opens)]
    texts += [text for relation in RELATIONS.values() for group in wordings(relation).values() for text in group]
    assert not words_of(texts) & {name.lower() for split in SPLITS for name in names(split)}


def test_every_name_starts_with_a_capital_and_is_of_known_syllables() -> None:
    assert all(
        re.fullmatch(r"[BDFGKLMNPRSTVZ][aeiou][bdfgklmnprstvz][aeiou]([bdfgklmnprstvz][aeiou]|k|m)", n)
        for n in names("eval")
    )


def test_there_are_many_thousands_of_passages_for_each_seed() -> None:
    assert capacity("train") > 10_000
    assert capacity("eval") > 3_000
    assert draw_passage("train", 0, capacity("train") - 1).facts
    with pytest.raises(SettingError, match="index="):
        draw_passage("train", 0, capacity("train"))


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(SettingError, match="split='test'"):
        draw_passage("test", 0, 0)  # type: ignore[arg-type]


def test_passages_have_the_length_and_number_of_facts_they_should(every: list[SyntheticPassage]) -> None:
    assert all(WORDS[0] <= len(drawn.passage.text.split()) <= WORDS[1] for drawn in every)
    assert {len(drawn.facts) for drawn in every} == set(range(FACTS[0], FACTS[1] + 1))
    assert all(sum(fact.relation.named for fact in drawn.facts) >= MIN_NAMED for drawn in every)
    assert all(len({fact.relation.name for fact in drawn.facts}) == len(drawn.facts) for drawn in every)


def test_passages_are_of_every_kind_and_titled_with_their_subject(every: list[SyntheticPassage]) -> None:
    assert {drawn.subject.kind.noun for drawn in every} == {kind.noun for kind in KINDS}
    assert all(drawn.passage.title == drawn.subject.name for drawn in every)
    assert all(drawn.subject.name in drawn.passage.text.split(".")[0] for drawn in every)


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


def test_what_a_question_names_tells_its_kind(every: list[SyntheticPassage]) -> None:
    for drawn in every[::10]:
        for question in (*drawn.questions(), *drawn.questions(held_out=True)):
            words = set(re.findall(r"\w+", question.question))
            others = own_names(drawn) - {drawn.subject.name}
            assert (drawn.subject.name in words) == (question.kind == "direct"), question
            assert bool(others & words) == (question.kind != "direct"), question
            assert normalise(question.answer) not in normalise(question.question), question


def test_no_two_questions_about_a_passage_are_the_same(every: list[SyntheticPassage]) -> None:
    for drawn in every[::10]:
        texts = [question.question for question in (*drawn.questions(), *drawn.questions(held_out=True))]
        assert len(texts) == len(set(texts))


def test_the_task_asks_some_of_all_the_questions_there_are() -> None:
    for name, held_out in (("synthetic-train:20", False), ("synthetic-reworded:20", True)):
        for task in load_passages(name):
            assert set(task.queries) <= set(synthetic_passage(task.task_id).questions(held_out))


def test_reworded_passages_are_those_of_eval_with_other_questions() -> None:
    for plain, reworded in zip(load_passages("synthetic-eval:30"), load_passages("synthetic-reworded:30"), strict=True):
        assert plain.context == reworded.context
        asked = {question.question for question in plain.queries}
        assert not asked & {question.question for question in reworded.queries}


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=lambda relation: relation.name)
def test_every_relation_is_worded_in_several_ways_none_of_them_twice(relation: Relation) -> None:
    groups = wordings(relation)
    assert (len(groups["says"]), len(groups["asks"])) == (3, 3)
    assert bool(groups["held_out"])
    assert [bool(groups[field]) for field in ("finds", "finds_held_out", "known")] == [relation.named] * 3
    texts = list(chain.from_iterable(groups.values()))
    assert len(texts) == len(set(texts))
    assert all(text.endswith(".") and text.count("{v}") == 1 for text in groups["says"])


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=lambda relation: relation.name)
def test_questions_are_worded_otherwise_than_passages(relation: Relation) -> None:
    """No four words in a row are the same; the subject counts as one word."""

    def runs(templates: Sequence[str]) -> set[tuple[str, ...]]:
        split = [re.sub(r"\{[Ssx]\}", "{x}", template).lower().strip("?.").split() for template in templates]
        return {tuple(words[i : i + 4]) for words in split for i in range(len(words) - 3)}

    groups = wordings(relation)
    asked = chain.from_iterable(groups[field] for field in ("asks", "held_out", "finds", "finds_held_out"))
    assert not runs(groups["says"]) & runs(list(asked))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.noun)
def test_no_two_relations_of_a_kind_ask_alike(kind: object) -> None:
    asked = Counter(
        text
        for relation in kind.relations  # type: ignore[attr-defined]
        for field in ("asks", "held_out", "finds", "finds_held_out", "known")
        for text in wordings(relation)[field]
    )
    assert max(asked.values()) == 1, asked.most_common(3)


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


def test_any_synthetic_id_resolves() -> None:
    task = load_passages("synthetic-train")["synthetic-eval-7-123"]
    assert task.context == draw_passage("eval", 7, 123).passage


@pytest.mark.parametrize(
    "task_id",
    [
        "synthetic",
        "synthetic-train-0",
        "synthetic-test-0-1",
        "synthetic-train-00-1",
        "synthetic-eval-0-9999",
        "synthetic-eval-0-1\n",
        "",
        3,
    ],
)
def test_other_ids_are_unknown(task_id: str) -> None:
    assert not is_synthetic_id(task_id)
    with pytest.raises(UnknownTaskError, match="any synthetic-train-SEED-INDEX"):
        load_passages("synthetic")[task_id]


def test_head_and_shuffle_keep_the_tasks() -> None:
    tasks = synthetic_taskset("synthetic", "train", 20)
    assert tasks.head(3).task_ids == tasks.task_ids[:3]
    assert tasks.shuffle(0).task_ids != tasks.task_ids
    assert set(tasks.shuffle(0).task_ids) == set(tasks.task_ids)


def test_passages_do_not_depend_on_the_hash_seed(outputs_by_hash_seed: Callable[[str, Sequence[str]], set[str]]) -> None:
    code = "from seal_env.tasks.knowledge.loader import load_passages; print(list(load_passages('synthetic-eval:5')))"
    assert len(outputs_by_hash_seed(code, ["0", "1"])) == 1


def test_a_passage_is_what_it_was() -> None:
    """Ids are recipes that others keep: what they give may only change on purpose."""
    assert load_passages("synthetic-eval:1")["synthetic-eval-0-0"].context.text.startswith(
        "Every school would like to have the book"
    )


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_every_passage_of_a_seed_has_names_and_spans_of_its_own(split: Split) -> None:
    seen: set[str] = set()
    for index in range(capacity(split)):
        drawn = draw_passage(split, 0, index)
        assert not seen & own_names(drawn)
        seen |= own_names(drawn)
        assert all(fact.value in drawn.passage.text for fact in drawn.facts)
