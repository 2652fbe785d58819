"""Devices and number types, as far as a CPU can show them: GPUs of Apple and AMD are told by torch's own answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop.batched.attention import VariableLengthAttention, attention_over
from seal_env.inner_loop.batched.graphs import recording_stream
from seal_env.inner_loop.batched.grouped_mm import OneByOne, choose_products
from seal_env.inner_loop.batched.kernels import find_kernels
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.model import files, memory
from seal_env.inner_loop.model.device import describe_device
from seal_env.inner_loop.model.devices import choose_device, choose_dtype, is_nvidia
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.reference.loop import ReferenceInnerLoop
from seal_env.types import Outcome
from tests.inner_loop.test_batched_inner_loop import JOBS

CUDA, MPS, CPU = (torch.device(name) for name in ("cuda:0", "mps", "cpu"))


@pytest.fixture
def rocm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU of AMD, for which torch answers as for one of NVIDIA."""
    card = SimpleNamespace(name="AMD Instinct MI300X", total_memory=192 * 2**30)
    monkeypatch.setattr(torch.version, "hip", "7.1")
    for name, answer in {
        "is_available": True, "device_count": 1, "get_device_capability": (9, 4), "get_device_properties": card
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12 * 2**30)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2**30)


@pytest.mark.usefixtures("rocm")
def test_rocm_is_cuda_without_the_kernels_of_nvidia() -> None:
    assert (choose_device("auto"), choose_dtype("auto", CUDA)) == (CUDA, torch.bfloat16)
    assert describe_device("auto") == "cuda:0, AMD Instinct MI300X, 192 GiB, ROCm 7.1"
    weights: Any = SimpleNamespace(device=CUDA, dtype=torch.bfloat16)
    packed: Any = SimpleNamespace(ids=SimpleNamespace(device=CUDA), runs=())
    assert isinstance(choose_products(weights, (8, 64)), OneByOne)
    assert not isinstance(attention_over(packed, torch.bfloat16), VariableLengthAttention)
    assert (is_nvidia(CUDA), recording_stream(CUDA), find_kernels("optimizer", CUDA)) == (False, None, None)


@pytest.mark.usefixtures("apple")
def test_mps_is_a_device_with_its_share_of_the_memory() -> None:
    assert (choose_device("mps"), choose_device("auto")) == (MPS, CPU)
    assert (choose_dtype("auto", MPS), choose_dtype("bfloat16", MPS)) == (torch.float32, torch.bfloat16)
    assert describe_device("mps") == "mps, 12 GiB"
    assert memory.free_bytes(MPS) <= 11 * 2**30
    assert (is_nvidia(MPS), recording_stream(MPS), find_kernels("optimizer", MPS)) == (False, None, None)


def test_mps_without_such_a_gpu_is_named() -> None:
    with pytest.raises(SettingError, match="device='mps' is not legal; expected 'auto' or 'cpu'"):
        choose_device("mps")


@pytest.mark.parametrize("text", ["MPS backend out of memory (MPS allocated: 9 GB)", "HIP error: out of memory"])
def test_memory_that_runs_out_is_known_on_every_device(text: str) -> None:
    assert memory.is_out_of_memory(RuntimeError(text))


def test_attention_of_variable_length_reads_half_precision_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: Any = SimpleNamespace(ids=SimpleNamespace(device=CUDA), runs=())
    monkeypatch.setattr(VariableLengthAttention, "__init__", lambda *_: None)
    kinds = [type(attention_over(packed, dtype)) for dtype in (torch.bfloat16, torch.float32)]
    assert [kind is VariableLengthAttention for kind in kinds] == [True, False]


@pytest.mark.parametrize("loop", [BatchedInnerLoop, ReferenceInnerLoop])
def test_bf16_on_a_cpu_learns_nearly_what_fp32_learns(loop: Any, tiny_models: dict[str, str]) -> None:
    exact, coarse = (load_base_model(tiny_models["llama"], "cpu", dtype=dtype) for dtype in ("auto", "bfloat16"))
    assert (exact.about, coarse.about) == ({"dtype": "float32"}, {"dtype": "bfloat16"})
    assert exact.fingerprint != coarse.fingerprint
    (theirs,), (ours,) = (loop(replace(base, inner_loops={})).run(JOBS[:1]) for base in (exact, coarse))
    assert ours.outcome is Outcome.OK
    assert ours.losses_S == pytest.approx(theirs.losses_S, rel=0.02)
    assert ours.losses_S != theirs.losses_S


def test_a_model_that_the_device_has_no_room_for_is_refused_before_it_is_read(
    tiny_models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = str(shutil.copytree(tiny_models["llama"], tmp_path / "model"))
    monkeypatch.setattr(files, "free_bytes", lambda _: 1000)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(ModelError, match=r"weights take 0\.0 GiB in float32, and cpu has 0\.0 GiB free.*'bfloat16', ano"):
        load_base_model(directory, "cpu")


QUANTISED: Sequence[tuple[dict[str, Any], str]] = (
    ({"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False}, "bitsandbytes 4-bit"),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes 8-bit"),
    ({"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}}, "torchao"),
    ({"quant_method": "gptq", "bits": 4}, "gptq 4-bit"),
    ({"load_in_4bit": True}, "by a method that it does not name 4-bit"),
)


@pytest.mark.parametrize(("config", "method"), QUANTISED)
def test_a_quantised_model_is_refused_by_its_configuration_alone(
    config: dict[str, Any], method: str, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    base = load_base_model(tiny_models["llama"], "cpu").model.config.to_dict()
    tmp_path.joinpath("config.json").write_text(json.dumps(base | {"quantization_config": config}))
    legal = r"updates need weights in fp32, bf16 or fp16\. Use the model that it was made from"
    with pytest.raises(ModelError, match=rf"it is quantised \({method}\), and {legal}"):
        load_base_model(str(tmp_path), "cpu")  # there is nothing but config.json in the folder
