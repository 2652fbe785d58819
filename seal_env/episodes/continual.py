"""A runtime whose model keeps what it learned: the update of an episode can be merged, and the merge undone."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from seal_env.episodes.runtime import Runtime
from seal_env.settings import Settings

if TYPE_CHECKING:
    from seal_env.inner_loop.continual.model import AdaptedModel, Snapshot


class ContinualRuntime(Runtime):
    """Trains with a copy of the base model, into which updates are merged.

    Args:
        settings: Of the environment.

    Raises:
        UnknownTaskError, TaskError, SettingError: See `Runtime`.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._model: AdaptedModel | None = None
        self._scratch = Path(tempfile.mkdtemp(prefix="seal-continual-"))
        self._unmerged = 0
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)

    @property
    def model(self) -> AdaptedModel:
        """The model with all that was merged. `load` makes it."""
        assert self._model is not None, "the model is made by load()"
        return self._model

    def load(self) -> None:
        """Copy the base model and train with this copy. Raises ModelError."""
        if self._model is None:
            from seal_env.inner_loop.continual.model import AdaptedModel  # here: torch
            from seal_env.inner_loop.model.frozen_lm import load_base_model

            used = self.settings
            self._model = AdaptedModel(load_base_model(used.model, used.device, used.template))
            self.use(self._model.inner_loop(self.settings.inner_loop))

    def adapter_directory(self, task_id: str) -> Path:
        """A new directory for an adapter: where adapters are saved, or a temporary one until it is merged."""
        self._unmerged += 1
        return super().adapter_directory(task_id) or self._scratch / str(self._unmerged)

    def merge(self, adapter: Path, undo: bool) -> Snapshot | None:
        """Merge a trained adapter (`UpdateResult.adapter`) into the model.

        Args:
            adapter: A directory that an update of this runtime wrote.
            undo: Whether to return a snapshot of the model from before.
        """
        before = self.model.snapshot() if undo else None
        self.model.merge(adapter)
        self.discard(adapter)
        return before

    def discard(self, adapter: Path | None) -> None:
        """Delete an adapter, unless adapters are saved."""
        if adapter is not None and adapter.parent == self._scratch:
            shutil.rmtree(adapter, ignore_errors=True)
