"""Observations in memory that processes share: what `AsyncVectorEnv(shared_memory=True)` needs to know about texts.

Each environment has room for the longest text of its space, in UTF-8 behind its length in bytes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from ctypes import c_uint8
from typing import Any, Final, overload

from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

from seal_env.envs.spaces import PromptSpace

LENGTH_BYTES: Final = 8
BYTES_PER_CHARACTER: Final = 4


class SharedTexts(Sequence[str]):
    """The texts as they are now, read whenever one is asked for. A deep copy is a tuple of texts.

    Args:
        memory: Of all environments.
        room: Bytes of each.
    """

    def __init__(self, memory: Any, room: int) -> None:
        self._memory, self._room = memoryview(memory).cast("B"), room

    def __len__(self) -> int:
        return len(self._memory) // self._room

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        begin = range(len(self))[index] * self._room
        text = begin + LENGTH_BYTES
        length = int.from_bytes(self._memory[begin:text], "little")
        return bytes(self._memory[text : text + length]).decode()

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)


def _room(space: PromptSpace) -> int:
    return LENGTH_BYTES + BYTES_PER_CHARACTER * space.max_length


@create_shared_memory.register(PromptSpace)
def _create(space: PromptSpace, n: int = 1, ctx: Any = multiprocessing) -> Any:
    return ctx.RawArray(c_uint8, n * _room(space))


@read_from_shared_memory.register(PromptSpace)
def _read(space: PromptSpace, shared_memory: Any, n: int = 1) -> SharedTexts:
    return SharedTexts(shared_memory, _room(space))


@write_to_shared_memory.register(PromptSpace)
def _write(space: PromptSpace, index: int, value: str, shared_memory: Any) -> None:
    """Raises ValueError for a text that is not in the space."""
    if value not in space:
        raise ValueError(f"an observation of {len(value)} characters is not in {space}")
    text, begin = value.encode(), index * _room(space)
    written = len(text).to_bytes(LENGTH_BYTES, "little") + text
    memoryview(shared_memory).cast("B")[begin : begin + len(written)] = written
