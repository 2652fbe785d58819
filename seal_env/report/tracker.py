"""Metrics of a run over time: as TensorBoard files, and at Weights & Biases or trackio on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from seal_env.errors import SettingError, needs_extra

SERVICES = ("wandb", "trackio")
PROJECT = "seal-env"


class Tracker:
    """Writes scalars to FOLDER/tensorboard and to other services.

    Args:
        folder: The run folder; its name is the run's name at the services.
        settings: Recorded with the run by the services.
        services: Names of `SERVICES`, which must be installed.

    Raises:
        SettingError: For a service that is unknown or not installed.
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], services: Sequence[str] = ()) -> None:
        with needs_extra("track"):
            from tensorboard.summary import Writer

        self._services = [_service(name) for name in services]
        self._writer = Writer(str(folder / "tensorboard"))
        for service in self._services:
            service.init(project=PROJECT, name=folder.name, config=dict(settings))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add the values of one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
        for service in self._services:
            service.log(dict(values), step=step)

    def close(self) -> None:
        """Close the file and finish the run at each service."""
        self._writer.close()
        for service in self._services:
            service.finish()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _service(name: str) -> Any:
    if name not in SERVICES:
        raise SettingError("track", name, " or ".join(map(repr, SERVICES)))
    try:
        return import_module(name)
    except ImportError as error:
        raise SettingError("track", name, f"an installed package: pip install {name}") from error
