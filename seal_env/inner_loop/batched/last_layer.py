"""The last layer without what no loss reads: behind its attention, only the positions with loss go on.

Keys and values are needed at every position, all else of the last layer only where something is predicted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MethodType
from typing import Any

import torch

from seal_env.inner_loop.batched.kernels import LEFT_OUT
from seal_env.inner_loop.batched.packing import Packed, on_device

KNOWN_LAYERS = ("LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer", "Qwen3DecoderLayer")
"""transformers' layers that are attention and then a part that treats each position alone, both with a sum around."""


@dataclass(frozen=True)
class Chosen:
    """The positions of a pass that go on, [N] in ascending order, and the pass with these tokens alone."""

    positions: torch.Tensor
    packed: Packed


def choose_positions(packed: Packed, positions: Sequence[int], tensor: torch.Tensor) -> Chosen | None:
    """The pass at these positions; None if an adapter has none of them.

    Args:
        packed: The pass.
        positions: In ascending order.
        tensor: The same, where the pass is.
    """
    bounds = [bisect_left(positions, span.start) for _, span in packed.spans]
    bounds.append(bisect_left(positions, packed.spans[-1][1].stop))
    if any(start == stop for start, stop in pairwise(bounds)) or bounds[-1] - bounds[0] != len(positions):
        return None
    spans = tuple((slot, slice(*bound)) for (slot, _), bound in zip(packed.spans, pairwise(bounds), strict=True))
    ends = on_device(bounds[1:], torch.int32, packed.ends.device)
    return Chosen(tensor, replace(packed, spans=spans, ends=ends))


def trim_last_layer(decoder: Any, current: Any) -> bool:
    """Have a decoder's last layer go on with `current.chosen`, if it is not None.

    False for a layer of an unknown kind. Sums over fewer positions may round differently.

    Args:
        decoder: transformers' decoder; changed in place.
        current: Has the attributes `chosen` and `packed`; the latter becomes the pass at the chosen positions.
    """
    layer = getattr(decoder, "layers", [None])[-1]
    if type(layer).__name__ not in KNOWN_LAYERS or not type(layer).__module__.startswith("transformers."):
        return False
    if "trim" in LEFT_OUT:
        return False

    def forward(self: Any, hidden_states: torch.Tensor, **named: Any) -> torch.Tensor:
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **named)
        states = hidden_states + attended
        if current.chosen is not None:
            states, current.packed = states.index_select(1, current.chosen.positions), current.chosen.packed
        after: torch.Tensor = states + self.mlp(self.post_attention_layernorm(states))
        return after

    layer.forward = MethodType(forward, layer)
    return True
