"""`self_qa`: questions about a passage with their answers (SEAL, arXiv 2506.10943, appendix)."""

from __future__ import annotations

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.tools.text.documents import COUNTS, MAX_TEXTS, Text, TextSource, add_texts


class QuestionAndAnswer(Arguments):
    """A question and its answer."""

    question: Text = Field(
        description="A question that the passage answers, to be understood without it.",
        examples=["What burns in the lamp of Orvel?"],
    )
    answer: Text = Field(description="Its answer, in few words.", examples=["blue oil"])


class SelfQaArguments(Arguments):
    """Pairs, each of which becomes a document."""

    pairs: list[QuestionAndAnswer] = Field(
        min_length=1,
        max_length=MAX_TEXTS,
        description="Questions with their answers, about all that the passage says.",
    )


def apply(draft: Draft, context: EditContext, arguments: SelfQaArguments) -> Draft:
    """The draft with a document for each pair, rendered as the queries of the evaluation are; half a pair is empty."""
    source: TextSource = context.domain
    pairs = ((pair.question.strip(), pair.answer.strip()) for pair in arguments.pairs)
    return add_texts(draft, context, (source.question_and_answer(*pair) if all(pair) else "" for pair in pairs))


SELF_QA = Tool(
    name="self_qa",
    description="Adds training documents: questions about the passage and their answers. Further calls add further ones.",
    arguments=SelfQaArguments,
    apply=apply,
    counts=COUNTS,
    source=TextSource,
)
