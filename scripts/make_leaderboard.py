"""Write docs/leaderboard.md from docs/leaderboard/*.json; a test compares the page with the files.

python scripts/make_leaderboard.py            # the page
python scripts/make_leaderboard.py RUN ...    # checks runs of `seal-env eval --suite` and adds their entries first
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from seal_env.agents.registry import agents
from seal_env.errors import SealError, TaskError
from seal_env.experiments.suite.definition import Suite, load_suite, suite_names
from seal_env.experiments.suite.entry import Entry, Range, check_entry
from seal_env.experiments.suite.measure import RESULTS, SAMPLES, check_evidence
from seal_env.intervals import Interval

DOCS: Final = Path(__file__).parents[1] / "docs"
ENTRIES: Final = DOCS / "leaderboard"
BUNDLED: Final = "the bundled models"
NOT_EXPECTED: Final = ("openai_compatible", "replay", "sb3")
"""Built-in agents that need a server or a file."""
ORACLES: Final = ("oracle_texts",)
TEXT: Final = (Path(__file__).parent / "leaderboard.md").read_text(encoding="utf-8")
"""What the page says beside its tables."""


def entries(folder: Path = ENTRIES) -> dict[str, Entry]:
    """All entries by the name of their file. Raises TaskError for one that is not legal."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.name] = check_entry(json.loads(path.read_text(encoding="utf-8")))
        except (SealError, ValueError) as error:
            raise TaskError(f"{path.name}: {error}") from error
    return found


def base_model(entry: Entry, suite: Suite) -> str:
    """What names the table of an entry: its base model."""
    own = {row.model for name, row in entry.parts.items() if row.model != suite.parts[name].model}
    return ", ".join(sorted(own)) or BUNDLED


def page(found: Mapping[str, Entry]) -> str:
    """The whole page."""
    return TEXT.replace("TABLES\n", "\n".join(block for name in suite_names() for block in _suite(load_suite(name), found)))


def _suite(suite: Suite, found: Mapping[str, Entry]) -> Iterator[str]:
    mine = {file: entry for file, entry in found.items() if entry.suite == suite.name}
    yield f"## Suite `{suite.name}`\n"
    yield f"{suite.summary[0].upper()}{suite.summary[1:]}.\nDigest `{suite.digest[:16]}`.\n"
    yield _table(("part", "environment", "tasks", "episodes of each", "base model"), _part_rows(suite))
    models = dict.fromkeys((BUNDLED, *(base_model(entry, suite) for entry in mine.values())))
    for model in models:
        group = {file: entry for file, entry in mine.items() if base_model(entry, suite) == model}
        yield f"### {_plain(model[0].upper() + model[1:])}\n"
        yield from _tables(suite, group, model == BUNDLED)


def _part_rows(suite: Suite) -> Iterator[Sequence[str]]:
    for name, part in suite.parts.items():
        length, subset = part.settings["sequence"], str(part.settings["subset"])
        each = f"{part.sequences} sequences of {length}" if part.sequences else str(part.samples)
        named = f"`{subset}`" if "," not in subset else "synthetic passages"
        page = f"[`{part.env}`](environments/{part.env}.md)"
        yield f"`{name}`", f"{page}, {named}", str(len(part.tasks)), each, f"`{part.model}`"


def _tables(suite: Suite, found: Mapping[str, Entry], bundled: bool) -> Iterator[str]:
    ordered = sorted(found.items(), key=lambda each: _order(each[1]))
    yield "Success in per cent, with 95 % intervals:\n"
    absent = [name for name in agents() if name not in NOT_EXPECTED] if bundled else []
    absent = [name for name in absent if all(entry.label != name for entry in found.values())]
    rows = [(_label(entry), *_cells(suite, entry, "success")) for _, entry in ordered]
    rows += [(f"`{name}`", *("not measured yet" for _ in suite.parts)) for name in absent]
    yield _table(("agent", *suite.parts), rows)
    if not ordered:
        return
    yield "Gain over no update, paired by task:\n"
    yield _table(("agent", *suite.parts), [(_label(entry), *_cells(suite, entry, "gain")) for _, entry in ordered])
    yield "Cost of all parts that were measured:\n"
    heads = ("agent", "updates", "optimizer steps", "example tokens", "policy tokens", "machine")
    yield _table(heads, [(_label(entry), *_cost(entry)) for _, entry in ordered])
    yield "How each row was measured:\n"
    origin = ("agent", "command", "seal-env", "torch", "transformers", "entry")
    yield _table(origin, [(_label(entry), *_origin(file, entry)) for file, entry in ordered])


def _order(entry: Entry) -> tuple[int, float, str]:
    means = [row.success.mean for row in entry.parts.values()]
    return -len(means), -sum(means) / len(means), entry.label


def _label(entry: Entry) -> str:
    marks = ("†" if entry.learns else "") + ("‡" if entry.agent in ORACLES else "") + ("§" if entry.trained_on else "")
    return f"`{entry.label}`{marks}"


def _cells(suite: Suite, entry: Entry, measure: str) -> Iterator[str]:
    for name in suite.parts:
        row = entry.parts.get(name)
        yield "-" if row is None else _percent(getattr(row, measure))


def _percent(found: Range) -> str:
    return Interval(found.mean, found.low, found.high).percent()


def _cost(entry: Entry) -> Iterator[str]:
    costs = [row.cost for row in entry.parts.values()]
    for name in ("updates", "steps", "example_tokens"):
        yield f"{sum(getattr(cost, name) for cost in costs):,}"
    written = [cost.policy_tokens for cost in costs if cost.policy_tokens is not None]
    yield f"{sum(written):,}" if len(written) == len(costs) else "not known"
    yield _plain(entry.machine)


def _origin(file: str, entry: Entry) -> Iterator[str]:
    yield f"`{entry.command}`".replace("|", "\\|")
    yield from (_plain(entry.versions.get(name, "not known")) for name in ("seal-env", "torch", "transformers"))
    yield f"[file](leaderboard/{file})"


def _plain(text: str) -> str:
    """A text that an entry brings, as one line without markup."""
    return re.sub(r"([\\`*_\[\]|<>&#])", r"\\\1", " ".join(text.split()))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def add(run: Path, folder: Path = ENTRIES) -> Path:
    """Check a finished run and write its entry.

    Raises:
        TaskError: For one that is not legal, where the journals are not those that it was made of, and for the label of
            another agent.
    """
    entry = check_entry(json.loads((run / RESULTS).read_text(encoding="utf-8")))
    suite = load_suite(entry.suite)
    for name, row in entry.parts.items():
        journal = run / name / (f"{entry.agent}.jsonl" if suite.parts[name].sequences else SAMPLES)
        check_evidence(name, suite.parts[name], row, journal, run / "base" / f"{name}.jsonl")
    model = base_model(entry, suite)
    parts = (entry.suite, *([] if model == BUNDLED else [model]), entry.label)
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', '-'.join(parts).lower()).strip('-')}.json"
    known = check_entry(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else entry
    if (known.agent, known.options) != (entry.agent, entry.options):
        raise TaskError(f"{path.name} is an entry of the agent {known.agent!r} with other options: choose another --label")
    path.write_text(json.dumps(entry.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Add the entries of runs, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="a finished run of `seal-env eval --suite`, to add"
    )
    for run in parser.parse_args(arguments).runs:
        try:
            print(f"added {add(run)}")
        except (SealError, OSError, ValueError) as error:
            sys.exit(f"{run} is not added: {error}")
    (DOCS / "leaderboard.md").write_text(page(entries()), encoding="utf-8")


if __name__ == "__main__":
    main()
