"""`augment`: makes the training examples of an ARC self-edit from the task's demonstrations."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from seal_env.tasks.arc.training_set import build_candidates
from seal_env.tools.base import Arguments, Draft, EditContext, Tool


class AugmentArguments(Arguments):
    """Which groups of augmentations are used, each on all grids of a task alike (SEAL, arXiv 2506.10943, section 3.2)."""

    use_basic_augmentations: bool = Field(description="Rotate, flip, reflect, shift and transpose the grids.")
    use_size_augmentations: bool = Field(description="Double each cell in height, in width or in both.")
    use_chain_augmentations: bool = Field(description="Rotate or flip or transpose and then double each cell.")
    use_repeat_augmentations: bool = Field(description="Repeat each grid two times along an axis, or along both.")


def apply(draft: Draft, context: EditContext, arguments: AugmentArguments) -> Draft:
    """The draft with new candidates. `context.task_context`: the demonstrations, a tuple of GridPair."""
    candidates = build_candidates(
        context.task_context,
        basic=arguments.use_basic_augmentations,
        size=arguments.use_size_augmentations,
        chain=arguments.use_chain_augmentations,
        repeat=arguments.use_repeat_augmentations,
        seed=context.seed,
    )
    return replace(draft, candidates=candidates)


AUGMENT = Tool(
    name="augment",
    description=(
        "Makes the training examples from the demonstrations. Each demonstration is left out in turn and becomes the "
        "question. A later call replaces the examples of an earlier one."
    ),
    arguments=AugmentArguments,
    apply=apply,
)
