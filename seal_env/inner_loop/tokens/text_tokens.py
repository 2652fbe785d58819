"""Text as tokens: a template's markers become special tokens, and the same strings in a message stay text."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from uuid import uuid4

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from seal_env.inner_loop.tokens.rendered import Span


class TextTokenizer:
    """Tokenizes text in which some parts are what somebody wrote.

    Markers are the tokenizer's special tokens, and those of its added tokens that its chat template writes. Where one is in
    a part that somebody wrote, a copy of the tokenizer is used that knows the markers by other names: in the rest of the
    text they are renamed alike, and in that part they are text like any other.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer: Any = tokenizer
        template = str(tokenizer.chat_template or "")
        added = {token.content: (number, token) for number, token in self._tokenizer.added_tokens_decoder.items()}
        self.added: dict[str, int] = {content: number for content, (number, _) in added.items()}
        """Ids of added tokens, by content."""
        self._markers = sorted(
            (text for text, (_, token) in added.items() if text.strip() and (token.special or text in template)),
            key=len,
            reverse=True,
        )
        self._pattern = re.compile("|".join(map(re.escape, self._markers)) or "(?!)")
        unknown = self._tokenizer.unk_token_id  # what any text may become
        self._marker_ids = frozenset(self.added[marker] for marker in self._markers) - {unknown}

    def tokenize(self, text: str, written: Sequence[Span] = ()) -> tuple[list[int], list[Span]]:
        """(ids, character spans) of text.

        Args:
            text: All of it.
            written: The parts that somebody wrote, in order.
        """
        markers = [marker.span() for rest in _between(text, written) for marker in self._pattern.finditer(text, *rest)]
        if [marker.span() for marker in self._pattern.finditer(text)] == markers:
            encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            ids, spans = list(encoded["input_ids"]), [tuple(span) for span in encoded["offset_mapping"]]
            if not self._is_marker_written(text, ids, spans, written):
                return ids, spans
        return self._renamed.tokenize(text, markers)

    def _is_marker_written(self, text: str, ids: Sequence[int], spans: Sequence[Span], written: Sequence[Span]) -> bool:
        """Whether a written part became a marker, since the tokenizer reads "<|END|>" or wide letters as "<|end|>"."""
        return any(
            text[max(start, first) : min(stop, last)].strip()
            for token, (start, stop) in zip(ids, spans, strict=True)
            if token in self._marker_ids
            for first, last in written
        )

    @cached_property
    def _renamed(self) -> _RenamedTokenizer:
        return _RenamedTokenizer.of(self._tokenizer.backend_tokenizer, self._markers, self.added)


class _RenamedTokenizer(NamedTuple):
    """A copy of a tokenizer that knows markers by other names.

    names: The new names, by marker. ids: The original's ids, by the copy's, of added tokens.
    """

    tokenizer: Tokenizer
    names: dict[str, str]
    ids: dict[int, int]

    @classmethod
    def of(cls, original: Tokenizer, markers: Sequence[str], added: dict[str, int]) -> _RenamedTokenizer:
        secret = uuid4().hex  # so that nobody can write these names
        names = {marker: f"<{secret}-{number}>" for number, marker in enumerate(markers)}
        data = json.loads(original.to_str())
        for token in data["added_tokens"]:
            token["content"] = names.get(token["content"], token["content"])
        model = data["model"]
        if isinstance(model["vocab"], dict):
            model["vocab"] = {names.get(piece, piece): number for piece, number in model["vocab"].items()}
        else:
            model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
        if "unk_token" in model:
            model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
        if "merges" in model:
            model["merges"] = [merge for merge in model["merges"] if names.keys().isdisjoint(_pieces(merge))]
        copy = Tokenizer.from_str(json.dumps(data))
        copy.no_truncation()
        copy.no_padding()
        known = {content: copy.token_to_id(names.get(content, content)) for content in added}
        return cls(copy, names, {number: added[content] for content, number in known.items() if number is not None})

    def tokenize(self, text: str, markers: Sequence[Span]) -> tuple[list[int], list[Span]]:
        """(ids, character spans) of text with special tokens at `markers` and nowhere else."""
        parts, done, length = list[str](), 0, 0
        starts, shifts, ends = [0], [0], list[int]()  # of stretches between markers: in the renamed text, to the text
        for start, end in markers:
            parts += [text[done:start], self.names[text[start:end]]]
            length += start - done + len(parts[-1])
            done = end
            starts.append(length)
            shifts.append(end - length)
            ends.append(start)
        encoded = self.tokenizer.encode("".join([*parts, text[done:]]), add_special_tokens=False)
        ends.append(len(text))

        def original(position: int) -> int:
            index = bisect_right(starts, position) - 1
            return min(position + shifts[index], ends[index])

        spans = [(original(start), original(end)) for start, end in encoded.offsets]
        return [self.ids.get(token, token) for token in encoded.ids], spans


def _between(text: str, written: Sequence[Span]) -> Iterator[Span]:
    """The parts of a text that nobody wrote."""
    done = 0
    for start, end in written:
        yield done, start
        done = end
    yield done, len(text)


def _pieces(merge: Any) -> set[str]:
    """The two pieces of a merge, and what they become."""
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return {left, right, left + right}
