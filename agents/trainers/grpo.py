"""GRPO (arXiv 2402.03300) through TRL: a policy learns from the rewards of several self-edits for one prompt.

`Grpo` is a whole run; its prompts, tools and rewards are those of `seal_env.agents.trainers.trl_episodes`, which TRL's own
trainer takes as well. TRL is not a dependency of seal-env: it comes with the extra `grpo`.
"""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from peft import LoraConfig
from transformers import GenerationConfig, PrinterCallback, TrainerCallback

from seal_env.agents.evaluation import EvalSample, difference, sample_tasks, starts, summary
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.local_hf import LocalHFAgent
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.lm.local.prompt import PolicyPrompt
from seal_env.agents.lm.options import LocalPolicyOptions
from seal_env.agents.rollouts import Start
from seal_env.agents.trainers.rest_em import Report, refuse_segments, report_nothing
from seal_env.agents.trainers.settings import GrpoSettings
from seal_env.agents.trainers.trl_episodes import (
    prompt_dataset,
    self_edit_environments,
    self_edit_reward,
    whole_actions_only,
)
from seal_env.domains.base import DomainSpec
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError, needs_extra
from seal_env.inner_loop.continual.merge import merge
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.tokens.template import with_fixed_date
from seal_env.journal import Journal, write_folder, write_whole

with needs_extra("grpo"):
    from trl.chat_template_utils import (
        add_response_schema,
        get_training_chat_template,
        is_chat_template_prefix_preserving,
        supports_tool_calling,
    )
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

STATE: Final = "trainer_state.json"


def calls_tools(tokenizer: Any, domain: DomainSpec, wanted: str = "auto") -> bool:
    """Whether a policy calls tools one by one in TRL: its template writes calls and replies, and TRL can read them back.

    Where the domain learns from texts it never does: a completion is a whole action there.

    Args:
        tokenizer: Of the policy.
        domain: Of the environment.
        wanted: `GrpoSettings.tool_calls`.

    Raises:
        SettingError: For "on" where that is not so.
    """
    if domain.reads_plain_text:
        if wanted == "on":
            raise whole_actions_only(domain)
        return False
    if wanted == "off":
        return False
    able = supports_tool_calling(tokenizer)
    if able:
        own = copy.deepcopy(tokenizer)
        try:
            if not any(getattr(own, name, None) for name in ("response_template", "response_schema")):
                add_response_schema(own)
            if not is_chat_template_prefix_preserving(own):
                get_training_chat_template(own)
        except ValueError:
            able = False
    if wanted == "on" and not able:
        raise SettingError("tool_calls", wanted, "'off': TRL knows no tool calls of this model's chat template")
    return able


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of TRL and transformers about an experimental feature and about renamed attributes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using 'environment_factory'", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)
        yield


class _Report(TrainerCallback):
    """Passes the numbers that TRL logs to `log`."""

    def __init__(self, log: Callable[[int, Mapping[str, float]], None]) -> None:
        self._log = log

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        self._log(state.global_step, _numbers(logs or {}))


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items() if isinstance(value, int | float) and math.isfinite(value)}


