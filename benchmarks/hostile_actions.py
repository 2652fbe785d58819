"""Fuzz: hostile actions in every registered environment, none of which may raise or take long.

    python -m benchmarks.hostile_actions --actions 100000

Updates are left out: the inner loop counts tokens with the bundled models' tokenizers and answers everything wrong, without
training. So what is timed is all that a step does beside training. The document is written after each chunk, and the same
command goes on from there. An action can be had again: `hostile_kinds.hostile_action(seed, number, env.action_space)`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
from rich.table import Table

from benchmarks.common import make_parser, new_document, show, write
from benchmarks.hostile_kinds import hostile_action
from seal_env.envs.base import SealBaseEnv
from seal_env.episodes.continual import ContinualRuntime
from seal_env.errors import MissingExtraError
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.wrapped import WrappedInnerLoop
from seal_env.registration import environments
from seal_env.types import Answer, Outcome, UpdateJob, UpdateResult

CHUNK = 1_000
TARGET_MS = 250.0
AGAIN = 3
"""Times that a step over the target is taken again; the fastest counts."""


class NoUpdates(WrappedInnerLoop):
    """An inner loop that trains nothing and answers everything wrong; it counts tokens as the one within does."""

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop."""
        return [
            UpdateResult(
                Outcome.OK,
                "",
                tuple(Answer(query.query_id, False, "nothing", -1.0) for query in job.queries_Q),
                adapter=job.save_to,
            )
            for job in jobs
        ]


@dataclass
class Chunk:
    """What came of some actions in one environment. slowest: [milliseconds of processor time, kind, number] by kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, list[Any]] = field(default_factory=dict)
    raised: list[list[Any]] = field(default_factory=list)
    disagreed: list[list[Any]] = field(default_factory=list)
    wall_ms: float = 0.0

    def add(self, other: Chunk) -> None:
        """Count the actions of another chunk too."""
        self.outcomes += other.outcomes
        for kind, found in other.slowest.items():
            self.slowest[kind] = max(found, self.slowest.get(kind, [0.0, -1]))
        self.raised += other.raised
        self.disagreed += other.disagreed
        self.wall_ms = max(self.wall_ms, other.wall_ms)


def make_env(environment_id: str) -> SealBaseEnv:
    """The environment with updates left out. Raises MissingExtraError."""
    env = gymnasium.make(environment_id, disable_env_checker=True, cache="off").unwrapped
    assert isinstance(env, SealBaseEnv)
    runtime = env.runtime
    runtime.load()
    if isinstance(runtime, ContinualRuntime):
        runtime.merge = lambda adapter, undo, documents=(): None  # type: ignore[method-assign]
        runtime.use(NoUpdates(runtime.inner_loop))
    else:
        loop = NoUpdates(make_inner_loop("batched", runtime.settings.model, "cpu"))
        runtime.load = lambda: runtime.use(loop)  # type: ignore[method-assign]
    return env


def play(env: SealBaseEnv, seed: int, numbers: range) -> Chunk:
    """Each action once, in episodes that begin anew where one ends."""
    chunk, over = Chunk(), True
    for number in numbers:
        if over:
            env.reset(seed=number)
        kind, action = hostile_action(seed, number, env.action_space)  # type: ignore[arg-type]
        wall, began = time.perf_counter(), time.process_time()
        try:
            _, _, terminated, truncated, info = env.step(action)  # type: ignore[arg-type]
        except Exception as error:
            chunk.raised.append([number, kind, f"step: {type(error).__name__}: {error}"[:200]])
            over = True
            continue
        took = 1000 * (time.process_time() - began)
        over = terminated or truncated
        chunk.wall_ms = max(chunk.wall_ms, 1000 * (time.perf_counter() - wall))
        if took > TARGET_MS:
            took, over = min(took, *(_again(env, number, action) for _ in range(AGAIN))), True
        chunk.slowest[kind] = max([took, number], chunk.slowest.get(kind, [0.0, -1]))
        chunk.outcomes[info["outcome"]] += 1
        _check_space(env, number, kind, action, info["outcome"], chunk)
    return chunk


def _again(env: SealBaseEnv, number: int, action: object) -> float:
    """Milliseconds of processor time of the same action in a new episode: other processes make a step seem slow at times."""
    env.reset(seed=number)
    began = time.process_time()
    env.step(action)  # type: ignore[arg-type]
    return 1000 * (time.process_time() - began)


def _check_space(env: SealBaseEnv, number: int, kind: str, action: object, outcome: str, chunk: Chunk) -> None:
    """`contains` must not raise, and what it takes must be no mistake of form."""
    try:
        legal = action in env.action_space
    except Exception as error:
        chunk.raised.append([number, kind, f"contains: {type(error).__name__}: {error}"[:200]])
        return
    form = ("not_json", "unknown_tool", "invalid_arguments")
    if legal and outcome in form:
        chunk.disagreed.append([number, kind, outcome])


def table_of(found: Mapping[str, Chunk]) -> list[Table | str]:
    """A row for each environment and one for each kind."""
    rows = Table("environment", "actions", "exceptions", "slowest ms", "its kind", "outcomes", title="hostile actions")
    kinds = Table("kind", "slowest ms", "environment", "number", title="slowest step by kind, processor time")
    for environment_id, chunk in found.items():
        kind, (slowest, _) = max(chunk.slowest.items(), key=lambda item: item[1][0])
        said = ", ".join(f"{outcome} {count}" for outcome, count in chunk.outcomes.most_common())
        count = sum(chunk.outcomes.values()) + len(chunk.raised)
        rows.add_row(environment_id, str(count), str(len(chunk.raised)), f"{slowest:.1f}", kind, said)
    for kind in dict.fromkeys(kind for chunk in found.values() for kind in chunk.slowest):
        slowest, number, where = max((*chunk.slowest.get(kind, [0.0, -1]), name) for name, chunk in found.items())
        kinds.add_row(kind, f"{slowest:.1f}", where, str(number))
    whole = Chunk()
    for chunk in found.values():
        whole.add(chunk)
    worst = max(each[0] for each in whole.slowest.values())
    total = sum(whole.outcomes.values()) + len(whole.raised)
    verdict = "met" if not whole.raised and worst < TARGET_MS else "missed"
    summary = (
        f"{total} actions, {len(whole.raised)} exceptions, {len(whole.disagreed)} taken by the action space and not by the "
        f"step; slowest step {worst:.1f} ms of processor time (target {TARGET_MS:.0f}: {verdict}), {whole.wall_ms:.1f} ms "
        "on the clock"
    )
    return [rows, kinds, summary, *(f"{number}, {kind}: {what}" for number, kind, what in whole.raised[:20])]


def _read(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The document to go on with: what the same command wrote, or a new one."""
    document = new_document(arguments) | {"chunks": {}}
    if path.exists():
        known = json.loads(path.read_text())
        if known["arguments"].get("seed") == arguments.seed:
            document["chunks"] = known["chunks"]
    return document


