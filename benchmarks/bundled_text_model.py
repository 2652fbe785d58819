"""What seal-tiny-text learns from texts: `python -m benchmarks.bundled_text_model [--parts ...] [--passages N]`.

Parts: `ladder` (accuracy without an update, with the passage alone, and with texts made from its facts in wordings other
than those of the questions), `policy` (texts that the model itself writes, sampled at temperature 1, style by style). On
passages of the eval split, whose names, facts and (`reworded`) wordings training never saw, with 95 % bootstrap intervals
over passages.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks.common import Document, make_parser, new_document, percent, sample, show, write
from seal_env.agents.lm.text_styles import STYLES, style_messages
from seal_env.domains import knowledge
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.models.catalog import TEXT_MODEL_NAME
from seal_env.self_edits.compile import apply_calls
from seal_env.self_edits.parse_text import read_texts
from seal_env.settings import Settings
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.exact_match import exact_match
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.passage import Passage, PassageTask, Question
from seal_env.tasks.knowledge.prompt import question_and_answer
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage
from seal_env.tools.base import Draft, EditContext
from seal_env.types import Document as Text
from seal_env.types import InnerLoop, InvalidSelfEdit, Task, UpdateJob, UpdateResult

JOBS_IN_CALL = 8
MAX_NEW_TOKENS = 256
CONDITIONS = ("no update", "passage", "passage + implications", "passage + self-QA", "passage + both", "implications alone")
SETS = ("eval", "reworded")
OVERRIDES = {
    "default_learning_rate": float, "default_num_epochs": int, "batch_size": int, "lora_rank": int, "lora_alpha": float
}  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Updates:
    """How updates are made, and the inner loop that runs them."""

    settings: Settings
    inner_loop: InnerLoop
    domain: KnowledgeDomain

    def run(self, tasks: Sequence[Task[Passage, Question]], texts: Sequence[Sequence[Text]]) -> list[UpdateResult]:
        """One result for each task; without texts, the base model answers."""
        used = self.settings
        jobs = [
            UpdateJob(
                examples_E=tuple(map(self.domain.render_example, learned)),
                training=used.training,
                lora=used.lora,
                recipe=used.recipe,
                seed=0,
                queries_Q=self.domain.queries(task, 0),
            )
            for task, learned in zip(tasks, texts, strict=True)
        ]
        starts = range(0, len(jobs), JOBS_IN_CALL)
        return [result for start in starts for result in self.inner_loop.run(jobs[start : start + JOBS_IN_CALL])]


def texts_of(task: Task[Passage, Question], condition: str, count: int) -> Iterator[str]:
    """At most `count` statements, or questions other than the task's, or both; every fact once before any fact twice."""
    drawn = synthetic_passage(task.task_id)
    rng = np.random.default_rng([len(task.context.text), count])
    asked = {question.question for question in task.queries}
    if "implications" in condition or "both" in condition:
        yield from _in_turn([rng.permutation(fact.statements()).tolist() for fact in drawn.facts], count)
    if "self-QA" in condition or "both" in condition:
        by_fact: list[list[Question]] = []
        for fact in drawn.facts:
            others = [other for other in drawn.facts if other.relation.named and other is not fact]
            indirect = [question for other in others for question in fact.indirect(other)]
            mixed = [*fact.direct(), *_some(rng, [*fact.reversed(), *indirect], 3)]
            by_fact.append(_some(rng, [question for question in mixed if question.question not in asked], len(mixed)))
        yield from (question_and_answer(each.question, each.answer) for each in _in_turn(by_fact, count))


def _some(rng: np.random.Generator, items: list[Question], count: int) -> list[Question]:
    return [items[index] for index in rng.permutation(len(items))[:count]]


def _in_turn(lists: Sequence[Sequence[Any]], count: int) -> list[Any]:
    """The first of each list, then the second of each, up to `count`."""
    longest = max(map(len, lists))
    return [each[index] for index in range(longest) for each in lists if index < len(each)][:count]


def learned(domain: KnowledgeDomain, task: Task[Passage, Question], condition: str, count: int) -> tuple[Text, ...]:
    """The documents of a condition."""
    if condition == "no update":
        return ()
    documents = tuple(Text(task.context.title, text) for text in texts_of(task, condition, count))
    return documents if condition.endswith("alone") else domain.add_default_examples(task.context, documents) or ()


def measure_ladder(updates: Updates, which: str, passages: int, seed: int, count: int) -> list[Row]:
    """A row for each condition: accuracy of each passage, lexical and exact; accuracy by kind of question."""
    domain, tasks = updates.domain, list(SYNTHETIC.taskset(which, which, passages, seed))
    rows = []
    for condition in CONDITIONS:
        documents = [learned(domain, task, condition, count) for task in tasks]
        results = updates.run(tasks, documents)
        scores = [domain.score(task, result.answers_Q, 0) for task, result in zip(tasks, results, strict=True)]
        answers_Q = [[said[0] or "" for said in score.predictions_Q] for score in scores]
        row: Row = {"set": which, "condition": condition, "lexical": [score.accuracy for score in scores], "exact": []}
        kinds: dict[str, list[bool]] = {}
        for task, answers in zip(tasks, answers_Q, strict=True):
            pairs = list(zip(task.queries, answers, strict=True))
            row["exact"].append(float(np.mean([exact_match(answer, question.golds) for question, answer in pairs])))
            for question, answer in pairs:
                right = domain.grader.grade(question.question, question.answer, answer)
                kinds.setdefault(question.kind, []).append(right)
        row["kinds"] = {kind: float(np.mean(right)) for kind, right in sorted(kinds.items())}
        row["documents"] = float(np.mean([len(each) for each in documents]))
        row["steps"] = float(np.mean([len(result.losses_S) for result in results]))
        rows.append(row)
        print(which, condition, percent(row["lexical"]), flush=True)
    return rows


