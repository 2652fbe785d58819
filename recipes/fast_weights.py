"""A Llama whose batch holds several tasks, each with a LoRA adapter of its own: what training *for* adaptation runs.

The base weights are those of a transformers model and receive gradients as usual; the adapters are stacked, [tasks, ...],
and learn by AdamW with each task's own rate and step count, as the inner loop does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch.nn import functional
from transformers import LlamaForCausalLM

from recipes.precision import half_precision
from recipes.step_data import IGNORED, Row
from recipes.stream import to_tensors
from seal_env.types import LoraSpec

DRAWING_THREADS = 4
Stacked = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Adapter weights by layer: A is [tasks, rank, in], B is [tasks, out, rank]."""


class FastWeights:
    """Adapters of `tasks` tasks in progress, with their optimizer state.

    All weights of a task are one row of a tensor, [tasks, parameters], so that a step of AdamW is a few operations;
    `weights` are views of it.
    """

    def __init__(self, model: LlamaForCausalLM, spec: LoraSpec, tasks: int) -> None:
        self.scale = spec.alpha / spec.rank
        device = model.device
        shapes = {
            name: ((spec.rank, module.weight.shape[1]), (module.weight.shape[0], spec.rank))
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in spec.target_modules
        }
        sizes = [rows * columns for pair in shapes.values() for rows, columns in pair]
        self._all = torch.zeros(tasks, sum(sizes), device=device)
        parts = iter(self._all.split(sizes, 1))
        self.weights: Stacked = {
            name: tuple(next(parts).view(tasks, *shape).detach().requires_grad_() for shape in pair)
            for name, pair in shapes.items()
        }
        self._first, self._second = torch.zeros_like(self._all), torch.zeros_like(self._all)
        self._steps = torch.zeros(tasks, 1, device=device)

    @property
    def state(self) -> list[torch.Tensor]:
        """Weights and what the optimizer keeps, each [tasks, ...]."""
        return [self._all, self._first, self._second, self._steps]

    def flat(self) -> list[torch.Tensor]:
        """All stacked weights, A and B in turn."""
        return [weight for pair in self.weights.values() for weight in pair]

    def leading(self, tasks: int) -> Stacked:
        """The adapters of the first tasks, not copied; gradients reach what is returned."""
        return {
            name: tuple(weight.detach()[:tasks].requires_grad_() for weight in pair)  # type: ignore[misc]
            for name, pair in self.weights.items()
        }

    def draw(self, seeds: Sequence[int]) -> list[torch.Tensor]:
        """A of a fresh adapter for each seed, by layer, each [seeds, rank, in]; in host memory."""
        drawn = [torch.empty(len(seeds), *a.shape[1:]) for a, _ in self.weights.values()]
        gain = math.sqrt(3) * torch.nn.init.calculate_gain("leaky_relu", math.sqrt(5))
        bounds = [gain / math.sqrt(layer.shape[2]) for layer in drawn]  # of kaiming_uniform_, as PEFT calls it

        def fill(index: int) -> None:
            generator = torch.Generator().manual_seed(seeds[index])
            for layer, bound in zip(drawn, bounds, strict=True):
                layer[index].uniform_(-bound, bound, generator=generator)

        with ThreadPoolExecutor(DRAWING_THREADS) as threads:
            list(threads.map(fill, range(len(seeds))))
        return drawn

    @torch.no_grad()
    def begin(self, tasks: torch.Tensor, drawn: Sequence[torch.Tensor]) -> None:
        """Fresh adapters for some tasks, [tasks]: A as drawn, B and the optimizer's state zero."""
        tasks = self._moved(tasks)
        for (a, b), fresh in zip(self.weights.values(), drawn, strict=True):
            a.index_copy_(0, tasks, self._moved(fresh))
            b.index_fill_(0, tasks, 0)
        for state in (self._first, self._second, self._steps):
            state.index_fill_(0, tasks, 0)

    def reset(self, task: int, seed: int) -> None:
        """A fresh adapter for one task."""
        self.begin(torch.tensor([task]), self.draw([seed]))

    def _moved(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self._steps.device, non_blocking=True)

    def take(self, tasks: torch.Tensor, learn: bool) -> Stacked:
        """The adapters of some tasks, [tasks]; without `learn` no gradient reaches them."""
        tasks = self._moved(tasks)
        return {
            name: tuple(weight[tasks] if learn else weight.detach()[tasks] for weight in pair)  # type: ignore[misc]
            for name, pair in self.weights.items()
        }

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor], rates: torch.Tensor, max_norm: float = 1.0) -> None:
        """One step of AdamW without decay for each of the first tasks, as many as there are gradients and rates.

        Gradients are clipped task by task.

        Args:
            gradients: In the order of `flat`, each [tasks, ...].
            rates: [tasks].
            max_norm: Of a task's gradient.
        """
        gradient = torch.cat([each.flatten(1) for each in gradients], 1)
        weight, first, second, steps = (state[: len(gradient)] for state in self.state)
        gradient *= (max_norm / (torch.linalg.vector_norm(gradient, dim=1, keepdim=True) + 1e-6)).clamp(max=1.0)
        steps += 1
        first.lerp_(gradient, 0.1)
        second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        root = (second / (1 - 0.999**steps)).sqrt_().add_(1e-8)
        weight.addcdiv_(first * (-rates[:, None] / (1 - 0.9**steps)), root)


