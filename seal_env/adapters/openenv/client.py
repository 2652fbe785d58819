"""The client of a server. It needs no torch and no model."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any, Final

from seal_env.adapters.openenv.messages import SealAction, SealObservation, SealState
from seal_env.errors import SealError, needs_extra
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS

with needs_extra("openenv"):
    from openenv.core import EnvClient
    from openenv.core.client_types import StepResult
    from websockets.protocol import State as SocketState

HOUR: Final = 3600.0
PONG_SECONDS: Final = 600.0
"""A machine that trains may be slow to answer a ping."""


class SessionLostError(SealError, ConnectionError):
    """The session is gone, and the episode with it: the server ended, the connection broke, or a reply came too late."""


class SealClient(EnvClient[SealAction, SealObservation, SealState]):
    """A session of a server: `reset(seed=..., task_id=...)` and `step(SealAction(text=...))`, both to be awaited.

        async with SealClient("http://127.0.0.1:8000") as env:
            result = await env.reset(seed=0)
            result = await env.step(SealAction(text='[{"name": "finetune", "arguments": {}}]'))

    `sync()` gives the same without await. Differs from its base class in that a reply may take an hour, and that a lost
    session is never replaced in silence: `step` and `state` raise SessionLostError, and `reset`, with which another session
    begins, warns.

    Args:
        base_url: Of the server.
        message_timeout_s: Seconds until a reply.
        kwargs: See `openenv.core.EnvClient`.
    """

    def __init__(self, base_url: str | None = None, message_timeout_s: float = HOUR, **kwargs: Any) -> None:
        self._in_session = False
        kwargs.setdefault("websocket_ping_timeout_s", PONG_SECONDS)
        super().__init__(base_url, message_timeout_s=message_timeout_s, **kwargs)

    def _is_connected(self) -> bool:
        alive = self._ws is not None and self._ws.state not in (SocketState.CLOSING, SocketState.CLOSED)
        return alive and self._ws_loop is asyncio.get_running_loop()

    async def _connect_async(self) -> Any:
        connected = await super()._connect_async()
        self._in_session = True
        return connected

    async def _close_async(self) -> None:
        self._in_session = False
        await super()._close_async()

    async def _ensure_connected(self) -> None:
        if self._in_session and not self._is_connected():
            raise SessionLostError(f"the session at {self.base_url} is lost; reset() begins another one")
        await super()._ensure_connected()

    async def _reset_async(self, **kwargs: Any) -> StepResult[SealObservation]:
        if self._in_session and not self._is_connected():
            self._in_session = False
            text = f"the session at {self.base_url} was lost; another one begins, which knows nothing of earlier seeds"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        result = await super()._reset_async(**kwargs)
        longest = result.observation.metadata.get("limits", {}).get("step_seconds", 0.0)
        if longest > self._message_timeout:
            text = f"a step may take {longest:g} seconds here, but this client waits only {self._message_timeout:g}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        return result

    async def _receive(self) -> dict[str, Any]:
        try:
            received: dict[str, Any] = await super()._receive()
        except TimeoutError:
            text = f"no reply from {self.base_url} within message_timeout_s={self._message_timeout:g}; the session is lost"
            raise TimeoutError(text) from None
        return received

    def _step_payload(self, action: SealAction) -> dict[str, Any]:
        return {"text": action.text[: MAX_CHARACTERS + 1]}  # too long stays too long

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[SealObservation]:
        done, reward = bool(payload.get("done", False)), payload.get("reward")
        observation = SealObservation(**payload["observation"], done=done, reward=reward)
        return StepResult(observation=observation, reward=reward, done=done, metadata=observation.metadata)

    def _parse_state(self, payload: dict[str, Any]) -> SealState:
        return SealState(**payload)
