"""Which of several adapters answers a question: the one whose training documents fit best, by BM25.

All documents of an adapter are one text to BM25. With a text for each, the names that they have in common would count for
little, and the words of a kind of question for much: of 390 questions on 32 passages 80 % found their adapter, not 97 %.
"""

from __future__ import annotations

from collections.abc import Sequence

from seal_env.errors import needs_extra
from seal_env.types import Query


class Retriever:
    """Finds adapters for questions, by the words that they share with the documents.

    Args:
        documents: Of each adapter.

    Raises:
        MissingExtraError: If bm25s is not installed.
    """

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        with needs_extra("retrieval"):
            import bm25s  # type: ignore[import-untyped]
        self._bm25s = bm25s
        self._index = bm25s.BM25()
        self._index.index(self._words(["\n".join(texts) for texts in documents]), show_progress=False)

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        found: list[list[str]] = self._bm25s.tokenize(list(texts), stopwords=None, return_ids=False, show_progress=False)
        return found

    def choose(self, queries: Sequence[Query]) -> list[int | None]:
        """The number of the adapter for each query; None where no document shares a word with it."""
        asked = self._words([text_of(query) for query in queries])
        return [self._best(words) if words else None for words in asked]

    def _best(self, words: list[str]) -> int | None:
        scores = self._index.get_scores(words)
        best = int(scores.argmax())
        return best if scores[best] > 0 else None


def text_of(query: Query) -> str:
    """What a query asks, without the answer."""
    return query.messages[-1].content if query.prompt is None else query.prompt
