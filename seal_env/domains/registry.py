"""Domains by name. A new domain is a module beside this one and a line here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

from seal_env.domains.arc import ARC
from seal_env.domains.base import DomainSpec
from seal_env.domains.custom import CUSTOM
from seal_env.domains.knowledge import KNOWLEDGE
from seal_env.domains.reasoning import REASONING
from seal_env.errors import SettingError, UnknownTaskError
from seal_env.printable import printable
from seal_env.redaction import redacted_message
from seal_env.types import Taskset

_KNOWN: Final[dict[str, DomainSpec]] = {spec.name: spec for spec in (ARC, KNOWLEDGE, REASONING, CUSTOM)}

DEFAULT_DOMAIN: Final = ARC.name
ENTRY_POINTS: Final = "seal_env.domains"
"""The group in which other packages name a DomainSpec."""


def add_domain(spec: DomainSpec) -> None:
    """Make a domain known by its name; `seal_env.register_domain` registers its environments too.

    Raises:
        SettingError: If another domain has this name.
    """
    if _KNOWN.setdefault(spec.name, spec) is not spec:
        raise SettingError("domain", spec.name, f"a name other than {', '.join(_KNOWN)}")


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        try:
            add_domain(point.load())
        except Exception as error:
            found = f"the domain {point.name!r} of {point.value!r} cannot be loaded: {error!r}"
            warnings.warn(printable(redacted_message(found)), stacklevel=2)


def domains() -> Mapping[str, DomainSpec]:
    """All domains by name, those of other packages too."""
    _load_entry_points()
    return _KNOWN


def get_domain(name: str) -> DomainSpec:
    """The domain `name`.

    Raises:
        SettingError: For an unknown name.
    """
    known = domains()
    if name not in known:
        raise SettingError("domain", name, " or ".join(map(repr, known)))
    return known[name]


def load_taskset(spec: DomainSpec, subset: str, options: Any) -> Taskset[Any, Any]:
    """The task set `subset` of a domain.

    Raises:
        UnknownTaskError: If it has none; the message says which other domain does.
        TaskError: For a file that cannot be read or has malformed tasks.
        SettingError: For settings that the tasks do not allow.
    """
    try:
        return spec.load(subset, options)
    except UnknownTaskError as error:
        for other in domains().values():
            names = [name for name in other.tasksets if subset == name or subset.startswith((f"{name}:", f"{name}-"))]
            if other is not spec and names and other.environments:
                its = f"domain {other.name!r}, environment {next(iter(other.environments))}"
                raise UnknownTaskError(f"{max(names, key=len)!r} is a task set of another kind ({its}): {error}") from error
        raise
