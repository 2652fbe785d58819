"""Jobs that change all weights: they train one after another, and the queries of each are answered together.

Left out: training several side by side. Jobs with weights of their own could share nothing but kernel launches, and each
further job in training takes four copies of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from seal_env.inner_loop.batched.evaluate import evaluate
from seal_env.inner_loop.batched.packed_model import PackedReader
from seal_env.inner_loop.batched.packing import BASE
from seal_env.inner_loop.batched.progress import JobInProgress, begin_job
from seal_env.inner_loop.full.training import FullTraining
from seal_env.inner_loop.full.weights import FullWeights, learning
from seal_env.inner_loop.model.memory import in_halves
from seal_env.inner_loop.optim.registry import make_optimizer
from seal_env.inner_loop.results import base_result, out_of_memory, update_result
from seal_env.types import UpdateJob, UpdateResult


class FullBatch:
    """Trains and evaluates a batch of jobs."""

    def __init__(
        self, reader: PackedReader, jobs: Mapping[int, UpdateJob], results: dict[int, UpdateResult], tokens: int
    ) -> None:
        """Prepare a batch.

        Args:
            reader: The base model.
            jobs: The jobs by their index in the call.
            results: Where their results go, by the same index.
            tokens: Limit on the tokens of an evaluation pass.
        """
        self.reader, self.base, self.jobs, self.results, self.tokens = reader, reader.base, jobs, results, tokens

    def run(self) -> None:
        """Fill in a result for every job."""
        self._evaluate_base()
        for index, job in self.jobs.items():
            if job.learns:
                in_halves([index], lambda indices: self._train(indices[0]), self._give_up)

    def _evaluate_base(self) -> None:
        """Jobs without an update: the base model's answers."""
        jobs = {index: (job, BASE) for index, job in self.jobs.items() if not job.learns}
        for index, reply in evaluate(self.reader, None, jobs, self.tokens).items():
            directory = None if reply.failed else self.jobs[index].save_to
            if directory is not None:
                self.base.save(directory)
            self.results[index] = reply.failed or base_result(reply.answers_Q, reply.seconds, directory)

    def _train(self, index: int) -> None:
        job = self.jobs[index]
        encoded = [self.base.encoder.example(example, job.recipe) for example in job.examples_E]
        assert not job.recipe.regularise, "nothing is left of the model before where all weights learn"
        optimizer = make_optimizer(job.recipe.optimizer)
        with learning(self.base, optimizer.state_tensors) as weights:
            reader = PackedReader(weights.learner, self.reader.proof)
            begun = begin_job(job, BASE, encoded)
            if FullTraining(weights, reader, self.base.pad_id, optimizer).run(begun):
                self.results[index] = self._finish(index, begun, weights, reader)
            else:
                self.results[index] = out_of_memory(micro_batch=1)

    def _finish(self, index: int, begun: JobInProgress, weights: FullWeights, reader: PackedReader) -> UpdateResult:
        """Save and evaluate a trained model, unless its weights are not finite."""
        timings = {"train_seconds": begun.seconds}
        if begun.log.diverged:
            return update_result(begun.log, begun.micro_batch, (), timings)
        directory = begun.job.save_to
        if directory is not None:
            weights.learner.save(directory)
        (reply,) = evaluate(reader, None, {index: (begun.job, BASE)}, self.tokens).values()
        timings["evaluate_seconds"] = reply.seconds
        if reply.failed is not None:
            return replace(reply.failed, adapter=directory)
        return update_result(begun.log, begun.micro_batch, reply.answers_Q, timings, directory)

    def _give_up(self, index: int) -> None:
        reason = "memory has no room for trainable weights and the optimizer's state; use method='lora'"
        self.results[index] = out_of_memory(reason)
