"""The address of an OpenAI-compatible server."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

from seal_env.errors import SettingError

DEFAULT_URL: Final = "http://127.0.0.1:8000/v1"


def server_address(setting: str, given: str | None) -> str:
    """`given`, or else OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1, without a trailing slash.

    Args:
        setting: The setting's name, for the error.
        given: Its value.

    Raises:
        SettingError: It is no http or https address.
    """
    found = (given or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")
    legal = f"an address such as {DEFAULT_URL}"
    try:
        address = urlsplit(found)
        known = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError as error:  # not a port, half an IPv6 address
        raise SettingError(setting, found, legal) from error
    if not known:
        raise SettingError(setting, found, legal)
    return found
