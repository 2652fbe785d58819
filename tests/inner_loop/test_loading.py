"""A model's name is not the model: its files may be others, and its chat template may be given other arguments."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from transformers import AutoModelForCausalLM

from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.errors import SettingError
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.cache.key import JobKeys
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.tokens.arguments import TemplateArguments
from seal_env.types import LoraSpec, Message, Query, Recipe, TrainingConfig, UpdateJob

SILENT = TemplateArguments(values='{"silent": true}')
JOB = UpdateJob((), TrainingConfig(), LoraSpec(), Recipe(), 0, (Query("0", (Message("user", "?"),), "1"),))


@pytest.fixture
def directory(tiny_models: dict[str, str], tmp_path: Path) -> Path:
    """A model of its own."""
    return Path(shutil.copytree(tiny_models["qwen2"], tmp_path / "model"))


def save_other(directory: Path) -> None:
    """Other weights in the same files, as long and as old as they were."""
    file, changed = directory / "model.safetensors", AutoModelForCausalLM.from_pretrained(directory)
    before = file.stat()
    changed.load_state_dict({name: weight + 1 for name, weight in changed.state_dict().items()})
    changed.save_pretrained(directory)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size


def embedding(base: FrozenLM) -> torch.Tensor:
    return base.model.get_input_embeddings().weight.clone()


def test_model_that_is_the_same_is_loaded_once(directory: Path) -> None:
    assert load_base_model(str(directory), "cpu") is load_base_model(str(directory), "cpu")


def test_model_that_was_saved_again_is_loaded_again(directory: Path) -> None:
    before = embedding(load_base_model(str(directory), "cpu"))
    save_other(directory)
    assert torch.equal(embedding(load_base_model(str(directory), "cpu")), before + 1)


def test_tokenizer_that_was_saved_again_is_loaded_again(directory: Path) -> None:
    before = load_base_model(str(directory), "cpu")
    (directory / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    after = load_base_model(str(directory), "cpu")
    assert before.encoder.query(JOB.queries_Q[0]) != after.encoder.query(JOB.queries_Q[0])
    assert before.fingerprint != after.fingerprint


def test_same_name_elsewhere_is_another_model(directory: Path, tiny_models: Any, monkeypatch: Any, tmp_path: Path) -> None:
    shutil.copytree(tiny_models["llama"], tmp_path / "elsewhere" / "model")
    found = []
    for place in (tmp_path, tmp_path / "elsewhere"):
        monkeypatch.chdir(place)
        found.append(load_base_model("model", "cpu").fingerprint)
    assert found[0] != found[1]


def test_inner_loop_of_a_model_that_was_saved_again_is_another_one(directory: Path) -> None:
    first, same = (make_inner_loop("batched", str(directory), "cpu", "on") for _ in range(2))
    save_other(directory)
    assert first is same
    assert make_inner_loop("batched", str(directory), "cpu", "on").run([JOB]) != first.run([JOB])


def test_environment_keeps_its_model_and_a_new_one_has_the_new(directory: Path) -> None:
    settings: dict[str, Any] = {"model": str(directory), "device": "cpu", "max_examples": 2, "lora_rank": 2, "cache": "off"}

    def losses(env: SealEnv) -> Any:
        env.reset(seed=0)
        return env.step(ARC.default_self_edit)[4]["losses"]

    env, other = (gymnasium.make("SEAL-ARC-Mini-v0", **settings).unwrapped for _ in range(2))
    assert isinstance(env, SealEnv)
    assert isinstance(other, SealEnv)
    before = losses(env)
    save_other(directory)
    assert losses(env) == before
    assert losses(other) != before


@pytest.fixture
def talker(directory: Path) -> Path:
    """A model whose template writes the date, and words unless it is told not to."""
    template = (directory / "chat_template.jinja").read_text()
    head = "{{ strftime_now('%d %b %Y') }}{% if not silent %}Words.{% endif %}"
    (directory / "chat_template.jinja").write_text(head + template)
    return directory


def test_template_arguments_make_another_model_with_the_same_weights(talker: Path) -> None:
    plain, silent = (load_base_model(str(talker), "cpu", each) for each in (TemplateArguments(), SILENT))
    assert plain.model is silent.model
    assert silent is load_base_model(str(talker), "cpu", SILENT)
    texts = [base.tokenizer.decode(base.encoder.query(JOB.queries_Q[0]).prompt_T) for base in (plain, silent)]
    assert [text.partition("<|im_start|>")[0] for text in texts] == ["26 Jul 2024Words.", "26 Jul 2024"]


def test_cache_tells_template_arguments_apart(talker: Path) -> None:
    given = [TemplateArguments(), SILENT, TemplateArguments("2024-07-27")]
    keys = {JobKeys.of(load_base_model(str(talker), "cpu", each), "batched").key(JOB) for each in given}
    assert len(keys) == 3


def test_environment_refuses_an_argument_that_its_template_does_not_read(talker: Path) -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", model=str(talker), device="cpu", chat_template_kwargs={"silnet": True})
    with pytest.raises(SettingError, match=r"chat_template_kwargs='silnet' is not legal.*reads: silent"):
        env.reset(seed=0)
