"""`seal-env doctor`: checks of the installation, the last of which is one real update, done twice."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import gymnasium
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seal_env.cli.completion import completer
from seal_env.domains.registry import get_domain
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop import make_inner_loop, resolve_device
from seal_env.inner_loop.model.device import describe_device
from seal_env.models.catalog import MODEL_DIRECTORY, MODEL_NAME
from seal_env.registration import environments
from seal_env.report.terminal import Terminal, results_of, show_result
from seal_env.settings import default_of

ENVIRONMENT, CHECK_STEPS = "SEAL-ARC-Mini-v0", 8
LEAST_FREE_GIB = 0.5
NAME_WIDTH, VERDICT_WIDTH = 10, 7
STYLES = {"FAILED": "red", "skipped": "yellow"}
NEEDED = {"model": "device", "self-check": "model"}


class CheckError(Exception):
    """A check that failed: what is wrong and, where possible, what to do."""


def _option(name: str, text: str) -> Callable[[Any], Any]:
    """A setting of environments, as an option."""
    return click.option(f"--{name}", default=default_of(name), show_default=True, help=text, shell_complete=completer(name))


@click.command()
@_option("model", "The base model to check.")
@_option("device", "Where it runs.")
@click.pass_obj
def doctor(console: Terminal, model: str, device: str) -> int:
    """Check this installation: packages, disk, device, model, and one real update, done twice."""
    return 0 if diagnose(model, device, console) else 1


def diagnose(model: str, device: str, console: Console) -> bool:
    """Print one line for each check: its name, the verdict, what was found.

    A check that needs one that failed is skipped.

    Args:
        model: The base model to check.
        device: Where it runs.
        console: Where the lines are shown, as its result.

    Returns:
        Whether all checks passed.
    """
    checks: dict[str, Callable[[], str]] = {
        "packages": _packages,
        "disk": _disk,
        "bundled": _bundled,
        "device": lambda: describe_device(device),
        "model": lambda: _model(model, device),
        "self-check": lambda: _self_check(model, device),
    }
    found: list[dict[str, str]] = []
    bad: set[str] = set()
    for name, check in checks.items():
        verdict, text = _checked(check) if NEEDED.get(name) not in bad else ("skipped", f"needs {NEEDED[name]}")
        if verdict != "ok":
            bad.add(name)
        found.append({"check": name, "verdict": verdict, "found": text})
        results_of(console).print(_line(name, verdict, text), style=STYLES.get(verdict))
    show_result(console, {"ok": not bad, "checks": found})
    return not bad


def _checked(check: Callable[[], str]) -> tuple[str, str]:
    """The verdict, and what was found."""
    try:
        return "ok", check()
    except Exception as error:  # any error is a finding of this command
        return "FAILED", _first_line(error)


def _line(name: str, verdict: str, text: str) -> Table:
    line = Table.grid(padding=(0, 2))
    for width in (NAME_WIDTH, VERDICT_WIDTH, None):
        line.add_column(width=width, overflow="fold")
    line.add_row(name, verdict, Text(text))
    return line


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, CheckError | OSError | ValueError) else f"{type(error).__name__}: {text}"


def _packages() -> str:
    versions = package_versions()
    missing = [name for name, found in versions.items() if found == "not installed"]
    if missing:
        raise CheckError(f"{', '.join(missing)} not installed (Python is {sys.executable}); install seal-env again")
    return ", ".join(f"{name} {found}" for name, found in versions.items())


def _disk() -> str:
    """Free space where runs are written."""
    free = {"here": Path.cwd(), "in the temporary directory": Path(tempfile.gettempdir())}
    gib = {where: shutil.disk_usage(path).free / 2**30 for where, path in free.items()}
    found = ", ".join(f"{amount:.1f} GiB free {where}" for where, amount in gib.items())
    if min(gib.values()) < LEAST_FREE_GIB:
        raise CheckError(f"{found}; at least {LEAST_FREE_GIB} GiB are needed")
    if not os.access(Path.cwd(), os.W_OK):
        raise CheckError(f"{found}; {Path.cwd()} cannot be written to, so runs need --out")
    return found


def _bundled() -> str:
    weights = MODEL_DIRECTORY / "model.safetensors"
    if not weights.exists():
        raise CheckError(f"{weights} is missing; install seal-env again")
    return f"{MODEL_NAME}, {weights.stat().st_size / 2**20:.1f} MiB"


def _model(model: str, device: str) -> str:
    began = time.perf_counter()
    make_inner_loop("reference", model, device)
    return f"{model} loads in {time.perf_counter() - began:.1f} s"


def _self_check(model: str, device: str) -> str:
    """One self-edit of a few optimizer steps on a mini task, trained and evaluated twice, with the same result."""
    began = time.perf_counter()
    first, second = (_update(model, device) for _ in range(2))
    if first["outcome"] != "ok":
        raise CheckError(f"an update ended with {first['outcome']}: {first['reason']}")
    again = "the same twice" if first == second else "different when repeated"
    if first != second and resolve_device(device) == "cpu":  # a GPU may add up in another order
        raise CheckError("the same self-edit, trained twice, gave two different results")
    losses, took = first["losses"], time.perf_counter() - began
    return f"{len(losses)} optimizer steps, loss {losses[0]:.3f} -> {losses[-1]:.3f}, {again}, {took:.1f} s"


def _update(model: str, device: str) -> dict[str, Any]:
    settings: dict[str, Any] = {"model": model, "device": device, "max_examples": CHECK_STEPS, "decode": "never"}
    env: gymnasium.Env[str, str] = gymnasium.make(ENVIRONMENT, cache="off", **settings)
    env.reset(seed=0)
    return env.step(get_domain(environments()[ENVIRONMENT]["domain"]).default_self_edit)[4]
