"""Where a model comes from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from seal_env.inner_loop.model.hub import resolve_source


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What the hub was asked about; there is no network."""
    seen: list[str] = []

    def refuse(_: HfApi, name: str, **__: Any) -> None:
        seen.append(name)
        raise ConnectionError("no network")

    monkeypatch.setattr(HfApi, "model_info", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("a-file").touch()
    return seen


@pytest.mark.parametrize("source", ["./nope", "/nope", "nope/", "some/where/deep", "~/nope"])
def test_a_folder_that_does_not_exist_is_no_hub_id(source: str, asked: list[str]) -> None:
    with pytest.raises(ValueError, match=r"the folder /.*nope does not exist|deep does not exist"):
        resolve_source(source)
    assert asked == []


def test_an_id_without_network_is_asked_for_once(asked: list[str]) -> None:
    with pytest.raises(ValueError, match=r"not downloaded before, and https://\S+ cannot be reached \(Conn.*no network"):
        resolve_source("some/model")
    assert asked == ["some/model"]


@pytest.mark.parametrize(("status", "said"), [(404, "has none that you may read"), (503, "gives no answer")])
def test_a_hub_that_fails_is_not_one_without_the_model(status: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusal(HfHubHTTPError):
        response: Any = SimpleNamespace(status_code=status)

        def __init__(self) -> None:
            pass

    def refuse(*_: Any, **__: Any) -> None:
        raise Refusal

    monkeypatch.setattr(HfApi, "model_info", refuse)
    with pytest.raises(ValueError, match=rf"{said} \(HTTP {status}\)"):
        resolve_source("some/model")


def test_what_is_there_needs_no_hub(asked: list[str]) -> None:
    assert resolve_source("here") == "here"
    with pytest.raises(ValueError, match="a-file is no folder"):
        resolve_source("a-file")
    assert asked == []
