"""The machine's matrix-product peak, the model FLOPs of an update, and a process's memory."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PretrainedConfig

from seal_env.types import LoraSpec

CPU_SIDES = (512, 1024, 2048)
CUDA_SIDES = (4096, 8192, 16_384)
TRIALS = 3


def matmul_peak(device: str) -> float:
    """FLOP/s of the best of several square products, fp32 on a CPU with torch's threads, bf16 on CUDA."""
    cuda = torch.device(device).type == "cuda"
    best = 0.0
    for side in CUDA_SIDES if cuda else CPU_SIDES:
        a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16 if cuda else torch.float32) for _ in range(2))
        for _ in range(TRIALS + 1):  # the first one is slower
            began = time.perf_counter()
            product = a @ b
            float(product[0, 0])  # waits for the device
            best = max(best, 2 * side**3 / (time.perf_counter() - began))
    if cuda:
        torch.cuda.empty_cache()
    return best


def linear_shapes(config: PretrainedConfig) -> dict[str, tuple[int, int]]:
    """(in, out) of the linear layers of one block of a Llama or Qwen2, by name."""
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    head = getattr(config, "head_dim", None) or width // heads
    keys = config.num_key_value_heads * head
    return {
        "q_proj": (width, heads * head),
        "k_proj": (width, keys),
        "v_proj": (width, keys),
        "o_proj": (heads * head, width),
        "gate_proj": (width, inner),
        "up_proj": (width, inner),
        "down_proj": (inner, width),
    }


def pass_flops(config: PretrainedConfig, lora: LoraSpec, lengths_E: Sequence[int], supervised: int) -> float:
    """Model FLOPs of one training pass over sequences of these lengths: the work that no update can avoid.

    With P the weights of a block's linear layers, T the real tokens, r the rank, and V, d, H the sizes of vocabulary, width
    and heads together:

        base, forward and gradient of the inputs    4 P T a block
        LoRA, forward and both gradients            6 r (in + out) T an adapted layer
        head                                        4 V d for each supervised token
        causal attention                            6 H L^2 a block and sequence of length L (forward 2, backward 4)

    Padding, logits that no loss reads, recomputed activations, norms, the optimizer and the evaluation do not count.

    Args:
        config: Of the model, a Llama or Qwen2.
        lora: Of the update.
        lengths_E: Real tokens of each example.
        supervised: Number of tokens that carry loss.
    """
    shapes = linear_shapes(config)
    base = sum(wide * high for wide, high in shapes.values())
    adapter = lora.rank * sum(sum(shapes[name]) for name in lora.target_modules)
    heads = shapes["q_proj"][1]
    tokens = sum(lengths_E)
    attention = 6 * heads * sum(length**2 for length in lengths_E)
    blocks = config.num_hidden_layers * ((4 * base + 6 * adapter) * tokens + attention)
    return float(blocks + 4 * config.vocab_size * config.hidden_size * supervised)


def peak_memory(device: str) -> int:
    """Bytes: on CUDA the peak of this process's tensors, on a CPU its peak resident size."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent process had when it started this one
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found is not None
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
