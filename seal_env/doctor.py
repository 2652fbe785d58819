"""`seal-env doctor`: what this installation has, and one real update as a self-check."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
from rich.console import Console

from seal_env.agents.baselines import USUAL_SELF_EDIT
from seal_env.embedded import MODEL_DIRECTORY
from seal_env.errors import SealError
from seal_env.inner_loop import make_inner_loop, resolve_device
from seal_env.records import package_versions

CHECK_STEPS = 8


def diagnose(model: str, device: str, console: Console) -> bool:
    """Print one line a check; True if all are well."""
    for package, found in package_versions().items():
        console.print(f"{package:>14}  {found}")
    checks: list[tuple[str, Callable[[], str]]] = [
        ("disk", _disk),
        ("embedded", _embedded),
        ("device", lambda: resolve_device(device)),
        ("model", lambda: _model(model, device)),
        ("self-check", lambda: _self_check(model, device)),
    ]
    well = True
    for name, check in checks:
        try:
            console.print(f"{name:>14}  {check()}", soft_wrap=True, markup=False)
        except SealError as error:
            well = False
            console.print(f"{name:>14}  FAILED: {error}", style="red", soft_wrap=True, markup=False)
    return well


def _disk() -> str:
    """Free space where runs are written."""
    here, temporary = (shutil.disk_usage(path).free / 2**30 for path in (Path.cwd(), tempfile.gettempdir()))
    return f"{here:.1f} GiB free here, {temporary:.1f} GiB in the temporary directory"


def _embedded() -> str:
    weights = MODEL_DIRECTORY / "model.safetensors"
    if not weights.exists():
        raise SealError("the embedded model's weights are missing from this installation; install the package again")
    return f"seal-tiny, {weights.stat().st_size / 2**20:.1f} MiB"


def _model(model: str, device: str) -> str:
    began = time.perf_counter()
    make_inner_loop("reference", model, device)
    return f"{model} loads in {time.perf_counter() - began:.1f} s"


def _self_check(model: str, device: str) -> str:
    """One self-edit of a few optimizer steps on a mini task, trained and evaluated."""
    env = gymnasium.make("SEAL-ARC-Mini-v0", model=model, device=device, max_examples=CHECK_STEPS, decode="never")
    env.reset(seed=0)
    began = time.perf_counter()
    _, _, _, _, info = env.step(USUAL_SELF_EDIT)
    if info["outcome"] != "ok":
        raise SealError(f"one real update ended with {info['outcome']}: {info['reason']}")
    losses = info["losses"]
    took = time.perf_counter() - began
    return f"{info['optimizer_steps']} optimizer steps, loss {losses[0]:.3f} -> {losses[-1]:.3f}, {took:.1f} s"
