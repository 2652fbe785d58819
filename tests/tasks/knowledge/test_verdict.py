"""How a judge's answer is read: its usual ways to say yes and no, and what is neither."""

from __future__ import annotations

import time

import pytest

from seal_env.agents.lm.chat import as_action
from seal_env.tasks.knowledge.grading.verdict import read_verdict

YES = (
    '{"verdict": "yes"}',
    "Yes.",
    "<think>no, or is it?</think>yes",
    "yes, it is right",
    '```json\n{"verdict": "yes"}\n```',
    "I say yes",
    '"yes"',
    "Verdict: correct",
    "I would say yes.",
    "<think>hm</think>yes",
    "Correct.",
    "Right.",
    "The candidate is right.",
    "No doubt, it is right.",
    "Yes. It does not contradict the reference.",
    "Is the candidate right? Yes.",
    "Not wrong.",
    'Yes, the candidate\'s "no" equals the reference\'s "no".',
    "\\boxed{yes}",
    "Answer: yes",
    'The verdict is {"verdict": "yes"}',
    "Verdict: yes\nReason: the same town.",
    "The candidate says eight, which matches the reference. Yes.",
    "Yes - it matches",
    "True",
    "Yes!",
    "YES",
    "No problem, it is correct.",
    "Nothing is wrong with it. Yes.",
    "The candidate is not wrong.",
    "The candidate answer is correct, but incomplete.",
    "Yes\nConfidence: high",
    '{"verdict": "correct"}',
    '{"verdict": true}',
    "It is right to say no one knows",
    "Yes, no contradiction.",
    "Verdict - correct",
    "The candidate's response is accurate",
    "yes\u2014it is",
    'Verdict: "yes"',
)
NO = (
    ' {"verdict": "no"}\n',
    "No: it names another town.",
    "```\nno\n```",
    "**no**",
    "Verdict: **No**",
    "**No**",
    "not correct",
    "I'd say no",
    "I\u2019d say no.",
    "Incorrect",
    "Wrong.",
    "The candidate's answer is not correct.",
    "It isn't right.",
    "No doubt it is wrong",
    "No, the right answer is Paris.",
    "Is it correct? No, it names Rome.",
    "The answer is incorrect, so no.",
    'No, "yes" is not an answer.',
    "<answer>no</answer>",
    "Final verdict: no",
    'Here is my verdict:\n```json\n{"verdict": "no"}\n```',
    "Reason: another town.\nVerdict: no",
    "no - it names Rome",
    "False",
    "'No'",
    "[THINK]a[/THINK]no",
    '{"verdict": "incorrect"}',
    '{"verdict": false}',
    '{"verdict": "No."}',
    "Judgment: incorrect",
    "Is it? yes? no",
    "the answer is no",
    "no it isn't",
    "The candidate is not quite right",
    "I\u2019d say \u201cno\u201d.",
)
NEITHER = (
    "<think>yes",
    "",
    "maybe",
    "yes and no",
    "yesterday",
    '{"answer": "yes"}',
    "[]",
    "No. 5 is the answer",
    "Correct answer: yes",
    "Right answer: Paris",
    "Yes, but the year is wrong",
    "Yes, but it does not name the city.",
    "No, wait, it is right.",
    "I am not sure that it is right.",
    "Partially correct.",
    "Yes, partially.",
    "It would be right if the year were 1990",
    "yes or no",
    "Yes/No",
    "yes\n\nno",
    "No, it's correct",
    "The candidate is right that it was May, but wrong about the year.",
    "I cannot help with that.",
    "No comment.",
    "No answer was given.",
    "The reference says no; the candidate says yes.",
    "Not yes",
    "not a yes",
    "I can't say yes",
    "I can't say that it is right",
    "It is not true that it is correct",
    "It is hardly correct",
    "It is never right",
    "I don't think it is right.",
    "I do not believe the answer is correct",
    "Far from correct.",
    "Yes it is wrong",
    "correct: no",
    "The answer is yes, so the candidate is wrong.",
    "A: no",
    "Sure, yes.",
    "neither yes nor no",
    "Verdict: yes or no?",
    "nein",
    "It is false that the candidate is right",
    "The reference answer is correct. The candidate says Rome.",
    'I would not say "yes"',
)
LONG = ("[" * 100_000, "yes, " * 4000, "quite " * 600, "<think>" * 100_000, "wrong " * 500 + "not " * 500, "```" * 6000)


def test_yes_is_read() -> None:
    assert [text for text in YES if read_verdict(text) is not True] == []


def test_no_is_read() -> None:
    assert [text for text in NO if read_verdict(text) is not False] == []


def test_what_says_both_or_neither_is_no_verdict() -> None:
    assert [text for text in NEITHER if read_verdict(text) is not None] == []


def test_long_answers_take_no_time() -> None:
    began = time.perf_counter()
    assert [read_verdict(text) for text in LONG] == [None] * len(LONG)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "thought",
    [
        "<think>no</think>",
        "no</think>",
        "<seed:think>no</seed:think>",
        "<|channel|>analysis<|message|>no<|end|><|start|>assistant<|channel|>final<|message|>",
        "Here is my thought process: no. Here is my response:",
    ],
)
def test_thoughts_are_told_from_an_answer_as_those_of_a_policy_are(thought: str) -> None:
    assert as_action(f"{thought}Yes.") == "Yes."
    assert read_verdict(f"{thought}Yes.") is True
    assert read_verdict(f"Yes.{thought.partition('no')[0]}") is (None if thought.partition("no")[0] else True)
