"""`rewrite`: the source text in other words (SEAL, arXiv 2506.10943, appendix)."""

from __future__ import annotations

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.tools.text.documents import COUNTS, MAX_TEXTS, Text, TextSource, add_texts


class RewriteArguments(Arguments):
    """Texts, each of which becomes a document."""

    texts: list[Text] = Field(
        min_length=1,
        max_length=MAX_TEXTS,
        description="The whole passage in other words and another order, once or more.",
        examples=[["In Orvel there is a lamp, and what burns in it is blue oil."]],
    )


def apply(draft: Draft, context: EditContext, arguments: RewriteArguments) -> Draft:
    """The draft with a document for each text."""
    return add_texts(draft, context, arguments.texts)


REWRITE = Tool(
    name="rewrite",
    description="Adds training documents: the passage in other words. Further calls add further ones.",
    arguments=RewriteArguments,
    apply=apply,
    counts=COUNTS,
    source=TextSource,
)
