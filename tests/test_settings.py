"""Settings are checked once, and say what is wrong."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251
from pathlib import Path
from typing import Any

import pytest

from seal_env.errors import ModelError, RunFolderError, SealError, SettingError, TaskError, UnknownTaskError
from seal_env.inner_loop.tokens.arguments import TemplateArguments
from seal_env.settings import Settings


def test_embedded_model_has_its_own_adapter_and_format() -> None:
    own, other = Settings.resolve(), Settings.resolve(model="some/model")
    assert own.flat()["grid_format"] == "lettered"
    assert (other.flat()["grid_format"], other.lora.rank, other.lora.alpha) == ("plain", 128, 16.0)


def test_given_settings_win_over_the_model_s_own() -> None:
    settings = Settings.resolve(grid_format="plain", lora_rank=3, lora_alpha=2)
    assert (settings.flat()["grid_format"], settings.lora.rank, settings.lora.alpha) == ("plain", 3, 2.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rewrad": "gain"}, "did you mean 'reward'"),
        ({"reward": "best"}, "reward='best' is not legal; expected 'accuracy' or"),
        ({"max_turns": 0}, "max_turns=0 is not legal; expected at least 1"),
        ({"max_turns": "8"}, "max_turns='8' is not legal; expected a whole number"),
        ({"max_turns": True}, "max_turns=True is not legal"),
        ({"lora_alpha": 0.0}, "lora_alpha=0.0 is not legal"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"invalid_reward": float("inf")}, "finite"),
        ({"lora_targets": "q_proj,,v_proj"}, "lora_targets"),
        ({"decode": "never", "evaluation": "vote"}, "decode='never'"),
        ({"evaluator": "vlm"}, "evaluator='vlm' is not legal; expected 'local' or 'vllm'"),
        ({"evaluator_url": "http://127.0.0.1:8011/v1"}, "evaluator_url='http://127.0.0.1:8011/v1' is not legal"),
        ({"evaluator_model": "base"}, "evaluator_model='base' is not legal; expected None, unless evaluator='vllm'"),
        ({"evaluator": "vllm", "evaluator_url": "here"}, "evaluator_url='here' is not legal; expected an address"),
        ({"evaluator": "vllm", "cache": "on"}, "cache='on' is not legal; expected 'off'"),
        ({"model": object()}, "model="),
        ({"profile": "papers"}, "'fixed' or 'paper'"),
        ({"device": "gpu"}, "device='gpu' is not legal; expected 'auto', 'cpu', 'cuda', 'cuda:N', 'cuda:all' or 'mps'"),
    ],
)
def test_illegal_setting_names_field_value_and_what_is_legal(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as raised:
        Settings.resolve(**given)
    assert message in str(raised.value)


def test_server_that_answers_is_resolved_and_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1234/v1/")
    settings = Settings.resolve(evaluator="vllm")
    assert (settings.evaluator_url, settings.cache) == ("http://127.0.0.1:1234/v1", "off")
    assert Settings.resolve(**settings.flat()) == settings
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert Settings.resolve(evaluator="vllm").evaluator_url == "http://127.0.0.1:8000/v1"
    assert (Settings.resolve().evaluator_url, Settings.resolve().cache) == (None, "on")


def test_settings_can_be_copied_as_gymnasium_copies_them() -> None:
    settings = Settings.resolve()
    assert copy.deepcopy(settings) == settings


def test_paper_profile_keeps_the_batch_size_given() -> None:
    recipe = Settings.resolve(profile="paper", batch_size=3).recipe
    assert (recipe.batch_size, recipe.pad_loss, recipe.double_bos) == (3, True, True)


@pytest.mark.parametrize(
    "error",
    [
        SettingError("a", 1, "2"),
        SettingError("whole"),
        TaskError("x"),
        UnknownTaskError("y"),
        ModelError("z"),
        RunFolderError("f"),
    ],
)
def test_errors_survive_pickling_and_are_standard_errors(error: SealError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(again) == str(error)
    assert isinstance(again, ValueError | KeyError | OSError)


def test_paths_and_lists_are_accepted(tmp_path: Path) -> None:
    settings = Settings.resolve(subset=tmp_path, model=tmp_path / "m", lora_targets=["q_proj"], save_adapters=tmp_path)
    assert (settings.subset, settings.model) == (str(tmp_path), str(tmp_path / "m"))
    assert (settings.lora_targets, settings.save_adapters) == (("q_proj",), str(tmp_path))


@pytest.mark.parametrize(
    ("subset", "grader"),
    [
        (None, "exact_match"),
        ("synthetic-reworded:9", "exact_match"),
        ("synthetic-eval-0-7,synthetic-train-0-1", "exact_match"),
        ("squad-validation:20", "lexical"),
        ("passages.json", "lexical"),
        ("./synthetic-eval", "lexical"),
    ],
)
def test_synthetic_passages_are_graded_by_exact_match(subset: str | None, grader: str) -> None:
    assert Settings.resolve(domain="knowledge", subset=subset).flat()["grader"] == grader


def test_a_named_grader_wins_over_that_of_the_passages() -> None:
    assert Settings.resolve(domain="knowledge", subset="synthetic-eval", grader="lexical").flat()["grader"] == "lexical"


@pytest.mark.parametrize("given", [{"enable_thinking": False}, '{"enable_thinking":false}'])
def test_template_arguments_are_held_as_json(given: Any) -> None:
    settings = Settings.resolve(chat_template_kwargs=given, template_date="2025-03-01")
    assert settings.flat()["chat_template_kwargs"] == '{"enable_thinking": false}'
    assert settings.template == TemplateArguments("2025-03-01", '{"enable_thinking": false}')


@pytest.mark.parametrize(
    "given",
    [
        *("", "[]", "1", "enable_thinking", "{", [], 1, {1: object()}, '{"a": NaN}', "[" * 100_000, '{"a": "\\ud800"}'),
        *('{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 2}}', {1: 2}, {"a": {1: 2}}, {"a": float("nan")}, {"a": {1}}),
    ],
)
def test_template_arguments_that_are_no_json_object_are_refused(given: Any) -> None:
    with pytest.raises(SettingError, match=r"chat_template_kwargs=.*expected a JSON object"):
        Settings.resolve(chat_template_kwargs=given)


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a b", "\u00e4", "messages", "tools", "tokenize", "add_generation_prompt"]
)
def test_names_that_no_template_can_read_are_refused_at_once(name: str) -> None:
    with pytest.raises(SettingError, match=f"chat_template_kwargs='{name}' is not legal"):
        Settings.resolve(chat_template_kwargs={name: 1})


@pytest.mark.parametrize(
    "given",
    [
        *([], (), "", ",", "q_proj,", "q proj", "q_proj,q_proj", ".*", "layers.0.q_proj", "../x", "a" * 101, ["\ud800"]),
        *(["q_proj", ""], ["q_proj", 3], {"q_proj"}, {"q_proj": 1}, 3, True, b"q_proj"),
    ],
)
def test_what_names_no_layers_is_refused_at_once(given: Any) -> None:
    with pytest.raises(SettingError, match=r"lora_targets=.* is not legal; expected .*(names|list)"):
        Settings.resolve(lora_targets=given)


@pytest.mark.parametrize("given", ["", "today", "2024-7-26", "20240726", "2024-02-30", "2024-07-26T00:00"])
def test_template_date_that_is_no_date_is_refused(given: str) -> None:
    with pytest.raises(SettingError, match=r"template_date=.*expected a date, as YYYY-MM-DD"):
        Settings.resolve(template_date=given)


def test_text_that_no_file_can_hold_is_refused() -> None:
    for name, value in {"subset": "a\udcff", "save_adapters": Path("a\udcff"), "model": "\ud800"}.items():
        with pytest.raises(SettingError, match=rf"{name}=.* is not legal; expected whole characters"):
            Settings.resolve(**{name: value})
