"""What seal-tiny-text reads in both stages: rows of tokens made of passages of the train split.

Each batch is a function of (seed, step) alone, so training resumes exactly. Names, pairs of relation and value, and wordings
that are held out never occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recipes.self_texts import LINES, Drawn, Rng, draw_texts, pick, reply
from recipes.step_data import IGNORED, Row
from seal_env.agents.lm.text_styles import style_messages
from seal_env.tasks.knowledge.passage import Question
from seal_env.tasks.knowledge.prompt import question_and_answer, question_text
from seal_env.tasks.knowledge.synthetic.draw import SyntheticPassage, capacity, draw_passage
from seal_env.tasks.knowledge.synthetic.names import name, names
from seal_env.tasks.knowledge.synthetic.vocabulary import KINDS, values_of
from seal_env.types import Document

FIRST_SEED, SEEDS = 1000, 6
"""Passages are drawn with these seeds; the task sets' own seed is 0."""


@dataclass(frozen=True)
class TextStreamSettings:
    """One batch: rows that read, rows that answer a writing prompt, documents, rows that copy a passage or a list.

    questions: of a row that reads, at most. as_asked: they are drawn as the task sets draw them, which ask about each fact
    directly once, and not from all that there are, most of which are indirect.
    """

    reading: int = 5
    replies: int = 4
    documents: int = 6
    copies: int = 0
    lists: int = 0
    questions: int = 10
    as_asked: bool = False
    seed: int = 0


def random_passage(rng: Rng) -> SyntheticPassage:
    """A passage of the train split."""
    return draw_passage("train", FIRST_SEED + int(rng.integers(SEEDS)), int(rng.integers(capacity("train"))))


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def document_row(tokenizer: Any, document: Document) -> Row:
    """A document as the inner loop learns it: all tokens, then EOS; only the first is predicted from nothing."""
    ids = [*_ids(tokenizer, document.rendered), int(tokenizer.eos_token_id)]
    return ids, [IGNORED, *ids[1:]]


def question_row(tokenizer: Any, question: Question) -> Row:
    """A question as the inner loop asks it, with loss on the answer and EOS."""
    prompt = _ids(tokenizer, question_text(question.question))
    ids = [*_ids(tokenizer, question_and_answer(question.question, question.answer)), int(tokenizer.eos_token_id)]
    return ids, [*[IGNORED] * len(prompt), *ids[len(prompt) :]]


def ask(rng: Rng, drawn: SyntheticPassage, count: int, as_asked: bool) -> list[Question]:
    """At most `count` questions in random order; `as_asked`: see TextStreamSettings."""
    asked = drawn.some_questions(rng) if as_asked else drawn.questions()
    return [asked[index] for index in rng.permutation(len(asked))[:count]]


def copying_row(tokenizer: Any, rng: Rng, drawn: SyntheticPassage) -> Row:
    """A passage, then its sentences in another order, which carry the loss: names are copied from what was read."""
    sentences = drawn.passage.text.removesuffix(".").split(". ")
    again = ". ".join(sentences[index] for index in rng.permutation(len(sentences)))
    before = _ids(tokenizer, f"{drawn.passage.title}\n{drawn.passage.text}\n")
    ids = [*before, *_ids(tokenizer, f"{again}.\n")]
    return ids, [*[IGNORED] * len(before), *ids[len(before) :]]


def list_row(tokenizer: Any, rng: Rng) -> Row:
    """Some names and values, the same again, and once more in another order, with loss on all but the first time."""
    items = [_random_value(rng) for _ in range(int(rng.integers(5, 11)))]
    before = _ids(tokenizer, f"{', '.join(items)}\n")
    shuffled = [items[index] for index in rng.permutation(len(items))]
    ids = [*before, *_ids(tokenizer, f"{', '.join(items)}\n{', '.join(shuffled)}\n")]
    return ids, [*[IGNORED] * len(before), *ids[len(before) :]]


def _random_value(rng: Rng) -> str:
    """A name of the train split more often than another value of it."""
    relation = pick(rng, pick(rng, KINDS).relations)
    if relation.named or rng.random() < 0.4:
        return name("train", 0, int(rng.integers(len(names("train")))))
    return pick(rng, values_of(relation, "train"))


def reading_row(tokenizer: Any, drawn: SyntheticPassage, questions: list[Question]) -> Row:
    """A passage, then questions about it, with loss on the answers."""
    ids = _ids(tokenizer, f"{drawn.passage.title}\n{drawn.passage.text}\n")
    labels = [IGNORED] * len(ids)
    for asked in questions:
        prompt = _ids(tokenizer, question_text(asked.question))
        whole = _ids(tokenizer, f"{question_and_answer(asked.question, asked.answer)}\n")
        ids, labels = [*ids, *whole], [*labels, *[IGNORED] * len(prompt), *whole[len(prompt) :]]
    return ids, labels


def reply_row(tokenizer: Any, rng: Rng, drawn: SyntheticPassage) -> Row:
    """A writing prompt of a random style with a reply, which carries the loss."""
    style = pick(rng, tuple(LINES))
    chat = style_messages(style, f"{drawn.passage.title}\n{drawn.passage.text}")
    messages = [{"role": message.role, "content": message.content} for message in chat]
    prompt = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    before = _ids(tokenizer, prompt)
    ids = [*before, *_ids(tokenizer, reply(rng, drawn, style)), int(tokenizer.eos_token_id)]
    return ids, [*[IGNORED] * len(before), *ids[len(before) :]]


def written(drawn: SyntheticPassage, text: Drawn) -> Document:
    """A text as the document that the tools make of it."""
    return Document(drawn.passage.title, text.text)


def some_texts(rng: Rng, drawn: SyntheticPassage, count: int) -> list[Document]:
    """Documents as a self-edit with texts of one random style makes them."""
    return [written(drawn, text) for text in draw_texts(rng, drawn, pick(rng, tuple(LINES)), count)]


def whole_passage(drawn: SyntheticPassage) -> Document:
    """The passage itself as a document."""
    return Document(drawn.passage.title, drawn.passage.text)


def plain_rows(tokenizer: Any, settings: TextStreamSettings, step: int) -> list[Row]:
    """Rows of one step, shortest first."""
    rng = np.random.default_rng([settings.seed, step])
    rows = []
    for _ in range(settings.reading):
        drawn = random_passage(rng)
        rows.append(reading_row(tokenizer, drawn, ask(rng, drawn, settings.questions, settings.as_asked)))
    rows += [reply_row(tokenizer, rng, random_passage(rng)) for _ in range(settings.replies)]
    for _ in range(settings.documents):
        drawn = random_passage(rng)
        document = whole_passage(drawn) if rng.random() < 0.1 else some_texts(rng, drawn, 1)[0]
        rows.append(document_row(tokenizer, document))
    rows += [copying_row(tokenizer, rng, random_passage(rng)) for _ in range(settings.copies)]
    rows += [list_row(tokenizer, rng) for _ in range(settings.lists)]
    return sorted(rows, key=lambda row: len(row[0]))
