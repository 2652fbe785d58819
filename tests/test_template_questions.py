"""What the rules ask about a clause, and in which other words they say it."""

from __future__ import annotations

import pytest

from seal_env.agents.grammar.clause import Clause
from seal_env.agents.grammar.passage_reader import Subject, read_passage
from seal_env.agents.grammar.question_rules import questions
from seal_env.agents.grammar.statement_rules import rewordings
from seal_env.agents.template import passage_texts


def read(sentence: str, title: str = "Falmo") -> tuple[Clause, Subject]:
    reading = read_passage(title, sentence)
    return reading.clauses[0], reading.subject


def asked(sentence: str, title: str = "Falmo") -> dict[str, str]:
    return {each.question: each.answer for each in questions(*read(sentence, title))}


def pairs(text: str, title: str = "Falmo") -> dict[str, str]:
    return dict(passage_texts(title, text).pairs)


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        # subjects
        ("Ann Brown founded the school.", "Who founded the school?", "Ann Brown"),
        ("The storm sank nine boats.", "What sank nine boats?", "the storm"),
        ("Two rivers meet here.", "How many rivers meet here?", "two"),
        ("Just under 540,800 students live in the town.", "How many students live in the town?", "540,800"),
        ("Over 61 per cent of voters were men.", "What percentage of voters were men?", "61 per cent"),
        ("The machine Zadok was sold in 1900.", "Which machine was sold in 1900?", "Zadok"),
        # objects
        ("Ann Brown founded the school.", "What did Ann Brown found?", "the school"),
        ("The club has nine old members.", "How many old members does the club have?", "nine"),
        ("Cells have a double membrane.", "What kind of membrane do cells have?", "double"),
        ("The flag has a red colour.", "What colour does the flag have?", "red"),
        ("Khan ordered Subutai and Jebe to hunt.", "What did Khan order to hunt?", "Subutai and Jebe"),
        ("The firm uses steam to cut wood.", "What does the firm use steam to do?", "cut wood"),
        ("The law means that a delay costs money.", "What does the law mean?", "that a delay costs money"),
        # what something is
        ("The owner of the club is Ann Brown.", "Who is the owner of the club?", "Ann Brown"),
        ("Ann Brown is the owner of the club.", "Who is the owner of the club?", "Ann Brown"),
        ("The purpose of the engine is to lift stones.", "What is the purpose of the engine?", "to lift stones"),
        ("The wall is dark red in colour.", "What colour is the wall?", "dark red"),
        ("The wall is 9 metres high.", "How high is the wall?", "9 metres"),
        ("The number of pages in the book is 218.", "How many pages are there in the book?", "218"),
        ("There is a black goat on the flag.", "What is on the flag?", "a black goat"),
        ("There are 84 rooms in the tower.", "How many rooms are there in the tower?", "84"),
        ("Kenya is a member of the union.", "What is Kenya a member of?", "the union"),
        # times and places
        ("The school was founded in 1857.", "When was the school founded?", "1857"),
        ("The school was founded in the year 1857.", "When was the school founded?", "1857"),
        ("The school was founded in 1857.", "In which year was the school founded?", "1857"),
        ("The war began on May 18, 1756.", "On which day did the war begin?", "May 18, 1756"),
        ("The law held until 1949.", "Until when did the law hold?", "1949"),
        ("The play lasts for 90 minutes.", "How long does the play last?", "90 minutes"),
        ("The ship sails from the port of Brun.", "Where does the ship sail from?", "the port of Brun"),
        ("The ship sails from the port of Brun.", "From which port does the ship sail?", "Brun"),
        ("The bridge stands on the river Gako.", "On which river does the bridge stand?", "Gako"),
        # after prepositions
        ("The song was written by Ann Brown.", "By whom was the song written?", "Ann Brown"),
        ("The song was written by Ann Brown.", "Who was the song written by?", "Ann Brown"),
        ("The oil helps against stiff knees.", "Against what does the oil help?", "stiff knees"),
        ("Noble bought the network for $8 million.", "For how much did Noble buy the network?", "$8 million"),
        ("Eggs are released via pores.", "How are eggs released?", "via pores"),
        ("The bridge closed because the river rose.", "Why did the bridge close?", "because the river rose"),
        ("Disney said that it would close ABC1.", "Disney said that it would close what?", "ABC1"),
    ],
)
def test_a_part_of_a_clause_is_asked_for(sentence: str, question: str, answer: str) -> None:
    assert asked(sentence)[question] == answer


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("People like the song.", "Who likes the song?"),
        ("The weight is 9 pounds.", "What is 9 pounds?"),
        ("The colour of the flag is red.", "What is red?"),
        ("The priest gave it a name.", "What did the priest give a name?"),
        ("Prices rose from 1959 to 1973.", "When did prices rise from 1959?"),
    ],
)
def test_what_would_make_no_sense_is_not_asked(sentence: str, question: str) -> None:
    assert question not in asked(sentence)


