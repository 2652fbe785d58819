"""Folders of models by others: no code in them runs, nothing asks, and what is loaded is complete and what it says it is."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from benchmarks.architectures.models import MODELS, tiny_model
from seal_env.agents.lm.local.adapters import with_adapters
from seal_env.errors import ModelError
from seal_env.inner_loop.continual.model import AdaptedModel
from seal_env.inner_loop.model.files import load_model
from seal_env.inner_loop.model.frozen_lm import load_base_model, share
from seal_env.types import Message, Query

CODE = """
open(__file__ + ".ran", "w").close()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class Config(LlamaConfig): model_type = "mine"
class Model(LlamaForCausalLM): config_class = Config
class Tokenizer(PreTrainedTokenizerFast): pass
def generate(*args, **kwargs): pass
"""
WEIGHTS, NORM, HEAD = "model.safetensors", "model.norm.weight", "lm_head.weight"


@pytest.fixture
def model(tiny_models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of its own with a module of code beside it; whoever asks whether to run it hears yes."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    monkeypatch.setattr("transformers.dynamic_module_utils.TIME_OUT_REMOTE_CODE", 1)
    directory = Path(shutil.copytree(tiny_models["llama"], tmp_path / "model"))
    for name in ("mine.py", "modeling_llama.py", "custom_generate/generate.py"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(CODE)
    return directory


def edit(model: Path, file: str, **values: Any) -> None:
    path = model / f"{file}.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | values))


def refusal(model: Path) -> str:
    """The message; nothing has run, and it can be shown in one line of any terminal."""
    with pytest.raises(ModelError) as error:
        load_base_model(str(model), "cpu")
    assert not list(model.rglob("*.ran"))
    said = str(error.value)
    assert said.isprintable()
    assert str(model) in said
    return said


def loaded(model: Path) -> Any:
    found = load_base_model(str(model), "cpu")
    assert not list(model.rglob("*.ran"))
    assert type(found.model).__module__.startswith("transformers.")
    return found.model


MAP = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}
REMOTE = {name: f"someone/else--{value}" for name, value in MAP.items()}
TOKENIZER_MAP = {"auto_map": {"AutoTokenizer": [None, "mine.Tokenizer"]}, "tokenizer_class": "MineTokenizer"}


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config", {"model_type": "mine", "auto_map": MAP}),
        ("config", {"model_type": "mine", "auto_map": REMOTE}),
        ("config", {"model_type": "mine", "auto_map": {"AutoConfig": "../model/mine.Config"}}),
        ("tokenizer_config", TOKENIZER_MAP),
        ("tokenizer_config", {**TOKENIZER_MAP, "auto_map": {"AutoTokenizer": ["someone/else--mine.T", None]}}),
    ],
)
def test_model_that_needs_code_of_its_own_is_refused_at_once(model: Path, file: str, values: dict[str, Any]) -> None:
    edit(model, file, **values)
    assert "it needs code of its own (auto_map), and code of a model is never run" in refusal(model)


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config", {"auto_map": MAP, "architectures": ["Model"]}),
        ("config", {"auto_map": {"AutoModelForCausalLM": "mine.Model"}}),
        ("config", {"attn_implementation": "someone/attention"}),
        ("config", {"_attn_implementation": "kernels-community/flash-attn3@main:attention"}),
        ("config", {"_attn_implementation": "flash_attention_2"}),
        ("config", {"experts_implementation": "someone/experts"}),
        ("config", {"use_kernels": True, "custom_pipelines": {"x": {"impl": "mine.generate"}}}),
        ("generation_config", {"auto_map": MAP, "custom_generate": "mine"}),
        ("processor_config", {"auto_map": {"AutoProcessor": "mine.Config"}, "processor_class": "Mine"}),
        ("tokenizer_config", {"auto_map": {"AutoTokenizer": [None, "mine.Tokenizer"]}}),
    ],
)
def test_code_and_kernels_that_are_not_needed_are_left_alone(model: Path, file: str, values: dict[str, Any]) -> None:
    edit(model, file, **values)
    assert loaded(model).config._attn_implementation == "sdpa"


def test_attention_that_is_there_is_the_one_that_transformers_takes(model: Path) -> None:
    """Older versions do not read it from the file."""
    edit(model, "config", attn_implementation="eager")
    theirs = AutoModelForCausalLM.from_pretrained(model, trust_remote_code=False).config._attn_implementation
    assert loaded(model).config._attn_implementation == theirs


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__ }}",
        "{% include '/etc/hostname' %}",
        "{% import 'os' as os %}",
        "{{ cycler.__init__.__globals__.os.popen('touch ran') }}",
        "{{ lipsum.__globals__ }}",
        "{{ 5",
        "{{ messages[0]['content'].format.__func__ }}",
    ],
)
def test_template_that_reaches_beyond_its_messages_is_refused(model: Path, template: str) -> None:
    (model / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match="template"):
        load_base_model(str(model), "cpu").encoder.query(Query("0", (Message("user", "?"),), "1"))


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        tensors = load_file(model / WEIGHTS)
        change(tensors)
        save_file(tensors, model / WEIGHTS, metadata={"format": "pt"})

    return spoil


def index(**names: str) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        (model / WEIGHTS).rename(model / "model-00001-of-00002.safetensors")
        known = dict.fromkeys(load_file(model / "model-00001-of-00002.safetensors"), "model-00001-of-00002.safetensors")
        content = {"metadata": {}, "weight_map": known | {HEAD: names["head"]}}
        (model / f"{WEIGHTS}.index.json").write_text(json.dumps(content))

    return spoil


def twice(model: Path) -> None:
    index(head="model-00002-of-00002.safetensors")(model)
    save_file({HEAD: torch.zeros(3)}, model / "model-00002-of-00002.safetensors")


def device(model: Path) -> None:
    (model / WEIGHTS).unlink()
    (model / WEIGHTS).symlink_to("/dev/zero")


def config(**values: Any) -> Callable[[Path], None]:
    return lambda model: edit(model, "config", **values)


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda model: (model / name).write_text(content)


def pickled(model: Path) -> None:
    (model / WEIGHTS).unlink()
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")


def cut(share: float) -> Callable[[Path], object]:
    def spoil(model: Path) -> None:
        content = (model / WEIGHTS).read_bytes()
        (model / WEIGHTS).write_bytes(content[: int(share * len(content))])

    return spoil


INCOMPLETE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (weights(lambda held: held.pop(NORM)), f"weight '{NORM}' is missing from its files"),
    "most missing": (weights(lambda held: [held.pop(name) for name in list(held)[3:]]), "more is missing from its files"),
    "no head": (weights(lambda held: held.pop(HEAD)), f"weight '{HEAD}' is missing from its files"),
    "left over": (weights(lambda held: held.update(more=torch.zeros(3))), "'more' is in its files and not in the model"),
    "hostile name": (weights(lambda held: held.update({"\x1b[31m": torch.zeros(3)})), r"'\x1b[31m' is in its files"),
    "shape": (weights(lambda held: held.update({NORM: torch.ones(31)})), f"'{NORM}' has the shape [31]; expected [32]"),
    "codes": (weights(lambda held: held.update({NORM: torch.ones(32, dtype=torch.int8)})), f"'{NORM}' is of type I8"),
    "eight bits": (weights(lambda held: held.update({NORM: torch.ones(32).to(torch.float8_e4m3fn)})), "is of type F8_E4M3"),
    "no numbers": (weights(lambda held: held.update({NORM: torch.full((32,), math.nan)})), "no numbers (nan or inf)"),
    "infinite": (weights(lambda held: held.update({HEAD: held[HEAD] / 0})), "no numbers (nan or inf)"),
    "empty": (weights(lambda held: held.clear()), "and its files 0 weights in all"),
    "fewer layers": (config(num_hidden_layers=1), "is in its files and not in the model"),
    "more layers": (config(num_hidden_layers=3), "is missing from its files"),
    "many layers": (config(num_hidden_layers=10**9), "its configuration has num_hidden_layers=1000000000"),
    "huge": (config(vocab_size=10**9), "its configuration has 64,000,"),
    "other width": (config(hidden_size=64, intermediate_size=32), "has the shape"),
    "no positions": (config(max_position_embeddings=-1), "max_position_embeddings=-1"),
    "no number": (config(num_hidden_layers="two"), "cannot be loaded"),
    "negative": (config(hidden_size=-32), "cannot be loaded"),
    "no heads": (config(num_attention_heads=0), "cannot be loaded"),
    "other type": (config(model_type="gpt2"), "cannot be loaded"),
    "no type": (config(model_type="nothing"), "cannot be loaded"),
    "type of another kind": (config(model_type=["llama"]), "cannot be loaded"),
    "encoder": (config(model_type="bert"), "cannot be loaded"),
    "quantised": (config(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}), "it is quantised"),
    "weights elsewhere": (config(transformers_weights="../other/model.safetensors"), "names a file of weights"),
    "pickle": (pickled, "its weights are pickles (pytorch_model.bin), which can hold code"),
    "cut": (cut(0.7), "cannot be loaded"),
    "cut early": (cut(0.001), "cannot be loaded"),
    "nothing": (cut(0), "cannot be loaded"),
    "no weights": (lambda model: (model / WEIGHTS).unlink(), f"it has neither {WEIGHTS} nor {WEIGHTS}.index.json"),
    "index": (index(head="model-00002-of-00002.safetensors"), "'model-00002-of-00002.safetensors', which is not there"),
    "index elsewhere": (index(head="../x.safetensors"), "'../x.safetensors', which is no safetensors file beside it"),
    "twice": (twice, f"weight '{HEAD}' is in more than one of its files"),
    "index of pickles": (index(head="mine.py"), "'mine.py', which is no safetensors file beside it"),
    "adapter": (text("adapter_config.json", "{}"), "it holds an adapter (adapter_config.json)"),
    "pipe": (lambda model: os.mkfifo(model / "vocab.json"), "vocab.json is a pipe or a device"),
    "device": (device, f"{WEIGHTS} is a pipe or a device"),
    "config is a list": (text("config.json", "[]"), "cannot be loaded"),
    "config is no JSON": (text("config.json", "{"), "cannot be loaded"),
    "config is deep": (text("config.json", "[" * 100_000), "cannot be loaded"),
    "no config": (lambda model: (model / "config.json").unlink(), "cannot be loaded"),
    "tokenizer is no JSON": (text("tokenizer.json", "{"), "cannot be loaded"),
    "tokenizer is empty": (text("tokenizer.json", "{}"), "cannot be loaded"),
    "tokenizer of escapes": (text("tokenizer.json", '{"model": {"type": "\\u001b[31m"}}'), "cannot be loaded"),
    "no tokenizer": (lambda model: (model / "tokenizer.json").unlink(), "model"),
    "special tokens": (lambda model: edit(model, "tokenizer_config", eos_token=5), "model"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_model_that_is_not_what_it_says_is_refused(model: Path, case: str) -> None:
    spoil, said = INCOMPLETE[case]
    spoil(model)
    assert said in refusal(model)


def test_index_of_all_its_files_is_a_model(model: Path) -> None:
    index(head="model-00001-of-00002.safetensors")(model)
    assert loaded(model).config.num_hidden_layers == 2


def test_weights_that_are_tied_need_not_be_written_twice(tiny_models: dict[str, str]) -> None:
    assert "lm_head.weight" not in load_file(Path(tiny_models["qwen2"]) / WEIGHTS)
    load_base_model(tiny_models["qwen2"], "cpu")


@pytest.mark.slow
def test_models_of_every_architecture_are_complete_when_they_are_saved(tmp_path: Path) -> None:
    for name in (name for models in MODELS.values() for name in models):
        saved = tiny_model(name, 300)
        saved.save_pretrained(tmp_path / name)
        found = dict(load_model(str(tmp_path / name), torch.float32).named_parameters())
        assert all(torch.equal(weight, found.pop(key)) for key, weight in saved.named_parameters()), name
        assert not found, name


def test_state_of_a_continual_model_is_refused_where_it_is_incomplete(model: Path, tmp_path: Path) -> None:
    adapted = AdaptedModel(load_base_model(str(model), "cpu"))
    adapted.save(tmp_path / "state")
    adapted.load(tmp_path / "state")
    weights(lambda held: held.pop(NORM))(tmp_path / "state")
    with pytest.raises(ModelError, match=f"weight '{NORM}' is missing from its files"):
        adapted.load(tmp_path / "state")


@pytest.fixture
def adapter(model: Path, tmp_path: Path) -> Path:
    """An adapter of the model, as PEFT saves it."""
    spec = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    get_peft_model(share(loaded(model)), spec).save_pretrained(str(tmp_path / "adapter"))
    (tmp_path / "adapter" / "mine.py").write_text(CODE)
    return tmp_path / "adapter"


def adapter_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(adapter: Path) -> None:
        tensors = load_file(adapter / "adapter_model.safetensors")
        change(tensors)
        save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})

    return spoil


def adapter_config(**values: Any) -> Callable[[Path], None]:
    return lambda adapter: edit(adapter, "adapter_config", **values)


def rename(held: dict[str, torch.Tensor]) -> None:
    for name in list(held):
        held[name.replace("layers.1", "layers.7")] = held.pop(name)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "module to import": (
        adapter_config(megatron_config={"a": 1}, megatron_core="mine"),
        "megatron_config={'a': 1} is not read",
    ),
    "file of tensors": (adapter_config(corda_config={"covariance_file": "../x.pt"}), "corda_config="),
    "other adapters": (adapter_config(peft_type="XLORA", adapters={"a": "someone/else"}), "peft_type='XLORA' is not legal"),
    "prompts": (adapter_config(peft_type="PROMPT_TUNING", tokenizer_name_or_path="x"), "peft_type='PROMPT_TUNING'"),
    "unknown type": (adapter_config(peft_type="\x1b[31m"), r"peft_type='\x1b[31m' is not legal"),
    "layers twice": (adapter_config(layer_replication=[[0, 2], [0, 2]]), "layer_replication=[[0, 2], [0, 2]] is not read"),
    "quantised": (adapter_config(loftq_config={"loftq_bits": 4}), "loftq_config={'loftq_bits': 4} is not read"),
    "unknown field": (adapter_config(new_field=True), "new_field=True is not read"),
    "other start": (
        adapter_config(init_lora_weights="pissa", inference_mode=False),
        "init_lora_weights='pissa' is not legal",
    ),
    "missing": (adapter_weights(lambda held: held.pop(next(iter(held)))), "Found missing adapter keys"),
    "other layers": (adapter_weights(rename), "Found missing adapter keys"),
    "empty": (adapter_weights(lambda held: held.clear()), "Found missing adapter keys"),
    "other rank": (adapter_config(r=3), "does not fit the model"),
    "no such layers": (adapter_config(target_modules=["nothing"]), "does not fit the model"),
    "no number": (adapter_config(r="many"), "does not fit the model"),
    "a list": (lambda adapter: (adapter / "adapter_config.json").write_text("[]"), "peft_type=None is not legal"),
    "no JSON": (lambda adapter: (adapter / "adapter_config.json").write_text("{"), "adapter_config.json cannot be read"),
    "cut": (lambda adapter: (adapter / "adapter_model.safetensors").write_bytes(b"x" * 50), "does not fit the model"),
    "pickle": (
        lambda adapter: (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin"),
        "has no adapter_model.safetensors",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_adapter_that_is_more_or_less_than_its_weights_is_refused(model: Path, adapter: Path, case: str) -> None:
    spoil, said = HOSTILE[case]
    spoil(adapter)
    with pytest.raises(ModelError) as error:
        with_adapters(share(loaded(model)), [adapter])
    assert said in str(error.value)
    assert str(error.value).isprintable()
    assert not list(adapter.rglob("*.ran"))


def test_adapter_of_the_model_is_loaded(model: Path, adapter: Path) -> None:
    assert len(with_adapters(share(loaded(model)), [adapter, adapter]).peft_config) == 2
