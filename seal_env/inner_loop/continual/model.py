"""A model that learns continually: updates are merged into its own weights, and a merge can be undone."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

import torch

from seal_env.inner_loop import inner_loop_on
from seal_env.inner_loop.continual.merge import merged_weights
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.types import InnerLoop


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A state of an AdaptedModel. weights: copies of those that differ from the base model's, by name."""

    weights: Mapping[str, torch.Tensor]

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self


class AdaptedModel:
    """A copy of a base model that keeps what it learns; the base model itself is never written.

        model = AdaptedModel(load_base_model("seal-tiny"))
        before = model.snapshot()
        (result,) = model.inner_loop("batched").run([replace(job, save_to=directory)])
        if result.adapter is not None:
            model.merge(result.adapter)
        model.restore(before)

    Weights change in place, so everything that shares them (`current`, the inner loops) sees the current model. Results are
    not cached, because they belong to one state. Not thread-safe.
    """

    def __init__(self, base: FrozenLM) -> None:
        self.base = base
        self.current = base.beside(copy.deepcopy(base.model))
        self._weights = _by_name(self.current)
        self._original = _by_name(base)
        self._changed: set[str] = set()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Another copy of the base model in the same state."""
        copied = memo[id(self)] = type(self)(self.base)
        copied.restore(self.snapshot())
        return copied

    def inner_loop(self, name: str, deterministic: bool = False) -> InnerLoop:
        """The inner loop `name` on the model as it is whenever it runs. It leaves the model as it is: see `merge`.

        Args:
            name: A registered inner loop.
            deterministic: See `seal_env.settings.Settings`.

        Raises:
            SettingError: There is no inner loop of this name.
            ModelError: The inner loop cannot run the model.
        """
        return inner_loop_on(self.current, name, deterministic)

    @property
    def fingerprint(self) -> str:
        """Digest of the model as it is now, equal in equal states; the base model's before anything is merged.

        Reads every weight after each change: see `seal_env.inner_loop.model.fingerprint`.
        """
        return self.current.fingerprint

    @torch.no_grad()
    def merge(self, adapter: Path) -> None:
        """Merge a trained update; the weights are rounded to the model's dtype.

        An adapter's changes are added. A whole model replaces all weights, so one that began from an earlier state undoes
        what was merged since.

        Args:
            adapter: `UpdateResult.adapter` of a job that one of this model's inner loops ran.

        Raises:
            ModelError: The update does not fit the model, of which no weight has changed.
        """
        self.write(merged_weights(adapter, self.current))

    @torch.no_grad()
    def write(self, values: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Replace weights, each a pair of a name and a value; they are rounded to the model's dtype."""
        for name, value in values:
            weight = self._weights[name]
            self._mark_changed({name})
            weight.copy_(value)
            if torch.equal(weight, self._original[name]):
                self._changed.discard(name)

    def _mark_changed(self, names: Iterable[str]) -> None:
        """Note it before the change, so that an interrupted change can be undone too."""
        self._changed.update(names)
        self.current.forget_fingerprint()

    def snapshot(self) -> Snapshot:
        """The current state, for `restore`. It takes the memory of the weights that differ from the base model's."""
        return Snapshot(MappingProxyType({name: self._weights[name].clone() for name in sorted(self._changed)}))

    @torch.no_grad()
    def restore(self, snapshot: Snapshot) -> None:
        """Return to an earlier state of this model, bit for bit."""
        self._mark_changed(snapshot.weights.keys())
        for name in self._changed:
            self._weights[name].copy_(snapshot.weights.get(name, self._original[name]))
        self._changed = set(snapshot.weights)

    def reset(self) -> None:
        """Return to the base model, bit for bit."""
        self.restore(Snapshot({}))

    def save(self, directory: str | Path) -> None:
        """Write the model as it is; see `FrozenLM.save`."""
        self.current.save(Path(directory))

    def load(self, directory: str | Path) -> None:
        """Return to a state that `save` wrote.

        Raises:
            ModelError: The directory is no such state; no weight has changed.
        """
        self.merge(Path(directory))


def _by_name(model: FrozenLM) -> dict[str, torch.Tensor]:
    """All weights, each once: the very tensors, without gradients."""
    return {name: weight.detach() for name, weight in model.model.named_parameters()}