def texts_in(reply: str, task: PassageTask, domain: KnowledgeDomain) -> tuple[Text, ...] | None:
    """The documents that the environment makes of a reply; None if it is no valid self-edit."""
    calls = read_texts(reply)
    if isinstance(calls, InvalidSelfEdit):
        return None
    draft = apply_calls(Draft(), calls, EditContext(task.context, 0, domain), knowledge.TOOLS)
    return None if isinstance(draft, InvalidSelfEdit) else tuple(draft.candidates or ())


def is_true(text: str, task_id: str) -> bool:
    """True for a statement of the passage's facts, or a question with its answer, word for word."""
    drawn = synthetic_passage(task_id)
    pairs = {question_and_answer(question.question, question.answer) for question in drawn.questions()}
    return text in pairs or text in drawn.statements()


def measure_policy(updates: Updates, model: str, device: str, passages: int, samples: int, seed: int) -> list[Row]:
    """A row for each style: its texts, the share of them that is true, and accuracy, mean and best of `samples`."""
    base, domain = load_base_model(model, device), updates.domain
    tasks: list[Any] = [task for task in SYNTHETIC.taskset("eval", "eval", passages, seed) for _ in range(samples)]
    rows = []
    for style in STYLES:
        chats = [style_messages(style, f"{task.context.title}\n{task.context.text}") for task in tasks]
        replies = sample(base, chats, MAX_NEW_TOKENS, seed)
        written = [texts_in(reply, task, domain) for reply, task in zip(replies, tasks, strict=True)]
        documents = [
            domain.add_default_examples(task.context, each) or () for task, each in zip(tasks, written, strict=True)
        ]
        results = updates.run(tasks, documents)
        scores = [domain.score(task, result.answers_Q, 0).accuracy for task, result in zip(tasks, results, strict=True)]
        true = [is_true(text.text, task.task_id) for task, each in zip(tasks, written, strict=True) for text in each or ()]
        by_task = np.array(scores).reshape(passages, samples)
        rows.append(
            {
                "style": style,
                "valid": float(np.mean([each is not None for each in written])),
                "texts": float(np.mean([len(each or ()) for each in written])),
                "tokens": float(np.mean([len(base.tokenizer(reply)["input_ids"]) for reply in replies])),
                "true": float(np.mean(true)) if true else 0.0,
                "different": len(set(replies)) / len(replies),
                "accuracy": by_task.mean(axis=1).tolist(),
                "best": by_task.max(axis=1).tolist(),
                "replies": replies[:: max(1, samples * 6)],
            }
        )
        print(style, percent(rows[-1]["accuracy"]), percent(rows[-1]["best"]), flush=True)
    return rows


def ladder_table(rows: Iterable[Row]) -> Table:
    """Accuracy in per cent."""
    table = Table("set", "learned", "lexical", "exact", "direct", "indirect", "reversed", "documents", "steps")
    for row in rows:
        kinds = [f"{100 * row['kinds'][kind]:.0f}" for kind in ("direct", "indirect", "reversed")]
        scores = [percent(row[name]) for name in ("lexical", "exact")]
        table.add_row(row["set"], row["condition"], *scores, *kinds, f"{row['documents']:.0f}", f"{row['steps']:.0f}")
    return table


def policy_table(rows: Iterable[Row]) -> Table:
    """Accuracy in per cent, by style."""
    table = Table("style", "valid", "texts", "tokens", "true word for word", "different", "accuracy", "best reply")
    for row in rows:
        valid, true, different = (f"{row[name]:.0%}" for name in ("valid", "true", "different"))
        scores = [percent(row[name]) for name in ("accuracy", "best")]
        table.add_row(row["style"], valid, f"{row['texts']:.1f}", f"{row['tokens']:.0f}", true, different, *scores)
    return table


def make_updates(given: argparse.Namespace) -> Updates:
    """The model's own defaults, unless the command line overrides them."""
    said = {name: value for name in OVERRIDES if (value := getattr(given, name)) is not None}
    settings = Settings.resolve(domain="knowledge", subset="synthetic-eval", model=given.model, **said)
    return Updates(settings, make_inner_loop("batched", given.model, given.device), KnowledgeDomain(LexicalGrader()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = make_parser(__doc__, "bundled-text-model")
    parser.add_argument("--parts", nargs="+", default=["ladder", "policy"], choices=["ladder", "policy"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--passages", type=int, default=60, help="passages of a set")
    parser.add_argument("--texts", type=int, default=12, help="maximum number of statements, and of questions")
    parser.add_argument("--samples", type=int, default=5, help="replies of the policy for each passage and style")
    parser.add_argument("--model", default=TEXT_MODEL_NAME)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's default")
    for name, kind in OVERRIDES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="default: the model's own")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    updates, tables = make_updates(given), list[Table | str]()
    document: Document = new_document(given, given.device) | {"rows": [], "policy": []}
    if "ladder" in given.parts:
        for which in given.sets:
            document["rows"] += measure_ladder(updates, which, given.passages, given.seed, given.texts)
        tables.append(ladder_table(document["rows"]))
    if "policy" in given.parts:
        document["policy"] = measure_policy(updates, given.model, given.device, given.passages, given.samples, given.seed)
        tables.append(policy_table(document["policy"]))
    write(given.json, document)
    show(given.json, document, tables)


if __name__ == "__main__":
    main()
