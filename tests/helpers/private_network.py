"""A command in a network of its own, which has nothing but the loopback device, and among processes of its own.

Ray listens on the machine's address whatever it is told, and its processes outlive a test that fails. Here nobody else can
reach them, and all of them end with the command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

LEFT = "processes left: "
INSIDE = "SEAL_ENV_TEST_NETWORK"
ROOT = Path(__file__).parents[2]


def run_private(*command: str, cwd: Path = ROOT, timeout: float = 540) -> subprocess.CompletedProcess[str]:
    """Run a command; the last line of its output says which processes it left behind. Skips where this is not allowed."""
    inside = [sys.executable, "-m", "tests.helpers.private_network", *command]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*unshare(), *inside], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=timeout
    )


def is_private(node: str) -> bool:
    """Whether this process is in such a network. If not, the test with this id runs in one, and has to pass there."""
    if INSIDE in os.environ:
        return True
    done = run_private(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", node)
    assert done.returncode == 0, done.stdout
    return False


def unshare() -> list[str]:
    """The command in front. Skips where there is none, or where it is not allowed."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip, so that Ray listens on a network of its own")
    command = ["unshare", *(["-r"] if os.getuid() else []), "-n", "-p", "-f", "--mount-proc"]
    tried = subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a network of its own is not allowed here: {tried.stderr.strip()}")
    return command


def left() -> list[str]:
    """Names of the processes beside this one, those that are dead already aside."""
    others = (each for each in psutil.process_iter(["name", "status"]) if each.pid != os.getpid())
    return [str(each.info["name"]) for each in others if each.info["status"] != psutil.STATUS_ZOMBIE]


def main() -> None:
    """Run inside: the device, the command, and a look at what is left: Ray takes some seconds."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    code = subprocess.run(sys.argv[1:], check=False, env=os.environ | {INSIDE: "1"}).returncode
    end = time.monotonic() + 20
    while left() and time.monotonic() < end:
        time.sleep(0.1)
    print(f"{LEFT}{', '.join(left()) or 'none'}", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
