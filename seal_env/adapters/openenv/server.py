"""The server: an app with sessions, and the process that serves it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from seal_env.adapters.engine import EpisodeEngine, load_runtime
from seal_env.adapters.openenv.messages import MAX_MESSAGE_BYTES, SealAction, SealObservation, SealState
from seal_env.adapters.openenv.session import NAME, SealSession, Shared
from seal_env.adapters.openenv.settings import ServerSettings
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SealError, SettingError, needs_extra
from seal_env.settings import Settings

with needs_extra("openenv"):
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from openenv.core.env_server.http_server import create_fastapi_app
    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocketClose

FOREIGN: Final = "a web page of another site may not use this server"
SHUTDOWN_SECONDS: Final = 5
PONG_SECONDS: Final = 600.0


def make_engine(runtime: Runtime, settings: ServerSettings) -> EpisodeEngine:
    """The engine of a server."""
    return EpisodeEngine(runtime, settings.window, settings.batch, settings.at_once)


def make_app(engine: EpisodeEngine, settings: ServerSettings) -> FastAPI:
    """The app of a server. It must run in one process, on one event loop: sessions share the engine."""
    app: FastAPI = create_fastapi_app(
        partial(SealSession, Shared(engine, settings)),
        SealAction,
        SealObservation,
        max_concurrent_envs=settings.sessions,
        env_name=NAME,
        state_cls=SealState,
    )
    app.add_exception_handler(SealError, _as_response)
    app.add_middleware(SameOrigin, hosts=("localhost", *settings.hosts) if is_local(settings.host) else None)
    return app


class SameOrigin:
    """Refuses what a web page of another site sends from a browser on this machine. Only browsers name an origin.

    A page may come from this server alone. Where only this machine reaches it, it has to be under a name that is known: a
    site can have its own name point to 127.0.0.1 (DNS rebinding), but no address and no name of ours.

    Args:
        app: What answers the others.
        hosts: The names beside addresses; None is any.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app, self._hosts = app, None if hosts is None else frozenset(map(str.lower, hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else {}
        origin = headers.get("origin")
        if origin is None or (_place(origin).netloc == headers.get("host") and self._is_ours(_place(origin).hostname or "")):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(reason=FOREIGN)(scope, receive, send)
        else:
            await JSONResponse({"detail": FOREIGN}, status_code=403)(scope, receive, send)

    def _is_ours(self, name: str) -> bool:
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return bool(name) and (self._hosts is None or name in self._hosts)


def _place(origin: str) -> SplitResult:
    """The parts of an origin; none of one that is no address."""
    try:
        return urlsplit(origin)
    except ValueError:
        return urlsplit("")


def _as_response(_: Request, error: Exception) -> JSONResponse:
    """An error of a request outside a session."""
    return JSONResponse({"detail": str(error)}, status_code=400)


def serve(
    environment: Mapping[str, Any],
    settings: ServerSettings,
    ready: Callable[[str, EpisodeEngine], object] = lambda _address, _engine: None,
) -> None:
    """Load the model, then serve until a signal ends the process.

    Args:
        environment: Settings of the environment.
        settings: Of the server.
        ready: Called with the address and the engine, once connections are taken.

    Raises:
        SettingError: For settings that are not legal, and an address that cannot be bound.
        UnknownTaskError, TaskError, ModelError: For what the settings name.
    """
    checked = Settings.resolve(**environment)
    with _bound(settings) as listening:
        engine = make_engine(load_runtime(checked), settings)
        asyncio.run(_serve(engine, settings, listening, ready))


async def _serve(
    engine: EpisodeEngine, settings: ServerSettings, listening: socket.socket, ready: Callable[[str, EpisodeEngine], object]
) -> None:
    config = uvicorn.Config(
        make_app(engine, settings),
        log_level="warning",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_timeout=PONG_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    host, port = listening.getsockname()[:2]
    async with engine:
        _listen(listening, settings, config.backlog)
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}", engine)
        await uvicorn.Server(config).serve(sockets=[listening])


def _bound(settings: ServerSettings) -> socket.socket:
    """A socket at the server's address. Raises SettingError."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError("host", settings.host, f"an address of this machine ({reason})") from error
    bound = socket.socket(found[0][0], socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(found[0][4])
    except OSError as error:
        bound.close()
        raise _taken(settings, error) from error
    return bound


def _listen(bound: socket.socket, settings: ServerSettings, backlog: int) -> None:
    """Take connections. Raises SettingError: another server may have bound the same port and begun to listen before."""
    try:
        bound.listen(backlog)
    except OSError as error:
        raise _taken(settings, error) from error


def _taken(settings: ServerSettings, error: OSError) -> SettingError:
    return SettingError("port", settings.port, f"one that is free at {settings.host} ({error.strerror})")


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server at this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
