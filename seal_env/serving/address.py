"""The address of an OpenAI-compatible server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import WrapValidator

from seal_env.errors import SettingError
from seal_env.redaction import split_address

DEFAULT_URL: Final = "http://127.0.0.1:8000/v1"
LEGAL: Final = f"an address such as {DEFAULT_URL}, without ? and #"
_ODD: Final = re.compile(r"[\s\x00-\x1f\x7f?#@\\]")


class Address(str):
    """An address without user and password, which a server is sent (HTTP basic authentication) but no text shows.

    Attributes:
        credentials: User and password; None if there are none.
    """

    credentials: tuple[str, str] | None

    def __new__(cls, address: str, credentials: tuple[str, str] | None = None) -> Self:
        """Of a text, which may hold user and password (`http://user:password@host/v1`) if they are not given apart."""
        plain, found = split_address(address)
        made = super().__new__(cls, plain)
        made.credentials = credentials or found or getattr(address, "credentials", None)
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return str(self), self.credentials

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, where no proxy leads."""
        host = urlsplit(self).hostname or ""
        try:
            found = ip_address(host)
        except ValueError:  # a name
            return host == "localhost" or host.endswith(".localhost")
        return found.is_loopback or found.is_unspecified


def _address(given: object, text: Callable[[object], str]) -> Address:
    return given if isinstance(given, Address) else Address(text(given))


AddressText = Annotated[str, WrapValidator(_address)]
"""A setting that is an address: an `Address`, so that no record of settings has the password."""


def server_address(setting: str, given: str | None) -> Address:
    """`given`, or else OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1, without a trailing slash.

    Args:
        setting: The setting's name, for the error.
        given: Its value, which may hold user and password.

    Raises:
        SettingError: It is no http or https address.
    """
    found = Address(given or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL)
    found = Address(found.strip().rstrip("/"), found.credentials)
    try:
        parts = urlsplit(found)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not _ODD.search(found)
        (parts.hostname or "").encode("idna")
    except ValueError as error:  # not a port, half an IPv6 address, no name of a host
        raise SettingError(setting, str(found), LEGAL) from error
    if not known:
        raise SettingError(setting, str(found), LEGAL)
    return found
