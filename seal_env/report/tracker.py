"""Metrics of a run over time: as TensorBoard files, and at other services on request."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rich.console import Console

from seal_env.errors import SettingError
from seal_env.journal import Journal
from seal_env.redaction import redacted, redacted_message
from seal_env.report.services import ADVICE, INSTALL, SERVICES, TENSORBOARD, Begin, TrackedRun, Value, not_installed

RECORD: Final = "tracking.jsonl"
"""What has been tracked, in the run folder: the ids of the run at the services, then the values of each step."""
WANDB: Final = "wandb"
"""Folder of Weights & Biases in the run folder."""
PAUSE: Final = 300.0
"""Seconds until a service that failed is tried again."""
Values = Mapping[str, float]


class Tracker:
    """Tracks a run at TensorBoard, where that is installed, and at other services. Use as a context manager.

    A run that is resumed continues at each service, and a step that was tracked before is not tracked again. A service that
    fails while the run goes on is said once, gets what it missed later if it can, and never stops the run.

    Args:
        folder: The run folder.
        settings: Recorded with the run; the values of tables are named TABLE.FIELD.
        services: Names of `SERVICES`.
        console: Where failures are shown; None shows none.
        lenient: Whether a service may also fail at the beginning, as for a run that is resumed.

    Raises:
        SettingError: For a service that is unknown, not installed, or does not begin the run.
        StorageError: If the record of what was tracked cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        services: Sequence[str] = (),
        console: Console | None = None,
        lenient: bool = False,
    ) -> None:
        self._console = console
        self._journal = Journal(folder / RECORD)
        records = self._journal.read()
        self._known = {
            (name, each["step"]): value for each in records if "step" in each for name, value in each["values"].items()
        }
        ids = {each["service"]: each["run"] for each in records if "service" in each}
        config = _flat(redacted(settings))
        self._links: list[_Link] = []
        for name in dict.fromkeys((TENSORBOARD, *services)):
            begin = Begin(folder, _name(folder), config, ids.get(name))
            run = self._opened(name, begin, optional=name not in services, lenient=lenient)
            if run is not None:
                self._links.append(_Link(name, run))
                if name not in ids:
                    self._journal.append({"service": name, "run": run.run_id})

    def log(self, step: int, values: Values) -> None:
        """Track the values of a step, unless they are tracked already. Raises StorageError if that cannot be recorded."""
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        fresh = {name: value for name, value in finite.items() if self._known.get((name, step)) != value}
        if not fresh:
            return
        self._known |= {(name, step): value for name, value in fresh.items()}
        self._journal.append({"step": step, "values": fresh})
        for link in self._links:
            self._say(link.send(step, fresh))

    def close(self) -> None:
        """Finish the run at each service, for this process."""
        for link in self._links:
            self._say(link.close())

    def _opened(self, name: str, begin: Begin, optional: bool, lenient: bool) -> TrackedRun | None:
        """The run at a service; None if there is none and that may be."""
        if name not in SERVICES:
            raise SettingError("track", name, " or ".join(map(repr, SERVICES)))
        try:
            return SERVICES[name](begin)
        except ImportError as error:
            self._say(f"no curves in TensorBoard: {error} ({INSTALL[name]})" if optional else "")
            if optional:
                return None
            raise not_installed(name) from error
        except Exception as error:
            reason = _reason(error)
            if not lenient and not optional:
                advice = f"; {ADVICE[name]}" if name in ADVICE else ""
                raise SettingError("track", name, f"a service that can be used ({reason}){advice}") from error
            self._say(f"not tracked by {name}: {reason}")
            return None

    def _say(self, problem: str) -> None:
        if problem and self._console is not None:
            self._console.print(f"tracking  {problem}", style="yellow", markup=False, soft_wrap=True)

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Link:
    """A run at a service, and what the service has missed. Whatever a service raises stays here."""

    def __init__(self, name: str, run: TrackedRun) -> None:
        self._name, self._run = name, run
        self._missed: list[tuple[int, Values]] = []
        self._again = 0.0

    def send(self, step: int, values: Values) -> str:
        """Send the values, after those that were missed. Returns what is wrong if that is news, otherwise an empty text."""
        failing = bool(self._missed)
        self._missed.append((step, values))
        if failing and time.monotonic() < self._again:
            return ""
        problem = self._send_missed()
        if problem:
            self._again = time.monotonic() + PAUSE
        return "" if failing or not problem else f"{self._name} fails and is tried again later: {problem}"

    def close(self) -> str:
        """Send what was missed, and finish. Returns what is wrong."""
        lost = self._send_missed()
        try:
            self._run.close()
        except Exception as error:
            lost = lost or _reason(error)
        return f"{self._name} did not get everything: {lost}" if lost else ""

    def _send_missed(self) -> str:
        try:
            while self._missed:
                self._run.log(*self._missed[0])
                del self._missed[0]
        except Exception as error:
            return _reason(error)
        return ""


def _reason(error: Exception) -> str:
    """One line of what a service raised, without secrets."""
    lines = redacted_message(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def _name(folder: Path) -> str:
    """What a run is called at the services: its folder, from the current one if it is inside."""
    whole, here = Path(os.path.abspath(folder)), Path.cwd()
    return whole.relative_to(here).as_posix() if whole != here and whole.is_relative_to(here) else whole.name


def _flat(settings: Mapping[str, Any]) -> dict[str, Value]:
    """Settings as services take them: numbers, switches and texts by name. What is None is left out."""
    found: dict[str, Value] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{field}": inner for field, inner in _flat(value).items()}
        elif value is not None:
            found[name] = value if isinstance(value, str | bool | int | float) else str(value)
    return found
