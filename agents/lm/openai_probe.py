"""First contact with a served policy: which model it is, and the strictest form in which it can be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from seal_env.agents.lm.openai_forms import not_in_effect
from seal_env.agents.lm.policy_settings import SAME
from seal_env.errors import PolicyError, SettingError
from seal_env.self_edits.prompt import observation_text
from seal_env.serving.client import ChatReply, Connection, ServerError
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.passage import Passage
from seal_env.tools.base import Tool
from seal_env.types import Budget

NO_LIST: Final = (404, 405, 501)
"""HTTP errors of a server that cannot say what it serves."""

REFUSALS: Final = (200, 400, 404, 405, 415, 422, 500, 501)
"""HTTP statuses by which servers say that they do not know a form; poor ones fail over it, or send what is no answer."""

SAMPLE_GRIDS: Final = """1 demonstrations of one hidden rule.

Demonstration 1
Input, 1 x 2 (rows x columns)
1 2
Output, 1 x 2 (rows x columns)
2 1"""
"""The task that is shown while looking for a form: always the same, so that what is found does not depend on the episode."""
SAMPLE_PASSAGE: Final = Passage("Orvel", "Orvel is a village by the sea. The lamp of Orvel burns blue oil.")

LENGTH_FIELDS: Final = ("max_tokens", "max_completion_tokens")
"""Every server knows the first; OpenAI's reasoning models refuse it."""


@dataclass(frozen=True)
class Finding:
    """What became of one form. reason: why it is not used, empty if it is."""

    form: str
    reason: str


@dataclass(frozen=True)
class Contact:
    """What was found out about a server. served: the models that it lists, adapters included; empty if it lists none.

    form: how self-edits are asked for (see `seal_env.agents.lm.openai_forms.FORMS`). length_field: how an answer's length is
    limited. findings: the forms that were tried, in order; the last one is used.
    """

    base_url: str
    model: str
    served: tuple[str, ...]
    form: str
    length_field: str
    findings: tuple[Finding, ...]


def sample_observation(domain: str, tools: Sequence[Tool[Any]]) -> str:
    """An observation that wants a whole self-edit."""
    if domain == "knowledge":
        knowledge = KnowledgeDomain(LexicalGrader())
        return observation_text(knowledge, tools, knowledge.render(SAMPLE_PASSAGE), Budget(), max_turns=1)
    return observation_text(ArcDomain(), tools, SAMPLE_GRIDS, Budget(), max_turns=1)


def policy_error(base_url: str, model: str, failed: ServerError) -> PolicyError:
    """The error for a policy that cannot be asked: what happened, and what to look at."""
    checks = {
        None: "whether a server runs there, and base_url",
        401: "OPENAI_API_KEY",
        403: "OPENAI_API_KEY",
        404: "policy_model, and base_url, which ends with /v1",
        429: "the server's limits, and concurrency",
    }
    check = checks.get(failed.status, "the server's log")
    return PolicyError(f"the policy {model!r} at {base_url} cannot be asked: {failed.reason.rstrip('.')}. Check {check}")


async def find_model(connection: Connection, base_url: str, policy_model: str) -> tuple[str, tuple[str, ...]]:
    """(the model to ask, all models that the server lists).

    Raises PolicyError if the server cannot be asked or does not serve `policy_model`, and SettingError if that is `same`
    and the server does not serve exactly one model.
    """
    try:
        listed = await connection.models()
    except ServerError as failed:
        if failed.status not in NO_LIST:
            raise policy_error(base_url, policy_model, failed) from failed
        listed = ()
    served = tuple(model.id for model in listed)
    if policy_model != SAME:
        if served and policy_model not in served:
            raise policy_error(base_url, policy_model, ServerError(f"it serves {_names(served)}", 404))
        return policy_model, served
    whole = [model.id for model in listed if model.parent is None]
    if len(whole) != 1:
        raise SettingError("policy_model", SAME, f"the name of a model at {base_url}, which serves {_names(whole)}")
    return whole[0], served


async def find_form(
    connection: Connection,
    contact: Contact,
    forms: Sequence[str],
    request: Callable[[Contact], dict[str, Any]],
    tools: Sequence[Tool[Any]],
) -> Contact:
    """`contact` with the first of `forms` that the server's answer shows to be in effect; the last needs no showing.

    request: the body of a request, by how the server is asked. Raises PolicyError if it answers in none of the forms.
    """
    findings: list[Finding] = []
    for form in forms:
        last = form == forms[-1]
        try:
            contact, reply = await _try(connection, replace(contact, form=form), request)
            reason = "" if last else not_in_effect(form, reply, tools)
        except ServerError as failed:
            if last or failed.status not in REFUSALS:
                raise policy_error(contact.base_url, contact.model, failed) from failed
            reason = failed.reason
        findings.append(Finding(form, reason))
        if not reason:
            break
    return replace(contact, findings=tuple(findings))


async def _try(
    connection: Connection, contact: Contact, request: Callable[[Contact], dict[str, Any]]
) -> tuple[Contact, ChatReply]:
    """An answer, and how it came about: with the other length field if the server asks for that."""
    try:
        return contact, await connection.chat(request(contact))
    except ServerError as failed:
        other = next(name for name in LENGTH_FIELDS if name != contact.length_field)
        if failed.status != 400 or other not in failed.reason:
            raise
        contact = replace(contact, length_field=other)
        return contact, await connection.chat(request(contact))


def _names(served: Sequence[str]) -> str:
    return ", ".join(map(repr, served)) or "none that it lists"
