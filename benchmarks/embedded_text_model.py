"""What seal-tiny-text learns from texts: `python benchmarks/embedded_text_model.py [--parts ...] [--passages N]`.

Parts: `ladder` (accuracy with no update, the passage alone, and texts besides, made from the facts in other wordings than
the questions asked), `policy` (texts that the model itself writes, sampled at temperature 1, style by style). On passages
of the eval split, whose names, facts and (`reworded`) wordings training never saw. Intervals of 95 % over passages, by
bootstrap.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from embedded_text_policy import measure_policy, policy_table
from rich.console import Console
from rich.table import Table

import seal_env
from seal_env.experiments.versions import package_versions
from seal_env.inner_loop import make_inner_loop
from seal_env.intervals import bootstrap
from seal_env.models.catalog import TEXT_MODEL_NAME
from seal_env.settings import Settings
from seal_env.tasks.knowledge.document import Document
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.exact_match import exact_match
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.passage import PassageTask, Question
from seal_env.tasks.knowledge.prompt import question_and_answer
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage
from seal_env.types import LoraSpec, Recipe, TrainingConfig, UpdateJob, UpdateResult

AT_ONCE = 8
"""Jobs of one call of the inner loop."""
CONDITIONS = ("no update", "passage", "passage + implications", "passage + self-QA", "passage + both", "implications alone")
SETS = ("eval", "reworded")
Row = dict[str, Any]


@dataclass(frozen=True)
class Update:
    """How updates are made, and with which inner loop they run."""

    lora: LoraSpec
    recipe: Recipe
    training: TrainingConfig
    inner_loop: Any
    domain: KnowledgeDomain

    def run(
        self, tasks: Sequence[PassageTask], documents: Sequence[Sequence[Document]], seed: int = 0
    ) -> list[UpdateResult]:
        """One result a task, in batches of `AT_ONCE`; no documents: the base model is asked."""
        jobs = [
            UpdateJob(
                examples_E=tuple(map(self.domain.render_example, learned)),
                training=self.training,
                lora=self.lora,
                recipe=self.recipe,
                seed=seed,
                queries_Q=self.domain.queries(task, seed),
            )
            for task, learned in zip(tasks, documents, strict=True)
        ]
        return [
            result for start in range(0, len(jobs), AT_ONCE) for result in self.inner_loop.run(jobs[start : start + AT_ONCE])
        ]


def make_update(given: argparse.Namespace) -> Update:
    """The model's own defaults, unless the command line says otherwise."""
    names = ("lora_rank", "lora_alpha", "default_learning_rate", "default_num_epochs", "batch_size")
    said = {name: value for name in names if (value := getattr(given, name)) is not None}
    own = Settings.resolve(domain="knowledge", subset="synthetic-eval", model=given.model, **said)
    return Update(
        lora=LoraSpec(int(own.lora_rank or 0), own.alpha),
        recipe=Recipe(batch_size=own.batch_size, warmup_steps=0, schedule="linear", learn_end=True),
        training=TrainingConfig(
            "train_using_all_tokens", float(own.default_learning_rate or 0), int(own.default_num_epochs or 0)
        ),
        inner_loop=make_inner_loop("batched", given.model, given.device),
        domain=KnowledgeDomain(LexicalGrader()),
    )


def texts(task: PassageTask, condition: str, count: int) -> Iterator[str]:
    """What is learned beside the passage: at most `count` statements, or questions other than those asked, or both.

    All facts are told once before one is told twice. Each question has another wording than those that are asked.
    """
    drawn = synthetic_passage(task.task_id)
    rng = np.random.default_rng([len(task.context.text), count])
    asked = {question.question for question in task.queries}
    if "implications" in condition or "both" in condition:
        stated = [rng.permutation(fact.statements()).tolist() for fact in drawn.facts]
        yield from _in_turn(stated, count)
    if "self-QA" in condition or "both" in condition:
        by_fact: list[list[Question]] = []
        for fact in drawn.facts:
            others = [other for other in drawn.facts if other.relation.named and other is not fact]
            indirect = [question for other in others for question in fact.indirect(other)]
            mixed = [*fact.direct(), *_some(rng, [*fact.reversed(), *indirect], 3)]
            by_fact.append(_some(rng, [question for question in mixed if question.question not in asked], len(mixed)))
        yield from (question_and_answer(each.question, each.answer) for each in _in_turn(by_fact, count))


def _some(rng: np.random.Generator, items: list[Question], most: int) -> list[Question]:
    return [items[index] for index in rng.permutation(len(items))[:most]]


def _in_turn(lists: Sequence[Sequence[Any]], count: int) -> list[Any]:
    """The first of each list, then the second of each, up to `count`."""
    longest = max(map(len, lists))
    return [each[place] for place in range(longest) for each in lists if place < len(each)][:count]


