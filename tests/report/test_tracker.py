"""Curves of a run: TensorBoard files, and services, which may fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seal_env.errors import SettingError
from seal_env.report import tracker
from seal_env.report.services import SERVICES, Begin
from seal_env.report.tracker import Tracker


class Service:
    """A service that remembers, and is down when told to be."""

    runs: ClassVar[list[Service]] = []
    down = False

    def __init__(self, begin: Begin) -> None:
        if self.down:
            raise ConnectionError("no route\nto host")
        self.begun, self.run_id = begin, begin.run_id or "run-7"
        self.logged: list[tuple[int, Any]] = []
        self.closed = False
        self.runs.append(self)

    def log(self, step: int, values: Any) -> None:
        if self.down:
            raise ConnectionError("no route\nto host")
        self.logged.append((step, values))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    monkeypatch.setattr(tracker, "SERVICES", {**SERVICES, "fake": Service})
    monkeypatch.setattr(tracker, "PAUSE", 0.0)
    yield Service
    Service.runs, Service.down = [], False


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    found = {tag: events.Tensors(tag) for tag in events.Tags()["tensors"] if not tag.startswith("_hparams_")}
    return {tag: [(each.step, each.tensor_proto.float_val[0]) for each in points] for tag, points in found.items()}


def test_a_run_that_is_resumed_is_one_run_with_one_point_for_each_step(tmp_path: Path, service: type[Service]) -> None:
    for rounds in (2, 4):
        with Tracker(tmp_path, {"run": {"seed": 1, "none": None}, "targets": ["q", "v"]}, ("fake",)) as track:
            for step in range(rounds):
                track.log(step, {"held_out/accuracy": step / 4, "bad": float("nan")})
    first, second = service.runs
    assert first.begun.config == {"run.seed": 1, "targets": "['q', 'v']"}
    assert (first.begun.run_id, second.begun.run_id) == (None, "run-7")
    assert [step for step, _ in first.logged + second.logged] == [0, 1, 2, 3]
    assert first.closed
    assert curves(tmp_path) == {"held_out/accuracy": [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]}


def test_settings_are_hyperparameters_in_tensorboard(tmp_path: Path) -> None:
    with Tracker(tmp_path, {"run": {"rounds": 2, "keep": "best"}}) as track:
        track.log(0, {"reward": 1.0})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"run.rounds" in content
    assert b"best" in content


def test_a_service_that_fails_stops_nothing_and_gets_later_what_it_missed(
    tmp_path: Path, service: type[Service], capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker(tmp_path, {}, ("fake",), Console(width=200)) as track:
        for step, down in enumerate([False, True, True, False]):
            service.down = down
            track.log(step, {"reward": 0.5})
    assert [step for step, _ in service.runs[0].logged] == [0, 1, 2, 3]
    said = capsys.readouterr().out.splitlines()
    assert said == ["tracking  fake fails and is tried again later: ConnectionError: no route"]


def test_a_service_that_is_down_at_the_end_is_named(
    tmp_path: Path, service: type[Service], capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker(tmp_path, {}, ("fake",), Console(width=200)) as track:
        service.down = True
        track.log(1, {"reward": 0.5})
    assert "fake did not get everything" in capsys.readouterr().out
    assert curves(tmp_path) == {"reward": [(1, 0.5)]}


def test_a_service_that_is_down_at_the_beginning_is_an_error_of_a_new_run_only(
    tmp_path: Path, service: type[Service], capsys: pytest.CaptureFixture[str]
) -> None:
    service.down = True
    with pytest.raises(SettingError, match=r"track='fake'.*ConnectionError: no route"):
        Tracker(tmp_path, {}, ("fake",))
    with Tracker(tmp_path, {}, ("fake",), Console(width=200), lenient=True) as track:
        track.log(1, {"reward": 0.5})
    assert "not tracked by fake: ConnectionError: no route" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("wandb", r"pip install 'seal-env\[wandb\]'"),
        ("mlflow", r"pip install 'seal-env\[mlflow\]'"),
        ("trackio", "pip install trackio"),
        ("tensorboard", r"pip install 'seal-env\[track\]'"),
        ("comet", "'tensorboard' or 'wandb' or 'trackio' or 'mlflow'"),
    ],
)
def test_a_service_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, legal: str
) -> None:
    for module in [name, *(each for each in sys.modules if each.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingError, match=legal):
        Tracker(tmp_path, {}, (name,))


def test_a_run_without_tensorboard_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [each for each in sys.modules if each.partition(".")[0] == "tensorboard"]:
        monkeypatch.setitem(sys.modules, module, None)
    with Tracker(tmp_path, {}, (), Console(width=200)) as track:
        track.log(1, {"reward": 0.5})
    assert "no curves in TensorBoard" in capsys.readouterr().out


def test_trackio_knows_a_run_that_is_resumed_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun: list[dict[str, Any]] = []
    calls = {"init": lambda **given: begun.append(given), "log": lambda values, step: None, "finish": lambda: None}
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(**calls))
    for _ in range(2):
        with Tracker(tmp_path / "rest-em", {"seed": 1}, ("trackio",)) as track:
            track.log(1, {"reward": 0.5})
    assert begun[0]["name"] == begun[1]["name"]
    assert begun[0]["name"].startswith("rest-em 20")
    assert (begun[0]["config"], begun[0]["resume"]) == ({"seed": 1}, "allow")


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_mlflow_itself_has_the_curve_of_a_run_that_was_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="pip install 'seal-env[mlflow]'")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for steps in (2, 3):
        with Tracker(tmp_path / "run", {"run": {"seed": 1}}, ("mlflow",)) as track:
            for step in range(steps):
                track.log(step, {"held_out/accuracy": step / 4})
    client = MlflowClient()
    experiment = client.get_experiment_by_name("seal-env")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params == {"run.seed": "1"}
    assert run.info.status == "FINISHED"
    points = client.get_metric_history(run.info.run_id, "held_out/accuracy")
    assert [(each.step, each.value) for each in points] == [(0, 0.0), (1, 0.25), (2, 0.5)]


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_wandb_itself_works_offline_and_keeps_the_id_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="pip install 'seal-env[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for _ in range(2):
        with Tracker(tmp_path, {"run": {"seed": 1}}, ("wandb",)) as track:
            track.log(0, {"held_out/accuracy": 0.5})
    folders = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len({each.name.rpartition("-")[2] for each in folders}) == 1
    assert list(folders[0].glob("*.wandb"))
