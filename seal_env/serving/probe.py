"""First contact with an OpenAI-compatible server: which models it has, and the strictest form of request that works.

Servers differ in how an answer's form can be required (tools, schemas), and many ignore what they do not know. So each form
is tried with a sample request, strictest first, until a reply shows that the form is in effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from seal_env.errors import SettingError
from seal_env.redaction import redacted_message
from seal_env.serving.client import Connection
from seal_env.serving.failures import ServerError
from seal_env.serving.replies import ChatReply, ServedModel

NO_LIST: Final = (404, 405, 501)
"""HTTP errors of a server that cannot list its models."""

REFUSALS: Final = (200, 400, 404, 405, 415, 422, 500, 501)
"""HTTP statuses with which servers refuse a form; poor ones fail over it, or send something that is no answer."""

MOST_NAMES: Final = 20
"""Models that a message names."""

LENGTH_FIELDS: Final = ("max_tokens", "max_completion_tokens")
"""Every server knows the first; OpenAI's reasoning models refuse it."""


@dataclass(frozen=True)
class Finding:
    """The result of trying one form. reason: why it is not used; empty if it is."""

    form: str
    reason: str


@dataclass(frozen=True)
class Contact:
    """How a server can be queried.

    Attributes:
        model: The model that is queried.
        served: The models that it lists, adapters included; empty if it lists none.
        form: The form of request in use.
        length_field: The field of a request that limits an answer's length.
        findings: The forms that were tried, in order; the last one is in use.
    """

    model: str
    served: tuple[str, ...] = ()
    form: str = ""
    length_field: str = LENGTH_FIELDS[0]
    findings: tuple[Finding, ...] = ()


async def list_models(connection: Connection) -> tuple[ServedModel, ...]:
    """What a server lists; nothing if it has no list.

    Raises:
        ServerError: The server does not answer, or not as a server of models does.
    """
    try:
        return await connection.models()
    except ServerError as failed:
        if failed.status not in NO_LIST:
            raise
        return ()


def choose_model(
    listed: Sequence[ServedModel], base_url: str, field: str, wanted: str | None, only: str | None
) -> ServedModel:
    """The base model that a setting names.

    Args:
        listed: What the server lists. Adapters do not count.
        base_url: The server's address, for the error.
        field: The setting's name, for the error.
        wanted: The setting's value.
        only: The value that stands for the only base model there is.

    Raises:
        SettingError: There is no such model, or `wanted` is `only` and there is not exactly one.
    """
    whole = [model for model in listed if model.parent is None]
    found = [model for model in whole if wanted in (only, model.id)]
    if len(found) != 1:
        raise SettingError(field, wanted, f"the name of a model at {base_url}, which serves {_names(whole)}")
    return found[0]


async def find_model(connection: Connection, base_url: str, field: str, wanted: str | None, only: str | None) -> Contact:
    """Find the model to query, which may be an adapter if it is named.

    Args:
        connection: To the server.
        base_url: Its address, for the error.
        field: The setting's name, for the error.
        wanted: The setting's value.
        only: The value that stands for the only base model there is.

    Returns:
        A contact with the model and what is served.

    Raises:
        ServerError: The server does not answer, or lists models without the one that is named.
        SettingError: `wanted` is `only`, and the server does not list exactly one base model.
    """
    listed = await list_models(connection)
    served = tuple(model.id for model in listed)
    if wanted is None or wanted == only:
        return Contact(choose_model(listed, base_url, field, wanted, only).id, served)
    if served and wanted not in served:
        raise ServerError(f"it serves {_names(listed)}", 404)
    return Contact(wanted, served)


async def find_form(
    connection: Connection,
    contact: Contact,
    forms: Sequence[str],
    request: Callable[[Contact], dict[str, Any]],
    problem: Callable[[str, ChatReply], str],
) -> Contact:
    """Find the first form that works, with one to two requests per form.

    Args:
        connection: To the server.
        contact: What is known of the server.
        forms: The forms to try, strictest first.
        request: The body of a sample request in the contact's form and with its length field.
        problem: Why a reply to a form does not show that the form is in effect; empty if it does.

    Returns:
        The contact with its form, length field and findings.

    Raises:
        ServerError: No form works, or the server fails for another reason than the form.
    """
    findings: list[Finding] = []
    for form in forms:
        try:
            contact, reply = await _try(connection, replace(contact, form=form), request)
            reason = problem(form, reply)
        except ServerError as failed:
            if form == forms[-1] or failed.status not in REFUSALS:
                raise
            reason = failed.reason
        findings.append(Finding(form, reason))
        if not reason:
            return replace(contact, findings=tuple(findings))
    raise ServerError(findings[-1].reason, 200)


async def _try(
    connection: Connection, contact: Contact, request: Callable[[Contact], dict[str, Any]]
) -> tuple[Contact, ChatReply]:
    """A reply, and the contact that led to it: with the other length field if the server demands that one."""
    try:
        return contact, await connection.chat(request(contact))
    except ServerError as failed:
        other = next(name for name in LENGTH_FIELDS if name != contact.length_field)
        if failed.status != 400 or other not in failed.reason:
            raise
        contact = replace(contact, length_field=other)
        return contact, await connection.chat(request(contact))


def _names(models: Sequence[ServedModel]) -> str:
    names = [repr(redacted_message(model.id)[:100]) for model in models[:MOST_NAMES]]
    more = [f"{len(models) - MOST_NAMES} others"] if len(models) > MOST_NAMES else []
    return ", ".join([*names, *more]) or "none that it lists"