def learned(domain: KnowledgeDomain, task: PassageTask, condition: str, count: int) -> tuple[Document, ...]:
    """The documents of a condition."""
    if condition == "no update":
        return ()
    documents = tuple(Document(task.context.title, text) for text in texts(task, condition, count))
    return documents if condition.endswith("alone") else domain.add_default_examples(task.context, documents) or ()


def measure_ladder(update: Update, which: str, passages: int, seed: int, count: int) -> list[Row]:
    """A row for each condition: accuracy of each passage, by the lexical grader and by exact match; accuracy by kind."""
    tasks = list(SYNTHETIC.taskset(f"synthetic-{which}", which, passages, seed))
    rows = []
    for condition in CONDITIONS:
        began = time.perf_counter()
        documents = [learned(update.domain, task, condition, count) for task in tasks]
        results = update.run(tasks, documents)
        scores = [update.domain.score(task, result.answers_Q, 0) for task, result in zip(tasks, results, strict=True)]
        rows.append(
            {
                "set": which,
                "condition": condition,
                "outcomes": sorted({str(result.outcome) for result in results}),
                "lexical": [score.accuracy for score in scores],
                "exact": [_exact(task, score.predictions_Q) for task, score in zip(tasks, scores, strict=True)],
                "word_f1": [score.partial for score in scores],
                "kinds": _by_kind(update.domain, tasks, [score.predictions_Q for score in scores]),
                "documents": float(np.mean([len(each) for each in documents])),
                "steps": float(np.mean([len(result.losses_S) for result in results])),
                "tokens": float(np.mean([result.tokens_trained for result in results])),
                "seconds": round((time.perf_counter() - began) / len(tasks), 3),
            }
        )
        print(rows[-1]["set"], condition, bootstrap(rows[-1]["lexical"]).percent(), flush=True)
    return rows


def _exact(task: PassageTask, predictions_Q: Sequence[Sequence[Any]]) -> float:
    right = [exact_match(said[0] or "", asked.golds) for asked, said in zip(task.queries, predictions_Q, strict=True)]
    return sum(right) / len(right)


def _by_kind(
    domain: KnowledgeDomain, tasks: Sequence[PassageTask], predictions: Iterable[Sequence[Any]]
) -> dict[str, float]:
    """Accuracy over all questions of each kind."""
    found: dict[str, list[bool]] = {}
    for task, predictions_Q in zip(tasks, predictions, strict=True):
        for asked, said in zip(task.queries, predictions_Q, strict=True):
            right = domain.grader.grade(asked.question, asked.answer, said[0] or "")
            found.setdefault(asked.kind, []).append(right)
    return {kind: float(np.mean(right)) for kind, right in sorted(found.items())}


def ladder_table(rows: Sequence[Row]) -> Table:
    """Accuracy in per cent."""
    table = Table("set", "learned", "lexical", "exact", "direct", "indirect", "reversed", "documents", "steps", "seconds")
    for row in rows:
        kinds = [f"{100 * row['kinds'][kind]:.0f}" for kind in ("direct", "indirect", "reversed")]
        numbers = [f"{row['documents']:.0f}", f"{row['steps']:.0f}", f"{row['seconds']:.2f}"]
        scores = [bootstrap(row[name]).percent() for name in ("lexical", "exact")]
        table.add_row(row["set"], row["condition"], *scores, *kinds, *numbers)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("runs/embedded-text-model.json"))
    parser.add_argument("--parts", nargs="+", default=["ladder", "policy"], choices=["ladder", "policy"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--passages", type=int, default=60, help="passages of a set")
    parser.add_argument("--texts", type=int, default=12, help="statements, and questions, at most")
    parser.add_argument("--samples", type=int, default=5, help="replies of the policy for each passage and style")
    parser.add_argument("--seed", type=int, default=0, help="of the passages")
    parser.add_argument("--model", default=TEXT_MODEL_NAME)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    for name, kind in (
        ("default-learning-rate", float),
        ("default-num-epochs", int),
        ("batch-size", int),
        ("lora-rank", int),
    ):
        parser.add_argument(f"--{name}", type=kind, help="None is the model's own")
    parser.add_argument("--lora-alpha", type=float, help="None is the model's own")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    update, console = make_update(given), Console(width=150)
    document: dict[str, Any] = {"model": given.model, "versions": package_versions(), "rows": [], "policy": []}
    document["settings"] = {key: str(value) for key, value in vars(given).items()}
    console.print(f"seal-env {seal_env.__version__}, {given.model}; accuracy in per cent, 95 % intervals over passages")
    if "ladder" in given.parts:
        for which in given.sets:
            document["rows"] += measure_ladder(update, which, given.passages, given.seed, given.texts)
        console.print(ladder_table(document["rows"]))
    if "policy" in given.parts:
        document["policy"] = measure_policy(update, given.passages, given.samples, given.seed)
        console.print(policy_table(document["policy"]))
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
