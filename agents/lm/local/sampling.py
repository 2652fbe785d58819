"""Reproducible sampling: every answer is drawn with random numbers of its own, whatever is generated beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from transformers import LogitsProcessor

from seal_env.agents.lm.chat import as_action

BATCH_TOKENS: Final = 2**16
"""Most tokens, prompts and answers together, that are generated at one time."""

Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Generation:
    """One answer of a policy model.

    Attributes:
        text: The answer; without special tokens, unless some of them mark thoughts or tool calls.
        token_ids: As sampled, with the token that ended the turn.
        finished: Whether there was one.
        logprob: Natural logarithm of the probability with which token_ids were drawn, temperature and constraint included;
            at temperature 0 that of drawing them at temperature 1.
        opened_thought: The mark of a thought that the prompt opened, within which the answer begins.
    """

    text: str
    token_ids: tuple[int, ...]
    finished: bool
    logprob: float
    opened_thought: str = ""

    @property
    def action(self) -> str:
        """The text as the environment reads it: empty if a thought that the prompt opened does not end.

        JSON from the first character on is an answer without a thought.
        """
        thinks = self.opened_thought and not self.text.lstrip().startswith(("[", "{"))
        return as_action(self.opened_thought + self.text if thinks else self.text)


class SeededDraw(LogitsProcessor):
    """Makes greedy decoding a draw: of a row's tokens only the one remains at which the row's next uniform number points.

    That is sampling by the inverse of the distribution function: one number decides a token, whatever the other rows are,
    and no random state is used up. logprobs_T: [B] for each step, the logarithm of the probability of what was drawn.
    """

    def __init__(self, draws_BT: torch.Tensor, temperature: float) -> None:
        """draws_BT: A uniform number in [0, 1) for each token that may come. temperature: 0 takes the likeliest token."""
        self._draws, self._temperature = draws_BT, temperature
        self.logprobs_T: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Logits [B, vocabulary] -> the same shape, minus infinity everywhere but at the drawn token."""
        step = min(len(self.logprobs_T), self._draws.shape[1] - 1)
        logprobs = torch.log_softmax(scores.double() / (self._temperature or 1.0), dim=-1)
        if self._temperature == 0:
            chosen = logprobs.argmax(-1, keepdim=True)
        else:
            reached = logprobs.exp().cumsum(-1)
            wanted = self._draws[:, step, None] * reached[:, -1:]
            chosen = torch.searchsorted(reached, wanted, right=True).clamp(max=scores.shape[1] - 1)
        self.logprobs_T.append(logprobs.gather(1, chosen).squeeze(1))
        return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)


def batches(prompts: Sequence[Prompt], limits: Sequence[int]) -> Iterator[list[int]]:
    """Group prompts into batches: those of like length, equal ones side by side, within BATCH_TOKENS.

    Args:
        prompts: Token ids of each prompt.
        limits: Most new tokens of each; equal within a batch.

    Yields:
        Indices of the prompts of a batch.
    """
    batch: list[int] = []
    for index in sorted(range(len(prompts)), key=lambda each: (limits[each], len(prompts[each]), prompts[each])):
        cost = (len(prompts[index]) + limits[index]) * (len(batch) + 1)
        if batch and (cost > BATCH_TOKENS or limits[index] != limits[batch[0]]):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
