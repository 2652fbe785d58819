"""`relations`: how things that a passage names are related (as EntiGraph does, arXiv 2409.07431)."""

from __future__ import annotations

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.tools.text.documents import COUNTS, MAX_TEXTS, Text, TextSource, add_texts


class Relation(Arguments):
    """Two or three things and what is between them."""

    entities: list[Text] = Field(
        min_length=2,
        max_length=3,
        description="Two or three things that the passage names.",
        examples=[["Orvel", "blue oil"]],
    )
    text: Text = Field(
        description="What the passage says, or implies, about how they are related.",
        examples=["Orvel uses blue oil for its lamp."],
    )


class RelationsArguments(Arguments):
    """Relations, each of which becomes a document."""

    relations: list[Relation] = Field(
        min_length=1,
        max_length=MAX_TEXTS,
        description="Relations between things that the passage names.",
    )


def apply(draft: Draft, context: EditContext, arguments: RelationsArguments) -> Draft:
    """The draft with a document for each relation: what is related in its first line, then the text."""
    return add_texts(draft, context, map(_written, arguments.relations))


def _written(relation: Relation) -> str:
    names, text = ", ".join(filter(None, map(str.strip, relation.entities))), relation.text.strip()
    return f"{names}: {text}" if text else ""


RELATIONS = Tool(
    name="relations",
    description="Adds training documents: how things in the passage are related. Further calls add further ones.",
    arguments=RelationsArguments,
    apply=apply,
    counts=COUNTS,
    source=TextSource,
)
