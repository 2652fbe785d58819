"""Policies, judges and evaluators that are killed while runs ask them, and started again a little later."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.faults.children import TRACEBACK, Child, command, fork
from benchmarks.faults.commands import OUT, lines
from benchmarks.faults.records import Finding
from benchmarks.faults.stub_server import MODEL, free_port, serve

URL: Final = "URL"
ATTEMPTS: Final = 60
"""Times that a command is started again before it counts as one that does not end."""
_SMALL: Final = ("--max-examples", "2", "--default-num-epochs", "1", "--out", OUT)
_POLICY: Final = ("--agent", "openai_compatible", "--policy-model", MODEL, "--base-url", URL, "--retries", "1")
_JUDGE: Final = ("--grader", "judge", "--grader-model", MODEL, "--grader-url", URL)
_EVALUATOR: Final = ("--evaluator", "vllm", "--evaluator-model", MODEL, "--evaluator-url", URL)
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "policy": ("run", "--subset", "mini-eval:8", *_POLICY, *_SMALL),
    "judge": (
        *("run", "--env", "SEAL-Knowledge-v0", "--subset", "synthetic-eval:6", "--agent", "passage_only"),
        *(*_JUDGE, *_SMALL),
    ),
    "evaluator": ("run", "--subset", "mini-eval:8", "--agent", "fixed", *_EVALUATOR, *_SMALL),
}


def kill_servers(folder: Path, kills: int, seed: int) -> Iterator[Finding]:
    """`kills` kills of servers of all roles together; a finding for each role."""
    for number, (role, arguments) in enumerate(ROLES.items()):
        share = kills // len(ROLES) + (number < kills % len(ROLES))
        if share:
            yield _Role(role, arguments, folder / f"server-{role}", random.Random(seed * 100 + number)).kill(share)


class _Role:
    """A server, and the command that asks it."""

    def __init__(self, role: str, arguments: tuple[str, ...], folder: Path, rng: random.Random) -> None:
        self.role, self.folder, self.rng, self.port = role, folder, rng, free_port()
        url = f"http://127.0.0.1:{self.port}/v1"
        self.arguments = tuple(url if each == URL else each for each in arguments)
        shutil.rmtree(folder, ignore_errors=True)

    def kill(self, kills: int) -> Finding:
        """Kill the server so many times, over as many runs as that takes."""
        server = self._start()
        try:
            began = time.monotonic()
            child = command(self.arguments, self.folder / "whole")
            if child.wait() != 0:
                return Finding(self.role, 0, [f"undisturbed: {child.said()[-300:]}"])
            took, expected = time.monotonic() - began, lines(self.folder / "whole" / OUT / "episodes.jsonl")
            done = restarts = runs = 0
            problems: list[str] = []
            while done < kills:
                here = self.folder / f"killed-{runs}"
                for _ in range(ATTEMPTS):
                    child = command(self.arguments, here)
                    restarts += 1
                    while child.wait(self.rng.uniform(0.0, took)) is None and done < kills:
                        server.kill()
                        done += 1
                        child.wait(self.rng.uniform(0.0, took / 4))
                        server = self._start()
                    if child.wait() == 0 and _complete(here, len(expected)):
                        break
                problems += [f"run {runs}: {problem}" for problem in _problems(child, here, expected)]
                runs += 1
            return Finding(self.role, done, problems, f"{runs} runs, {restarts} starts")
        finally:
            server.kill()

    def _start(self) -> Child:
        return fork(partial(serve, self.port), self.folder / "server")


def _complete(folder: Path, count: int) -> bool:
    path = folder / OUT / "episodes.jsonl"
    found = lines(path) if path.exists() else []
    return len(found) == count and not any(each["truncated"] for each in found)


def _problems(child: Child, folder: Path, expected: list[object]) -> Iterator[str]:
    said = child.said()
    if child.wait(0) is None:
        child.kill()
        yield "hangs"
    elif TRACEBACK in said:
        yield f"a traceback: {said[-300:]}"
    elif child.code:
        yield f"exit code {child.code}: {said[-300:]}"
    elif lines(folder / OUT / "episodes.jsonl") != expected:
        yield f"other episodes, see {folder}"
