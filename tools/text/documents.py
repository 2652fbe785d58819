"""What the tools for texts share: texts that an agent wrote become documents, and are counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import StringConstraints

from seal_env.tools.base import Draft, EditContext
from seal_env.types import Document

MAX_TEXTS = 64
"""Most texts of one call."""
MAX_CHARACTERS = 4000
"""Most characters of one text."""

Text = Annotated[str, StringConstraints(max_length=MAX_CHARACTERS)]

COUNTS = ("texts", "empty", "repeated", "copied")


@runtime_checkable
class TextSource(Protocol):
    """What a domain offers to the tools for texts. Its `render_example` takes a `Document`."""

    def title(self, segment: Any) -> str:
        """The title under which documents about a segment are learned; it may be empty."""
        ...

    def source_text(self, segment: Any) -> str:
        """The text of a segment, by which copies of it are found."""
        ...

    def question_and_answer(self, question: str, answer: str) -> str:
        """A question with its answer, in the words in which the model is queried."""
        ...


def add_texts(draft: Draft, context: EditContext, texts: Iterable[str]) -> Draft:
    """Add a document for each text, in order.

    Empty texts and repeats of earlier ones are left out; a text that occurs word for word in the source is not. Case and
    white space do not matter here.

    Args:
        draft: the draft so far; its candidates are documents.
        context: its domain is a TextSource.
        texts: what the agent wrote.

    Returns:
        The draft with the documents, and with `counts` of all texts and of the empty, the repeated and the copied ones.
    """
    source: TextSource = context.domain
    title, original = source.title(context.segment), _normalised(source.source_text(context.segment))
    counts = {**dict.fromkeys(COUNTS, 0), **draft.counts}
    documents: list[Any] = list(draft.candidates or ())
    known = {_normalised(document.text) for document in documents}
    for text in texts:
        plain = _normalised(text)
        counts["texts"] += 1
        counts["empty"] += not plain
        counts["repeated"] += plain in known
        counts["copied"] += bool(plain) and plain in original
        if plain and plain not in known:
            known.add(plain)
            documents.append(Document(title, text.strip()))
    return replace(draft, candidates=tuple(documents), counts=counts)


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())
