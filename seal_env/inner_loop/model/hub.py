"""Where a model comes from: a folder, or the Hugging Face hub, which is asked once and briefly before any download.

Without that, the libraries try each of a model's files again and again before they say that there is no network.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers.utils.hub import cached_file

from seal_env.redaction import redacted_message

TIMEOUT_SECONDS: Final = 5.0
NONE: Final = (401, 403, 404)
"""HTTP statuses with which the hub says that there is no such model, or not for everybody."""


def resolve_source(source: str, revision: str | None = None) -> str:
    """The folder or the hub id from which a model is loaded.

    Args:
        source: A folder, or a hub id. Where the hub cannot be reached, it is what was downloaded before.
        revision: A branch, a tag or a commit of the hub; None is the main branch.

    Raises:
        ValueError: For a folder that does not exist, and for an id that neither the hub nor this machine has; says which.
    """
    if os.path.isdir(source):
        return source
    if os.path.lexists(source):
        raise ValueError(f"{os.path.abspath(source)} is no folder")
    if source.startswith((".", os.sep, "~")) or source.endswith(os.sep) or source.count("/") > 1:
        raise ValueError(f"the folder {os.path.abspath(source)} does not exist")
    try:
        if not constants.HF_HUB_OFFLINE:
            HfApi().model_info(source, revision=revision, timeout=TIMEOUT_SECONDS)
            return source
        reason = "HF_HUB_OFFLINE is set"
    except HFValidationError as error:
        raise ValueError(f"there is no such folder, and it is no hub id: {error}") from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        said = "has none that you may read" if status in NONE else "gives no answer"
        reason = f"{redacted_message(constants.ENDPOINT)} {said} (HTTP {status})"
    except Exception as error:  # of whatever library the hub's client is built on
        found = redacted_message(f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}: {str(error).strip()}")
        reason = f"{found[:200]})"
    if (downloaded := _downloaded(source, revision)) is None:
        which = "" if revision is None else f" in revision {revision!r}"
        raise ValueError(f"there is no such folder, it was not downloaded before{which}, and {reason}")
    return downloaded


def _downloaded(source: str, revision: str | None) -> str | None:
    """The folder of what was downloaded before."""
    with suppress(OSError, ValueError):
        found = cached_file(source, "config.json", revision=revision, local_files_only=True)
        return None if found is None else str(Path(found).parent)
    return None


def commit_of(source: str, revision: str | None = None) -> str | None:
    """The commit of the hub that a model's files are from; None for those of a folder.

    Args:
        source: What `resolve_source` returned; its configuration is on this machine.
        revision: Of the hub.
    """
    folder = Path(source if os.path.isdir(source) else _downloaded(source, revision) or "")
    return folder.name if folder.parent.name == "snapshots" else None
