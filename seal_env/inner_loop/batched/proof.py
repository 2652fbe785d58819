"""Before a model's first job: proof, on the model itself, that packed passes compute what the plain model computes.

Compared are logits and gradients with adapters that are not zero on every layer; sequences next to others of another job,
with positions up to and beyond every length in the configuration; windows shortened to less than the sequences; padding; and
tokens that are decoded one by one. The plain model has its adapters in hooks, so the two sides share no code of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional

from seal_env.errors import ModelError
from seal_env.inner_loop.batched.attention import attention_over
from seal_env.inner_loop.batched.head import cross_entropy
from seal_env.inner_loop.batched.key_cache import KeyCache, States, one_token_each, storing
from seal_env.inner_loop.batched.limits import longest_packed, switches
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel, PackedReader, Proof
from seal_env.inner_loop.batched.packing import BASE, Packed, Piece, pack
from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.plain import LIMITS, ROW, apart, check_plain, refusing, sample_ids
from seal_env.types import LoraSpec

ADVICE = "Use inner_loop='reference'"
RANK = 8
"""The adapters' rank is no larger here, and alpha is the rank: what is proven does not depend on them."""

GAIN = 0.3
"""How much the adapters here change a layer's output, relative to its input."""

FAR_ROW, WINDOW, FAR_END = 4, 5, 2**17
WINDOWS = ("window", "chunk_size", "index_topk")
"""What is in the names of attributes that limit how many tokens a token sees."""

GRADIENT_LIMITS = {torch.bfloat16: 0.3, torch.float16: 0.1}
"""As LIMITS, for the gradient of one job; 1e-4 for other types."""

Gradients = dict[str, torch.Tensor]


def prove(base: FrozenLM, spec: LoraSpec | None) -> Proof:
    """What is proven for adapters of one shape, or for updates of all weights; found out once for each.

    Raises:
        ModelError: Packed passes compute something else, or the model's code fails in them. It says what to do.
        SettingError: See `find_targets`.
    """
    if spec is not None:
        rank = min(spec.rank, RANK if spec.rank % RANK == 0 else RANK - 1)
        spec = replace(spec, rank=rank, alpha=rank)
    if ("packed", spec) not in base.checks:
        check_plain(base)
        if spec is not None:
            base.targets(spec)
        _check_mask(base)
        with refusing(base, "does not run packed", ADVICE), torch.enable_grad():
            base.checks["packed", spec] = _Comparison(base, spec).run()
    proof: Proof = base.checks["packed", spec]
    return proof


def _check_mask(base: FrozenLM) -> None:
    """Raises ModelError for layers that use an attention mask themselves (DeepSeek V3.2, GLM-5): packed passes have none."""
    if getattr(base.model.config, "index_topk", None) is not None:
        name = f"model={base.name!r} ({base.model.config.model_type})"
        reason = "its layers choose the tokens that a token attends to (index_topk) by a mask, and packed passes have none"
        raise ModelError(f"{name} does not run packed: {reason}. {ADVICE}")


