"""Work on fixed tensors, recorded as a CUDA graph when it recurs: a GPU then starts all of its kernels with one call.

Small passes take longer to start, kernel by kernel, than to compute. On a CPU, or where recording fails, the same work runs
as it is.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from seal_env.inner_loop.model.devices import is_nvidia

AnyT = TypeVar("AnyT")

PLAIN_RUNS = 2
"""How often work runs as it is before it is recorded. Recording takes about as long as two or three runs."""

WAITS = "called a synchronizing"
"""In torch's warnings of work that waits for the GPU, which cannot be recorded."""

MOST_GRAPHS = 48
"""Limit on the graphs of a recorder; further work runs as it is."""


class GraphUser(Protocol):
    """Whose work is recorded.

    Attributes:
        graphs: True while graphs are wanted. A recording that fails sets it to False.
        stream: Where its work is recorded, see `recording_stream`.
    """

    graphs: bool
    stream: torch.cuda.Stream | None


def recording_stream(device: torch.device) -> torch.cuda.Stream | None:
    """A new stream beside the one on which the process works; None if the device records no graphs."""
    return torch.cuda.Stream(device) if is_nvidia(device) else None


@dataclass
class Recorded:
    """Work that may recur.

    Attributes:
        work: It reads `inputs` and returns a tensor; it must not depend on anything on the host that changes.
        inputs: The tensors that it reads.
        runs: How often it has run.
        graph: Its recording, which has `replay()`; None until there is one.
        output: What the recording writes.
    """

    work: Callable[[], torch.Tensor]
    inputs: Sequence[torch.Tensor]
    runs: int = 0
    graph: Any = None
    output: torch.Tensor | None = None


class Recorder:
    """Runs work and records what recurs. All recordings share memory, so one runs at a time."""

    def __init__(self, user: GraphUser, device: torch.device) -> None:
        """Nothing is recorded yet. user: whose work it is; device: where it runs."""
        self._user, self._device = user, device
        self._known: dict[Hashable, Recorded] = {}
        self._stream = user.stream
        self._last: Any = None  # holds the memory that recordings share

    @property
    def recorded(self) -> bool:
        """True if something has been recorded."""
        return self._last is not None

    def knows(self, key: Hashable) -> bool:
        """True if work with this key may be recorded, or is."""
        return self._user.graphs and (key in self._known or len(self._known) < MOST_GRAPHS)

    def run(self, key: Hashable, work: Callable[[], torch.Tensor], inputs: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Do the work, or what was recorded under the same key with these inputs.

        Args:
            key: Equal keys stand for equal work on inputs of equal shapes.
            work: Reads the inputs and returns a tensor.
            inputs: Of a new key, they are kept, and later ones are copied into them.

        Returns:
            What the work returns, in memory that no later run overwrites.
        """
        if key not in self._known:
            self._known[key] = Recorded(work, inputs)
        else:
            for mine, given in zip(self._known[key].inputs, inputs, strict=True):
                mine.copy_(given)
        known = self._known[key]
        known.runs += 1
        if known.graph is None and known.runs == PLAIN_RUNS:
            return self._check(known.work)
        if known.graph is None and known.runs > PLAIN_RUNS and self._user.graphs:
            self._record(known)
        if known.graph is None:
            return self._aside(known.work)
        known.graph.replay()
        assert known.output is not None
        return known.output.clone()

    def forget(self, key: Hashable) -> None:
        """Drop what is known under a key."""
        self._known.pop(key, None)

    def _record(self, known: Recorded) -> None:
        """Record work. After one that fails, torch's generator is unusable until another has succeeded."""
        try:
            known.graph, known.output = self._aside(lambda: record(known.work, self._last))
            self._last = known.graph
        except Exception as error:  # torch and the model's code raise all kinds; nothing has run yet
            reason = f"recording failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        else:
            return
        if self._stream is not None:
            with suppress(RuntimeError):
                self._aside(lambda: record(lambda: torch.zeros(1, device=self._device), None))
        self._give_up(reason)

    def _check(self, work: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Do the work and see whether it can be recorded."""
        if self._stream is None:
            return work()
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                output = self._aside(work)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        if found := [str(warning.message) for warning in caught if WAITS in str(warning.message)]:
            self._give_up(f"the model waits for the GPU ({found[0]})")
        return output

    def _give_up(self, reason: str) -> None:
        self._user.graphs = False
        warnings.warn(f"CUDA graphs are off: {reason}", RuntimeWarning, stacklevel=2)

    def _aside(self, work: Callable[[], AnyT]) -> AnyT:
        """Work on a stream of its own, as recording wants it, after all work so far and before all that follows."""
        if self._stream is None:
            return work()
        main = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(main)
        try:
            with torch.cuda.stream(self._stream):
                return work()
        finally:
            main.wait_stream(self._stream)


def record(work: Callable[[], torch.Tensor], last: Any) -> tuple[Any, torch.Tensor]:
    """Record work on the current stream without doing it.

    Args:
        work: See `Recorder.run`.
        last: A recording whose memory is used again; None takes new memory.

    Returns:
        The recording, and the tensor that its replay writes.

    Raises:
        RuntimeError: The work waits for the GPU, or memory ran out.
    """
    graph = torch.cuda.CUDAGraph()
    collecting = gc.isenabled()
    gc.disable()  # to free a graph or an event while another is being recorded is an error
    try:
        # Other threads may go on to use the GPU.
        graph.capture_begin(pool=None if last is None else last.pool(), capture_error_mode="thread_local")
        try:
            output = work()
        except BaseException:
            with suppress(RuntimeError):  # the recording is void
                graph.capture_end()
            raise
        graph.capture_end()
    finally:
        if collecting:
            gc.enable()
    return graph, output
