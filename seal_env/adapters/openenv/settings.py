"""Settings of the server."""

from __future__ import annotations

from pydantic import Field

from seal_env.options import Names, Options


class ServerSettings(Options):
    """Settings of `seal-env serve`."""

    host: str = "127.0.0.1"
    """Address to bind. There is no authentication: whoever reaches it can run updates on this machine."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to bind; 0 is any free one, which is printed."""
    hosts: Names = ()
    """Names under which web pages of a server that only this machine reaches may use it, separated by commas, beside
    localhost and addresses: that of a proxy in front of it."""
    sessions: int = Field(64, ge=1)
    """Most sessions at one time; a further one is refused."""
    batch: int = Field(32, ge=1)
    """Most updates that train together."""
    window: float = Field(0.1, ge=0)
    """Seconds that the first update of a batch waits for others."""
    at_once: int = Field(1, ge=1)
    """Batches that run side by side; above 1 where inner_loop=ray spreads them over several workers."""
    step_seconds: float = Field(3000.0, gt=0)
    """Most seconds of a step, waiting included; a step that takes longer ends its episode with engine_error and no reward.
    Clients are told with every reset."""
