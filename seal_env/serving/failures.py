"""What can be wrong with a server, and what a person should look at."""

from __future__ import annotations

import re
from typing import Final

import openai

from seal_env.redaction import redacted_message

MAX_REASON: Final = 300
"""Characters of a failure's reason."""
READ: Final = 20_000
"""Characters of an error's body that are looked at."""

_CHECKS: Final = {
    200: "{address}, which ends with /v1, and the server's log",
    401: "OPENAI_API_KEY",
    403: "OPENAI_API_KEY",
    404: "{model}, and {address}, which ends with /v1",
    407: "HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    429: "the server's limits, and concurrency",
}
_CAUSES: Final = (
    (r"CERTIFICATE_VERIFY_FAILED", "the server's certificate: SSL_CERT_FILE names those that are trusted"),
    (r"WRONG_VERSION_NUMBER|RECORD_LAYER", "{address}: a server without TLS has an address that begins with http://"),
    (r"\bSSL\b|\bTLS\b", "the server's TLS settings"),
    (r"(?i)\bproxy\b", "HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
    (r"Name or service not known|getaddrinfo|name resolution|No address associated", "the host in {address}"),
    (r"no answer within", "the server's log, and timeout"),
)


class ServerError(Exception):
    """A request without a usable answer. status: the HTTP status; None if there was no HTTP answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        self.reason, self.status = " ".join(redacted_message(reason[:READ]).split())[:MAX_REASON], status
        super().__init__(self.reason, status)

    def __str__(self) -> str:
        return self.reason

    def advice(self, address: str, model: str) -> str:
        """What to check, as a sentence. address, model: names of the settings that say where and what is asked."""
        if self.status is None:
            usual = "whether a server runs there, and {address}"
            check = next((check for cause, check in _CAUSES if re.search(cause, self.reason)), usual)
        else:
            check = _CHECKS.get(self.status, "{address}" if 300 <= self.status < 400 else "the server's log")
        return f"Check {check.format(address=address, model=model)}"


class OversizeError(openai.OpenAIError):
    """A body that is not read: too long, or packed in a way that may hide how long it is."""


def not_openai(why: str) -> ServerError:
    """The failure of a server that answers in another way than the protocol has it."""
    return ServerError(f"not an answer of an OpenAI-compatible server: {why}", 200)


def server_error(error: Exception, timeout: float) -> ServerError:
    """What an exception of the client means. timeout: seconds per attempt."""
    cause = error.__cause__ or error
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return ServerError(f"no answer within {timeout:g} seconds")
    if isinstance(cause, OversizeError):
        return ServerError(str(cause), 200)
    if isinstance(error, openai.APIStatusError):
        return _status_error(error)
    if isinstance(error, openai.APIConnectionError | OSError | UnicodeError):
        return ServerError(f"no connection ({str(cause) or type(cause).__name__})")
    return ServerError(str(error), 200)


def _status_error(error: openai.APIStatusError) -> ServerError:
    status = error.status_code
    if 300 <= status < 400:
        why = "redirects are not followed, so that nothing is sent to another host than the setting names"
        target = error.response.headers.get("location", "")
        return ServerError(f"HTTP {status}: {why}; this one leads to {target or 'no address'}", status)
    body = error.body.get("message", error.body) if isinstance(error.body, dict) else error.body
    return ServerError(f"HTTP {status}: {body or 'an empty body'}", status)
