"""Compiles the kernels in Triton for compute capability 9.0, which needs no GPU. The interpreter accepts more than this."""

from __future__ import annotations

from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from seal_env.inner_loop.batched import triton_kernels as kernels

BF16, FP32, INT64 = "*bf16", "*fp32", "*i64"
HEADS = {"HEADS": 28, "HEADS_UP": 32, "KEY_HEADS": 4, "KEY_HEADS_UP": 4, "HALF": 64, "HALF_UP": 64}
ROTATED = dict.fromkeys(("q", "k", "cos", "sin", "q_out", "k_out"), BF16)
STRIDES = dict.fromkeys(("q_token", "q_head", "k_token", "k_head", "cos_token", "sin_token"), "i32")
ADAMW = dict.fromkeys(("weights", "first", "second", "clips", "numbers"), FP32) | {
    "used": BF16,
    "slots": INT64,
    "size": "i32",
}
STORED = {"product": BF16, "slots": INT64, "size": "i32", "slot_size": "i32"}
ENTROPY = {"logits": BF16, "labels": INT64, "shares": FP32, "losses": FP32, "columns": "i32"}

CASES: tuple[tuple[Any, dict[str, str], dict[str, Any]], ...] = (
    *((kernels._rotate_kernel, ROTATED | STRIDES, {**HEADS, "BACKWARD": backward}) for backward in (False, True)),
    (kernels._cross_entropy_kernel, ENTROPY, {"BLOCK": kernels.ENTROPY_COLUMNS}),
    *(
        (kernels._adamw_kernel, ADAMW | {"gradients": kind}, {"BETA_1": 0.9, "BETA_2": 0.999, "BLOCK": kernels.ADAMW_BLOCK})
        for kind in (FP32, BF16)
    ),
    *(
        (kernels._store_kernel, STORED | {"total": kind}, {"FIRST": first, "BLOCK": kernels.STORE_BLOCK})
        for kind, first in ((FP32, True), (BF16, False))
    ),
)


def main() -> None:
    """Prints the name of each kernel that compiles."""
    for kernel, kinds, constants in CASES:
        names = kernel.arg_names
        source = ASTSource(
            kernel,
            {name: kinds.get(name, "constexpr") for name in names},
            {(names.index(name),): value for name, value in constants.items()},
        )
        assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
        print(kernel.__name__)


if __name__ == "__main__":
    main()
