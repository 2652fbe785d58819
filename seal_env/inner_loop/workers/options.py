"""How many workers there are, where they run and what each gets. Importing this module imports neither torch nor Ray."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field

from seal_env.errors import SettingError
from seal_env.inner_loop.tokens.arguments import DEFAULT, TemplateArguments
from seal_env.options import Options

RAY: Final = "ray"
"""The inner loop, and the extra."""
LOCAL: Final = "local"
"""The address that starts Ray on this machine."""
EVERY_GPU: Final = "cuda:all"
"""The device that stands for one worker on each GPU of this machine."""
DETERMINISTIC: Final = ", deterministic"
"""Follows an inner loop's name where results are cached: they differ in rounding."""
ADDRESS: Final = re.compile(r"local|auto|(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")


class ActorOptions(Options):
    """What Ray gives each worker. The names are Ray's own."""

    num_cpus: float = Field(1, ge=0)
    """CPU cores; on a CPU torch uses as many threads."""
    num_gpus: float | None = Field(None, ge=0)
    """GPUs, or a share of one; None is one where the device is a GPU."""
    memory: int | None = Field(None, ge=1)
    """Bytes of main memory."""
    accelerator_type: str | None = None
    """Kind of GPU: H100."""
    resources: dict[str, float] = Field(default_factory=dict)
    """Resources of the cluster's own, by name."""
    scheduling_strategy: Literal["DEFAULT", "SPREAD"] = "DEFAULT"
    """SPREAD: as many machines as possible."""
    runtime_env: dict[str, Any] | None = None
    """Environment of the worker's process, such as {"env_vars": {...}}."""

    @property
    def threads(self) -> int:
        """Threads of torch."""
        return max(1, int(self.num_cpus))

    def as_given(self, cpus: float, gpus: float) -> dict[str, Any]:
        """Options of an actor, for which Ray sets aside so many CPU cores and GPUs."""
        given = self.model_dump(exclude_none=True, exclude_defaults=True)
        return given | {"num_cpus": cpus, "num_gpus": gpus}


@dataclass(frozen=True)
class WorkerPlan:
    """Settings of workers; see `seal_env.settings.Settings`.

    Attributes:
        count: How many; None is one for each GPU of the cluster, or as many as its CPU cores are enough for.
        address: `local`, `auto` or host:port.
        options: `ActorOptions`, as a JSON object.
    """

    count: int | None = None
    address: str = LOCAL
    options: str = "{}"

    @property
    def actor(self) -> ActorOptions:
        """What each worker gets. Raises SettingError."""
        return ActorOptions.checked(**json.loads(self.options))

    def check(self, remote: bool, device: str) -> None:
        """Raise SettingError for what is not legal, alone or together.

        Args:
            remote: Whether the inner loop's model is in other processes.
            device: Where it is.
        """
        if not ADDRESS.fullmatch(self.address):
            raise SettingError("ray_address", self.address, f"{LOCAL!r}, 'auto' or host:port")
        _ = self.actor
        given = (("workers", self.count), ("ray_address", self.address), ("worker_options", self.options))
        for (name, value), default in zip(given, (None, LOCAL, "{}"), strict=True):
            if value != default and not remote and device != EVERY_GPU:
                raise SettingError(name, value, f"{default!r}, unless inner_loop={RAY!r} or device={EVERY_GPU!r}")
        if remote and device not in ("auto", "cpu", "cuda", EVERY_GPU):
            legal = f"'auto', 'cpu', 'cuda' or {EVERY_GPU!r} where inner_loop={RAY!r}: Ray chooses the GPUs"
            raise SettingError("device", device, legal)
        if device == EVERY_GPU and self.address != LOCAL:
            raise SettingError("ray_address", self.address, f"{LOCAL!r} where device={EVERY_GPU!r}")


@dataclass(frozen=True)
class WorkerModel:
    """What each worker runs.

    Attributes:
        inner_loop: Registered name of the inner loop in it.
        model: A bundled model, a Hugging Face id or an absolute path.
        device: auto, cpu or cuda.
        template: What the model's chat template is given beside messages.
        deterministic: See `seal_env.settings.Settings`.
        dtype: See `seal_env.settings.Settings`.
        revision: See `seal_env.settings.Settings`.
    """

    inner_loop: str
    model: str
    device: str
    template: TemplateArguments = DEFAULT
    deterministic: bool = False
    dtype: str = "auto"
    revision: str | None = None

    @property
    def engine(self) -> str:
        """What results are cached by; those of workers and of one inner loop on this machine are the same."""
        return self.inner_loop + (DETERMINISTIC if self.deterministic else "")
