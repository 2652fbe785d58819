"""What one update holds: `python -m benchmarks.passages_at_once [--at-once 1 2 4 8] [--passages N] [--lora-rank 32 ...]`.

Several passages of the eval split are learned in one update, with texts made from their facts; then every question about
every one of them is asked. Accuracy with 95 % bootstrap intervals over updates, by kind of question, and what the wrong
answers are: `same` have a value of the same passage, `other` one of another passage of the update.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks.bundled_text_model import JOBS_IN_CALL, OVERRIDES, Row, learned
from benchmarks.common import Document, make_parser, new_document, percent, show, write
from seal_env.inner_loop import make_inner_loop
from seal_env.models.catalog import MODEL_DEFAULTS, TEXT_MODEL_NAME
from seal_env.settings import Settings
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.exact_match import normalise
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.groups import GroupedTaskset
from seal_env.tasks.knowledge.passage import Passage, Question
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC
from seal_env.types import Document as Text
from seal_env.types import InnerLoop, Task, UpdateJob, UpdateResult

CONDITION = "passage + both"
KINDS = ("direct", "indirect", "reversed")
Single = Task[Passage, Question]
DOMAIN = KnowledgeDomain(LexicalGrader())


def groups(which: str, passages: int, size: int, seed: int) -> Iterator[tuple[Task[Any, Question], list[Single]]]:
    """The first `passages` of a set, `size` of them an update, each with its single passages."""
    tasks = SYNTHETIC.taskset(which, which, passages, seed)
    singles = list(tasks)
    for number, task in enumerate(GroupedTaskset(tasks, size)):
        yield task, singles[number * size : (number + 1) * size]


def make_job(settings: Settings, task: Task[Any, Question], singles: Sequence[Single], texts: int) -> UpdateJob:
    """One update on all documents of all passages, mixed by the inner loop."""
    documents: list[Text] = [text for single in singles for text in learned(DOMAIN, single, CONDITION, texts)]
    return UpdateJob(
        examples_E=tuple(map(DOMAIN.render_example, documents)),
        training=settings.training,
        lora=settings.lora,
        recipe=settings.recipe,
        seed=0,
        queries_Q=DOMAIN.queries(task, 0),
        method=settings.method,
    )


def wrong_answers(singles: Sequence[Single], answers: Sequence[str], right: Sequence[bool]) -> Counter[str]:
    """How many wrong answers there are of each sort."""
    values = [{normalise(question.answer) for question in single.queries} for single in singles]
    owners = [number for number, single in enumerate(singles) for _ in single.queries]
    found: Counter[str] = Counter()
    for owner, answer, good in zip(owners, answers, right, strict=True):
        holders = {number for number, held in enumerate(values) if normalise(answer) in held}
        found["right" if good else "same" if owner in holders else "other" if holders else "none"] += 1
    return found


def measure(settings: Settings, loop: InnerLoop, which: str, passages: int, size: int, texts: int, seed: int) -> Row:
    """The row of one number of passages at once."""
    chosen = list(groups(which, passages, size, seed))
    jobs = [make_job(settings, task, singles, texts) for task, singles in chosen]
    starts = range(0, len(jobs), JOBS_IN_CALL)
    results: list[UpdateResult] = [result for at in starts for result in loop.run(jobs[at : at + JOBS_IN_CALL])]
    accuracy, sorts = [], Counter[str]()
    kinds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for (task, singles), result in zip(chosen, results, strict=True):
        score = DOMAIN.score(task, result.answers_Q, 0)
        accuracy.append(score.accuracy)
        for question, right in zip(task.queries, score.correct_Q or (), strict=True):
            kinds[question.kind or "direct"].append(float(right))
        said = [answer or "" for (answer,) in score.predictions_Q]
        sorts += wrong_answers(singles, said, score.correct_Q or ())
    losses = [result.losses_S for result in results]
    return {
        "at_once": size,
        "accuracy": accuracy,
        "kinds": {kind: float(np.mean(found)) if found else 0.0 for kind, found in kinds.items()},
        "wrong": {sort: sorts[sort] / sum(sorts.values()) for sort in ("same", "other", "none")},
        "documents": float(np.mean([len(job.examples_E) for job in jobs])),
        "steps": float(np.mean([len(each) for each in losses])),
        "last_loss": float(np.mean([np.mean(each[-8:]) for each in losses if len(each)])),
    }


def table(rows: Sequence[Row]) -> Table:
    """Accuracy and wrong answers in per cent."""
    found = Table("at once", "accuracy", *KINDS, "wrong: same", "other", "none", "documents", "steps", "last loss")
    for row in rows:
        shares = [f"{100 * each:.0f}" for each in (*row["kinds"].values(), *row["wrong"].values())]
        counts = [f"{row['documents']:.0f}", f"{row['steps']:.0f}", f"{row['last_loss']:.3f}"]
        found.add_row(str(row["at_once"]), percent(row["accuracy"]), *shares, *counts)
    return found


def resolve(given: argparse.Namespace) -> Settings:
    """The model's own defaults (those of seal-tiny-text for a folder), unless the command line overrides them."""
    said = {name: value for name in OVERRIDES if (value := getattr(given, name)) is not None}
    said |= {"method": given.method, **({"lora_targets": given.lora_targets} if given.lora_targets else {})}
    defaults = MODEL_DEFAULTS[TEXT_MODEL_NAME] if given.model not in MODEL_DEFAULTS else {}
    subset = f"synthetic-{given.set}"
    return Settings.resolve(**{**defaults, "domain": "knowledge", "subset": subset, "model": given.model, **said})


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser(__doc__, "passages-at-once")
    parser.add_argument("--at-once", nargs="+", type=int, default=[1, 2, 4, 8], help="passages of an update")
    parser.add_argument("--passages", type=int, default=64, help="in all, for each of these")
    parser.add_argument("--texts", type=int, default=12, help="maximum number of statements, and of questions, a passage")
    parser.add_argument("--set", default="eval", choices=["train", "eval", "reworded"])
    parser.add_argument("--model", default=TEXT_MODEL_NAME, help="seal-tiny-text, or a folder")
    parser.add_argument("--method", default="lora", choices=["lora", "full"])
    parser.add_argument("--lora-targets", help="names of layers, comma-separated")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    for name, kind in OVERRIDES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="default: the model's own")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write and show."""
    given = parse(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    settings, loop = resolve(given), make_inner_loop("batched", given.model, given.device)
    document: Document = new_document(given, given.device) | {"rows": []}
    for size in given.at_once:
        row = measure(settings, loop, given.set, given.passages, size, given.texts, given.seed)
        document["rows"].append(row)
        print(size, percent(row["accuracy"]), {name: round(each, 3) for name, each in row["kinds"].items()}, flush=True)
    write(given.json, document)
    show(given.json, document, [table(document["rows"])])


if __name__ == "__main__":
    main()
