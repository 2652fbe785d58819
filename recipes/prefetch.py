"""The next steps' data, made while a step is computed, so that a GPU does not wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

DataT = TypeVar("DataT")


def prefetched(make: Callable[[int], DataT], first: int, last: int, depth: int = 4, processes: int = 0) -> Generator[DataT]:
    """`make` of the numbers from `first` to `last` - 1, in order, up to `depth` of them ahead.

    In one thread; or in processes, each `depth` ahead, where `make` must depend on nothing but the number. What `make`
    raises is raised where its number's turn comes. depth 0 makes each when its turn comes, in the calling thread.
    """
    if not depth:
        yield from map(make, range(first, last))
    elif processes:
        yield from _in_processes(make, first, last, depth, processes)
    else:
        yield from _in_a_thread(make, first, last, depth)


def _in_a_thread(make: Callable[[int], DataT], first: int, last: int, depth: int) -> Generator[DataT]:
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


class _Numbers(Dataset["DataT | Exception"]):
    """`make` of the numbers as a dataset of torch. What it raises is data: torch would change the message."""

    def __init__(self, make: Callable[[int], DataT], first: int, last: int) -> None:
        self.make, self.first, self.last = make, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> DataT | Exception:
        try:
            return self.make(self.first + index)
        except Exception as error:
            return error


def as_it_is(data: DataT) -> DataT:
    """The data, not changed."""
    return data


def _in_processes(make: Callable[[int], DataT], first: int, last: int, depth: int, processes: int) -> Generator[DataT]:
    loader: DataLoader[DataT | Exception] = DataLoader(
        _Numbers(make, first, last),
        batch_size=None,
        num_workers=processes,
        prefetch_factor=depth,
        pin_memory=torch.cuda.is_available(),
        collate_fn=as_it_is,
        multiprocessing_context="fork",  # `make` need not be sent; it must not use a GPU
    )
    for made in loader:
        if isinstance(made, Exception):
            raise made
        yield made
