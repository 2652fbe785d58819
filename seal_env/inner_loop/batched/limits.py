"""Lengths at which a model changes what it computes for all tokens of a pass at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def longest_packed(config: Any) -> int | None:
    """The longest sequence that may share a pass with others, in tokens; None without a limit.

    Rotary embeddings of the kinds `longrope` and `dynamic` change the frequencies of a whole pass as soon as one of its
    tokens is beyond the context that the model was first trained on.

    Args:
        config: Of a transformers model.
    """
    limits = []
    for rope, owner in _ropes(config):
        kind = rope.get("rope_type", rope.get("type"))
        longest = getattr(owner, "max_position_embeddings", None)
        if kind == "longrope":
            longest = rope.get("original_max_position_embeddings") or getattr(
                owner, "original_max_position_embeddings", longest
            )
        if kind in ("longrope", "dynamic") and longest is not None:
            limits.append(int(longest))
    return min(limits, default=None)


def switches(config: Any) -> set[int]:
    """Every number of a configuration that may be a length at which something changes."""
    words = ("position", "window", "chunk", "length", "context", "ctx")
    return {
        value
        for owner in _configs(config)
        for name, value in [*vars(owner).items(), *(item for rope, _ in _ropes(config) for item in rope.items())]
        if type(value) is int and value > 1 and any(word in name for word in words)
    }


def _configs(config: Any) -> Iterator[Any]:
    yield config
    for name in getattr(config, "sub_configs", {}):
        if getattr(config, name, None) is not None:
            yield from _configs(getattr(config, name))


def _ropes(config: Any) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Descriptions of rotary embeddings, some of which are by kind of layer, each with the configuration that has it."""
    for owner in _configs(config):
        for name in ("rope_parameters", "rope_scaling"):
            found = getattr(owner, name, None)
            if isinstance(found, Mapping):
                nested = [each for each in found.values() if isinstance(each, Mapping)]
                yield from ((each, owner) for each in nested or [found])
