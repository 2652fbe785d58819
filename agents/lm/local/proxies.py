"""Proxies of the reward: what is known of a reply before any update, by which the best of several is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from seal_env.agents.lm.local.sampling import Generation


def distinct_words(reply: Generation) -> float:
    """Number of different words, whatever their case."""
    return len(set(reply.action.casefold().split()))


def likelihood(reply: Generation) -> float:
    """Mean natural logarithm of the probability with which a token was drawn."""
    return reply.logprob / max(1, len(reply.token_ids))


PROXIES: Mapping[str, Callable[[Generation], float]] = MappingProxyType({"words": distinct_words, "likelihood": likelihood})
"""By the values of `LocalPolicyOptions.proxy`."""


def best(replies: Sequence[Generation], proxy: str) -> Generation:
    """The reply with the highest proxy, of equal ones the first. One that says nothing is the best of none but its like."""
    return max(replies, key=lambda reply: (bool(reply.action.strip()), PROXIES[proxy](reply)))
