"""A runtime whose model keeps what it learned: the update of an episode can be merged, and the merge undone."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.inner_loop import release_memory
from seal_env.inner_loop.workers.options import EVERY_GPU
from seal_env.inner_loop.workers.remote import REMOTE_INNER_LOOPS
from seal_env.settings import Settings

if TYPE_CHECKING:
    from seal_env.inner_loop.continual.consolidation import Consolidation, State
    from seal_env.inner_loop.continual.model import AdaptedModel


class ContinualRuntime(Runtime):
    """Trains with a copy of the base model, into which updates are merged.

    A copy has a model of its own, which knows what this one has learned so far; what is pickled does not contain it.

    Args:
        settings: Of the environment.

    Raises:
        UnknownTaskError, TaskError, SettingError: See `Runtime`.
    """

    def _prepare(self, settings: Settings) -> None:
        if settings.inner_loop in REMOTE_INNER_LOOPS or settings.device == EVERY_GPU:
            what = ("inner_loop", settings.inner_loop) if settings.device != EVERY_GPU else ("device", settings.device)
            raise SettingError(*what, "another one where updates are merged: workers have the base model alone")
        super()._prepare(settings)
        self._model: AdaptedModel | None = None
        self._consolidation: Consolidation | None = None
        self._scratch: _Scratch | None = None
        self._unmerged = 0

    def _copied(self, memo: dict[int, Any]) -> dict[str, Any]:
        own: dict[str, Any] = {"_scratch": None}
        if self._model is not None:
            model = copy.deepcopy(self._model, memo)
            inner = model.inner_loop(self.settings.inner_loop, self.settings.deterministic)
            consolidation = self.consolidation.on(model, inner)
            own |= {"_model": model, "_consolidation": consolidation, "_inner_loop": consolidation}
        return super()._copied(memo) | own

    @property
    def model(self) -> AdaptedModel:
        """The model with all that was merged. `load` makes it."""
        assert self._model is not None, "the model is made by load()"
        return self._model

    @property
    def consolidation(self) -> Consolidation:
        """What has been learned. `load` makes it."""
        assert self._consolidation is not None, "the model is made by load()"
        return self._consolidation

    def load(self) -> None:
        """Copy the base model and train with this copy. Raises ModelError."""
        if self._model is None:
            from seal_env.inner_loop.continual.consolidation import CONSOLIDATIONS  # here: torch
            from seal_env.inner_loop.continual.model import AdaptedModel
            from seal_env.inner_loop.model.frozen_lm import load_base_model

            used = self.settings
            self._model = AdaptedModel(load_base_model(used.model, used.device, used.template, used.dtype, used.revision))
            inner = self._model.inner_loop(used.inner_loop, used.deterministic)
            self._consolidation = CONSOLIDATIONS[used.consolidation](self._model, inner)
            self.use(self._consolidation)
            self._from_settings = True

    def adapter_directory(self, task_id: str) -> Path:
        """A new directory for an adapter: where adapters are saved, or a temporary one until it is merged."""
        self._unmerged += 1
        return super().adapter_directory(task_id) or self.scratch / str(self._unmerged)

    @property
    def scratch(self) -> Path:
        """A temporary folder of this runtime in this process, which goes when the runtime does; a fork makes its own."""
        if self._scratch is None or self._scratch.process != os.getpid():
            self._scratch = _Scratch(Path(tempfile.mkdtemp(prefix="seal-continual-")), os.getpid())
            weakref.finalize(self, _remove, self._scratch)
        return self._scratch.folder

    def close(self) -> None:
        """Let go of the model and what it has learned, and delete the temporary folder. What needs them makes new ones."""
        if self._model is not None:
            released = self._model.base.release()
            self._model = self._consolidation = self._inner_loop = None
            if released:
                release_memory()
        if self._scratch is not None:
            _remove(self._scratch)
            self._scratch = None

    def merge(self, adapter: Path, undo: bool, documents: Sequence[str] = ()) -> State | None:
        """Have a trained adapter (`UpdateResult.adapter`) stay, as the setting `consolidation` says.

        Args:
            adapter: A directory that an update of this runtime wrote.
            undo: Whether to return the state from before.
            documents: What it was trained on.
        """
        before = self.consolidation.state() if undo else None
        self.consolidation.add(adapter, documents)
        self.discard(adapter)
        return before

    def discard(self, adapter: Path | None) -> None:
        """Delete an adapter, unless adapters are saved."""
        if adapter is not None and self._scratch is not None and adapter.parent == self._scratch.folder:
            shutil.rmtree(adapter, ignore_errors=True)


class _Scratch(NamedTuple):
    """A temporary folder, and the process that made it."""

    folder: Path
    process: int


def _remove(scratch: _Scratch) -> None:
    if scratch.process == os.getpid():  # not in a fork, which inherits what is to be done at exit
        shutil.rmtree(scratch.folder, ignore_errors=True)
