"""`python -m benchmarks.faults`: see the package."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.table import Table

import benchmarks.faults
from benchmarks.common import Document, make_parser, new_document, show, write
from benchmarks.faults.caches import damage_caches
from benchmarks.faults.disk import try_disks
from benchmarks.faults.growth import cycles, soak, watch
from benchmarks.faults.kills import kill_runs
from benchmarks.faults.records import Finding
from benchmarks.faults.servers import kill_servers

KILLS, SERVER_KILLS, CYCLES, EPISODES = 50, 20, 200, 5000
Part = Callable[[Path, float, int, dict[str, Any]], Iterator[Finding]]


def _count(whole: int, scale: float) -> int:
    return max(1, math.ceil(whole * scale))


PARTS: Final[dict[str, Part]] = {
    "kills": lambda folder, scale, seed, _: kill_runs(folder, _count(KILLS, scale), seed),
    "servers": lambda folder, scale, seed, _: kill_servers(folder, _count(SERVER_KILLS, scale), seed),
    "disk": lambda folder, scale, seed, expected: try_disks(folder, expected),
    "cache": lambda folder, scale, seed, expected: damage_caches(folder, expected),
    "cycles": lambda folder, scale, seed, _: iter([watch("cycles", cycles, _count(CYCLES, scale), folder)]),
    "soak": lambda folder, scale, seed, _: iter([watch("soak", soak, _count(EPISODES, scale), folder)]),
}


def import_everything() -> None:
    """So that forks begin with it."""
    import seal_env.agents.trainers.grpo
    import seal_env.experiments.evaluate
    import seal_env.experiments.reproduce.table
    import seal_env.experiments.run
    import seal_env.experiments.train  # noqa: F401


def campaign(folder: Path, parts: list[str], scale: float, seed: int, path: Path, document: Document) -> None:
    """Run the parts that the document lacks; it is written after each case."""
    found: dict[str, Any] = document.setdefault("parts", {})
    expected: dict[str, Any] = {}
    for part in parts:
        if found.get(part, {}).get("finished"):
            continue
        began, cases = time.monotonic(), list[dict[str, Any]]()
        found[part] = {"cases": cases, "finished": False}
        for finding in PARTS[part](folder, scale, seed, expected):
            cases.append(asdict(finding))
            found[part]["seconds"] = round(time.monotonic() - began, 1)
            write(path, document)
            print(f"{part:<8} {finding.name:<28} {finding.tried:>5}  {'; '.join(finding.problems) or 'held'}", flush=True)
        found[part]["finished"] = True
        write(path, document)


def table(document: Document) -> Table:
    """A row for each case."""
    shown = Table("part", "case", "tried", "held", "detail", box=None, pad_edge=False)
    for part, about in document["parts"].items():
        for case in about["cases"]:
            held = "no: " + "; ".join(case["problems"]) if case["problems"] else "yes"
            shown.add_row(part, case["name"], str(case["tried"]), held, case["detail"])
    return shown


def main(arguments: list[str] | None = None) -> int:
    """The command line. 1 if anything did not hold."""
    parser = make_parser(benchmarks.faults.__doc__, "faults")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the kills, cycles and episodes")
    parser.add_argument("--folder", type=Path, default=Path("runs/faults"), metavar="DIR", help="where runs are made")
    given = parser.parse_args(arguments)
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    import_everything()
    document = new_document(given)
    if given.json.exists():
        before = json.loads(given.json.read_text())
        same = all(before["arguments"].get(name) == document["arguments"][name] for name in ("scale", "seed", "folder"))
        document["parts"] = before.get("parts", {}) if same else {}
    campaign(given.folder.absolute(), parts, given.scale, given.seed, given.json, document)
    show(given.json, document, [table(document)])
    return int(any(case["problems"] for about in document["parts"].values() for case in about["cases"]))


if __name__ == "__main__":
    os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", TERM="dumb")
    sys.exit(main())
