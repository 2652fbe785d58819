"""Progress and curves of a policy's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console

from seal_env.agents.evaluation import EvalSample, summary
from seal_env.experiments.evaluate import scalars
from seal_env.report.progress import Progress
from seal_env.report.tracker import Tracker
from seal_env.report.work import Work

SAMPLED: Final = "sampled"
HELD_OUT: Final = "held_out"
FINE_TUNED: Final = "fine-tuned"
OPTIMIZED: Final = "train"


class TrainProgress(Progress):
    """Shows how far a training has come, and tracks the scores of each round or step once it has ended.

    Args:
        tracker: Gets a curve for each figure: `sampled/...` and `held_out/...` by round; of GRPO `held_out/...` and
            `train/...` by optimizer step.
        console: Where to print.
        sizes: Self-edits of one round, by curve.
        rounds: Of ReST-EM.
        steps: Optimizer steps of GRPO.
    """

    def __init__(
        self, tracker: Tracker, console: Console, sizes: Mapping[str, int], rounds: int = 0, steps: int = 0
    ) -> None:
        units = {HELD_OUT: sizes[HELD_OUT] * (rounds + 1 if rounds else 2)}
        units |= {SAMPLED: sizes[SAMPLED] * rounds, FINE_TUNED: rounds} if rounds else {OPTIMIZED: steps}
        super().__init__(console, Work(units), "self-edits")
        self._tracker, self._sizes = tracker, sizes
        self._now: tuple[str, int] | None = None
        self._worked = False

    def report(self, curve: str, step: int, samples: Sequence[EvalSample], ended: bool) -> None:
        """A round begins or resumes with `samples`, has got further, or has ended; see `rest_em.Report`."""
        if self._now != (curve, step):
            if curve == HELD_OUT and self._now is not None:
                self._after_training()
            self._now, self._worked = (curve, step), False
            label = f"sampling, round {step}" if curve == SAMPLED else f"held-out, {_when(step)}"
            self.begin(curve, label, self._sizes[curve], len(samples))
        elif not ended:
            self._worked = True
            self.reach(len(samples))
        if ended:
            self._tracker.log(step, {f"{curve}/{name}": value for name, value in scalars(summary(samples)).items()})
        if ended and curve == SAMPLED:  # what was selected is learned now, which takes minutes with a large policy
            self._noun = "updates of the policy"
            self.begin(FINE_TUNED, f"fine-tuning, round {step}", 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """An optimizer step of GRPO has ended."""
        if self._kind != OPTIMIZED:
            self._noun = "optimizer steps"
            self.begin(OPTIMIZED, "training", self._work.units[OPTIMIZED], step - 1)
        if step > self._done:
            self.reach(step)
        self._tracker.log(step, {f"{OPTIMIZED}/{name}": value for name, value in values.items()})

    def _after_training(self) -> None:
        """The policy has learned since the last stage: timed, unless that stage was done before this process."""
        self._noun = "self-edits"
        if OPTIMIZED in self._work.units:
            self._work.skip(OPTIMIZED, self._work.units[OPTIMIZED] - self._work.done[OPTIMIZED])
        elif self._worked:
            self._work.count(FINE_TUNED, 1)
        else:
            self._work.skip(FINE_TUNED, 1)


def _when(step: int) -> str:
    return "untrained" if step == 0 else f"after {step}"
