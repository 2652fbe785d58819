"""Which files a model is loaded from, so that a model that was saved again is known to be another one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from transformers.utils.hub import cached_file

Stamp = tuple[object, ...]
"""Equal for equal files, as long as nobody sets a file's times back by hand."""


def stamp_of(source: str, revision: str | None = None) -> Stamp:
    """The stamp of a model's files, without reading them: name, size, inode and times of each, or a snapshot of the hub.

    Args:
        source: A directory or a Hugging Face id.
        revision: Of the hub; None is its main branch.

    Returns:
        An empty stamp for what is not on this machine.
    """
    if Path(source).is_dir():
        found = []
        with os.scandir(source) as entries:
            for entry in entries:
                with suppress(OSError):  # a link to nothing
                    about = entry.stat()
                    found.append((entry.name, about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns))
        return tuple(sorted(found))
    with suppress(OSError):  # not on this machine, or no id at all
        return (cached_file(source, "config.json", revision=revision, local_files_only=True),)
    return ()
