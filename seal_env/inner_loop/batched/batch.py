"""Jobs of one adapter shape and one optimizer: they train in slots and are evaluated together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from seal_env.inner_loop.batched.evaluate import evaluate
from seal_env.inner_loop.batched.fetch import Fetched
from seal_env.inner_loop.batched.kept_slots import KeptSlots
from seal_env.inner_loop.batched.lora import LoraStack
from seal_env.inner_loop.batched.packed_model import PackedModel
from seal_env.inner_loop.batched.packing import BASE
from seal_env.inner_loop.batched.progress import JobInProgress, steps_of
from seal_env.inner_loop.batched.slots import TrainingSlots
from seal_env.inner_loop.model.memory import in_halves
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.inner_loop.results import TrainingLog, base_result, out_of_memory, update_result
from seal_env.types import UpdateJob, UpdateResult

LATE = {"cuda": 1}
"""Steps that may follow before the losses of a step are read: a GPU then has work while the next step is laid out."""


@dataclass(frozen=True)
class Trained:
    """A job that has finished training. slot: where its weights are in the stack that is evaluated."""

    index: int
    slot: int
    log: TrainingLog
    micro_batch: int
    seconds: float


class Batch:
    """Trains and evaluates a batch of jobs."""

    def __init__(
        self,
        model: PackedModel,
        jobs: dict[int, UpdateJob],
        results: dict[int, UpdateResult],
        slots: int,
        tokens: int,
        kept: KeptSlots,
    ) -> None:
        """Prepare a batch.

        Args:
            model: The base model, prepared for the jobs' adapters.
            jobs: The jobs by their index in the call.
            results: Where their results go, by the same index.
            slots: See BatchedInnerLoop.
            tokens: See BatchedInnerLoop.
            kept: The training slots of earlier batches.
        """
        self._kept = kept
        self.model, self.base, self.jobs, self.results = model, model.base, jobs, results
        self.slots, self.tokens = slots, tokens
        # Longest first: no long job is left to train alone at the end, and slots become free from the last on.
        learning = [index for index, job in jobs.items() if job.learns]
        self._waiting = deque(sorted(learning, key=lambda index: -steps_of(jobs[index])))
        self._active: deque[tuple[int, JobInProgress]] = deque()
        self._unread: deque[tuple[list[tuple[int, JobInProgress, int]], Fetched]] = deque()
        self._late = LATE.get(model.base.device.type, 0)
        self._trained: list[Trained] = []
        self._in_place = False  # True if jobs are evaluated in the slots where they were trained

    def run(self) -> None:
        """Fill in a result for every job."""
        self._evaluate_base()
        if not self._waiting:
            return
        optimizer = make_optimizer(self.jobs[self._waiting[0]].recipe.optimizer)
        slots = self._kept.take(self.model, self.slots, self.base.pad_id, optimizer)
        ahead = self._encode_ahead()
        try:
            self._train(slots)
        finally:
            ahead.shutdown(cancel_futures=True)
        self._kept.keep(slots)

    def _train(self, slots: TrainingSlots) -> None:
        self._in_place = len(self._waiting) <= self.slots and not slots.waiting_apart
        done = slots.stack
        if not self._in_place:
            done = LoraStack(self.model.spec, self.model.layers, self.slots, learn=False, light=True)
        free = list(reversed(range(self.slots)))
        while self._waiting or self._active:
            while self._waiting and free:
                self._begin(slots, free.pop())
            chosen = self._choose()
            in_halves(chosen, lambda jobs: self._step(slots, jobs), self._shrink)
            self._active.extend(chosen)
            for index, job in self._take_ended():
                free.append(job.slot)
                if index not in self.results:
                    self._finish(index, job, slots, done)
                if len(self._trained) == self.slots:  # here: several jobs may end with one step
                    self._evaluate_trained(done)
        self._evaluate_trained(done)

    def _encode_ahead(self) -> ThreadPoolExecutor:
        """On a GPU, encode the jobs that wait while others train; `_begin` then finds their tokens."""

        def encode(job: UpdateJob) -> None:
            for example in job.examples_E:
                self.base.encoder.example(example, job.recipe)

        executor = ThreadPoolExecutor(1, "seal-env-encoder")
        if self.base.device.type == "cuda":
            for index in self._waiting:
                executor.submit(encode, self.jobs[index])  # what fails here fails again, and is raised, when its turn comes
        return executor

    def _begin(self, slots: TrainingSlots, slot: int) -> None:
        index = self._waiting.popleft()
        job = self.jobs[index]
        encoded = [self.base.encoder.example(example, job.recipe) for example in job.examples_E]
        self._active.append((index, slots.begin(slot, job, encoded)))

    def _choose(self) -> list[tuple[int, JobInProgress]]:
        """The jobs that take a step next: those that have waited longest, as many as fit into the tokens of a pass."""
        chosen = [self._active.popleft()]
        room = self.tokens - chosen[0][1].tokens
        for _ in range(len(self._active)):
            index, job = self._active.popleft()
            if job.tokens <= room:
                chosen.append((index, job))
                room -= job.tokens
            else:
                self._active.append((index, job))
        return sorted(chosen, key=lambda item: item[1].slot)  # neighbours in memory are one block, see Packed

    def _step(self, slots: TrainingSlots, chosen: Sequence[tuple[int, JobInProgress]]) -> None:
        """One optimizer step of each job."""
        began, read = time.perf_counter(), [job.tokens for _, job in chosen]
        losses = Fetched(slots.step([job for _, job in chosen]))
        self._unread.append(([(index, job, job.take()) for index, job in chosen], losses))
        self._read(0 if any(not job.rows for _, job in chosen) else self._late)
        elapsed = time.perf_counter() - began
        for (_, job), tokens in zip(chosen, read, strict=True):
            job.seconds += elapsed * tokens / sum(read)

    def _read(self, most: int) -> None:
        """Read losses until those of so many steps are unread; a loss that is not finite ends a job."""
        while len(self._unread) > most:
            taken, losses = self._unread.popleft()
            for (index, job, tokens), loss in zip(taken, losses.tolist(), strict=True):
                job.note(loss, tokens)
                if job.log.diverged:
                    self.results[index] = self._diverged(job)

    def _take_ended(self) -> list[tuple[int, JobInProgress]]:
        """The active jobs that have a result or no step left; they are no longer active."""
        open_, ended = deque[tuple[int, JobInProgress]](), list[tuple[int, JobInProgress]]()
        for index, job in self._active:
            (open_ if job.rows and index not in self.results else ended).append((index, job))
        self._active = open_
        return ended

    @staticmethod
    def _diverged(job: JobInProgress) -> UpdateResult:
        return update_result(job.log, job.micro_batch, (), {"train_seconds": job.seconds})

    def _shrink(self, item: tuple[int, JobInProgress]) -> None:
        """A job's step did not fit into memory alone: use fewer rows at a time, or give the job up."""
        index, job = item
        self.tokens = max(1, min(self.tokens, job.tokens) // 2)
        if job.micro_batch == 1:
            self.results[index] = out_of_memory(micro_batch=1)
        job.micro_batch = max(1, job.micro_batch // 2)

    def _finish(self, index: int, job: JobInProgress, slots: TrainingSlots, done: LoraStack) -> None:
        """Set a trained job's weights aside for evaluation, unless they are not finite or their slot is not needed."""
        weights = slots.stack.weights[job.slot]
        job.log.diverged = not bool(weights.isfinite().all())
        if job.log.diverged:
            self.results[index] = self._diverged(job)
            return
        slot = job.slot if self._in_place else len(self._trained)
        if not self._in_place:
            done.put(slot, weights)
        self._trained.append(Trained(index, slot, job.log, job.micro_batch, job.seconds))
        directory = job.job.save_to
        if directory is not None:
            slots.stack.save(job.slot, directory, self.base)

    def _evaluate_trained(self, done: LoraStack) -> None:
        ordered = sorted(self._trained, key=lambda each: each.slot)  # neighbours in memory are one block, see Packed
        jobs = {trained.index: (self.jobs[trained.index], trained.slot) for trained in ordered}
        replies = evaluate(self.model, done, jobs, self.tokens)
        for trained in self._trained:
            reply, directory = replies[trained.index], self.jobs[trained.index].save_to
            timings = {"train_seconds": trained.seconds, "evaluate_seconds": reply.seconds}
            if reply.failed is not None:
                self.results[trained.index] = replace(reply.failed, adapter=directory)
                continue
            self.results[trained.index] = update_result(
                trained.log, trained.micro_batch, reply.answers_Q, timings, directory
            )
        self._trained.clear()

    def _evaluate_base(self) -> None:
        """Jobs without an update: the base model's answers."""
        jobs = {index: (job, BASE) for index, job in self.jobs.items() if not job.learns}
        for index, reply in evaluate(self.model, None, jobs, self.tokens).items():
            job = self.jobs[index]
            directory = None if reply.failed else job.save_to
            if directory is not None:
                fresh = LoraStack(self.model.spec, self.model.layers, 1, learn=False)
                fresh.reset(0, job.seed)
                fresh.save(0, directory, self.base)
            self.results[index] = reply.failed or base_result(reply.answers_Q, reply.seconds, directory)
