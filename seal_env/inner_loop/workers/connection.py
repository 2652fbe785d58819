"""The connection of this process to Ray: Ray on this machine, a cluster, or what the process is connected to already."""

from __future__ import annotations

import os
from typing import Any, Final

from seal_env.errors import SettingError, UpdateError, needs_extra
from seal_env.forking import Lock
from seal_env.inner_loop.workers.options import LOCAL, RAY

STORE_BYTES: Final = 200_000_000
"""Of the object store of Ray on this machine. A job takes 4 to 400 kB."""

_TURN = Lock()
_USERS = 0
"""Who uses a connection that was made here."""


def import_ray() -> Any:
    """The module. Raises MissingExtraError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    with needs_extra(RAY):
        import ray
    return ray


def connect(address: str) -> bool:
    """Connect this process to Ray, unless it is connected already.

    Args:
        address: `local` starts Ray on this machine.

    Returns:
        Whether `disconnect` has to be called.

    Raises:
        SettingError: There is no cluster at the address.
        UpdateError: Ray does not start.
        MissingExtraError: Ray is not installed.
    """
    global _USERS
    ray = import_ray()
    with _TURN.held():
        if ray.is_initialized() and not _USERS:
            return False
        if not ray.is_initialized():
            _init(ray, address)
        _USERS += 1
        return True


def disconnect() -> None:
    """End what `connect` began, once everybody has; Ray on this machine ends with all its processes."""
    global _USERS
    with _TURN.held():
        _USERS -= 1
        if not _USERS:
            import_ray().shutdown()


def _init(ray: Any, address: str) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        options |= {"object_store_memory": STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(address=address, **options)
    except Exception as error:  # of several classes
        reason = str(error).strip().split("\n")[0]
        if address == LOCAL:
            raise UpdateError(f"Ray cannot be started: {reason}") from error
        raise SettingError("ray_address", address, f"the address of a Ray cluster that is running ({reason})") from error
