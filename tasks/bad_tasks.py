"""Tasks that files hold in a form that cannot be read: an error that names them all, or left out with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeVar

from seal_env.errors import TaskError
from seal_env.printable import printable

TaskT = TypeVar("TaskT")

BadTasks = Literal["error", "skip"]
"""How malformed tasks are handled: an error, or left out with a warning."""

SHOWN: Final = 10
"""Most malformed tasks whose faults a message describes."""


def read_all(readers: Iterable[Callable[[], TaskT]], where: str, bad_tasks: BadTasks) -> list[TaskT]:
    """What the readers give, in order.

    Args:
        readers: Each reads one file, or one task; may raise TaskError.
        where: The folder or the file that they read.
        bad_tasks: See `BadTasks`.

    Raises:
        TaskError: If a reader raises it, unless it is to be skipped; in any case if all of them do.
    """
    read: list[TaskT] = []
    shown: list[str] = []
    count = 0
    for reader in readers:
        try:
            read.append(reader())
        except TaskError as error:
            count += 1
            if count <= SHOWN:
                shown.append(str(error))
    if not count:
        return read
    if count == 1 and not read:
        raise TaskError(shown[0])
    listed = "\n".join(shown) + (f"\nand {count - SHOWN} more" if count > SHOWN else "")
    if bad_tasks == "error" or not read:
        hint = "" if not read else f"\nbad_tasks='skip' leaves {'it' if count == 1 else 'them'} out"
        raise TaskError(listed + hint)
    warnings.warn(printable(f"{count} of {count + len(read)} tasks of {where} left out:\n{listed}"), stacklevel=2)
    return read


def warn_of_no_questions(titles: list[str], where: str) -> None:
    """Warn of passages that nothing is asked about, or nothing that has an answer: there is no way to score them."""
    if titles:
        shown = ", ".join(map(repr, titles[:SHOWN])) + (", ..." if len(titles) > SHOWN else "")
        what = (
            "passages without a question that has an answer are"
            if len(titles) > 1
            else ("passage without a question that has an answer is")
        )
        warnings.warn(printable(f"{where}: {len(titles)} {what} left out: {shown}"), stacklevel=2)
