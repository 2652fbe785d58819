"""Files of tasks as text and as JSON, which anybody may have written: whatever is wrong with one is a TaskError."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any, Final

from seal_env.errors import TaskError

OTHER_FORMS: Final = {
    codecs.BOM_UTF16_LE: "UTF-16; save it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16; save it as UTF-8",
    b"\x1f\x8b": "compressed (gzip); unpack it first",
    b"PK\x03\x04": "compressed (zip); unpack it first",
    b"PAR1": "Parquet; write it as JSON lines first",
}
"""What files begin with that are no UTF-8."""


def read_text(path: Path) -> str:
    """A file in UTF-8 without byte-order marks before the text; a line ends with a line feed. Raises TaskError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return content.decode().lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        known = next((form for mark, form in OTHER_FORMS.items() if content.startswith(mark)), None)
        found = f"it is {known}" if known else f"byte {error.start} is {content[error.start]:#04x}"
        raise TaskError(f"{path}: not JSON in UTF-8: {found}") from error


def parse_json(text: str, where: str) -> Any:
    """A JSON value in which no object names a field twice. Raises TaskError; `where` begins its message."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise TaskError(f"{where}: nested too deeply") from error
    except _TwiceError as error:
        raise TaskError(f"{where}: field {error.args[0]!r} occurs more than once in an object") from error
    except ValueError as error:  # JSONDecodeError, integers of thousands of digits
        raise TaskError(f"{where}: not JSON: {error}") from error


class _TwiceError(Exception):
    """A field that an object names twice; JSON's readers differ in which one they take."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1)[:60])
    return found
