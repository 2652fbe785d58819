"""What the updates of an inner loop change. Importing this module imports no torch."""

from __future__ import annotations

from seal_env.types import AdaptedLayers, InnerLoop, LoraSpec, UpdateMethod

NOTHING_SAID = AdaptedLayers({})


def adapted_layers(inner_loop: InnerLoop, lora: LoraSpec, method: UpdateMethod) -> AdaptedLayers:
    """What updates change: layers with adapters of this shape, or weights.

    Args:
        inner_loop: One without a method `adapted` says nothing.
        lora: The adapters' shape.
        method: See `UpdateJob`.

    Raises:
        SettingError: The model has no linear layer of a name that was chosen.
        ModelError: The model's layers cannot be adapted.
    """
    say = getattr(inner_loop, "adapted", None)
    return NOTHING_SAID if say is None else say(lora, method)
