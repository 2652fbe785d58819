"""Does seal-env resolve in one environment with the packages that people use beside it?

    python scripts/check_resolution.py [--python 3.12] [NAME ...]

For each row of ROWS, uv first finds the newest release of the package alone, then resolves that release together with
seal-env and the extra that goes with it. Nothing is installed: uv reads metadata only. Prints a Markdown table, which
docs/compatibility.md shows, and exits with 1 if a row fails.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SHOWN: Final = ("torch", "transformers", "numpy", "gymnasium", "openai", "pillow")
"""Packages whose versions the table shows: those that others pin."""


@dataclass(frozen=True)
class Row:
    """A package, what else is asked for of it, and the extras of seal-env that go with it."""

    name: str
    requirement: str
    extras: str = "cli"


ROWS: Final = (
    Row("vllm", "vllm"),
    Row("trl", "trl", "cli,grpo"),
    Row("verifiers", "verifiers", "cli,verifiers"),
    Row("openenv", "openenv", "cli,openenv"),
    Row("ray", "ray[rllib]"),
    Row("stable-baselines3", "stable-baselines3", "cli,sb3"),
    Row("moviepy", "moviepy", "cli,render"),
    Row("reasoning-gym", "reasoning-gym"),
)


class ResolutionError(Exception):
    """The resolver found no set of versions; its message says why."""


def resolve(requirements: list[str], python: str) -> dict[str, str]:
    """The version of every package that `requirements` need. Raises ResolutionError."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    command = [uv, "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--python-version", python, "-"]
    done = subprocess.run(command, input="\n".join(requirements), capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603
    if done.returncode:
        raise ResolutionError(done.stderr.strip())
    return dict(re.findall(r"^([\w.-]+)==(\S+)", done.stdout, re.MULTILINE))


def check(row: Row, python: str) -> dict[str, str]:
    """Versions of the newest release of the row's package beside seal-env. Raises ResolutionError."""
    newest = resolve([row.requirement], python)[row.name]
    return resolve([f"{row.requirement}=={newest}", f"seal-env[{row.extras}] @ {ROOT.as_uri()}"], python)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if a row failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--python", default="3.12", help="version of Python to resolve for")
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to check; all by default")
    given = parser.parse_args(arguments)
    failures = {}
    print(f"Resolved by uv for Python {given.python} on {datetime.now(UTC):%Y-%m-%d}.\n")
    print("| beside | seal-env with | resolves | " + " | ".join(SHOWN) + " |")
    print("|---" * (3 + len(SHOWN)) + "|")
    for row in (row for row in ROWS if not given.names or row.name in given.names):
        try:
            found = check(row, given.python)
        except ResolutionError as error:
            failures[row.name] = str(error)
            found = {}
        name = f"`{row.requirement}` {found.get(row.name, '')}".rstrip()
        shown = " | ".join(found.get(package, "") for package in SHOWN)
        print(f"| {name} | `[{row.extras}]` | {'yes' if found else 'no'} | {shown} |", flush=True)
    for name, why in failures.items():
        print(f"\n{name}: {why}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
