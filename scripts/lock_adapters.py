"""Write lock/openenv.txt and lock/verifiers.txt anew: what these extras need beside lock/constraints.txt.

    python scripts/lock_adapters.py [NAME ...]

`make lock-adapters` runs it. The packages of CONFLICTS are pinned there to other releases than the rest of the project has,
so these locks are installed into folders of their own (.venv-openenv, .venv-verifiers), which come first on PYTHONPATH.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
CONFLICTS: Final = {"openenv": ("pillow",), "verifiers": ("openai",)}
"""By extra: packages of which it wants an older release."""


def pins(text: str) -> dict[str, str]:
    """The version of each package in a lock."""
    lines = (line.split(";")[0].strip() for line in text.splitlines() if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def lock(extra: str) -> str:
    """The lock of an extra and of the tests beside it, less what lock/constraints.txt pins alike."""
    shared = pins((ROOT / "lock" / "constraints.txt").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        kept = [f"{name}=={version}" for name, version in shared.items() if name not in {"torch", *CONFLICTS[extra]}]
        constraints.write_text("\n".join(kept), encoding="utf-8")
        options = [
            "--quiet",
            "--python-version",
            "3.11",
            "--no-annotate",
            "--no-header",
            "--extra",
            "test",
            "--extra",
            extra,
        ]
        command = ["uv", "pip", "compile", *options, "--override", "lock/no-torch.txt", "-c", str(constraints)]
        done = subprocess.run([*command, "pyproject.toml"], capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr)
    found = pins(done.stdout)
    return "".join(f"{name}=={version}\n" for name, version in found.items() if shared.get(name) != version)


def main(extras: Sequence[str]) -> None:
    """Write the locks of these extras; all by default."""
    for extra in extras or CONFLICTS:
        header = f"# Beside lock/constraints.txt, for the extra `{extra}`; written by `make lock-adapters`.\n"
        (ROOT / "lock" / f"{extra}.txt").write_text(header + lock(extra), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