def main(given: Sequence[str] | None = None) -> None:
    """Play, print and write. Exits with 1 if an action raised."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    parser = make_parser(__doc__, "hostile_actions")
    parser.add_argument("--actions", type=int, default=100_000, help="over all environments")
    parser.add_argument("--envs", nargs="*", default=list(environments()), help="ids")
    arguments = parser.parse_args(given)
    document = _read(arguments.json, arguments)
    share = -(-arguments.actions // len(arguments.envs))
    found: dict[str, Chunk] = {}
    for environment_id in arguments.envs:
        try:
            env = make_env(environment_id)
        except MissingExtraError as error:
            print(f"{environment_id} is left out: {error}", flush=True)
            continue
        found[environment_id] = Chunk()
        for start in range(0, share, CHUNK):
            numbers = range(start, min(start + CHUNK, share))
            key = f"{environment_id} {numbers.start}-{numbers.stop}"
            if key not in document["chunks"]:
                document["chunks"][key] = vars(play(env, arguments.seed, numbers))
                write(arguments.json, document)
                print(key, dict(document["chunks"][key]["outcomes"]), len(document["chunks"][key]["raised"]), flush=True)
            found[environment_id].add(_chunk(document["chunks"][key]))
        env.close()
    show(arguments.json, document, table_of(found))
    raise SystemExit(int(any(chunk.raised for chunk in found.values())))


def _chunk(record: Mapping[str, Any]) -> Chunk:
    return Chunk(**{**record, "outcomes": Counter(record["outcomes"])})


if __name__ == "__main__":
    main()
