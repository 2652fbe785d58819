"""`benchmarks.proxy_rewards`: its proxies, its statistics, and a run on one passage that is not repeated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.proxy_rewards import ANOTHER, LOWEST, Reader, facts_stated, main, ranked, read, spearman
from seal_env.agents.lm.local.proxies import PROXIES
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.models.catalog import TEXT_MODEL_NAME
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage

NAME = "synthetic-eval-0-100"
REWARDS = [[0.1, 0.2], [0.2, 0.9], [0.3, 0.4]]


def test_a_reply_is_its_documents_none_twice() -> None:
    assert read("It is old.\nQuestion: What?\nAnswer: tin\nIt is old.") == ("It is old.", "Question: What?\nAnswer: tin")
    assert read("<tool_call>") == ()


def test_a_fact_is_stated_by_its_sentences_and_by_its_questions_with_the_right_answer() -> None:
    facts = synthetic_passage(NAME).facts
    question = facts[0].direct()[0]
    asked = (f"Question: {question.question}\nAnswer: {question.answer}", f"Question: {question.question}\nAnswer: no")
    assert [facts_stated(NAME, [text]) for text in asked] == [1 / len(facts), 0]
    assert facts_stated(NAME, [fact.statements()[-1] for fact in facts]) == 1


def test_answers_are_likelier_after_true_texts_and_true_texts_after_the_passage() -> None:
    reader, drawn, other = Reader(load_base_model(TEXT_MODEL_NAME, "cpu")), synthetic_passage(NAME), "synthetic-eval-0-101"
    questions = [(query.question, query.answer) for query in SYNTHETIC[NAME].queries]
    true, foreign = drawn.statements(), synthetic_passage(other).statements()
    assert reader.answers("\n".join([*true, ""]), questions) > reader.answers("\n".join([*foreign, ""]), questions)
    assert (
        reader.texts(drawn.passage.text, true) > reader.texts(drawn.passage.text, foreign) > reader.texts("", ()) == LOWEST
    )


def test_a_correlation_is_the_mean_over_updates_and_not_defined_for_equal_values() -> None:
    assert spearman(np.arange(3.0), np.array(REWARDS)) == pytest.approx((1 + 0.5) / 2)
    assert math.isnan(spearman(np.ones(3), np.array(REWARDS)))
    assert math.isnan(spearman(np.arange(3.0), np.ones((3, 1))))


def test_rewards_are_ranked_by_those_of_the_other_update() -> None:
    found = ranked([{"proxies": {"words": [3, 1, 2]}, "rewards": REWARDS}])
    assert found["words"]["best"] == [pytest.approx(0.15)]
    assert found[ANOTHER] == {"spearman": [pytest.approx(0.5)], "best": [pytest.approx((0.4 + 0.2) / 2)]}


def test_a_passage_is_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--subset", "synthetic-eval:101-101", "--samples", "3", "--max-new-tokens", "64"]
    for said in (1, 0):
        main([*arguments, "--json", str(tmp_path / "found.json")])
        assert capsys.readouterr().out.count("passage   synthetic-eval-0-100") == said
    found = json.loads((tmp_path / "found.json").read_text())
    (record,) = found["records"]
    assert np.shape(record["rewards"]) == (3, 2)
    assert {*PROXIES, ANOTHER} < found["ranked"].keys()
    assert all(len(values) == 3 for values in record["proxies"].values())
