"""A server of OpenEnv's protocol in a thread of the test process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from seal_env.adapters.openenv.messages import MAX_MESSAGE_BYTES
from seal_env.adapters.openenv.server import make_app, make_engine
from seal_env.adapters.openenv.settings import ServerSettings
from seal_env.episodes.runtime import Runtime


@contextmanager
def serving(runtime: Runtime, settings: ServerSettings | None = None) -> Iterator[str]:
    """The address of a server that runs as long as the context."""
    used = settings or ServerSettings()
    server: uvicorn.Server | None = None
    started = threading.Event()

    async def run() -> None:
        nonlocal server
        async with make_engine(runtime, used) as engine:
            app = make_app(engine, used)
            config = uvicorn.Config(app, log_level="error", ws_max_size=MAX_MESSAGE_BYTES, timeout_graceful_shutdown=1)
            server = uvicorn.Server(config)
            started.set()
            await server.serve(sockets=[bound])

    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        thread.start()
        assert started.wait(30)
        assert server is not None
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
