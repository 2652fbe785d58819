"""A vLLM server for tests, which `scripts/vllm_cpu.sh` starts and stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "vllm_cpu.sh"


@dataclass
class VllmServer:
    """A server that `scripts/vllm_cpu.sh` starts, at a port and with a folder of its own."""

    folder: Path
    model: str
    port: int = field(default_factory=lambda: free_port())

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "VLLM_PORT": str(self.port), "VLLM_RUN": str(self.folder)}
        return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)

    def start(self) -> None:
        started = self.script("start", self.model)
        assert started.returncode == 0, started.stderr

    def kill(self) -> None:
        os.killpg(int((self.folder / "pid").read_text()), signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


def served(folder: Path, model: str) -> Iterator[VllmServer]:
    if not (ROOT / ".venv-vllm" / ".installed").exists():
        pytest.skip("vLLM is not installed: scripts/vllm_cpu.sh install")
    server = VllmServer(folder, model)
    try:
        server.start()
        yield server
    finally:
        server.script("stop")
