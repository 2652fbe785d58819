"""The LoRA adapters of several jobs, stacked, and the linear layer that applies to each token the adapter of its job.

All weights of one adapter lie in one row of a [slots, parameters] matrix, so that clipping, elementwise optimizers and
the test for finite values each see one flat vector per job.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from seal_env.inner_loop.batched.grouped_mm import Products, choose_products
from seal_env.inner_loop.batched.kernels import LEFT_OUT
from seal_env.inner_loop.batched.packing import Packed
from seal_env.inner_loop.model.adapter_files import save_adapter
from seal_env.types import LoraSpec

if TYPE_CHECKING:
    from seal_env.inner_loop.model.frozen_lm import FrozenLM


@dataclass(frozen=True)
class LayerShape:
    """A linear layer that is adapted, and where its A [rank, inputs] and B [outputs, rank] begin in an adapter's row."""

    name: str
    inputs: int
    outputs: int
    a_start: int
    b_start: int


def layer_shapes(layers: Mapping[str, torch.nn.Module], rank: int) -> tuple[list[LayerShape], int]:
    """The shapes of the adapted layers, in the model's order, and the number of weights of an adapter."""
    shapes, start = [], 0
    for name, layer in layers.items():
        rows, columns = layer.weight.shape  # type: ignore[misc]
        outputs, inputs = (int(columns), int(rows)) if isinstance(layer, Conv1D) else (int(rows), int(columns))
        shapes.append(LayerShape(name, inputs, outputs, start, start + rank * inputs))
        start += rank * (inputs + outputs)
    return shapes, start


def products_for(layers: Mapping[str, torch.nn.Module], rank: int) -> Products:
    """How adapters of these layers are multiplied with."""
    first: Any = next(iter(layers.values())).weight
    sizes = [each for shape in layer_shapes(layers, rank)[0] for each in (shape.inputs, shape.outputs)]
    return choose_products(first, [rank, *sizes])


class Kinds(NamedTuple):
    """The number types of a stack of adapters.

    Attributes:
        weights: Of the weights.
        used: Of those that the products use: the model's.
        gradients: Of the gradients.
    """

    weights: torch.dtype
    used: torch.dtype
    gradients: torch.dtype


def kinds_of(used: torch.dtype, products: Products, learn: bool, light: bool) -> Kinds:
    """The number types of a stack; see LoraStack."""
    exact = torch.promote_types(used, torch.float32)
    overwrites = products.overwrites and "gradients" not in LEFT_OUT
    return Kinds(used if light and not learn else exact, used, used if light and overwrites else exact)


