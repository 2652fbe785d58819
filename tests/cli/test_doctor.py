"""`seal-env doctor`: each check says ok or FAILED."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from seal_env.cli import doctor, main
from seal_env.cli.doctor import diagnose


def checked(
    capsys: pytest.CaptureFixture[str], model: str = "seal-tiny", device: str = "cpu"
) -> tuple[bool, dict[str, str]]:
    """Whether all is well, and each check's verdict with what was found."""
    well = diagnose(model, device, Console(width=300))
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    return well, {name: f"{verdict} {found.strip()}" for name, verdict, found in lines}


def test_working_installation_passes(capsys: pytest.CaptureFixture[str]) -> None:
    well, found = checked(capsys)
    assert well
    assert list(found) == ["packages", "disk", "bundled", "device", "model", "self-check"]
    assert all(text.startswith("ok ") for text in found.values())
    assert "the same twice" in found["self-check"]


def test_missing_model_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    well, found = checked(capsys, model="./no-such-model")
    assert not well
    assert found["model"].startswith("FAILED model='./no-such-model' cannot be loaded")
    assert found["self-check"] == "skipped needs model"


def test_missing_device_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    well, found = checked(capsys, device="cuda:77")
    assert not well
    assert "device='cuda:77'" in found["device"]
    assert (found["model"], found["self-check"]) == ("skipped needs device", "skipped needs model")


def test_missing_weights_are_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "MODEL_DIRECTORY", tmp_path)
    well, found = checked(capsys)
    assert not well
    assert found["bundled"].startswith(f"FAILED {tmp_path}/model.safetensors is missing")


def test_missing_package_is_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "package_versions", lambda: {"python": "3.11.0", "peft": "not installed"})
    assert checked(capsys)[1]["packages"].startswith("FAILED peft not installed")


def test_full_disk_is_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.cli.doctor.shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert checked(capsys)[1]["disk"].startswith("FAILED 0.0 GiB free here")


def test_update_that_is_not_repeatable_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = iter([{"outcome": "ok", "losses": [1.0]}, {"outcome": "ok", "losses": [2.0]}])
    monkeypatch.setattr(doctor, "_update", lambda *_: next(ends))
    assert "two different results" in checked(capsys)[1]["self-check"]


def test_unexpected_error_is_a_failed_check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: str) -> None:
        raise RuntimeError("the driver is too old\nand more")

    monkeypatch.setattr(doctor, "_update", breaks)
    well, found = checked(capsys)
    assert (well, found["self-check"]) == (False, "FAILED RuntimeError: the driver is too old")


def test_exit_code_is_the_verdict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seal_env.cli.doctor.diagnose", lambda *_: False)
    assert main(["doctor"]) == 1
    monkeypatch.setattr("seal_env.cli.doctor.diagnose", lambda *_: True)
    assert main(["doctor"]) == 0
