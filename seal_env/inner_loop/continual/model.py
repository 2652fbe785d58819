"""A model that keeps what it learned: updates are merged into weights of its own, and taken back where that is wanted."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import torch

from seal_env.errors import SettingError
from seal_env.inner_loop import INNER_LOOPS
from seal_env.inner_loop.continual.merge import save_new
from seal_env.inner_loop.continual.saved_update import read_update
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.types import InnerLoop


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A state of an AdaptedModel. weights: copies of those that differ from the base model's, by name."""

    weights: Mapping[str, torch.Tensor]


class AdaptedModel:
    """A copy of a base model that learns for good; the base model itself is never written.

        model = AdaptedModel(load_base_model("seal-tiny"))
        before = model.snapshot()
        (result,) = model.inner_loop("batched").run([replace(job, save_to=directory)])
        model.merge(directory)
        model.restore(before)

    Weights change in place, so that whoever shares them (`current`, the inner loops) always has the model as it is now.
    There is no cache of results: they are of one state. Not to be used by several threads at once.
    """

    def __init__(self, base: FrozenLM) -> None:
        self.base = base
        self.current = base.beside(copy.deepcopy(base.model))
        self._weights = _by_name(self.current)
        self._original = _by_name(base)
        self._changed: set[str] = set()

    def inner_loop(self, name: str) -> InnerLoop:
        """The inner loop `name` on the model as it is whenever it runs. It writes nothing; to keep an update, merge it.

        Raises SettingError for an unknown name and ModelError for a model that the inner loop cannot run.
        """
        if name not in INNER_LOOPS:
            raise SettingError("inner_loop", name, " or ".join(map(repr, INNER_LOOPS)))
        if name not in self.current.inner_loops:
            module, _, attribute = INNER_LOOPS[name].partition(":")
            self.current.inner_loops[name] = getattr(import_module(module), attribute)(self.current)
        return self.current.inner_loops[name]

    @property
    def fingerprint(self) -> str:
        """Digest of the model as it is now, equal in equal states; the base model's before anything is merged.

        Reads every weight after each change: see `seal_env.inner_loop.model.fingerprint`.
        """
        return self.current.fingerprint

    @torch.no_grad()
    def merge(self, directory: Path) -> None:
        """Take over what a job of this model's inner loops wrote by `save_to`; the weights are rounded to the model's dtype.

        An adapter's changes are added. A whole model replaces all weights, so one that began from an earlier state undoes
        what was merged since. Raises ModelError, before any weight changes, for a directory that does not fit.
        """
        for name, value in read_update(directory, self.current):
            weight = self._weights[name]
            self._about_to_change({name})
            weight.copy_(value)
            if torch.equal(weight, self._original[name]):
                self._changed.discard(name)

    def _about_to_change(self, names: Iterable[str]) -> None:
        """Noted first: what is interrupted half way can still be taken back."""
        self._changed.update(names)
        self.current.forget_fingerprint()

    def snapshot(self) -> Snapshot:
        """The present state, to come back to. It takes the memory of the weights that differ from the base model's."""
        return Snapshot(MappingProxyType({name: self._weights[name].clone() for name in sorted(self._changed)}))

    @torch.no_grad()
    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state of this model, bit by bit."""
        self._about_to_change(snapshot.weights.keys())
        for name in self._changed:
            self._weights[name].copy_(snapshot.weights.get(name, self._original[name]))
        self._changed = set(snapshot.weights)

    def reset(self) -> None:
        """Go back to the base model, bit by bit."""
        self.restore(Snapshot({}))

    def save(self, directory: str | Path) -> None:
        """Write the model as it is and its tokenizer (safetensors), as transformers and vLLM load them.

        The directory must not exist yet.
        """
        save_new(self.current, Path(directory))

    def load(self, directory: str | Path) -> None:
        """Take over a state that `save` wrote. Raises ModelError, before any weight changes, for any other directory."""
        self.merge(Path(directory))


def _by_name(model: FrozenLM) -> dict[str, torch.Tensor]:
    """All weights, each once: the very tensors, without gradients."""
    return {name: weight.detach() for name, weight in model.model.named_parameters()}
