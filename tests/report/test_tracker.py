"""The tracker writes TensorBoard files and reports to services."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seal_env.errors import SettingError
from seal_env.report import tracker
from seal_env.report.tracker import Tracker


class Service(SimpleNamespace):
    """What Weights & Biases and trackio have in common."""

    def __init__(self) -> None:
        super().__init__(begun=[], logged=[], finished=0)

    def init(self, **about: Any) -> None:
        self.begun.append(about)

    def log(self, values: Any, step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished += 1


def test_numbers_go_to_tensorboard_and_to_the_services_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service()
    monkeypatch.setattr(tracker, "import_module", lambda name: service)
    with Tracker(tmp_path, {"seed": 1}, ("trackio",)) as track:
        track.log(3, {"accuracy": 0.5})
    assert service.begun[0]["config"] == {"seed": 1}
    assert service.logged == [(3, {"accuracy": 0.5})]
    assert service.finished == 1
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"accuracy" in events.read_bytes()


def missing(name: str) -> Any:
    raise ImportError(name)


@pytest.mark.parametrize(("name", "legal"), [("wandb", "pip install wandb"), ("mlflow", "'wandb' or 'trackio'")])
def test_a_service_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, legal: str
) -> None:
    monkeypatch.setattr(tracker, "import_module", missing)
    with pytest.raises(SettingError, match=legal):
        Tracker(tmp_path, {}, (name,))
