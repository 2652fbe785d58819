"""A self-edit in the making, over all segments of a task: drafts, and the training examples that come of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from seal_env.episodes.rehearsal import Rehearsal
from seal_env.episodes.runtime import Runtime
from seal_env.self_edits.compile import FilteredExamples, apply_calls, compile_draft, describe_draft, filter_examples
from seal_env.tools.base import Draft, EditContext
from seal_env.types import InvalidSelfEdit, SelfEdit, Task, ToolCall

NOTHING: Final = FilteredExamples((), ())


class Drafting:
    """The agent is shown the segments one after another and closes a draft on each; they are learned together.

    Args:
        runtime: Of the episode.
        task: The episode's task.
        seed: Of the augmentation and of the order of the examples.
        rehearsal: What there is of earlier tasks; None where nothing can be rehearsed.
    """

    def __init__(self, runtime: Runtime, task: Task[Any, Any], seed: int, rehearsal: Rehearsal | None = None) -> None:
        self.runtime, self.seed, self.rehearsal = runtime, seed, rehearsal
        self.segments = runtime.domain.segments(task.context)
        self.index = 0
        self.calls: tuple[ToolCall, ...] = ()
        self.draft = Draft()
        self.examples: FilteredExamples | None = None
        self.own = self.rehearsed = NOTHING
        self.seconds = 0.0
        self.counts = Counter({name: 0 for tool in runtime.tools for name in tool.counts})
        self._closed: tuple[Any, ...] | None = None

    @property
    def segment(self) -> Any:
        """The segment that the agent writes about."""
        return self.segments[self.index]

    @property
    def on_last_segment(self) -> bool:
        """Whether the next `finetune` starts the update."""
        return self.index + 1 == len(self.segments)

    def apply(self, calls: Sequence[ToolCall]) -> InvalidSelfEdit | None:
        """Fold calls over the draft; the mistake in them, if there is one, in which case nothing has changed."""
        began = time.perf_counter()
        context = EditContext(self.segment, self.seed, self.runtime.domain)
        draft = apply_calls(self.draft, calls, context, self.runtime.tools)
        if isinstance(draft, InvalidSelfEdit):
            return draft
        self._take(draft)
        self.calls = (*self.calls, *calls)
        self.seconds += time.perf_counter() - began
        return None

    def _take(self, draft: Draft) -> None:
        """Rendering and counting examples takes time, so it is done only where the examples are used."""
        same = draft.candidates is self.draft.candidates and draft.rehearse == self.draft.rehearse
        self.draft = draft
        if (draft.finetune and not self.on_last_segment) or (self.examples is not None and same):
            return
        candidates = self._candidates()
        if candidates is not None:
            domain, count, budget = self.runtime.domain, self.runtime.inner_loop.count_tokens, self.runtime.budget
            self.own = filter_examples(candidates, domain.render_example, count, budget, self.seed)
            self.rehearsed = NOTHING
            if self.rehearsal is not None:
                self.rehearsed = self.rehearsal.choose(draft.rehearse, self.runtime.settings.max_rehearsed, self.seed)
            self.examples = self.own.and_then(self.rehearsed)

    def _candidates(self) -> tuple[Any, ...] | None:
        """What all segments so far are learned from; None if there is nothing."""
        own = self.runtime.domain.add_default_examples(self.segment, self.draft.candidates)
        return self._closed if own is None else (*(self._closed or ()), *own)

    def close_segment(self) -> None:
        """Go on to the next segment; the training config stays."""
        self._closed = self._candidates()
        last = self.draft
        self.counts.update(last.counts)
        self.draft, self.examples = Draft(training=last.training, recipe=last.recipe, lora=last.lora), None
        self.index += 1

    def force_finetune(self) -> None:
        """Close the last draft although the agent did not."""
        self._take(replace(self.draft, finetune=True))

    def compile(self) -> SelfEdit | InvalidSelfEdit:
        """The self-edit over all segments."""
        self.counts.update(self.draft.counts)
        return compile_draft(self.draft, self.examples, self.runtime.rules)

    def describe(self) -> str:
        """The reply to the agent about an open draft."""
        rehearsed = len(self.rehearsed.examples_E)
        return describe_draft(self.draft, self.examples, self.runtime.rules, rehearsed)
