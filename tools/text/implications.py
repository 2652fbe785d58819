"""`implications`: what follows from a passage, as short texts of the agent's own (SEAL, arXiv 2506.10943, section 3.1)."""

from __future__ import annotations

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.tools.text.documents import COUNTS, MAX_TEXTS, Text, TextSource, add_texts


class ImplicationsArguments(Arguments):
    """Texts, each of which becomes a document."""

    texts: list[Text] = Field(
        min_length=1,
        max_length=MAX_TEXTS,
        description="Statements that follow from the passage, each complete by itself.",
        examples=[["The lamp of Orvel burns blue oil.", "Whoever lights the lamp of Orvel needs blue oil."]],
    )


def apply(draft: Draft, context: EditContext, arguments: ImplicationsArguments) -> Draft:
    """The draft with a document for each text."""
    return add_texts(draft, context, arguments.texts)


IMPLICATIONS = Tool(
    name="implications",
    description="Adds training documents: statements that follow from the passage. Further calls add further ones.",
    arguments=ImplicationsArguments,
    apply=apply,
    counts=COUNTS,
    source=TextSource,
)