class Grpo:
    """One run of GRPO, in a folder of its own. A run that is killed resumes from its last checkpoint.

    Args:
        base: The policy before training; it stays as it is.
        runtime: The tasks to learn from; where the policy calls tools (see `calls_tools`), with a turn for every call.
        held_out: The tasks on which the policy is measured, with one turn.
        settings: Of the run.
        policy: How the policy is sampled.
        folder: Where everything is written.
        report: Called after each batch of held-out self-edits; the step is that of the optimizer.
        log: Called with the number of the optimizer step and TRL's numbers.

    Raises:
        SettingError: For what TRL cannot sample, for tool calls that the policy cannot write, and for tasks of several
            segments, about which one completion is not enough.
    """

    def __init__(
        self,
        base: FrozenLM,
        runtime: Runtime,
        held_out: Runtime,
        settings: GrpoSettings,
        policy: LocalPolicyOptions,
        folder: Path,
        report: Report = report_nothing,
        log: Callable[[int, Mapping[str, float]], None] = lambda _step, _values: None,
    ) -> None:
        if policy.constrained:
            raise SettingError("constrained", True, "False: TRL samples from the whole vocabulary")
        if policy.temperature == 0:
            raise SettingError("temperature", policy.temperature, "above 0: equal self-edits cannot be compared")
        refuse_segments(runtime)
        self.base, self.runtime, self.held_out = base, runtime, held_out
        self.settings, self.policy, self.folder = settings, policy, folder
        self.report, self.log = report, log
        self.tools = calls_tools(base.tokenizer, runtime.spec, settings.tool_calls)
        if not self.tools and runtime.settings.max_turns > 1:
            raise SettingError("max_turns", runtime.settings.max_turns, "1 where a completion is a whole self-edit")
        self.chat = PolicyChat.of(runtime, policy.style, policy.mix)

    def run(self) -> dict[str, Any]:
        """Measure, train, measure.

        Returns:
            The content of result.json.

        Raises:
            PolicyError: What is finished stays in the folder.
        """
        before = self._evaluate("before", self.base)
        adapter = self.folder / "adapter"
        if not adapter.exists():
            self._train(adapter)
        trained = merge(self.base, [adapter], f"{self.base.name} after GRPO")
        if self.settings.merged:
            write_folder(self.folder / "model", trained.save)
        after = self._evaluate("after", trained)
        result = {
            "settings": self.settings.model_dump(),
            "tools": self.tools,
            "left_out": self.left_out(),
            "training": json.loads((self.folder / "training.json").read_text(encoding="utf-8")),
            "held_out": [summary(before), summary(after)],
            "gain": [difference(samples, before)._asdict() for samples in (before, after)],
        }
        write_whole(self.folder / "result.json", json.dumps(result, indent=1))
        return result

    def _seed(self, *key: int) -> int:
        return int(np.random.SeedSequence((self.settings.seed, *key)).generate_state(1)[0]) % 2**31

    def _evaluate(self, step: str, policy: FrozenLM) -> list[EvalSample]:
        """The same episodes before and after, and in ReST-EM with this seed, so that they can be compared task by task."""
        model = PolicyModel(policy, self.chat, tools=self.tools)
        agent = LocalHFAgent.sampling(model, self.policy)
        number = 0 if step == "before" else self.settings.steps * self.settings.iterations
        samples = sample_tasks(
            self.held_out,
            agent,
            starts(self.held_out.taskset.task_ids, self.settings.eval_samples, self._seed(0, 1)),
            self.settings.in_call,
            Journal(self.folder / step / "held-out.jsonl"),
            on_batch=lambda samples: self.report("held_out", number, samples, False),
        )
        self.report("held_out", number, samples, True)
        return samples

    def episodes(self) -> list[Start]:
        """The starts of all episodes, in order: all tasks that fit once, in a random order, then again.

        Raises:
            SettingError: If no prompt leaves room for an answer.
        """
        rng, left_out = np.random.default_rng(self._seed(0)), self.left_out()
        fitting = [task_id for task_id in self.runtime.taskset.task_ids if task_id not in left_out]
        if not fitting:
            raise SettingError("max_new_tokens", self.policy.max_new_tokens, "fewer: no prompt leaves room for that many")
        count = self.settings.steps * self.settings.prompts
        order = [str(task) for _ in range(-(-count // len(fitting))) for task in rng.permutation(fitting)][:count]
        return [Start(task_id, int(rng.integers(2**31))) for task_id in order]

    def left_out(self) -> list[str]:
        """Tasks whose prompts leave no room for max_new_tokens: TRL cannot shorten an answer."""
        prompt, room = PolicyPrompt(self.base, self.chat, self.tools), self.base.max_tokens - self.policy.max_new_tokens
        openings = {task.task_id: Episode(self.runtime, task, 0).opening() for task in self.runtime.taskset}
        asked = {task_id: self.chat.parts(*opening) for task_id, opening in openings.items()}
        return [task_id for task_id, chats in asked.items() if max(len(prompt.encode(chat)) for chat in chats) > room]

    def trainer(self) -> GRPOTrainer:
        """TRL's trainer of a copy of the policy, with a new adapter."""
        model, tokenizer = copy.deepcopy(self.base.model), copy.deepcopy(self.base.tokenizer)
        prompt = PolicyPrompt(self.base, self.chat, self.tools)
        model.generation_config = GenerationConfig(
            eos_token_id=list(prompt.stop_ids), pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id
        )
        alpha: Any = self.settings.alpha  # PEFT's hint says int; its scale is a quotient
        factory: Any = self_edit_environments(self.runtime) if self.tools else None
        lora = LoraConfig(r=self.settings.rank, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM")
        with _quiet():
            trainer = GRPOTrainer(
                model,
                self_edit_reward(self.runtime),
                args=self._arguments(),
                train_dataset=prompt_dataset(self.runtime, self.episodes(), self.chat),
                processing_class=tokenizer,
                callbacks=[_Report(self.log)],
                peft_config=lora,
                environment_factory=factory,
            )
        trainer.remove_callback(PrinterCallback)
        for holder in (trainer, trainer.processing_class):  # TRL has compared the template with those that it knows
            if isinstance(source := getattr(holder, "chat_template", None), str):
                setattr(holder, "chat_template", with_fixed_date(source, self.base.template.today))  # noqa: B010 (a union)
        return trainer

    def _arguments(self) -> GRPOConfig:
        given, on_cpu = self.settings, self.base.device.type == "cpu"
        micro = given.micro_batch or given.samples
        named = {field.name for field in fields(GRPOConfig)}  # older versions of transformers have the other name
        checkpointing = "activation_checkpointing" if "activation_checkpointing" in named else "gradient_checkpointing"
        renamed: dict[str, Any] = {checkpointing: not on_cpu}
        return GRPOConfig(
            output_dir=str(self.folder / "checkpoints"),
            max_steps=given.steps * given.iterations,
            num_iterations=given.iterations,
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=given.prompts * given.samples // micro,
            num_generations=given.samples,
            max_completion_length=self.policy.max_new_tokens,
            temperature=self.policy.temperature,
            top_k=0,
            top_p=1.0,
            beta=given.beta,
            learning_rate=given.learning_rate,
            lr_scheduler_type="constant",
            shuffle_dataset=False,
            seed=given.seed,
            save_strategy="steps",
            save_steps=given.save_every * given.iterations,
            save_total_limit=2,
            logging_steps=1,
            report_to="none",
            chat_template_kwargs=self.base.template.by_name or None,
            disable_tqdm=True,
            use_cpu=on_cpu,
            dataloader_pin_memory=self.base.device.type == "cuda",
            bf16=not on_cpu and self.base.about["dtype"] == "bfloat16",
            **renamed,
        )

    def _train(self, adapter: Path) -> None:
        trainer = self.trainer()
        model: Any = trainer.model
        checkpoint = last_checkpoint(self.folder / "checkpoints")
        with _quiet():
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        history = [_numbers(record) for record in trainer.state.log_history if "reward" in record]
        write_whole(self.folder / "training.json", json.dumps(history, indent=1))
        write_folder(adapter, model.save_pretrained)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of TRL that was written in full: its state, which is written last, can be read."""
    found = {int(path.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()}
    for number in sorted(found, reverse=True):
        try:
            json.loads((found[number] / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return found[number]
    return None
