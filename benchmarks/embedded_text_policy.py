"""seal-tiny-text as a policy: are the texts that it writes about a passage true, different, and worth learning?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.table import Table

from seal_env.agents.lm.text_styles import STYLES, style_messages
from seal_env.domains import knowledge
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.intervals import bootstrap
from seal_env.self_edits.compile import apply_calls
from seal_env.self_edits.parse_text import read_texts
from seal_env.tasks.knowledge.document import Document
from seal_env.tasks.knowledge.passage import PassageTask
from seal_env.tasks.knowledge.prompt import question_and_answer
from seal_env.tasks.knowledge.synthetic.draw import SyntheticPassage
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage
from seal_env.tools.base import Draft, EditContext, Tool
from seal_env.types import InvalidSelfEdit

if TYPE_CHECKING:
    from embedded_text_model import Update

BATCH = 20
LONGEST = 256
Row = dict[str, Any]


def sample_replies(base: FrozenLM, style: str, tasks: Sequence[PassageTask], seed: int) -> list[str]:
    """One reply for each task, sampled at temperature 1 from the whole vocabulary."""
    torch.manual_seed(seed)
    base.tokenizer.padding_side = "left"
    replies = []
    for start in range(0, len(tasks), BATCH):
        prompts = []
        for task in tasks[start : start + BATCH]:
            chat = style_messages(style, f"{task.context.title}\n{task.context.text}")
            messages = [{"role": message.role, "content": message.content} for message in chat]
            prompts.append(base.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        inputs = base.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(base.device)
        inputs.pop("token_type_ids", None)
        output = base.model.generate(
            **inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=LONGEST,
            pad_token_id=base.tokenizer.pad_token_id,
        )  # fmt: skip
        replies += base.tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    base.tokenizer.padding_side = "right"
    return replies


def documents_of(reply: str, task: PassageTask, tools: Sequence[Tool[Any]]) -> tuple[Document, ...] | None:
    """The documents that the tools make of a reply; None if it is no valid self-edit."""
    draft = apply_calls(Draft(), read_texts(reply), EditContext(task.context, 0), tools)
    return None if isinstance(draft, InvalidSelfEdit) else tuple(draft.candidates or ())


def is_true(text: str, drawn: SyntheticPassage) -> bool:
    """True for a statement of the passage's facts, or a question with its answer, word for word as the tables have them."""
    pairs = {question_and_answer(question.question, question.answer) for question in drawn.questions()}
    return text in pairs or text in drawn.statements()


def measure_policy(update: Update, passages: int, samples: int, seed: int) -> list[Row]:
    """A row for each style: how many texts, how many of them true, accuracy after the update, mean and best of `samples`."""
    base = load_base_model(update.inner_loop.base.name, str(update.inner_loop.base.device))
    tasks = list(SYNTHETIC.taskset("synthetic-eval", "eval", passages, seed))
    repeated = [task for task in tasks for _ in range(samples)]
    rows = []
    for style in STYLES:
        replies = sample_replies(base, style, repeated, seed)
        written = [documents_of(reply, task, knowledge.TOOLS) for reply, task in zip(replies, repeated, strict=True)]
        learned = [
            update.domain.add_default_examples(task.context, each) or ()
            for task, each in zip(repeated, written, strict=True)
        ]
        results = update.run(repeated, learned)
        scores = [
            update.domain.score(task, result.answers_Q, 0).accuracy for task, result in zip(repeated, results, strict=True)
        ]
        lines = [
            (document.text, synthetic_passage(task.task_id))
            for task, each in zip(repeated, written, strict=True)
            for document in each or ()
        ]
        by_task = np.array(scores).reshape(len(tasks), samples)
        rows.append(
            {
                "style": style,
                "valid": float(np.mean([each is not None for each in written])),
                "texts": float(np.mean([len(each or ()) for each in written])),
                "tokens": float(np.mean([len(base.tokenizer(reply)["input_ids"]) for reply in replies])),
                "true": float(np.mean([is_true(*line) for line in lines])) if lines else 0.0,
                "different": len(set(replies)) / len(replies),
                "accuracy": by_task.mean(axis=1).tolist(),
                "best": by_task.max(axis=1).tolist(),
                "replies": replies[:: max(1, samples * 6)],
            }
        )
        print(style, bootstrap(rows[-1]["accuracy"]).percent(), bootstrap(rows[-1]["best"]).percent(), flush=True)
    return rows


def policy_table(rows: Sequence[Row]) -> Table:
    """Accuracy in per cent, by style."""
    table = Table("style", "valid", "texts", "tokens", "true word for word", "different", "accuracy", "best reply")
    for row in rows:
        shares = [f"{100 * row[name]:.0f}" for name in ("true", "different")]
        scores = [bootstrap(row[name]).percent() for name in ("accuracy", "best")]
        valid, texts, tokens = f"{100 * row['valid']:.0f}", f"{row['texts']:.1f}", f"{row['tokens']:.0f}"
        table.add_row(row["style"], valid, texts, tokens, *shares, *scores)
    return table
