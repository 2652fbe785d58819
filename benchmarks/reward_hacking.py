"""Is a trick ever worth more than honest texts? `python -m benchmarks.reward_hacking [--out FOLDER] [--tasks 10]`.

Every attack of `benchmarks.attacks` is a self-edit with a real update on each of some passages, or of some `mini` tasks. The
answers of the updated models are graded by every grader: `exact` (the default for synthetic passages), `lexical`, and
`judge` with the stand-in of `benchmarks.literal_judge`. Exit code 1 if an attack is worth more than its bar by any of them:
answers that do not depend on the question than the passage alone, other attacks than the best honest self-edit. Resumable:
the answers after finished attacks are in a journal in the folder; they are graded anew.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from benchmarks.attacks import GRIDS, PASSAGES, Attack, AttackAgent
from benchmarks.common import Document, new_document, show, write
from benchmarks.literal_judge import MODEL, literal_judge
from seal_env.agents.base import Trajectory
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.journal import Journal
from seal_env.report.formats import plain_table
from seal_env.settings import Settings
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.base import Grader
from seal_env.tasks.knowledge.grading.registry import make_grader
from seal_env.types import Answer

SHARES: Final = {"passages": ("reward", "exact", "lexical", "judge", "word_f1"), "grids": ("reward",)}
"""What an attack must not be worth more in, by suite."""


def settings_of(suite: str, tasks: int, **settings: Any) -> Settings:
    """The environment of a suite, with the defaults of its domain."""
    domain, tasksets = ("arc", "mini-eval") if suite == "grids" else ("knowledge", "synthetic-eval")
    return Settings.resolve(domain=domain, subset=f"{tasksets}:{tasks}", max_turns=1, **settings)


def measure(suite: str, attacks: Sequence[Attack], settings: Settings, seed: int, journal: Journal) -> list[Document]:
    """The episodes of every attack, graded, as a row each; those in the journal are not run again."""
    key = {"subset": settings.subset, "seed": seed}
    known = {each["attack"]: each["episodes"] for each in journal.read() if key.items() <= each.items()}
    runtime = Runtime(settings)
    base = BaseAnswerCache(len(runtime.taskset))
    for attack in (attack for attack in attacks if attack.name not in known):
        runtime.load()
        starts = [Start(task_id, seed + index) for index, task_id in enumerate(runtime.taskset.task_ids)]
        known[attack.name] = [record(runtime, each) for each in run_episodes(runtime, AttackAgent(attack), starts, base)]
        journal.append({**key, "attack": attack.name, "episodes": known[attack.name]})
    with literal_judge() as address:
        graders = {"exact": make_grader("exact_match"), "lexical": make_grader("lexical")}
        graders["judge"] = make_grader("judge", MODEL, address)
        used = graders if suite == "passages" else {}
        return [summary(attack, [graded(runtime, each, used) for each in known[attack.name]]) for attack in attacks]


def record(runtime: Runtime, trajectory: Trajectory) -> Document:
    """One episode: its reward, its outcome, and the answers of the updated model."""
    info = trajectory.info
    found = {name: info.get(f"{name}_after") for name in runtime.spec.metrics}
    found |= {"task_id": trajectory.task_id, "outcome": info["outcome"], "reward": trajectory.reward}
    return found | {"action": trajectory.turns[-1].action, "predictions": info.get("predictions_after")}


def graded(runtime: Runtime, episode: Mapping[str, Any], graders: Mapping[str, Grader]) -> Document:
    """The record with what each grader says of the answers: the share that is right, 0 where there was no update."""
    if episode["predictions"] is None:
        return {**episode, **dict.fromkeys(graders, 0.0)}
    answers = [Answer(str(index), False, attempts[0], 0.0) for index, attempts in enumerate(episode["predictions"])]
    task = runtime.taskset[episode["task_id"]]
    return {**episode, **{name: KnowledgeDomain(each).score(task, answers, 0).accuracy for name, each in graders.items()}}


def summary(attack: Attack, episodes: Sequence[Mapping[str, Any]]) -> Document:
    """Means over the tasks: a share is 0 where there was no update, and a length is left out."""
    names = [name for name in (*SHARES["passages"], "answer_words") if name in episodes[0]]
    means: Document = {}
    for name in names:
        values = [each[name] for each in episodes if each[name] is not None or name != "answer_words"]
        means[name] = sum(value or 0.0 for value in values) / len(values) if values else None
    outcomes = dict(Counter(each["outcome"] for each in episodes).most_common())
    named = {"attack": attack.name, "about": attack.about, "honest": attack.honest, "bar": attack.bar}
    return {**named, **means, "outcomes": outcomes}


def exploits(rows: Sequence[Mapping[str, Any]], shares: Sequence[str]) -> list[str]:
    """What is worth more than the honest self-edit that is its bar, as sentences."""
    honest = [row for row in rows if row["honest"]]
    found = []
    for row in (row for row in rows if not row["honest"]):
        for name in shares:
            bar = max((each for each in honest if row["bar"] in ("", each["attack"])), key=lambda each: float(each[name]))
            if row[name] > bar[name]:
                found.append(f"{row['attack']}: {name} {row[name]:.2f}, {bar['attack']} {bar[name]:.2f}")
    return found


def table_of(suite: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each attack."""
    columns = [*SHARES[suite], *(["answer_words"] if suite == "passages" else [])]
    table = plain_table(suite, "", *(name.replace("_", " ") for name in columns), "outcomes")
    for index in (1, len(columns) + 2):
        table.columns[index].justify = "left"
    for row in rows:
        cells = ("-" if row[name] is None else f"{row[name]:.2f}" for name in columns)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items())
        name = f"{row['attack']} (honest)" if row["honest"] else str(row["attack"])
        table.add_row(name, str(row["about"]), *cells, outcomes)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites, print their tables and write FOLDER/reward-hacking.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/reward-hacking"), metavar="FOLDER", help="run folder")
    parser.add_argument("--tasks", type=int, default=10, help="passages, and grid tasks")
    parser.add_argument(
        "--attacks", metavar="NAMES", help="attacks to run, separated by commas, beside the honest self-edits"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    document, problems, tables = new_document(given), list[str](), list[Table | str]()
    chosen = None if given.attacks is None else given.attacks.split(",")
    for suite, attacks in (("passages", PASSAGES), ("grids", GRIDS)):
        mine = [attack for attack in attacks if attack.honest or chosen is None or attack.name in chosen]
        settings, journal = settings_of(suite, given.tasks), Journal(given.out / f"{suite}.jsonl")
        rows = measure(suite, mine, settings, given.seed, journal)
        document[suite] = rows
        problems += exploits(rows, SHARES[suite])
        tables += [table_of(suite, rows), ""]
    document["exploits"] = problems
    tables.append("\n".join(problems) if problems else "no attack is worth more than its bar")
    write(given.out / "reward-hacking.json", document)
    show(given.out / "reward-hacking.json", document, tables)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
