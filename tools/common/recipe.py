"""`recipe`: an optional tool that sets how the update is done beyond learning rate and epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final, Literal

from pydantic import Field, create_model

from seal_env.tools.base import Arguments, Draft, EditContext, Shorthand, Tool, sampled_from
from seal_env.types import LoraSpec

NAME: Final = "recipe"
ATTENTION: Final = frozenset(
    ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "out_proj", "c_attn", "query_key_value", "query", "key", "value")
)
"""Names of linear layers in attention; all others count as those of the MLP."""
MAX_RANK: Final = 256


@cache
def recipe_tool(optimizers: tuple[str, ...], schedules: tuple[str, ...], lora: LoraSpec | None) -> Tool[Any]:
    """The tool for an environment.

    The adapter keeps its scale, alpha / rank, whatever its rank, so that a learning rate means the same for all of them.

    Args:
        optimizers: names that the agent may choose.
        schedules: the same for schedules of the learning rate.
        lora: the environment's adapter, whose layers the agent chooses from; None leaves out rank and layers, where all
            weights are trained.
    """
    fields: dict[str, Any] = {
        "batch_size": _number(int, "Examples of an optimizer step.", 4, (1, 8), ge=1, le=64),
        "optimizer": (_one_of(optimizers), Field(description="Optimizer.", examples=[optimizers[0]])),
        "schedule": (_one_of(schedules), Field(description="Schedule of the learning rate.", examples=[schedules[0]])),
        "weight_decay": _number(float, "Weight decay.", 0.01, (0.001, 0.1), ge=0, le=1),
    }
    groups = {} if lora is None else _groups(lora.target_modules)
    if lora is not None:
        fields["rank"] = _number(int, "Rank of the adapter.", 16, (4, 64), ge=1, le=MAX_RANK)
        fields["layers"] = (_one_of(tuple(groups)), Field(description="Layers with adapters.", examples=["all"]))

    def apply(draft: Draft, context: EditContext, arguments: Any) -> Draft:
        chosen = {name: getattr(arguments, name) for name in fields}
        own = {}
        if lora is not None:
            rank, layers = chosen.pop("rank"), chosen.pop("layers")
            own = {"rank": rank, "alpha": lora.alpha / lora.rank * rank, "target_modules": groups[layers]}
        return replace(draft, recipe={**draft.recipe, **chosen}, lora={**draft.lora, **own})

    return Tool(
        name=NAME,
        description="Sets how the update is done. A later call replaces an earlier one.",
        arguments=create_model("RecipeArguments", __base__=Arguments, **fields),
        apply=apply,
        makes_examples=False,
        shorthand=Shorthand("batch size; optimizer; schedule; weight decay; rank and layers of the adapter", _short),
        replaces=True,
    )


def _number(kind: type, description: str, example: float, sampled: tuple[float, float], **bounds: float) -> tuple[type, Any]:
    given: dict[str, Any] = {"examples": [example], "json_schema_extra": sampled_from(*sampled), **bounds}
    return kind, Field(description=description, **given)


def _one_of(names: tuple[str, ...]) -> Any:
    return Literal[names]


def _groups(targets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Choices of layers by name: all of them, and attention and MLP where both have some."""
    attention = tuple(name for name in targets if name in ATTENTION)
    others = tuple(name for name in targets if name not in ATTENTION)
    parts = {"attention": attention, "mlp": others} if attention and others else {}
    return {"all": tuple(targets), **parts}


def _short(calls: Sequence[Mapping[str, Any]]) -> str:
    """`b4 adamw cosine wd0.01 r16 all`."""
    last = calls[-1]
    words = [f"b{last['batch_size']}", last["optimizer"], last["schedule"], f"wd{last['weight_decay']:g}"]
    return " ".join([*words, *([f"r{last['rank']}", last["layers"]] if "rank" in last else [])])
