"""Which of several adapters answers a question: the one whose training documents fit best, by BM25.

All documents of an adapter are one text to BM25. With a text for each, the names that they have in common would count for
little, and the words of a kind of question for much: of 390 questions on 32 passages 80 % found their adapter, not 97 %.

Words are what scikit-learn's CountVectorizer takes, with the vowel signs of Indic scripts; ICU's dictionaries split scripts
that put no spaces between words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import regex
from icu4py.breakers import WordBreaker

from seal_env.errors import needs_extra
from seal_env.types import Query
from seal_env.unspaced import UNSPACED

_WORD: Final = regex.compile(rf"(?P<unspaced>[{UNSPACED}][{UNSPACED}\p{{M}}]*)|(?:(?![{UNSPACED}])[\w\p{{M}}\p{{N}}]){{2,}}")


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
        self._index = bm25s.BM25()
        self._index.index([[*words("\n".join(texts))] for texts in documents], show_progress=False)

    def choose(self, queries: Sequence[Query]) -> list[int | None]:
        """The number of the adapter for each query; None where no document shares a word with it."""
        asked = [[*words(text_of(query))] for query in queries]
        return [self._best(each) if each else None for each in asked]

    def _best(self, asked: list[str]) -> int | None:
        scores = self._index.get_scores(asked)
        best = int(scores.argmax())
        return best if scores[best] > 0 else None


def words(text: str) -> Iterator[str]:
    """The words of a text, in lower case."""
    for found in _WORD.finditer(text.lower()):
        yield from WordBreaker(found[0], "root") if found["unspaced"] else (found[0],)


def text_of(query: Query) -> str:
    """What a query asks, without the answer."""
    return query.messages[-1].content if query.prompt is None else query.prompt