def hidden_states(
    model: Any, ids: torch.Tensor, adapters: Stacked | None, scale: float, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Last hidden states [rows, length, width] of ids [rows, length]; row i belongs to task i // (rows / tasks).

    mask: [rows, 1, length, length], True where a token sees another; None is causal.
    """
    rows, length = ids.shape
    config = model.config
    heads, width = config.num_attention_heads, config.hidden_size

    def linear(module: torch.nn.Linear, name: str, x: torch.Tensor) -> torch.Tensor:
        y = functional.linear(x, module.weight)
        if adapters is None or name not in adapters:
            return y
        a, b = adapters[name]
        grouped = x.reshape(len(a), -1, x.shape[-1])
        return y + torch.bmm(torch.bmm(grouped, a.transpose(1, 2)), b.transpose(1, 2) * scale).view_as(y)

    x = functional.embedding(ids, model.model.embed_tokens.weight)
    cos, sin = model.model.rotary_emb(x, torch.arange(length, device=ids.device)[None])
    cos, sin = cos[:, None], sin[:, None]

    def rotate(x: torch.Tensor) -> torch.Tensor:
        half = x.shape[-1] // 2
        turned: torch.Tensor = x * cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * sin
        return turned

    for number, layer in enumerate(model.model.layers):
        at = f"model.layers.{number}"
        attention, mlp = layer.self_attn, layer.mlp
        y = functional.rms_norm(x, (width,), layer.input_layernorm.weight, config.rms_norm_eps)
        q, k, v = (
            linear(getattr(attention, part), f"{at}.self_attn.{part}", y).view(rows, length, heads, -1).transpose(1, 2)
            for part in ("q_proj", "k_proj", "v_proj")
        )
        mixed = functional.scaled_dot_product_attention(rotate(q), rotate(k), v, attn_mask=mask, is_causal=mask is None)
        x = x + linear(attention.o_proj, f"{at}.self_attn.o_proj", mixed.transpose(1, 2).reshape(rows, length, width))
        y = functional.rms_norm(x, (width,), layer.post_attention_layernorm.weight, config.rms_norm_eps)
        gate = functional.silu(linear(mlp.gate_proj, f"{at}.mlp.gate_proj", y))
        x = x + linear(mlp.down_proj, f"{at}.mlp.down_proj", gate * linear(mlp.up_proj, f"{at}.mlp.up_proj", y))
    return functional.rms_norm(x, (width,), model.model.norm.weight, config.rms_norm_eps)


def task_losses(
    model: Any,
    ids: torch.Tensor,
    labels: torch.Tensor,
    adapters: Stacked | None,
    scale: float,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean loss of each task's supervised tokens, [tasks]; ids and labels are [tasks, rows a task, length].

    They may be in host memory, where what carries loss is found without waiting for a GPU. In bf16 on CUDA. mask: see
    `hidden_states`.
    """
    device, (tasks, rows, length) = model.device, ids.shape
    kept = functional.pad(labels[:, :, 1:] != IGNORED, (0, 1))
    owner, row, position = kept.nonzero(as_tuple=True)
    targets, owner, places, counts = (
        tensor.to(device, non_blocking=True)
        for tensor in (
            labels[owner, row, position + 1],
            owner,
            (owner * rows + row) * length + position,
            kept.sum((1, 2)).clamp(min=1),
        )
    )
    ids = ids.to(device, non_blocking=True)
    mask = None if mask is None else mask.to(device, non_blocking=True)
    with half_precision(device):
        hidden = hidden_states(model, ids.view(-1, length), adapters, scale, mask).flatten(0, 1)
        logits = functional.linear(hidden.index_select(0, places), model.model.embed_tokens.weight).float()
    losses = functional.cross_entropy(logits, targets, reduction="none")
    return torch.zeros(tasks, device=device).index_add(0, owner, losses) / counts


def pack_tasks(rows: list[list[Row]], pad: int, multiple: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows of (ids, labels) by task, one after another -> (ids, labels, owners), each [tasks, longest].

    owners are the rows' numbers, -1 for padding, up to a `multiple` of tokens. Positions run on from row to row, which
    rotary embeddings do not tell from beginning anew.
    """
    joined = [
        ([token for ids, _ in task for token in ids], [label for _, labels in task for label in labels]) for task in rows
    ]
    ids, labels = to_tensors(joined, pad)
    owners = torch.full(ids.shape, -1)
    for index, task in enumerate(rows):
        numbers = torch.arange(len(task)).repeat_interleave(torch.tensor([len(row) for row, _ in task], dtype=torch.long))
        owners[index, : len(numbers)] = numbers
    more = (0, -ids.shape[1] % multiple)
    return tuple(  # type: ignore[return-value]
        functional.pad(tensor, more, value=value) for tensor, value in ((ids, pad), (labels, IGNORED), (owners, -1))
    )


def row_mask(owners: torch.Tensor) -> torch.Tensor:
    """Owners of tokens [tasks, length] -> mask [tasks, 1, length, length], in which no row sees another one."""
    return (owners[:, :, None] == owners[:, None, :]).tril()[:, None]


def pad_tasks(rows: list[list[Row]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of (ids, labels) by task -> (ids, labels), both [tasks, most rows, longest], padded on the right and below."""
    most = max(map(len, rows))
    missing: Row = ([], [])
    ids, labels = to_tensors([row for task in rows for row in [*task, *[missing] * (most - len(task))]], pad)
    return ids.view(len(rows), most, -1), labels.view(len(rows), most, -1)
