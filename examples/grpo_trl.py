"""GRPO of TRL on self-edits, in TRL's own form: its trainer, our prompts, environment class and reward.

    pip install 'seal-env[grpo]'
    python examples/grpo_trl.py --policy Qwen/Qwen2.5-0.5B-Instruct --steps 50

A policy whose chat template has tool calls uses the tools one by one; another one, as the bundled model, writes its whole
self-edit as text. `seal-env train grpo` is the same with held-out tasks and a run that resumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from seal_env.agents.evaluation import starts
from seal_env.agents.trainers.grpo import calls_tools
from seal_env.agents.trainers.trl_episodes import prompt_dataset, self_edit_environments, self_edit_reward
from seal_env.domains.registry import get_domain
from seal_env.episodes.runtime import Runtime
from seal_env.models.catalog import MODEL_DIRECTORY
from seal_env.settings import Settings


@dataclass(frozen=True)
class Arguments:
    """What is trained.

    policy: a model that transformers loads, never the environment's own module. tasks: a task set. model: the environment's
    base model, which every self-edit updates. samples: self-edits of a prompt, whose rewards are compared with each other.
    """

    policy: str = str(MODEL_DIRECTORY)
    tasks: str = "mini-train:40"
    model: str = "seal-tiny"
    steps: int = 20
    samples: int = 8
    learning_rate: float = 1e-4
    max_new_tokens: int = 512
    out: Path = Path("runs/grpo-trl")


def main(arguments: Arguments) -> list[dict[str, Any]]:
    """Train; what TRL logged at each step."""
    tokenizer = AutoTokenizer.from_pretrained(arguments.policy, trust_remote_code=False)
    on_cpu, tools = not torch.cuda.is_available(), calls_tools(tokenizer, get_domain("arc"))
    runtime = Runtime(Settings.resolve(subset=arguments.tasks, model=arguments.model, max_turns=8 if tools else 1))
    updates = arguments.steps * arguments.samples
    print(f"GRPO: {arguments.steps} steps of {arguments.samples} self-edits on {arguments.tasks}, {updates} updates of "
          f"{arguments.model}; the policy goes to {arguments.out}", flush=True)  # fmt: skip
    runtime.load()
    trainer = GRPOTrainer(
        AutoModelForCausalLM.from_pretrained(arguments.policy, trust_remote_code=False),
        self_edit_reward(runtime),
        args=GRPOConfig(
            output_dir=str(arguments.out),
            max_steps=arguments.steps,
            per_device_train_batch_size=arguments.samples,
            num_generations=arguments.samples,
            max_completion_length=arguments.max_new_tokens,
            learning_rate=arguments.learning_rate,
            logging_steps=1,
            report_to="none",
            use_cpu=on_cpu,
            bf16=not on_cpu,
            activation_checkpointing=not on_cpu,
        ),
        train_dataset=prompt_dataset(runtime, [start for _, start in starts(runtime.taskset.task_ids, 1, seed=0)]),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=16, target_modules="all-linear"),
        environment_factory=self_edit_environments(runtime) if tools else None,  # type: ignore[arg-type]
    )
    trainer.train()
    trainer.save_model(str(arguments.out / "adapter"))
    return [record for record in trainer.state.log_history if "reward" in record]


if __name__ == "__main__":
    main(tyro.cli(Arguments))
