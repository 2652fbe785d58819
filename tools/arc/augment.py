"""`augment`: makes the training examples of an ARC self-edit from the task's demonstrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from pydantic import Field

from seal_env.tools.base import Arguments, Draft, EditContext, Shorthand, Tool


@runtime_checkable
class GridSource(Protocol):
    """What a domain offers to `augment`."""

    def build_candidates(
        self, segment: Any, *, basic: bool, size: bool, chain: bool, repeat: bool, seed: int
    ) -> tuple[Any, ...]:
        """The training examples that the augmentations make of a segment, in the domain's own form.

        Args:
            segment: the demonstrations.
            basic: rotate, flip, reflect, shift and transpose.
            size: double the cells.
            chain: rotate, flip or transpose, then double.
            repeat: repeat the grids.
            seed: of everything that is drawn.
        """
        ...


class AugmentArguments(Arguments):
    """Which groups of augmentations are used, each on all grids of a task alike (SEAL, arXiv 2506.10943, section 3.2)."""

    use_basic_augmentations: bool = Field(
        description="Rotate, flip, reflect, shift and transpose the grids.", examples=[True]
    )
    use_size_augmentations: bool = Field(description="Double each cell in height, in width or in both.", examples=[False])
    use_chain_augmentations: bool = Field(
        description="Rotate or flip or transpose and then double each cell.", examples=[True]
    )
    use_repeat_augmentations: bool = Field(
        description="Repeat each grid two times along an axis, or along both.", examples=[False]
    )


def apply(draft: Draft, context: EditContext, arguments: AugmentArguments) -> Draft:
    """The draft with new candidates in place of earlier ones."""
    source: GridSource = context.domain
    candidates = source.build_candidates(
        context.segment,
        basic=arguments.use_basic_augmentations,
        size=arguments.use_size_augmentations,
        chain=arguments.use_chain_augmentations,
        repeat=arguments.use_repeat_augmentations,
        seed=context.seed,
    )
    return replace(draft, candidates=candidates)


def _short(calls: Sequence[Mapping[str, Any]]) -> str:
    """`basic chain`: the groups that the last call switches on."""
    groups = [name.removeprefix("use_").removesuffix("_augmentations") for name, on in calls[-1].items() if on]
    return "all four" if len(groups) == len(AugmentArguments.model_fields) else " ".join(groups) or "plain"


AUGMENT = Tool(
    name="augment",
    description=(
        "Makes the training examples from the demonstrations. Each demonstration is left out in turn and becomes the "
        "question. A later call replaces the examples of an earlier one."
    ),
    arguments=AugmentArguments,
    apply=apply,
    source=GridSource,
    shorthand=Shorthand("augmentations", _short),
    replaces=True,
)
