"""Jobs that change all weights on their way through the batched inner loop: one after another, each asked all at once.

Left out: training several side by side. Weights of their own leave jobs nothing to share but the launching of kernels, and
every job more in progress takes four copies of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from seal_env.inner_loop.batched.evaluate import ask
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
    """`jobs` by their number in the call; `results` takes what came of each. reader: of the base model.

    tokens: of a pass of questions at most.
    """

    def __init__(
        self, reader: PackedReader, jobs: Mapping[int, UpdateJob], results: dict[int, UpdateResult], tokens: int
    ) -> None:
        self.reader, self.base, self.jobs, self.results, self.tokens = reader, reader.base, jobs, results, tokens

    def run(self) -> None:
        """Every job gets its result."""
        self._ask_base()
        for index, job in self.jobs.items():
            if job.learns:
                in_halves([index], lambda indices: self._train(indices[0]), self._give_up)

    def _ask_base(self) -> None:
        """Jobs without an update: the base model's answers."""
        asked = {index: (job, BASE) for index, job in self.jobs.items() if not job.learns}
        for index, reply in ask(self.reader, None, asked, self.tokens).items():
            directory = None if reply.failed else self.jobs[index].save_to
            if directory is not None:
                self.base.save(directory)
            self.results[index] = reply.failed or base_result(reply.answers_Q, reply.seconds, directory)

    def _train(self, index: int) -> None:
        job = self.jobs[index]
        encoded = [self.base.encoder.example(example, job.recipe) for example in job.examples_E]
        optimizer = make_optimizer(job.recipe.optimizer)
        with learning(self.base, optimizer.state_tensors) as weights:
            reader = PackedReader(weights.learner, trusted=True)
            begun = begin_job(job, BASE, encoded)
            if FullTraining(weights, reader, int(self.base.tokenizer.pad_token_id), optimizer).run(begun):
                self.results[index] = self._finish(index, begun, weights, reader)
            else:
                self.results[index] = out_of_memory(micro_batch=1)

    def _finish(self, index: int, begun: JobInProgress, weights: FullWeights, reader: PackedReader) -> UpdateResult:
        """Save and ask what has trained, unless its weights are not numbers any more."""
        timings = {"train_seconds": begun.seconds}
        if begun.log.diverged:
            return update_result(begun.log, begun.micro_batch, (), timings)
        directory = begun.job.save_to
        if directory is not None:
            weights.learner.save(directory)
        (reply,) = ask(reader, None, {index: (begun.job, BASE)}, self.tokens).values()
        timings["evaluate_seconds"] = reply.seconds
        if reply.failed is not None:
            return replace(reply.failed, adapter=directory)
        return update_result(begun.log, begun.micro_batch, reply.answers_Q, timings, directory)

    def _give_up(self, index: int) -> None:
        reason = "memory has no room for weights that learn and what their optimizer keeps; use method='lora'"
        self.results[index] = out_of_memory(reason)
