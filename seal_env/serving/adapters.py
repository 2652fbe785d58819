"""Adapters of a vLLM server: loaded under a fresh name, queried, and unloaded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from seal_env.serving.client import Connection
from seal_env.serving.failures import ServerError

LOAD: Final = "/load_lora_adapter"
UNLOAD: Final = "/unload_lora_adapter"
NEEDS: Final = (
    "vLLM loads adapters if it is started with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, --enable-lora and --max-lora-rank (at "
    "least lora_rank), and reads them from the file system that it shares with this process"
)
CANNOT: Final = (400, 403, 404, 405, 422, 501)
"""HTTP statuses of a server that does not load adapters, or not such ones, however often it is asked."""


@asynccontextmanager
async def loaded_adapter(connection: Connection, path: Path) -> AsyncIterator[str]:
    """The name under which to query the adapter at `path` while the block runs.

    Raises:
        ServerError: The server does not load it; names the request.
    """
    name = f"seal-{uuid4().hex}"
    try:
        await connection.post(LOAD, {"lora_name": name, "lora_path": str(path)})
    except ServerError as failed:
        raise ServerError(f"POST {LOAD} failed: {failed.reason}", failed.status) from None
    try:
        yield name
    finally:
        with suppress(ServerError):  # the name will never be queried again
            await connection.post(UNLOAD, {"lora_name": name})
