"""What the tools for knowledge have in common: texts that an agent wrote become documents, and are counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from pydantic import StringConstraints

from seal_env.tasks.knowledge.document import Document, normalised
from seal_env.tasks.knowledge.passage import Passage
from seal_env.tools.base import Draft, EditContext

MAX_TEXTS = 64
"""Most texts of one call."""
MAX_CHARACTERS = 4000
"""Most characters of one text."""

Text = Annotated[str, StringConstraints(max_length=MAX_CHARACTERS)]

COUNTS = ("texts", "empty", "repeated", "copied")


def add_texts(draft: Draft, context: EditContext, texts: Iterable[str]) -> Draft:
    """The draft with a document more for each text, in order. `context.task_context`: the passage.

    Empty texts and repeats of earlier ones are left out. A text that the passage holds word for word is kept. All are
    counted, in `draft.counts`: texts, and of them empty, repeated and copied ones.
    """
    passage: Passage = context.task_context
    counts = {**dict.fromkeys(COUNTS, 0), **draft.counts}
    documents: list[Any] = list(draft.candidates or ())
    known, source = {normalised(document.text) for document in documents}, normalised(passage.text)
    for text in texts:
        plain = normalised(text)
        counts["texts"] += 1
        counts["empty"] += not plain
        counts["repeated"] += plain in known
        counts["copied"] += bool(plain) and plain in source
        if plain and plain not in known:
            known.add(plain)
            documents.append(Document(passage.title, text.strip()))
    return replace(draft, candidates=tuple(documents), counts=counts)