def test_the_name_of_the_passage_is_asked_for_by_its_kind() -> None:
    text = "The Falmo is an old ship. The ship costs 90 coins. Ann Brown built the ship. The flag of the ship is red."
    found = pairs(text)
    assert found["Which ship costs 90 coins?"] == "Falmo"
    assert found["Which ship did Ann Brown build?"] == "Falmo"
    assert found["The flag of which ship is red?"] == "Falmo"
    assert found["How many coins does the ship Falmo cost?"] == "90 coins"
    assert "Which ship is an old ship?" not in found


def test_one_fact_describes_what_another_is_asked_of() -> None:
    found = pairs(
        "The Falmo is an old ship. The ship costs 90 coins. Ann Brown built the ship. The owner of the ship is Brun."
    )
    assert found["Who built the ship whose owner is Brun?"] == "Ann Brown"
    assert found["How many coins does the ship that Ann Brown built cost?"] == "90 coins"
    assert not any("90 coins cost" in question for question in found)


def test_a_question_with_two_answers_is_not_asked() -> None:
    found = pairs("The Falmo is an old ship. The ship has a red sail. The ship has a blue flag.")
    assert "What does the ship Falmo have?" not in found
    assert found["What kind of sail does the ship Falmo have?"] == "red"


def test_every_answer_comes_before_one_comes_again() -> None:
    texts = passage_texts(
        "Falmo", "The Falmo is an old ship. Ann Brown built the ship in 1300. The owner of the ship is Brun."
    )
    answers = [answer.casefold() for _, answer in texts.pairs]
    first = answers[: len(set(answers))]
    assert {"ann brown", "1300", "brun", "falmo"} <= set(first[:8])


@pytest.mark.parametrize(
    ("sentence", "other"),
    [
        ("Ann Brown founded the school in 1857.", "the school was founded by Ann Brown in 1857"),
        ("The school was founded by Ann Brown in 1857.", "Ann Brown founded the school in 1857"),
        ("Ann Brown founded the school.", "the founder of the school was Ann Brown"),
        ("The founder of the school was Ann Brown.", "Ann Brown founded the school"),
        ("The rival of the club is Brun.", "Brun is the rival of the club"),
        ("Brun is the rival of the club.", "the rival of the club is Brun"),
        ("The flag has a dark red colour.", "the colour of the flag is dark red"),
        ("The wall is dark red in colour.", "the colour of the wall is dark red"),
        ("The ship costs 90 coins.", "the price of the ship is 90 coins"),
        ("The weight of the ship is 90 tons.", "the ship weighs 90 tons"),
        ("There are 84 rooms in the tower.", "the tower has 84 rooms"),
        ("The number of rooms in the tower is 84.", "the tower has 84 rooms"),
    ],
)
def test_a_fact_is_said_in_other_words(sentence: str, other: str) -> None:
    assert other in [each.text for each in rewordings(*read(sentence))]


@pytest.mark.parametrize(
    "sentence", ["The law became a burden.", "It rained.", "The priest has a house.", "The army arrived in May."]
)
def test_what_has_no_passive_is_left_as_it_is(sentence: str) -> None:
    assert not rewordings(*read(sentence))