class _Comparison:
    """A model whose windows are short, packed and plain."""

    def __init__(self, base: FrozenLM, spec: LoraSpec | None) -> None:
        parameters = [torch.nn.Parameter(weight.detach()) for weight in base.model.parameters()] if spec is None else None
        model = shorten_windows(share(base.model, parameters))
        self.base = base.beside(model)
        self.packed: PackedReader
        self.stack: LoraStack | None
        self.packed, self.stack = PackedReader(self.base), None
        if spec is not None:
            self.packed = adapted = PackedModel(self.base, spec)
            self.stack = _filled(LoraStack(spec, adapted.layers, 2, learn=True))
        self.plain: Any = share(model)
        self._adapted: int | None = None
        self._adapters = {} if self.stack is None else self._hook(self.stack)
        self.near = sample_ids(base, 2, ROW)
        self.far, self.far_at = self._far_rows()

    def _far_rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Short rows around every position that the configuration may mean as a length; and their positions."""
        config = self.base.model.config
        limit = longest_packed(config)
        end = min(self.base.max_tokens, FAR_END) if getattr(config, "max_position_embeddings", None) else 2 * ROW
        end = min(end, limit or end)
        starts = {max(0, min(each - FAR_ROW // 2, end - FAR_ROW)) for each in (switches(config) | {end})}
        at = torch.tensor(sorted(starts), device=self.base.device)[:, None] + torch.arange(FAR_ROW, device=self.base.device)
        return sample_ids(self.base, len(starts), FAR_ROW, ROW + WINDOW), at

    def _hook(self, stack: LoraStack) -> dict[str, list[tuple[torch.Tensor, torch.Tensor]]]:
        """Let the plain model compute with copies of the adapters: by layer, A and B of each slot."""
        adapters = {
            shape.name: [
                (a.detach().clone().requires_grad_(), b.detach().clone().requires_grad_())
                for a, b in zip(*stack.views(shape, stack.weights), strict=True)
            ]
            for shape in stack.shapes
        }
        for name in adapters:
            self.plain.get_submodule(name).register_forward_hook(self._adapter_hook(adapters[name], stack.scale))
        return adapters

    def _adapter_hook(self, pairs: Sequence[tuple[torch.Tensor, torch.Tensor]], scale: float) -> Any:
        def add(_module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            if self._adapted is None:
                return output
            a, b = (each.to(output.dtype) for each in pairs[self._adapted])
            return output + scale * (inputs[0] @ a.T) @ b.T

        return add

    def run(self) -> Proof:
        """Compare everything. Raises ModelError, or what the model's code raises."""
        near = self._compare_training()
        with torch.no_grad():
            if self.stack is not None:
                packed = pack([Piece(self.near[0].tolist(), ROW, BASE)], self.base.device)
                self._same("logits without adapters", self._logits(packed, None), self._plain(self.near[:1], None)[0])
            self._compare_decoding(near)
            return Proof(longest_packed(self.base.model.config), self._same_with_padding())

    def _plain(self, ids: torch.Tensor, slot: int | None, **named: Any) -> torch.Tensor:
        """Logits of the plain model with the adapter of a slot, [rows, length, vocabulary]."""
        self._adapted = slot if self.stack is not None else None
        logits: torch.Tensor = self.plain(input_ids=ids, use_cache=False, **named).logits
        return logits

    def _logits(self, packed: Packed, stack: LoraStack | None) -> torch.Tensor:
        return self.packed.hidden(packed, stack) @ self.packed.head.T

    def _same(self, what: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
        distance = apart(ours, theirs)
        if not distance < LIMITS.get(self.packed.head.dtype, 1e-4):
            self._refuse(what, distance)

    def _refuse(self, what: str, distance: float) -> None:
        self._fail(f"its {what} differ by {distance:.1%}")

    def _fail(self, reason: str) -> None:
        name, kind = self.base.name, self.base.model.config.model_type
        raise ModelError(f"model={name!r} ({kind}) does not run packed: {reason}. {ADVICE}")

    def _compare_training(self) -> torch.Tensor:
        """Logits and gradients of two jobs in one pass, one of which has the far positions.

        Returns:
            The plain model's logits for the near rows.
        """
        slots = (0, 1) if self.stack is not None else (BASE, BASE)
        pieces = [
            Piece(row, len(row), slot)
            for ids, slot in zip((self.near, self.far), slots, strict=True)
            for row in ids.tolist()
        ]
        packed = pack(pieces, self.base.device)
        positions = torch.cat([packed.positions[0, : self.near.numel()], self.far_at.flatten()])[None]
        packed = replace(packed, positions=positions)
        states = self.packed.hidden(packed, self.stack)
        cut = self.near.numel()
        near = self._plain(self.near, 0)
        self._same("logits", states.detach()[:cut] @ self.packed.head.T, near.flatten(0, 1))
        far = self._plain(self.far, 1, position_ids=self.far_at)
        self._same("logits far from the start", states.detach()[cut:] @ self.packed.head.T, far.flatten(0, 1))
        labels = torch.cat([self.near.flatten(), self.far.flatten()])
        shares = torch.linspace(0.5, 1.5, len(labels), device=labels.device, dtype=torch.float32) / len(labels)
        cross_entropy(states, self.packed.head, labels, shares.to(torch.promote_types(states.dtype, torch.float32)))[
            0
        ].backward()
        ours = self._take_gradients(packed=True)
        logits = torch.cat([near.flatten(0, 1), far.flatten(0, 1)])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        (functional.cross_entropy(logits, labels, reduction="none") * shares).sum().backward()
        self._same_gradients(ours, self._take_gradients(packed=False))
        return near.detach()

    def _take_gradients(self, packed: bool) -> Gradients:
        """Of each adapter's A and B, or of each weight a part and its norm; they are removed from where they were."""
        if self.stack is None:
            found = {}
            for name, weight in (self.packed.model if packed else self.plain).named_parameters():
                if weight.grad is not None:
                    flat = weight.grad.flatten()
                    found[name] = torch.cat([flat[:: max(1, len(flat) // 4096)].float(), flat.float().norm()[None]])
                    weight.grad = None
            return found
        if packed:
            assert self.stack.gradients is not None
            return {
                f"{shape.name} {slot}{part}": matrix
                for shape in self.stack.shapes
                for part, matrices in zip("AB", self.stack.views(shape, self.stack.gradients), strict=True)
                for slot, matrix in enumerate(matrices)
            }
        return {
            f"{name} {slot}{part}": torch.zeros_like(weight) if weight.grad is None else weight.grad
            for name, slots in self._adapters.items()
            for slot, pair in enumerate(slots)
            for part, weight in zip("AB", pair, strict=True)
        }

    def _same_gradients(self, ours: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor]) -> None:
        limit = GRADIENT_LIMITS.get(self.packed.head.dtype, 1e-4)
        for name in theirs.keys() - ours.keys():
            if bool(theirs[name].any()):
                self._refuse(f"gradients ({name})", 1.0)
        shared = sorted(ours.keys() & theirs.keys())
        groups = [shared] if self.stack is None else [[name for name in shared if name[-2] == slot] for slot in "01"]
        for names in groups:
            whole = torch.stack([theirs[name].float().norm() for name in names]).norm()
            off = torch.stack([(ours[name].float() - theirs[name].float()).norm() for name in names])
            distance = float(off.norm() / whole)
            if not distance < limit:
                self._refuse("gradients", distance)
            for name, each in zip(names, off, strict=True):
                part = theirs[name].float().norm().clamp(min=0.01 * float(whole))
                if not float(each / part) < max(0.02, 2 * limit):
                    self._refuse(f"gradients ({name})", float(each / part))

    def _compare_decoding(self, theirs: torch.Tensor) -> None:
        """Two tokens each after prefixes of two lengths, from the keys and values of a pass over the prefixes."""
        lengths, stored = (WINDOW + 1, WINDOW - 1), list[tuple[torch.Tensor, torch.Tensor]]()
        slot = BASE if self.stack is None else 0
        rows = self.near.tolist()
        packed = pack(
            [Piece(row[:length], length, slot) for row, length in zip(rows, lengths, strict=True)], self.base.device
        )
        self.packed.hidden(packed, self.stack, storing(attention_over(packed, self.packed.head.dtype), stored))
        if not stored:
            self._fail("its attention cannot be replaced")
        bounds = (slice(0, lengths[0]), slice(lengths[0], sum(lengths)))
        states: list[States] = [[(key[:, part], value[:, part]) for key, value in stored] for part in bounds]
        cache = KeyCache(states, lengths)
        for step in range(2):
            at = [length + step for length in lengths]
            following = one_token_each(
                [row[n] for row, n in zip(rows, at, strict=True)], [slot, slot], cache, self.base.device
            )
            ours = self.packed.hidden(following, self.stack, cache.attend) @ self.packed.head.T
            self._same("decoded logits", ours, torch.stack([theirs[row, n] for row, n in enumerate(at)]))
            cache.count()
            cache.advance([0, 1])

    def _same_with_padding(self) -> bool:
        """True if padded sequences, on whose padding the paper's profile trains, have the plain model's logits."""
        real, length, pad = WINDOW // 2, WINDOW - 1, self.base.pad_id
        ids = self.near[:1, :length].clone()
        ids[:, real:] = pad
        mask = torch.ones_like(ids)
        mask[:, real:] = 0
        slot = BASE if self.stack is None else 0
        packed = pack([Piece(row, real, slot) for row in ids.tolist()], self.base.device)
        theirs = self._plain(ids, 0, attention_mask=mask).flatten(0, 1)
        return apart(self._logits(packed, self.stack), theirs) < LIMITS.get(self.packed.head.dtype, 1e-4)


def _filled(stack: LoraStack) -> LoraStack:
    """Adapters that change every layer's output."""
    generator = torch.Generator().manual_seed(0)
    for shape in stack.shapes:
        for matrix, deviation in zip(
            stack.views(shape, stack.weights), (shape.inputs**-0.5, GAIN * stack.spec.rank**-0.5), strict=True
        ):
            matrix.copy_(torch.randn(matrix.shape, generator=generator).to(matrix) * deviation)
    for slot in range(len(stack.weights)):
        stack.publish(slot)
    return stack


def shorten_windows(model: Any) -> Any:
    """Make the windows of a model's attention shorter than the sequences here; everything else stays. Returns the model."""
    config = model.config
    owners = [config, *(getattr(config, name) for name in getattr(config, "sub_configs", {})), *model.modules()]
    for owner in owners:
        for name, value in list(vars(owner).items()) if owner is not None else ():
            if type(value) is int and value > WINDOW and any(word in name for word in WINDOWS) and "layer" not in name:
                setattr(owner, name, WINDOW)
    return model
