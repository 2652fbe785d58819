"""Every error that seal-env raises on purpose: one class per boundary, each also the standard error it replaces.

The agent's mistakes are not here: they are outcomes (`seal_env.types.Outcome`). These are for the person at the keyboard.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seal_env.printable import printable
from seal_env.redaction import redacted_message


class SealError(Exception):
    """Base class of every error raised on purpose by seal-env. Its message suits any terminal and has no secrets."""

    def __init__(self, *about: object) -> None:
        super().__init__(*(redacted_message(each) if isinstance(each, str) else each for each in about))

    def __str__(self) -> str:
        return printable(redacted_message(self._message()))

    def _message(self) -> str:
        return super().__str__()


MAX_VALUE = 1000
"""Most characters of a value in a message."""


class SettingError(SealError, ValueError):
    """A setting is not legal: names the field, the value, and what would be legal."""

    def __init__(self, field: str, *value_and_legal: object) -> None:
        """SettingError(field, value, what is legal). One argument alone is the whole message: Gymnasium re-raises so."""
        super().__init__(field, *value_and_legal)

    def _message(self) -> str:
        if len(self.args) == 3:
            value = repr(self.args[1])
            shown = value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 3]}..."
            return f"{self.args[0]}={shown} is not legal; expected {self.args[2]}"
        return str(self.args[0])


class TaskError(SealError, ValueError):
    """A task file or a task is malformed: names where and why."""


class UnknownTaskError(SealError, KeyError):
    """No such task or task set: names it and what there is."""

    def _message(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class ModelError(SealError, OSError):
    """A model or its tokenizer cannot be loaded or cannot be used."""


class UpdateError(SealError, RuntimeError):
    """An infrastructure failure in a weight update that cannot be skipped, such as a policy's own."""


class PolicyError(SealError, ConnectionError):
    """A policy gives no action: its server is dead, slow or not the right one. Never a reward."""


class RunFolderError(SealError, FileExistsError):
    """The run folder is of another run, is in use by another process, or cannot be read; runs are never overwritten."""


class StorageError(SealError, OSError):
    """A file cannot be written: names it and the reason (the disk is full or read-only, a quota is used up)."""


class GraderError(SealError, ConnectionError):
    """Whether an answer is right cannot be found out: the judge's server is dead, slow or says neither yes nor no."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """A context for imports of packages that an extra of seal-env brings.

    with needs_extra("render"):
        from PIL import Image

    Raises:
        MissingExtraError: A package that is imported inside is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package == "seal_env":
            raise
        raise MissingExtraError(package, extra) from error


class MissingExtraError(SealError, ImportError):
    """A package that an extra of seal-env brings is not installed: names the package and the extra."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)

    def _message(self) -> str:
        return f"{self.args[0]} is not installed: pip install 'seal-env[{self.args[1]}]'"
