"""The base model on packed sequences, each read with the adapter of its job, or all without adapters.

The modules are a copy of the model's own, the weights are the same tensors: adapted linear layers are wrapped, and attention
never crosses sequences. Everything else is transformers' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.attention import CURRENT, NAME, Attention, attention_over
from seal_env.inner_loop.batched.fused import fuse, liger_silu_product
from seal_env.inner_loop.batched.lora import LoraLinear, LoraStack
from seal_env.inner_loop.batched.packing import BASE, Packed, Piece, pack
from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.targets import find_targets
from seal_env.types import LoraSpec

DIFFERENCE_LIMITS = {torch.bfloat16: 0.1, torch.float16: 0.02}
"""Limits on how far packed logits may be from the model's own, relative in the Euclidean norm; 1e-4 for other types.

Two runs of one bf16 model of 16 to 28 layers that differ only in how fp32 sums are ordered are 0.02 to 0.03 apart; what
attends to the wrong tokens is 0.3 apart or more.
"""


@dataclass
class Current:
    """What passes through the model: the tokens and their adapters.

    Attributes:
        anchor: A scalar that requires a gradient, so that the first adapted layer's output does although its input does not.
        stack: The adapters; None for the model without.
        packed: The tokens.
    """

    anchor: torch.Tensor
    stack: LoraStack | None = None
    packed: Packed | None = None


class PackedReader:
    """Reads packed sequences with a model."""

    def __init__(self, base: FrozenLM, trusted: bool = False) -> None:
        """Copy the model's modules.

        Args:
            base: The model.
            trusted: True skips the check that packed sequences give the logits that the model itself gives.

        Raises:
            ModelError: They do not.
        """
        self.base = base
        self.current = Current(torch.zeros((), device=base.device, requires_grad=True))
        self.model = share(base.model)
        self.model.set_attn_implementation(NAME)
        if base.device.type == "cuda":  # on a CPU the fused ones are no faster
            fuse(self.model, liger_silu_product())
        self.decoder: Any = self.model.get_decoder()
        self.head: torch.Tensor = self.model.get_output_embeddings().weight
        if not trusted:
            self._verify()

    def hidden(self, packed: Packed, stack: LoraStack | None, attention: Attention | None = None) -> torch.Tensor:
        """Last hidden states, [T, width], of packed sequences; stack None reads them with the base model alone."""
        self.current.stack, self.current.packed = stack, packed
        token = CURRENT.set(attention or attention_over(packed))
        try:
            output = self.decoder(input_ids=packed.ids, position_ids=packed.positions, use_cache=False)
        finally:
            CURRENT.reset(token)
        states: torch.Tensor = output.last_hidden_state[0]
        return states

    @torch.no_grad()
    def _verify(self) -> None:
        """Two short sequences, packed, must give the logits that the model itself gives them.

        This finds models whose logits are more than head times hidden state (soft caps, scales), or whose attention is not
        plainly causal.
        """
        count = min(self.head.shape[0], 24)
        texts = [list(range(count)), list(range(count))[::-2]]
        packed = pack([Piece(ids, len(ids), BASE) for ids in texts], self.base.device)
        ours = (self.hidden(packed, None) @ self.head.T).float()
        plain = [self.base.model(input_ids=torch.tensor([ids], device=self.base.device), use_cache=False) for ids in texts]
        theirs = torch.cat([output.logits[0] for output in plain]).float()
        apart = float((ours - theirs).norm() / theirs.norm())
        if not apart < DIFFERENCE_LIMITS.get(self.head.dtype, 1e-4):
            raise ModelError(
                f"model={self.base.name!r} ({self.base.model.config.model_type}) does not run packed: its logits differ by "
                f"{apart:.1%}. Use inner_loop='reference'"
            )


class PackedModel(PackedReader):
    """A base model, prepared for adapters of one shape."""

    def __init__(self, base: FrozenLM, spec: LoraSpec) -> None:
        """See PackedReader. spec: the adapters' shape."""
        super().__init__(base, trusted=True)
        self.spec = spec
        targets = set(find_targets(base.model, spec.target_modules, str(base.model.config.model_type)))
        self.layers: dict[str, torch.nn.Module] = {}
        for name, module in list(self.model.named_modules()):
            if name.rpartition(".")[2] in targets and hasattr(module, "weight"):
                self.layers[name] = module
                self.model.set_submodule(name, LoraLinear(module, name, self.current))
        self._verify()
