"""Where a model comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file

from seal_env.episodes.runtime import Runtime
from seal_env.errors import ModelError, SettingError
from seal_env.experiments.run_folder import machine_tables
from seal_env.inner_loop.model.frozen_lm import load_base_model, unload_models
from seal_env.inner_loop.model.hub import resolve_source
from seal_env.settings import Settings


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


COMMITS = {"main": "a" * 40, "v1": "b" * 40}


@pytest.fixture
def downloaded(tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two revisions of some/model in the cache of the hub: `v1` is another architecture."""
    repository = tmp_path / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    for (revision, commit), model in zip(COMMITS.items(), ("llama", "qwen2"), strict=True):
        shutil.copytree(tiny_models[model], repository / "snapshots" / commit)
        (repository / "refs" / revision).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


@pytest.mark.usefixtures("downloaded")
def test_a_revision_is_a_model_of_its_own_with_its_commit() -> None:
    main, tagged = (load_base_model("some/model", "cpu", revision=revision) for revision in (None, "v1"))
    assert (main.commit, tagged.commit) == (COMMITS["main"], COMMITS["v1"])
    assert (main.model.config.model_type, tagged.model.config.model_type) == ("llama", "qwen2")
    assert main is load_base_model("some/model", "cpu")
    assert tagged.fingerprint == load_base_model("some/model", "cpu", revision=COMMITS["v1"]).fingerprint


@pytest.mark.usefixtures("downloaded")
@pytest.mark.parametrize("sharded", [False, True])
def test_weights_of_the_hub_are_checked_as_those_of_a_folder_are(
    sharded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models--some--model" / "snapshots" / COMMITS["main"]
    monkeypatch.setattr("seal_env.inner_loop.model.frozen_lm.resolve_source", lambda *_: "some/model")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    if sharded:
        names = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").rename(folder / "all.safetensors")
        content = json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, "all.safetensors")})
        (folder / "model.safetensors.index.json").write_text(content)
    assert load_base_model("some/model", "cpu").commit == COMMITS["main"]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 10**9}))
    unload_models()
    with pytest.raises(ModelError, match=r"its configuration has 64,000,\d+,\d+ parameters, and its files"):
        load_base_model("some/model", "cpu")


@pytest.mark.usefixtures("downloaded")
def test_a_revision_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="not downloaded before in revision 'v2', and https"):
        load_base_model("some/model", "cpu", revision="v2")


@pytest.mark.usefixtures("downloaded")
def test_the_hub_is_asked_about_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []
    monkeypatch.setattr(HfApi, "model_info", lambda _, name, revision, **__: asked.append((name, revision)))
    assert resolve_source("some/model", "v1") == "some/model"
    assert asked == [("some/model", "v1")]


@pytest.mark.usefixtures("downloaded")
def test_a_run_folder_records_the_commit_and_the_number_type() -> None:
    runtime = Runtime(Settings.resolve(model="some/model", device="cpu", revision="v1", cache="off"))
    runtime.load()
    assert machine_tables(runtime)["model"] == {"dtype": "float32", "commit": COMMITS["v1"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"revision": "v1"}, "revision='v1' is not legal; expected None, unless model is a Hugging Face id"),
        ({"revision": "v1", "model": "here"}, "expected None, unless model is a Hugging Face id"),
        ({"revision": "v1", "model": "./nope"}, "expected None, unless model is a Hugging Face id"),
        ({"revision": "", "model": "some/model"}, "expected a branch, a tag or a commit"),
        ({"revision": "../main", "model": "some/model"}, "expected a branch, a tag or a commit"),
        ({"revision": 3, "model": "some/model"}, "revision=3 is not legal; expected a text or None"),
        ({"dtype": "float16"}, "dtype='float16' is not legal; expected 'auto' or 'float32' or 'bfloat16'"),
    ],
)
def test_a_revision_or_number_type_that_is_none_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Settings.resolve(**given)


def test_a_revision_is_a_branch_a_tag_or_a_commit() -> None:
    for revision in ("main", "v1.0", "refs/pr/3", COMMITS["main"]):
        assert Settings.resolve(model="some/model", revision=revision).flat()["revision"] == revision
