"""The next steps' data, made in threads while a step is computed, so that a GPU does not wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

DataT = TypeVar("DataT")


def prefetched(make: Callable[[int], DataT], first: int, last: int, depth: int = 4) -> Generator[DataT]:
    """`make` of the numbers from `first` to `last` - 1, in order, up to `depth` of them ahead, in one thread.

    What `make` raises is raised where its number's turn comes. depth 0 makes each when its turn comes, without a thread.
    """
    if not depth:
        yield from map(make, range(first, last))
        return
    waiting: deque[Future[DataT]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="step-data") as thread:
        try:
            for number in range(first, last):
                waiting.append(thread.submit(make, number))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
