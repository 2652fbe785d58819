"""What the rules of grammar read: sentences, parts of speech, clauses, what a passage is about."""

from __future__ import annotations

import pytest

from seal_env.agents.grammar.clause import Clause
from seal_env.agents.grammar.clauses import clauses_of
from seal_env.agents.grammar.noun_phrases import head_of, is_plural, noun_phrases, with_attached, with_coordinated
from seal_env.agents.grammar.passage_reader import is_person_noun, read_passage
from seal_env.agents.grammar.sentences import Tokens, as_sentence, split_sentences, tokenize, written
from seal_env.agents.grammar.tagging import Spelling, tag_sentence
from seal_env.agents.grammar.verb_tags import verb_kinds


def tagged(sentence: str) -> Tokens:
    tokens = tokenize(sentence)
    return tag_sentence(tokens, Spelling.of([tokens]))


def clauses(sentence: str) -> list[Clause]:
    return clauses_of(tagged(sentence))


def texts(sentence: str) -> list[str]:
    return [clause.text for clause in clauses(sentence)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rained. He slept.", ["It rained.", "He slept."]),
        ("Dr. Brown met Mr. Lee. They spoke.", ["Dr. Brown met Mr. Lee.", "They spoke."]),
        ("J. R. Ewing sold it. No. 5 was left.", ["J. R. Ewing sold it.", "No. 5 was left."]),
        ("It fell by 3.5 per cent. Prices rose.", ["It fell by 3.5 per cent.", "Prices rose."]),
        ("He lived in the U.S. until 1950. He died.", ["He lived in the U.S. until 1950.", "He died."]),
        ("He lived in the U.S. The town was small.", ["He lived in the U.S.", "The town was small."]),
        ("Oranges, lemons, etc. are sold. Buy some!", ["Oranges, lemons, etc. are sold.", "Buy some!"]),
        ("They eat figs. Old trees bear most.", ["They eat figs.", "Old trees bear most."]),
        ('He said "Stop!" Then he left.', ['He said "Stop!"', "Then he left."]),
        ("It grew.[3] The rest did not.", ["It grew.[3]", "The rest did not."]),
        ("One line\nanother line", ["One line", "another line"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_end(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    "sentence",
    [
        "Sales rose 3.5% (to $8.2 million) in the 1990s; the U.S.-based firm's 21-day offer wasn't taken.",
        'The workers\' "own" shop, No. 5, isn\u2019t far from Mr. O\u2019Neil\u2019s.',
    ],
)
def test_tokens_are_the_sentence_again(sentence: str) -> None:
    assert written(tokenize(sentence)) == sentence


def test_a_sentence_has_a_capital_letter_and_one_end() -> None:
    assert as_sentence("who  built the ship , it says,", "?") == "Who built the ship, it says?"


@pytest.mark.parametrize(
    ("sentence", "tags"),
    [
        ("Old people like to talk about the stone.", "ADJ NOUN VERB TO BASE PREP DET NOUN PUNCT"),
        ("It looks like the old bridge.", "PRON VERB PREP DET ADJ NOUN PUNCT"),
        ("The fund established by Norway was closed.", "DET NOUN PART PREP NAME AUX VERB PUNCT"),
        ("The army conquered the islands.", "DET NOUN VERB DET NOUN PUNCT"),
        ("The list names the visit of a guest.", "DET NOUN VERB DET NOUN PREP DET NOUN PUNCT"),
        ("Children visit the park.", "NOUN VERB DET NOUN PUNCT"),
        ("She has written and is selling books.", "PRON AUX VERB CONJ AUX VERB NOUN PUNCT"),
        ("In 2010 Sky sold dried figs.", "PREP NUM NAME VERB ADJ NOUN PUNCT"),
        ("He went to Paris to paint.", "PRON VERB PREP NAME TO BASE PUNCT"),
        ("The man's boats cannot float.", "DET NOUN POSS NOUN AUX VERB PUNCT"),
        ("Boats like the Falmo were sold.", "NOUN PREP DET NAME AUX VERB PUNCT"),
        ("Sailors like the Falmo.", "NOUN VERB DET NAME PUNCT"),
    ],
)
def test_parts_of_speech_come_from_form_and_neighbours(sentence: str, tags: str) -> None:
    assert " ".join(token.tag for token in tagged(sentence)) == tags


@pytest.mark.parametrize(
    ("word", "base"),
    [("defrocked", "defrock"), ("stabilised", "stabilise"), ("wrapped", "wrap"), ("tidied", "tidy"), ("written", "write")],
)
def test_the_base_form_of_a_verb_is_found_or_guessed(word: str, base: str) -> None:
    assert base in {each for each, _ in verb_kinds(word)}


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("The tower was built in 1200 and has nine rooms.", ["the tower was built in 1200", "the tower has nine rooms"]),
        ("The oil is stored and shipped in tanks.", ["the oil is stored", "the oil is shipped in tanks"]),
        ("The king fled, but his army stayed in the town.", ["the king fled", "his army stayed in the town"]),
        ("In 1830 the church split from another.", ["the church split from another in 1830"]),
        ("Every year the festival begins on 3 May.", ["the festival begins on 3 May every year"]),
        ("In the west lies the town of Brun.", ["the town of Brun lies in the west"]),
        (
            "John Noble, the owner of a shop, bought the network.",
            ["John Noble bought the network", "John Noble was the owner of a shop"],
        ),
        (
            "The record was held by Elway, who led the team and is a manager.",
            ["the record was held by Elway", "Elway led the team", "Elway is a manager"],
        ),
        (
            "They opened the fund, established in 1989 by Norway.",
            ["they opened the fund, established in 1989 by Norway", "the fund was established in 1989 by Norway"],
        ),
        ("While the court refused, there are five exceptions.", ["the court refused", "there are five exceptions"]),
        ("He sang (and danced) there.", ["he sang there"]),
        ("What a day!", []),
    ],
)
def test_each_clause_of_a_sentence_gets_its_subject(sentence: str, found: list[str]) -> None:
    assert texts(sentence) == found


def test_a_reason_is_kept_apart() -> None:
    (clause,) = clauses("The bridge closed because the river rose.")
    assert (clause.text, written(clause.reason)) == ("the bridge closed", "because the river rose")


def test_who_owned_what_is_not_guessed_where_a_participle_follows_a_name() -> None:
    assert "the United Kingdom was owned by a bank" not in texts("It opened a shop in the United Kingdom owned by a bank.")


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("the old hero of the book", ["the old hero", "the book"]),
        ("a 19th-century fort and two towers", ["a 19th-century fort", "two towers"]),
        ("the Shah's small army", ["the Shah's small army"]),
        ("on May 18, 1756, war", ["May 18, 1756", "war"]),
    ],
)
def test_noun_phrases_end_with_their_noun(text: str, phrases: list[str]) -> None:
    tokens = tagged(text)
    assert [written(span.of(tokens)) for span in noun_phrases(tokens)] == phrases


