"""Keys and passwords never stand in a file or a message: the one place that knows them, and takes them out.

They are the values of environment variables whose names say so, and what addresses hold between `//` and `@`. `redacted` is
applied to what servers answer, to errors and to everything that a run folder gets.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

HIDDEN: Final = "***"
SHORTEST: Final = 8
"""Characters that an environment variable's value needs to be a secret; shorter ones are words (`none`, `EMPTY`)."""
PLACEHOLDERS: Final = frozenset(("lm-studio", "not-needed", "no-key-required", "sk-no-key-required", "placeholder"))
"""Keys that local servers are commonly given, which are no secrets."""

_NAMES: Final = re.compile(
    r"(?:\A|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS)(?:_ID)?\Z|\AOPENAI_(?:ORG|PROJECT|CUSTOM)_", re.IGNORECASE
)
_ADDRESSES: Final = re.compile(r"_(?:PROXY|URL|ENDPOINT|URI)\Z", re.IGNORECASE)
_USER: Final = re.compile(r"(?<=://)[^\s\"']{0,500}@|(?<![^\s\"'/:@])[^\s\"'/:@]{1,200}+:(?!//)[^\s\"'@]{1,500}+@")
_HEADER: Final = re.compile(r"\b(bearer|authorization\W{1,8}basic)\s+[^\s\"',;}]+", re.IGNORECASE)
_ESCAPES: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|/)")
"""Ways in which JSON may write a character that stands for itself."""
_remembered: set[str] = set()


def remember(secret: str) -> None:
    """From now on, `redacted` takes this out too, unless it is shorter than four characters."""
    if len(secret) >= 4:
        _remembered.add(secret)


def split_address(address: str) -> tuple[str, tuple[str, str] | None]:
    """An address without its user and password, and these, which are remembered; None if it has none."""
    scheme, mark, rest = address.partition("://")
    user, at, _ = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
    if not mark or not at:
        return address, None
    name, _, password = (unquote(part) for part in user.partition(":"))
    for secret in (password or name, user, b64encode(f"{name}:{password}".encode()).decode()):
        remember(secret)
    return f"{scheme}://{rest[len(user) + 1 :]}", (name, password)


def redacted(value: Any) -> Any:
    """A text, or what JSON can hold, without any secret in its texts. Tuples become lists."""
    secrets = sorted(_secrets(), key=len, reverse=True)
    return _without(value, secrets) if secrets else value


def redacted_message(text: str) -> str:
    """`redacted`, and without what looks like a user in an address or like a key in a header."""
    return _HEADER.sub(rf"\1 {HIDDEN}", _USER.sub(f"{HIDDEN}@", str(redacted(text))))


def _secrets() -> set[str]:
    found = set(_of_environment())
    secrets = {each for each in (*_remembered, *found) if each.lower() not in PLACEHOLDERS}
    return secrets | {json.dumps(each)[1:-1] for each in secrets}  # as they stand in JSON


def _of_environment() -> Iterator[str]:
    for name, value in os.environ.items():
        if _NAMES.search(name):
            yield from (part for part in {value, value.strip()} if len(part) >= SHORTEST and part[0] not in "/~")
        elif "@" in value and _ADDRESSES.search(name):
            split_address(value)


def _without(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        plain = _ESCAPES.sub(lambda found: chr(int(found[1], 16)) if found[1] else "/", value) if "\\" in value else value
        value = plain if any(secret in plain and secret not in value for secret in secrets) else value
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {_without(key, secrets): _without(item, secrets) for key, item in value.items()}
    return [_without(item, secrets) for item in value] if isinstance(value, list | tuple) else value
