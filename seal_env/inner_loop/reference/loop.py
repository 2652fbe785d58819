"""The reference inner loop: PEFT, or all weights, one job after another. The yardstick for correctness, not for speed.

Left out: sharing anything between jobs. Each job runs as one would write it by hand, so its rewards are those that faster
loops must reproduce.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from seal_env.forking import Lock
from seal_env.inner_loop.full.weights import FullWeights, learning
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.model.memory import is_device_failure, is_out_of_memory, release_memory
from seal_env.inner_loop.model.plain import PlainModel, check_plain
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.inner_loop.reference.adapter import Adapter
from seal_env.inner_loop.reference.answering import Answerer
from seal_env.inner_loop.reference.trainer import AdapterTrainer, FullTrainer
from seal_env.inner_loop.results import TrainingLog, base_result, device_failure, out_of_memory, update_result
from seal_env.inner_loop.tokens.chat_template import EncodedExample
from seal_env.types import AdaptedLayers, Answer, Example, LoraSpec, Recipe, UpdateJob, UpdateMethod, UpdateResult


class ReferenceInnerLoop:
    """Trains and evaluates one update at a time on one base model. Thread-safe; threads take turns."""

    def __init__(self, base: FrozenLM) -> None:
        self.base = base
        self._encoder = base.encoder
        self._pad = base.pad_id
        self._adapter = Adapter(base)
        self._turn = Lock()

    def max_tokens(self, recipe: Recipe) -> int:
        """See InnerLoop."""
        return self._encoder.max_tokens(recipe)

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Length of each example in tokens, template included."""
        return self._encoder.count_tokens(examples)

    def adapted(self, lora: LoraSpec, method: UpdateMethod) -> AdaptedLayers:
        """See `seal_env.inner_loop.adapted.adapted_layers`."""
        return self.base.adapted(lora, method)

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """See InnerLoop. Running out of memory, or a failed device, is an outcome of that job alone."""
        with self._turn.held():
            return [self._run_job(job) for job in jobs]

    def _run_job(self, job: UpdateJob) -> UpdateResult:
        micro_batch = job.recipe.batch_size
        while True:
            try:
                return self._attempt(job, micro_batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    if is_device_failure(error):
                        return device_failure(error)
                    raise
            self._release_memory()  # out here, where the error and the tensors of its frames are gone
            if micro_batch == 1:
                return out_of_memory(micro_batch=1)
            micro_batch //= 2

    def _release_memory(self) -> None:
        self._adapter.detach()
        release_memory()

    def _attempt(self, job: UpdateJob, micro_batch: int) -> UpdateResult:
        check_plain(self.base)
        if not job.learns:
            return self._evaluate_base(job)
        if job.method == "full":
            with learning(self.base, make_optimizer(job.recipe.optimizer).state_tensors) as weights:
                train = partial(self._train_all, weights, job, micro_batch)
                return self._update(job, micro_batch, weights.learner.model, train, weights.learner.save)
        model = self._adapter.reset(job.lora, job.seed)
        train = partial(self._train, model, job, micro_batch)
        return self._update(job, micro_batch, model, train, self._adapter.save)

    def _update(
        self, job: UpdateJob, micro_batch: int, model: Any, train: Callable[[], TrainingLog], save: Callable[[Path], None]
    ) -> UpdateResult:
        """Train `model`, answer the queries with it and, if the job says so, save it."""
        log, train_seconds = _timed(train)
        timings = {"train_seconds": train_seconds}
        if log.diverged:
            return update_result(log, micro_batch, (), timings)
        answers, evaluate_seconds = _timed(lambda: self._answer(model, job))
        if job.save_to is not None:
            save(job.save_to)
        return update_result(log, micro_batch, answers, timings | {"evaluate_seconds": evaluate_seconds}, job.save_to)

    def _evaluate_base(self, job: UpdateJob) -> UpdateResult:
        """A job without an update; it saves a fresh adapter, or the base model."""
        answers, seconds = _timed(lambda: self._answer(self.base.model, job))
        if job.save_to is not None and job.method == "full":
            self.base.save(job.save_to)
        elif job.save_to is not None:
            self._adapter.reset(job.lora, job.seed)
            self._adapter.save(job.save_to)
        return base_result(answers, seconds, job.save_to)

    def _train(self, model: Any, job: UpdateJob, micro_batch: int) -> TrainingLog:
        keeps, before = self._plain.keeps, self.base.model
        trainer = AdapterTrainer(model, self._adapter.parameters(), job.recipe, self._pad, micro_batch, keeps, before)
        if job.orthogonal_to:
            trainer.after_step = partial(self._adapter.project, job.orthogonal_to)
            trainer.after_step()
        return trainer.train(self._encode(job), job.training, job.seed)

    def _train_all(self, weights: FullWeights, job: UpdateJob, micro_batch: int) -> TrainingLog:
        assert not job.recipe.regularise, "nothing is left of the model before where all weights learn"
        trainer = FullTrainer(weights, job.recipe, self._pad, micro_batch, self._plain.keeps)
        return trainer.train(self._encode(job), job.training, job.seed)

    def _encode(self, job: UpdateJob) -> list[EncodedExample]:
        return [self._encoder.example(example, job.recipe) for example in job.examples_E]

    @property
    def _plain(self) -> PlainModel:
        """What the model can do. Raises ModelError if it cannot be used."""
        return check_plain(self.base)

    def _answer(self, model: Any, job: UpdateJob) -> tuple[Answer, ...]:
        answerer = Answerer(model, self.base.tokenizer, self.base.device, self.base.max_tokens, self._plain)
        return tuple(answerer.answer(query, self._encoder.query(query), job.decode) for query in job.queries_Q)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    value = work()
    return value, time.perf_counter() - began