class LoraStack:
    """Weights of `slots` adapters of one shape, [slots, parameters], with gradients if they are to learn.

    Where the base model computes in bf16, the weights stay in fp32, and the products use a copy that `publish` refreshes.
    """

    def __init__(
        self, spec: LoraSpec, layers: Mapping[str, torch.nn.Module], slots: int, learn: bool, light: bool = False
    ) -> None:
        """Allocate zeros.

        Args:
            spec: The adapters' shape.
            layers: What they adapt, by name.
            slots: How many there are.
            learn: Whether they have gradients.
            light: Whether gradients may have the type of the products that they are made of, and so may weights that do not
                learn.
        """
        first = next(iter(layers.values())).weight
        assert isinstance(first, torch.Tensor)
        self.spec, self.scale = spec, spec.alpha / spec.rank
        self.shapes, size = layer_shapes(layers, spec.rank)
        self.products = products_for(layers, spec.rank)
        kinds = kinds_of(first.dtype, self.products, learn, light)
        self.weights = torch.zeros(slots, size, dtype=kinds.weights, device=first.device)
        self.used = self.weights if kinds.used == kinds.weights else torch.zeros_like(self.weights, dtype=kinds.used)
        self.by_layer = {shape.name: self.views(shape, self.used) for shape in self.shapes}
        self._overwrites = self.products.overwrites and "gradients" not in LEFT_OUT
        self.gradients = torch.zeros_like(self.weights, dtype=kinds.gradients) if learn else None
        self._written: set[str] = set()
        self._drawn: tuple[int, torch.Tensor] | None = None  # jobs of one episode share a seed
        gradients = self.gradients
        self.gradients_by_layer = (
            {} if gradients is None else {shape.name: self.views(shape, gradients) for shape in self.shapes}
        )

    def views(self, shape: LayerShape, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A [slots, rank, inputs] and B [slots, outputs, rank] of one layer, as views."""
        rank, slots = self.spec.rank, len(rows)
        a = rows[:, shape.a_start : shape.b_start].view(slots, rank, shape.inputs)
        b = rows[:, shape.b_start : shape.b_start + rank * shape.outputs].view(slots, shape.outputs, rank)
        return a, b

    @torch.no_grad()
    def reset(self, slot: int, seed: int) -> None:
        """A fresh adapter: A drawn from the seed as the reference loop draws it, B zero."""
        if self._drawn is None or self._drawn[0] != seed:
            self._drawn = (seed, self._draw(seed))
        self.weights[slot] = self._drawn[1]
        self.publish(slot)

    def _draw(self, seed: int) -> torch.Tensor:
        """The weights of a fresh adapter, [parameters]. Drawn on the CPU, they are the same on every device."""
        generator = torch.Generator().manual_seed(seed)
        row = torch.zeros(self.weights.shape[1])
        for shape in self.shapes:
            fresh = row[shape.a_start : shape.b_start].view(self.spec.rank, shape.inputs)
            torch.nn.init.kaiming_uniform_(fresh, a=math.sqrt(5), generator=generator)
        return row.to(self.weights)

    def tensors(self, slot: int, rows: torch.Tensor, flat: bool) -> list[torch.Tensor]:
        """Views of one adapter's numbers in `rows`, which is `weights` or `gradients`.

        Args:
            slot: Which adapter.
            rows: [slots, parameters].
            flat: True gives one vector [parameters], False A [rank, inputs] and B [outputs, rank] of each layer.
        """
        if flat:
            return [rows[slot]]
        return [matrices[slot] for shape in self.shapes for matrices in self.views(shape, rows)]

    def forget_gradients(self, slots: Sequence[int]) -> None:
        """Have the gradients of these slots computed anew. Those of other slots are of no use afterwards."""
        assert self.gradients is not None
        self._written.clear()
        if not self._overwrites:
            for slot in slots:
                self.gradients[slot] = 0

    def first_gradient(self, name: str) -> bool:
        """True if a layer's gradient replaces the last step's: it is the first since `forget_gradients`."""
        first = self._overwrites and name not in self._written
        self._written.add(name)
        return first

    def publish(self, slot: int) -> None:
        """Let the products see the slot's weights as they are now."""
        if self.used is not self.weights:
            self.used[slot] = self.weights[slot]

    @torch.no_grad()
    def project(self, slot: int, bases: Mapping[str, torch.Tensor]) -> None:
        """Make the rows of an adapter's A orthogonal to subspaces.

        Args:
            slot: Which adapter.
            bases: See `UpdateJob.orthogonal_to`.
        """
        for shape in self.shapes:
            if shape.name in bases:
                a, basis = self.views(shape, self.weights)[0][slot], bases[shape.name].to(self.weights)
                a -= (a @ basis) @ basis.T
        self.publish(slot)

    def put(self, slot: int, weights: torch.Tensor) -> None:
        """Set an adapter's weights, [parameters]."""
        self.weights[slot] = weights
        self.publish(slot)

    def save(self, slot: int, directory: Path, base: FrozenLM) -> None:
        """Write an adapter in PEFT format (safetensors) to a directory that must not exist yet."""
        views = {shape.name: self.views(shape, self.weights) for shape in self.shapes}
        save_adapter(directory, self.spec, {name: (a[slot], b[slot]) for name, (a, b) in views.items()}, base)


class _GroupedLora(torch.autograd.Function):
    """y = x W + scale * (x A) B with the A and B of each token's job. Gradients of A and B go straight into the stack."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, anchor: torch.Tensor, layer: LoraLinear, stack: LoraStack, packed: Packed
    ) -> torch.Tensor:
        """x: [T, inputs] -> [T, outputs]. anchor: a scalar that wants a gradient, so that the first layer takes part."""
        a, b = stack.by_layer[layer.name]
        low = stack.products.multiply(x, a.transpose(1, 2), packed).mul_(stack.scale)
        if stack.products.every_row:  # the frozen layer's product then ends with the sum
            y = layer.add_base_forward(stack.products.multiply(low, b.transpose(1, 2), packed), x)
        else:
            y = layer.base_forward(x)
            stack.products.add_product(y, low, b.transpose(1, 2), packed)
        ctx.save_for_backward(x, low)
        ctx.layer, ctx.stack, ctx.packed = layer, stack, packed
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Of y [T, outputs] -> of x [T, inputs]."""
        (gradient,) = gradients
        x, low = ctx.saved_tensors
        layer, stack, packed = ctx.layer, ctx.stack, ctx.packed
        a, b = stack.by_layer[layer.name]
        a_gradient, b_gradient = stack.gradients_by_layer[layer.name]
        first = stack.first_gradient(layer.name)
        stack.products.add_outer(b_gradient, gradient, low, packed, first)
        low_gradient = stack.products.multiply(gradient, b, packed).mul_(stack.scale)
        stack.products.add_outer(a_gradient, low_gradient, x, packed, first)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        if stack.products.every_row:
            x_gradient = layer.add_base_backward(stack.products.multiply(low_gradient, a, packed), gradient)
        else:
            x_gradient = layer.base_backward(gradient)
            stack.products.add_product(x_gradient, low_gradient, a, packed)
        return x_gradient, None, None, None, None


class LoraLinear(torch.nn.Module):
    """A frozen linear layer (Linear, or GPT-2's Conv1D) with the adapters of the jobs whose tokens pass."""

    def __init__(self, base: torch.nn.Module, name: str, current: Any) -> None:
        super().__init__()
        self.base, self.name, self.current = base, name, current
        self._columns = isinstance(base, Conv1D)  # whose weight is [inputs, outputs]

    def base_forward(self, x: torch.Tensor) -> torch.Tensor:
        """The frozen layer alone, [T, inputs] -> [T, outputs]."""
        weight, bias = self.base.weight, self.base.bias
        return functional.linear(x, weight.T if self._columns else weight, bias)  # type: ignore[arg-type]

    def base_backward(self, gradient: torch.Tensor) -> torch.Tensor:
        """Gradient of the frozen layer's input, [T, outputs] -> [T, inputs]."""
        weight = self.base.weight
        return gradient @ (weight.T if self._columns else weight)  # type: ignore[operator]

    def add_base_forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Y [T, outputs] plus `base_forward` of x [T, inputs], in place."""
        base: Any = self.base
        y.addmm_(x, base.weight if self._columns else base.weight.T)
        return y if base.bias is None else y.add_(base.bias)

    def add_base_backward(self, x_gradient: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """x_gradient [T, inputs] plus `base_backward` of gradient [T, outputs], in place."""
        base: Any = self.base
        return x_gradient.addmm_(gradient, base.weight.T if self._columns else base.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[1, T, inputs] -> [1, T, outputs]."""
        if self.current.stack is None:
            return self.base(x)  # type: ignore[no-any-return]
        flat = x.reshape(-1, x.shape[-1])
        current = self.current
        y: torch.Tensor = _GroupedLora.apply(flat, current.anchor, self, current.stack, current.packed)  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], -1)
