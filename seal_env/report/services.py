"""Where metrics over time go: each service is a class whose objects are runs that were begun or continued there.

To add one: a class here and a line in `SERVICES`. A service is configured as its own documentation says, by environment
variables such as WANDB_MODE and MLFLOW_TRACKING_URI.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from seal_env.errors import SettingError

PROJECT: Final = "seal-env"
Value = str | bool | int | float


@dataclass(frozen=True)
class Begin:
    """What a service is told of a run.

    Attributes:
        folder: The run folder.
        name: Of the run.
        config: Its settings.
        run_id: What the service returned as `TrackedRun.run_id` when the run began; None at the beginning.
    """

    folder: Path
    name: str
    config: Mapping[str, Value]
    run_id: str | None = None


class TrackedRun(Protocol):
    """A run at a service.

    Attributes:
        run_id: What the service knows it by.
    """

    run_id: str

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send the values of a step."""

    def close(self) -> None:
        """The run has ended, or this process has."""


class Wandb:
    """A run of Weights & Biases; its files are in the run folder, unless WANDB_DIR says otherwise."""

    def __init__(self, begin: Begin) -> None:
        import wandb

        # wandb would copy what is printed, and may not: the terminal is redrawn.
        settings = wandb.Settings(console="off", disable_git=True, save_code=False, init_timeout=30)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=begin.name,
            config=dict(begin.config),
            dir=os.environ.get("WANDB_DIR", str(begin.folder)),
            id=begin.run_id,
            resume="allow",
            settings=settings,
        )
        self.run_id = str(self._run.id)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See TrackedRun."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """See TrackedRun."""
        self._run.finish()


class Trackio:
    """A run of trackio, which knows runs by their names."""

    def __init__(self, begin: Begin) -> None:
        import trackio

        self._module: Any = trackio
        self.run_id = begin.run_id or f"{begin.name} {time.strftime('%Y-%m-%d %H:%M:%S')}"
        self._module.init(project=PROJECT, name=self.run_id, config=dict(begin.config), resume="allow")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See TrackedRun."""
        self._module.log(dict(values), step=step)

    def close(self) -> None:
        """See TrackedRun."""
        self._module.finish()


class Mlflow:
    """A run of MLflow."""

    def __init__(self, begin: Begin) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient()
        if begin.run_id is not None:
            self._client.update_run(begin.run_id, status="RUNNING")
            self.run_id = begin.run_id
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        self.run_id = str(self._client.create_run(experiment, run_name=begin.name).info.run_id)
        params = [Param(name, str(value)[:LONGEST]) for name, value in begin.config.items()]
        for start in range(0, len(params), AT_ONCE):
            self._client.log_batch(self.run_id, params=params[start : start + AT_ONCE])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See TrackedRun."""
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        self._client.log_batch(self.run_id, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def close(self) -> None:
        """See TrackedRun."""
        self._client.set_terminated(self.run_id)


LONGEST: Final = 500
"""Characters of a setting that every version of MLflow takes."""
AT_ONCE: Final = 100
"""Settings of one request, as MLflow limits them."""


class TensorBoard:
    """TensorBoard files in the run folder; the settings are the hyperparameters of the run."""

    run_id = ""

    def __init__(self, begin: Begin) -> None:
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._scalar = scalar_pb
        self._writer: Any = EventFileWriter(str(begin.folder / TENSORBOARD))
        if begin.run_id is None:
            self._add(hparams_pb(dict(begin.config), trial_id=begin.name), 0)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See TrackedRun."""
        for name, value in values.items():
            self._add(self._scalar(name, value), step)
        self._writer.flush()

    def close(self) -> None:
        """See TrackedRun."""
        self._writer.close()

    def _add(self, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


TENSORBOARD: Final = "tensorboard"
"""The service that needs no server, and the folder of its files."""
SERVICES: Final[Mapping[str, Callable[[Begin], TrackedRun]]] = {
    TENSORBOARD: TensorBoard,
    "wandb": Wandb,
    "trackio": Trackio,
    "mlflow": Mlflow,
}
INSTALL: Final = {
    TENSORBOARD: "pip install 'seal-env[track]'",
    "wandb": "pip install 'seal-env[wandb]'",
    "trackio": "pip install trackio",
    "mlflow": "pip install 'seal-env[mlflow]'",
}
"""What brings each."""
ADVICE: Final = {
    "wandb": "log in with `wandb login`, or set WANDB_MODE=offline",
    "mlflow": "MLFLOW_TRACKING_URI names the server or a file",
}
"""What may help where a run cannot begin."""


def check_installed(names: Iterable[str]) -> None:
    """Raise SettingError for a service that is not installed. Nothing is imported."""
    for name in names:
        if find_spec(name) is None:
            raise not_installed(name)


def not_installed(name: str) -> SettingError:
    """The error that says how a service is installed."""
    return SettingError("track", name, f"an installed package: {INSTALL[name]}")
