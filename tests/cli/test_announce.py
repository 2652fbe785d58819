"""What long commands say before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seal_env.experiments.reproduce.presets import TABLES
from tests.helpers.cli import Call

COMMANDS = {
    "run --subset mini-eval:4": ("run random on mini-eval:4; model seal-tiny, device auto", "4 episodes"),
    "run --env SEAL-Continual-v0 --episodes 2 --sequence 3": ("run random on synthetic-train", "2 episodes of 3 tasks each"),
    "eval --agent none --subset mini-eval:4 --samples 2": ("eval none", "4 tasks x 2 self-edits = 8 updates"),
    "train rest-em --subset mini-train:4 --held-out mini-eval:2 --samples 3 --rounds 1": (
        "train rest-em on mini-train:4",
        "1 round of 4 tasks x 3 self-edits, 2 measurements on 2 held-out tasks x 5 self-edits: 32 updates",
    ),
    "train grpo --subset mini-train:4 --held-out mini-eval:2 --steps 1 --prompts 1 --eval-samples 1": (
        "train grpo on mini-train:4",
        "1 batch of 1 task x 8 self-edits, 1 optimizer step, 2 measurements on 2 held-out tasks x 1 self-edit",
    ),
    "train grpo --subset mini-train:4 --held-out mini-eval:2 --steps 3 --iterations 2": (
        "train grpo on mini-train:4",
        "3 batches of 4 tasks x 8 self-edits, 6 optimizer steps, 2 measurements on 2 held-out tasks x 5 self-edits",
    ),
    "reproduce arc --seeds 1 --rows none,search": (
        "reproduce arc on mini-train:24",
        f"1 seed x 2 rows (none, search), measured on 30 tasks of mini-eval:30; {TABLES['arc'].presets['mini'].summary}",
    ),
    "reproduce continual --agents none --out here": (
        "reproduce continual on synthetic-eval; model seal-tiny-text, device auto; results in here",
        "1 agent (none) x 8 sequences of 8 tasks",
    ),
}
CODE = """
import sys
from seal_env.cli import main

for name in ("run", "evaluate", "train", "reproduce.table", "reproduce.continual"):
    sys.modules[f"seal_env.experiments.{name}"] = None  # where the work would begin
for command in sys.argv[1:]:
    try:
        main(command.split())
    except ImportError:
        print("end", sorted({"torch", "transformers"} & sys.modules.keys()), file=sys.stderr, flush=True)
"""


@pytest.mark.integration
def test_a_command_says_what_it_will_do_before_torch_is_imported() -> None:
    called = subprocess.run([sys.executable, "-c", CODE, *COMMANDS], capture_output=True, text=True, check=True)
    assert called.stdout == ""
    lines = called.stderr.splitlines()
    assert len(lines) == 3 * len(COMMANDS)
    for (begin, plan), *said in zip(COMMANDS.values(), lines[::3], lines[1::3], lines[2::3], strict=True):
        assert said[0].startswith(f"begin     {begin}")
        assert said[1] == f"plan      {plan}; estimating the time"
        assert said[2] == "end []"


def test_a_service_that_is_not_installed_is_an_error_before_anything_else(
    seal_env: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    said = seal_env("eval", "--track", "wandb")
    assert (said.code, said.out) == (2, "")
    assert "pip install 'seal-env[wandb]'" in said.err
