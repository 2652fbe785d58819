"""ReST-EM (arXiv 2312.06585, as SEAL uses it): sample self-edits, keep those that were rewarded, learn from them, repeat.

Every step's outcome is a file that is written whole or not at all. A run that is killed at any moment resumes with the same
command and ends with the same policy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seal_env.agents.base import Agent
from seal_env.agents.evaluation import EvalSample, difference, sample_tasks, starts, summary
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.replays import Recorded, replay
from seal_env.agents.rollouts import Start
from seal_env.agents.trainers.selection import choose, selection_in_words
from seal_env.agents.trainers.settings import RestEmSettings
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError, UpdateError
from seal_env.inner_loop.batched.loop import BatchedInnerLoop
from seal_env.inner_loop.continual.merge import merge
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.journal import Journal, write_folder, write_whole
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.types import Example, LoraSpec, Message, Outcome, Recipe, TrainingConfig, UpdateJob

Report = Callable[[str, int, Sequence[EvalSample], bool], None]
"""Called with a curve (`sampled`, `held_out`), the round or step, all of its samples so far, and whether these are all: when
the round begins or is resumed, after each batch, and when it has ended."""


Note = Callable[[str], None]
"""Called with a line about each round."""


def report_nothing(*_: Any) -> None:
    """Report nothing."""


def refuse_segments(runtime: Runtime) -> None:
    """Raise SettingError for tasks of several segments, about which a policy writes more than one answer."""
    if (segments := runtime.settings.options.segments) > 1:
        raise SettingError("passages", segments, "1 where a policy is trained")


class RestEm:
    """One run of ReST-EM, in a folder of its own.

    Args:
        base: The policy before the first round.
        make_agent: An agent that samples from a policy.
        runtime: The tasks on which self-edits are sampled.
        held_out: The tasks on which the policy is measured.
        settings: Of the run.
        folder: Where everything is written.
        chat: How that agent prompts the policy, which is how the policy is taught to answer.
        report: Called after each batch of self-edits; see `Report`.
        note: Called once the self-edits to learn from are selected; see `Note`.

    Of an episode of several turns the policy learns each action as the answer to what it read before it.

    Raises:
        SettingError: For tasks of several segments, about which one episode is not enough.
    """

    def __init__(
        self,
        base: FrozenLM,
        make_agent: Callable[[FrozenLM], Agent],
        runtime: Runtime,
        held_out: Runtime,
        settings: RestEmSettings,
        folder: Path,
        chat: PolicyChat,
        report: Report = report_nothing,
        note: Note = report_nothing,
    ) -> None:
        refuse_segments(runtime)
        self.chat = chat
        self.base, self.make_agent, self.settings, self.folder = base, make_agent, settings, folder
        self.runtime, self.held_out, self.report, self.note = runtime, held_out, report, note

    def run(self) -> dict[str, Any]:
        """Run all rounds.

        Returns:
            The content of result.json.

        Raises:
            PolicyError, UpdateError: What is finished stays in the folder.
        """
        adapters: list[Path] = []
        policy = self.base
        evaluated = [self.evaluate_untrained()]
        rounds = []
        for number in range(1, self.settings.rounds + 1):
            samples = self._sample(number, policy)
            chosen = choose(samples, self.settings.keep)
            self.note(selection_in_words(number, samples, chosen, self.settings.keep))
            write_whole(self._round(number) / "kept.json", json.dumps([asdict(sample) for sample in chosen], indent=1))
            if chosen:
                adapters.append(self._learn(number, chosen, policy))
                policy = merge(self.base, adapters, f"{self.base.name} after round {number}")
            if self.settings.merged:
                write_folder(self._round(number) / "model", policy.save)
            evaluated.append(self._evaluate(number, policy))
            rounds.append({"round": number, "sampled": summary(samples), "kept": len(chosen)})
        result = {
            "settings": self.settings.model_dump(),
            "rounds": rounds,
            "held_out": [summary(samples) for samples in evaluated],
            "gain": [difference(samples, evaluated[0])._asdict() for samples in evaluated],
        }
        write_whole(self.folder / "result.json", json.dumps(result, indent=1))
        return result

    def evaluate_untrained(self) -> list[EvalSample]:
        """Measure the policy before the first round; `run` begins with it, and does not measure it twice."""
        return self._evaluate(0, self.base)

    def _round(self, number: int) -> Path:
        return self.folder / f"round-{number}"

    def _seed(self, *key: int) -> int:
        return int(np.random.SeedSequence((self.settings.seed, *key)).generate_state(1)[0]) % 2**31

    def _sample(self, number: int, policy: FrozenLM) -> list[EvalSample]:
        """The samples of a round. Once something has come of them, they stay as they are, with their failures."""
        folder = self._round(number)
        used = (folder / "adapter").exists() or (folder / "held-out.jsonl").exists()
        path = folder / "samples.jsonl"
        return self._run("sampled", number, self.runtime, policy, self._starts(number), path, again=not used)

    def _starts(self, number: int) -> list[tuple[int, Start]]:
        """The episodes of a round."""
        return starts(self.runtime.taskset.task_ids, self.settings.samples, self._seed(number, 0))

    def _evaluate(self, number: int, policy: FrozenLM) -> list[EvalSample]:
        """The same episodes in every round, so that rounds can be compared task by task."""
        episodes = starts(self.held_out.taskset.task_ids, self.settings.eval_samples, self._seed(0, 1))
        path = self._round(number) / "held-out.jsonl"
        return self._run("held_out", number, self.held_out, policy, episodes, path)

    def _run(
        self, curve: str, number: int, runtime: Runtime, policy: FrozenLM, episodes: Any, path: Path, again: bool = True
    ) -> list[EvalSample]:
        samples = sample_tasks(
            runtime,
            self.make_agent(policy),
            episodes,
            self.settings.in_call,
            Journal(path),
            on_batch=lambda samples: self.report(curve, number, samples, False),
            again=again,
        )
        self.report(curve, number, samples, True)
        return samples

    def _learn(self, number: int, chosen: Sequence[EvalSample], policy: FrozenLM) -> Path:
        """Supervised fine-tuning on the chosen self-edits, by the inner loop itself. Returns the adapter's folder."""
        directory = self._round(number) / "adapter"
        write_folder(directory, partial(self._train, number, chosen, policy))
        return directory

    def _train(self, number: int, chosen: Sequence[EvalSample], policy: FrozenLM, directory: Path) -> None:
        settings = self.settings
        job = UpdateJob(
            examples_E=tuple(self._examples(number, chosen, policy)),
            training=TrainingConfig("train_using_output_tokens", settings.sft_learning_rate, settings.sft_epochs),
            lora=LoraSpec(settings.sft_rank, settings.sft_alpha),
            recipe=Recipe(batch_size=settings.sft_batch_size, warmup_steps=0),
            seed=self._seed(number, 2),
            queries_Q=(),
            save_to=directory,
        )
        (result,) = BatchedInnerLoop(policy).run([job])
        if result.outcome is not Outcome.OK:
            raise UpdateError(f"learning from {len(chosen)} self-edits failed: {result.outcome}: {result.reason}")

    def _examples(self, number: int, chosen: Sequence[EvalSample], policy: FrozenLM) -> Iterator[Example]:
        """Every turn of the chosen episodes: what the policy read and wrote, unless that was too long to be kept."""
        begun = {(start.task_id, index): start for index, start in self._starts(number)}
        recorded = [Recorded(begun[each.task_id, each.number], each.actions, each.reward) for each in chosen]
        for turns in replay(self.runtime, self.make_agent(policy), recorded):
            for turn in turns:
                if len(turn.action) > MAX_CHARACTERS:
                    continue
                asked = self.chat.parts(turn.observation, turn.given)
                for chat, answer in zip(asked, self.chat.divide(turn.action), strict=True):
                    if answer.strip() or len(asked) == 1:  # a reply of several that says nothing was not what was rewarded
                        yield Example((*chat, Message("assistant", answer)))
