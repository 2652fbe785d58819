"""The batched inner loop: many adapters train, and answer their queries, together on one frozen base model.

A job's result does not depend on the jobs beside it, apart from rounding. Jobs that change all weights take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from seal_env.forking import Lock
from seal_env.inner_loop.batched.batch import Batch
from seal_env.inner_loop.batched.kept_slots import KeptSlots
from seal_env.inner_loop.batched.limits import longest_packed
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel, PackedReader
from seal_env.inner_loop.batched.packing import Piece, pack
from seal_env.inner_loop.batched.proof import prove
from seal_env.inner_loop.batched.slots import adapter_bytes
from seal_env.inner_loop.full.batch import FullBatch
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.model.memory import address_of, bytes_stored, free_bytes, is_device_failure
from seal_env.inner_loop.optim.base import Optimizer
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.inner_loop.results import device_failure
from seal_env.types import AdaptedLayers, Example, LoraSpec, Recipe, UpdateJob, UpdateMethod, UpdateResult

MOST_SLOTS = 32
MOST_TOKENS = {"cpu": 2048, "cuda": 32768, "mps": 2048}
"""Tokens of a pass beyond which throughput does not grow."""

ADAPTERS_SHARE = 0.5
ACTIVATIONS_SHARE = 0.3
"""Shares of the free memory. What autograd stores is measured; temporary tensors may take as much again."""

PROBE_TOKENS = 64


class BatchedInnerLoop:
    """Trains and evaluates many updates on one base model. Thread-safe; threads take turns."""

    def __init__(
        self, base: FrozenLM, slots: int = MOST_SLOTS, tokens: int | None = None, graphs: bool | None = None
    ) -> None:
        """Nothing is allocated yet.

        Args:
            base: The base model, which stays as it is.
            slots: Limit on the adapters that train side by side.
            tokens: Limit on the tokens of a pass; None measures what fits into memory.
            graphs: See PackedReader.
        """
        self.base = base
        self._slots, self._tokens, self._graphs = slots, tokens, graphs
        self._models: dict[LoraSpec, PackedModel] = {}
        self._token_bytes: dict[LoraSpec, float] = {}
        self._kept = KeptSlots()
        self._turn = Lock()

    def max_tokens(self, recipe: Recipe) -> int:
        """See InnerLoop: less than the model's context where longer sequences cannot share a pass."""
        context = self.base.max_tokens
        longest = longest_packed(self.base.model.config) or context
        return self.base.encoder.max_tokens(recipe) - max(0, context - longest)

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Length of each example in tokens, template included."""
        return self.base.encoder.count_tokens(examples)

    def adapted(self, lora: LoraSpec, method: UpdateMethod) -> AdaptedLayers:
        """See `seal_env.inner_loop.adapted.adapted_layers`."""
        return self.base.adapted(lora, method)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop. Memory that runs out is an outcome of the job that did not fit, a failed device one of all jobs."""
        groups: dict[tuple[LoraSpec | None, str], dict[int, UpdateJob]] = {}
        for index, job in enumerate(jobs):
            spec = job.lora if job.method == "lora" else None
            groups.setdefault((spec, job.recipe.optimizer), {})[index] = job
        results: dict[int, UpdateResult] = {}
        with self._turn.held():
            try:
                for (spec, optimizer), chosen in groups.items():
                    if spec is None:
                        self._kept.drop()
                        tokens = self._tokens or MOST_TOKENS[self.base.device.type]
                        FullBatch(self._reader, chosen, results, tokens).run()
                        continue
                    model = self._model(spec)
                    slots, tokens = self._sizes(model, len(chosen), make_optimizer(optimizer))
                    Batch(model, chosen, results, slots, tokens, self._kept).run()
            except RuntimeError as error:
                if not is_device_failure(error):
                    raise
                return [results.get(index, device_failure(error)) for index in range(len(jobs))]
        return [results[index] for index in range(len(jobs))]

    @cached_property
    def _reader(self) -> PackedReader:
        """The base model without adapters."""
        return PackedReader(self.base, prove(self.base, None), self._graphs)

    def _model(self, spec: LoraSpec) -> PackedModel:
        if spec not in self._models:
            self._models.clear()
            self._kept.drop()
            self._models[spec] = PackedModel(self.base, spec, prove(self.base, spec), self._graphs)
        return self._models[spec]

    def _sizes(self, model: PackedModel, jobs: int, optimizer: Optimizer) -> tuple[int, int]:
        """(slots, tokens of a pass) for which there is memory: at least one slot, at least one token."""
        device = self.base.device
        free, adapter = free_bytes(device) + self._kept.bytes_held, adapter_bytes(model, optimizer)
        each, most = adapter.training, min(jobs, self._slots)
        if adapter.always_waits or most < jobs or most * each > ADAPTERS_SHARE * free:
            each += adapter.waiting  # trained jobs make room for others
        slots = max(1, min(most, int(ADAPTERS_SHARE * free / each)))
        if self._tokens is not None:
            return slots, self._tokens
        if model.spec not in self._token_bytes:
            self._token_bytes[model.spec] = token_bytes(model)
        room = int(ACTIVATIONS_SHARE * (free - slots * each) / self._token_bytes[model.spec])
        return slots, max(1, min(MOST_TOKENS[device.type], room))


def token_bytes(model: PackedModel) -> float:
    """Bytes that a training pass stores per token for its backward pass, measured on a short sequence."""
    stack = LoraStack(model.spec, model.layers, 1, learn=True)
    packed = pack([Piece([0] * PROBE_TOKENS, PROBE_TOKENS, 0)], model.base.device)
    weights = [*model.model.parameters(), *model.model.buffers(), stack.weights]
    apart = {address_of(weight) for weight in weights}
    return max(1.0, bytes_stored(lambda: model.hidden(packed, stack), apart) / PROBE_TOKENS)
