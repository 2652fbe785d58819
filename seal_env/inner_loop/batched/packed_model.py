"""The base model on packed sequences, each read with the adapter of its job, or all without adapters.

The modules are a copy of the model's own, the weights are the same tensors: adapted linear layers are wrapped, and attention
never crosses sequences. Everything else is transformers' code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.attention import CURRENT, NAME, Attention, attention_over
from seal_env.inner_loop.batched.elementwise import fuse_on_cpu
from seal_env.inner_loop.batched.fused import fuse, liger_silu_product
from seal_env.inner_loop.batched.graphs import recording_stream
from seal_env.inner_loop.batched.kernels import find_kernels
from seal_env.inner_loop.batched.last_layer import Chosen, trim_last_layer
from seal_env.inner_loop.batched.lora import LoraLinear, LoraStack
from seal_env.inner_loop.batched.packing import Packed
from seal_env.inner_loop.model.devices import is_nvidia
from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.targets import text_decoder
from seal_env.types import LoraSpec


@dataclass(frozen=True)
class Proof:
    """Where packed passes compute what the plain model computes; see `seal_env.inner_loop.batched.proof`.

    Attributes:
        longest: In sequences of at most so many tokens; None in all.
        padding: In sequences with padding too.
    """

    longest: int | None = None
    padding: bool = True

    def check(self, packed: Packed) -> None:
        """Raise ModelError for a pass outside."""
        if self.longest is not None and packed.longest > self.longest:
            raise ModelError(
                f"a sequence of {packed.longest} tokens does not run packed: beyond {self.longest} the model changes all "
                f"sequences of a pass. Use inner_loop='reference', or a max_tokens of at most {self.longest}"
            )
        if not self.padding and packed.padded:
            raise ModelError(
                "profile='paper' trains on padding, which this model treats differently in packed passes. "
                "Use inner_loop='reference', or profile='fixed'"
            )


@dataclass
class Current:
    """What passes through the model: the tokens and their adapters.

    Attributes:
        anchor: A scalar that requires a gradient, so that the first adapted layer's output does although its input does not.
        stack: The adapters; None for the model without.
        packed: The tokens.
        chosen: The positions that leave the last layer; None for all.
    """

    anchor: torch.Tensor
    stack: LoraStack | None = None
    packed: Packed | None = None
    chosen: Chosen | None = None

    @contextmanager
    def anchored(self, anchor: torch.Tensor) -> Iterator[None]:
        """Within the context, another anchor."""
        before, self.anchor = self.anchor, anchor
        try:
            yield
        finally:
            self.anchor = before


class PackedReader:
    """Reads packed sequences with a model."""

    def __init__(self, base: FrozenLM, proof: Proof | None = None, graphs: bool | None = None) -> None:
        """Copy the model's modules.

        Args:
            base: The model.
            proof: What is proven for it; other passes are refused. None refuses none.
            graphs: Whether small passes that recur become CUDA graphs; None is yes on a GPU.

        Raises:
            ModelError: The model's head adds something.
        """
        self.base, self.proof = base, proof or Proof()
        self.graphs = is_nvidia(base.device) if graphs is None else graphs
        self.stream = recording_stream(base.device)
        self.current = Current(torch.zeros((), device=base.device, requires_grad=True))
        self.model = share(base.model)
        self.model.set_attn_implementation(NAME)
        if is_nvidia(base.device):
            kernels = find_kernels("rotary", base.device)
            least_tokens = 0 if self.graphs else None
            rotation = None if kernels is None else kernels.rotate
            fuse(self.model, liger_silu_product(), rotation, least_tokens=least_tokens)
        elif base.device.type == "cpu":
            fuse_on_cpu(self.model)
        self.decoder: Any = text_decoder(self.model)
        self.trims = trim_last_layer(self.decoder, self.current)
        head = self.model.get_output_embeddings()
        if getattr(head, "bias", None) is not None:
            raise ModelError(
                f"model={base.name!r} ({base.model.config.model_type}) does not run packed: its head has a bias. "
                f"Use inner_loop='reference'"
            )
        self.head: torch.Tensor = head.weight

    def hidden(
        self, packed: Packed, stack: LoraStack | None, attention: Attention | None = None, chosen: Chosen | None = None
    ) -> torch.Tensor:
        """Last hidden states, [T, width], of packed sequences; at the chosen positions alone, [N, width], if it `trims`.

        Args:
            packed: The sequences.
            stack: The adapters; None reads with the base model alone.
            attention: The attention; None is that over the sequences.
            chosen: The positions that are wanted; None is all.

        Raises:
            ModelError: Nothing is proven for such sequences.
        """
        self.proof.check(packed)
        self.current.stack, self.current.packed, self.current.chosen = stack, packed, chosen
        token = CURRENT.set(attention or attention_over(packed, self.head.dtype))
        try:
            output = self.decoder(input_ids=packed.ids, position_ids=packed.positions, use_cache=False)
        finally:
            CURRENT.reset(token)
        states: torch.Tensor = output.last_hidden_state[0]
        return states


class PackedModel(PackedReader):
    """A base model, prepared for adapters of one shape."""

    def __init__(self, base: FrozenLM, spec: LoraSpec, proof: Proof | None = None, graphs: bool | None = None) -> None:
        """See PackedReader. spec: the adapters' shape."""
        super().__init__(base, proof, graphs)
        self.spec = spec
        self.layers: dict[str, torch.nn.Module] = {}
        for name in base.targets(spec).layers:
            self.layers[name] = self.model.get_submodule(name)
            self.model.set_submodule(name, LoraLinear(self.layers[name], name, self.current))