def test_noun_phrases_grow_by_of_and_by_and() -> None:
    tokens = tagged("the hero of the book, a king and Queen Ann of Brun left")
    first = noun_phrases(tokens)[0]
    assert written(with_attached(tokens, first).of(tokens)) == "the hero of the book"
    assert (
        written(with_coordinated(tokens, with_attached(tokens, first)).of(tokens))
        == "the hero of the book, a king and Queen Ann of Brun"
    )
    assert head_of(tokens[:5]).text == "hero"
    assert not is_plural(tokens[:5])
    assert is_plural(tagged("the ships of the king"))


@pytest.mark.parametrize(
    ("noun", "person"), [("king", True), ("inventor", True), ("writer", True), ("river", False), ("computer", False)]
)
def test_nouns_of_people_are_known_or_made_of_verbs(noun: str, person: bool) -> None:
    assert is_person_noun(noun) is person


@pytest.mark.parametrize(
    ("text", "name", "full"),
    [
        ("The Falmo is an old ship. The ship sank.", "the Falmo", "the ship Falmo"),
        ("Everyone knows the song called Falmo. The song is long.", "Falmo", "the song Falmo"),
        ("They met the painter Falmo. The painter sang.", "Falmo", "the painter Falmo"),
        ("Falmo is a country. Its coast is long.", "Falmo", "Falmo"),  # nobody says "the country" here
        ("They sold Falmo in 1900.", "Falmo", "Falmo"),
    ],
)
def test_what_a_passage_is_about_has_the_name_that_the_passage_gives_it(text: str, name: str, full: str) -> None:
    subject = read_passage("Falmo", text).subject
    assert (written(subject.name), subject.full_name) == (name, full)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("The Falmo is a ship. The ship sank in May.", "the Falmo sank in May"),
        ("The Falmo is a ship. It sank in May.", "the Falmo sank in May"),
        ("The Falmo is a ship. Its flag is red.", "the Falmo's flag is red"),
        ("The Falmo is a ship. Ann Brown built the ship. She was rich.", "Ann Brown was rich"),
        ("Falmo was a king. He was rich.", "Falmo was rich"),
        ("The Falmo is a ship. The year 1300 is when it was built.", "the Falmo was built in the year 1300"),
        ("The Falmo is a ship. The ship of the king sank.", "the ship of the king sank"),
    ],
)
def test_short_references_are_said_by_name_where_that_is_safe(text: str, clause: str) -> None:
    assert read_passage("Falmo", text).clauses[-1].text == clause


def test_what_this_stands_for_is_not_guessed() -> None:
    assert [clause.text for clause in read_passage("Falmo", "Falmo fell. This shocked many.").clauses] == ["Falmo fell"]
