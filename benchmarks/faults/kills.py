"""Runs that are killed with SIGKILL at random moments, again and again, and resumed by the same command."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.children import TRACEBACK, command, finish
from benchmarks.faults.commands import COMMANDS, OUT, Case
from benchmarks.faults.records import Finding

SPAN = 0.7
"""A process is killed after at most this share of the time that the whole command takes."""


def kill_runs(folder: Path, kills: int, seed: int) -> Iterator[Finding]:
    """`kills` kills of all commands together; a finding for each command."""
    for number, (name, case) in enumerate(COMMANDS.items()):
        share = kills // len(COMMANDS) + (number < kills % len(COMMANDS))
        if share:
            yield _kill_one(name, case, folder / name.replace(" ", "-"), share, random.Random(seed * 100 + number))


def _kill_one(name: str, case: Case, folder: Path, kills: int, rng: random.Random) -> Finding:
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    if problem := finish(case.arguments, folder / "whole"):
        return Finding(name, 0, [f"undisturbed: {problem}"])
    took, expected = time.monotonic() - began, case.result(folder / "whole" / OUT)
    done, round_, problems = 0, 0, list[str]()
    while done < kills:
        here = folder / f"killed-{round_}"
        while done < kills:
            child = command(case.arguments, here)
            child.wait(rng.uniform(0.0, took * SPAN))
            if child.code is not None:
                break
            child.kill()
            done += 1
        problem = finish(case.arguments, here)
        left = [path.name for path in here.rglob("*.new")]
        if problem:
            problems.append(f"round {round_}: {problem}")
        elif TRACEBACK in (here.parent / f"{here.name}-log").read_text(errors="replace"):
            problems.append(f"round {round_}: a traceback")
        elif case.result(here / OUT) != expected:
            problems.append(f"round {round_}: another result, see {here}")
        elif left:
            problems.append(f"round {round_}: {left} left behind")
        round_ += 1
    return Finding(name, done, problems, f"{round_} run{'s' * (round_ != 1)} of {took:.0f} s")
