"""A few steps' data as a file: arrays as safetensors, compressed by xz. Nothing in it is ever run.

Each different row is stored once, and mentioned by how long ago it was new (0: now). What is most frequent in the rows (the
cells of grids, say) is parted from the rest, which then repeats more and compresses better: 0.28 instead of 0.37 bytes a
token for plain sequences of seal-tiny.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from recipes.step_data import IGNORED, Row, Start, StepData, UpdateEpisode

FREQUENT = 10
"""Tokens that are parted from the rest."""
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]
Arrays = dict[str, NDArray[Any]]


def pack(steps: Sequence[StepData]) -> bytes:
    """The steps as safetensors, not compressed."""
    table: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    mentions: list[int] = []
    layout = [len(steps)]
    rates: list[float] = []

    def mention(rows: Sequence[Row]) -> None:
        layout.append(len(rows))
        for ids, labels in rows:
            known = len(table)
            place = table.setdefault((tuple(ids), tuple(labels)), known)
            mentions.append(known - place)

    for step in steps:
        mention(step.plain)
        mention(step.self_edits)
        layout.append(len(step.starts))
        for starts in step.starts:
            layout.append(len(starts))
            for start in starts:
                layout += (start.task, start.seed, len(start.episode.batches_S))
                for batch in (*start.episode.batches_S, start.episode.queries):
                    mention(batch)
                rates += start.episode.rates_S
    arrays = _pack_rows(list(table)) | {
        "mentions": _smallest(mentions),
        "layout": np.asarray(layout, dtype=np.int32),
        "rates": np.asarray(rates, dtype=np.float32),
    }
    return save(arrays)


def unpack(data: bytes) -> list[StepData]:
    """The reverse of `pack`."""
    arrays = load(data)
    rows = _unpack_rows(arrays)
    mentioned, layout = iter(_mentioned(rows, arrays["mentions"].tolist())), iter(arrays["layout"].tolist())
    rates = iter(arrays["rates"].tolist())

    def some_rows() -> list[Row]:
        return [next(mentioned) for _ in range(next(layout))]

    def a_start() -> Start:
        task, seed, count = next(layout), next(layout), next(layout)
        batches = [some_rows() for _ in range(count)]
        return Start(task, seed, UpdateEpisode(batches, [next(rates) for _ in range(count)], some_rows()))

    count = next(layout)
    return [
        StepData(some_rows(), some_rows(), [[a_start() for _ in range(next(layout))] for _ in range(next(layout))])
        for _ in range(count)
    ]


def _mentioned(rows: list[Row], mentions: list[int]) -> Iterator[Row]:
    """The rows in the order in which steps read them."""
    known = 0
    for age in mentions:
        yield rows[known - age]
        known += age == 0


def compress(data: bytes) -> bytes:
    """By xz, with its own checksum."""
    return lzma.compress(data, format=lzma.FORMAT_XZ, filters=FILTERS)


def decompress(data: bytes, size: int) -> bytes:
    """The reverse of `compress`; at most `size` bytes."""
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data, max_length=size)


def _smallest(values: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
    """In the smallest unsigned type that holds them."""
    array = np.asarray(values, dtype=np.int64)
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def _pack_rows(rows: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> Arrays:
    ids = np.asarray([token for tokens, _ in rows for token in tokens], dtype=np.int64)
    labels = np.asarray([label for _, labels in rows for label in labels], dtype=np.int64)
    if ((labels != IGNORED) & (labels != ids)).any():
        raise ValueError("a label is neither its token nor IGNORED")
    vocabulary, codes, counts = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ranks = rank[codes]
    return {
        "vocabulary": _smallest(vocabulary[order]),
        "frequent": ranks[ranks < FREQUENT].astype(np.uint8),
        "others": _smallest(np.maximum(ranks - (FREQUENT - 1), 0)),
        "lengths": _smallest([len(tokens) for tokens, _ in rows]),
        "supervised": np.packbits(labels != IGNORED),
    }


def _unpack_rows(arrays: Arrays) -> list[Row]:
    others = arrays["others"].astype(np.int64)
    ranks = others + (FREQUENT - 1)
    ranks[others == 0] = arrays["frequent"]
    ids = arrays["vocabulary"].astype(np.int64)[ranks]
    labels = np.where(np.unpackbits(arrays["supervised"], count=len(ids)).astype(bool), ids, IGNORED)
    ends = np.cumsum(arrays["lengths"], dtype=np.int64)
    return list(_slices(ids.tolist(), labels.tolist(), ends.tolist()))


def _slices(ids: list[int], labels: list[int], ends: list[int]) -> Iterator[Row]:
    for start, end in zip([0, *ends], ends, strict=False):
        yield ids[start:end], labels[start:end]
