"""The run folder: what it holds, and that it can be read back."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seal_env.errors import RunFolderError
from seal_env.experiments.config import ExperimentConfig
from seal_env.experiments.episode_log import EpisodeLog
from seal_env.experiments.run import run
from seal_env.experiments.run_folder import as_toml, check_commit, refuse_foreign
from seal_env.experiments.settings import RunSettings
from seal_env.experiments.versions import package_versions
from seal_env.journal import write_whole
from seal_env.settings import Settings
from seal_env.types import PROFILES

DOCUMENT = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one episode with the bundled model."""
    out = tmp_path_factory.mktemp("runs") / "deep" / "run"
    overrides = {"max_examples": 4, "device": "cpu", "profile": "paper"}
    config = ExperimentConfig("SEAL-ARC-Mini-v0", overrides, {}, out)
    run("random", RunSettings(episodes=1, seed=5), config, Console(quiet=True))
    return out


@pytest.fixture(scope="module")
def settings(finished: Path) -> dict[str, Any]:
    return tomllib.loads((finished / "settings.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def record(finished: Path) -> dict[str, Any]:
    (line,) = (finished / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    loaded: dict[str, Any] = json.loads(line)
    return loaded


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


def test_settings_are_resolved(settings: dict[str, Any], finished: Path) -> None:
    assert settings["run"] == {"environment": "SEAL-ARC-Mini-v0", "agent": "random", "episodes": 1, "seed": 5}
    given = {"max_examples": 4, "device": "cpu", "profile": "paper", "cache_file": str(finished / "cache.sqlite")}
    expected = Settings.resolve(subset="mini-train", **given)
    assert settings["environment"] == {
        name: value for name, value in json.loads(json.dumps(expected.flat())).items() if value is not None
    }


def test_recorded_settings_make_the_same_environment(settings: dict[str, Any]) -> None:
    assert Settings.resolve(**settings["environment"]).recipe.double_bos is True


def test_profile_is_written_out(settings: dict[str, Any]) -> None:
    assert settings["recipe"] == vars(PROFILES["paper"])


def test_device_and_versions_are_written(settings: dict[str, Any]) -> None:
    assert re.fullmatch(r"cpu, \d+ threads?", settings["machine"]["device"])
    assert settings["versions"] == package_versions()


def test_what_is_adapted_is_in_settings_and_record(settings: dict[str, Any], record: dict[str, Any]) -> None:
    layers = {"q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"}
    assert settings["adapted"] == record["adapted"] == dict.fromkeys(layers, record["adapted"]["q_proj"])
    assert settings["not_adapted"] == record["not_adapted"] == {}


def test_record_has_the_documented_fields_and_no_others(record: dict[str, Any]) -> None:
    table = DOCUMENT.partition("## episodes.jsonl")[2]
    documented = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(documented) == sorted(record)


def test_record_tells_the_whole_episode(record: dict[str, Any]) -> None:
    assert (record["outcome"], record["reason"], record["task_id"]) == ("ok", "", "mini-train-0-0")
    assert [call["name"] for call in record["self_edit"]] == ["augment", "training", "finetune"]
    assert json.loads(record["actions"][0]) == record["self_edit"]
    assert len(record["losses"]) == record["optimizer_steps"] > 0
    assert record["rewards"] == [record["reward"]] == [record["accuracy_after"]]
    assert len(record["predictions_after"]) == len(record["gold"]) == 1
    assert record["versions"] == package_versions()


def test_numbers_are_finite(record: dict[str, Any]) -> None:
    assert len(list(numbers(record))) > 5
    assert all(math.isfinite(number) for number in numbers(record))


def test_timings_are_seconds_of_phases_that_the_document_names(record: dict[str, Any]) -> None:
    assert set(record["timings"]) == {"compile_seconds", "base_seconds", "train_seconds", "evaluate_seconds"}
    assert all(name in DOCUMENT and 0 <= seconds < 60 for name, seconds in record["timings"].items())


def test_what_is_not_finite_becomes_null(tmp_path: Path) -> None:
    record = {"episode": 0, "reward": math.nan, "losses": [1.0, math.inf], "nested": {"a": (-math.inf, 0.5)}}
    EpisodeLog(tmp_path / "run").write(record)
    loaded = json.loads((tmp_path / "run" / "episodes.jsonl").read_text(encoding="utf-8"))
    assert (loaded["reward"], loaded["losses"], loaded["nested"]) == (None, [1.0, None], {"a": [None, 0.5]})


def test_whatever_an_agent_writes_stays_on_one_line(tmp_path: Path) -> None:
    action = "half \ud800 pair, line\u2028separator,\nnew line, \x00, 文"
    EpisodeLog(tmp_path / "run").write({"episode": 0, "actions": [action]})
    (line,) = (tmp_path / "run" / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["actions"] == [action]


def test_settings_that_are_none_are_left_out() -> None:
    assert tomllib.loads(as_toml({"environment": {"save_adapters": None, "seed": 1}})) == {"environment": {"seed": 1}}


@pytest.mark.parametrize("kind", ["folder with a file", "file", "dangling link"])
def test_whatever_is_there_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    make: dict[str, Callable[[], object]] = {
        "folder with a file": lambda: write_whole(path / "notes.txt", ""),
        "file": path.touch,
        "dangling link": lambda: path.symlink_to("nowhere"),
    }
    make[kind]()
    with pytest.raises(RunFolderError, match="exists already"):
        refuse_foreign(path)


def test_a_run_is_not_resumed_with_another_commit_of_its_model(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[model]\ncommit = "aaa"\n')
    for same in ({"commit": "aaa"}, {}):
        check_commit(tmp_path, {"model": same})
    with pytest.raises(RunFolderError, match="begun with commit aaa of the model, whose branch is at bbb"):
        check_commit(tmp_path, {"model": {"commit": "bbb"}})
