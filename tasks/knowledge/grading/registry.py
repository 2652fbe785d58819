"""Graders by name. Importing this module imports neither torch nor the client of a server; making a grader may."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from seal_env.errors import SettingError
from seal_env.serving.address import server_address
from seal_env.tasks.knowledge.grading.base import Grader
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader

GRADERS: Final = ("lexical", "judge")


def make_grader(
    name: str,
    model: str | None = None,
    url: str | None = None,
    cache_file: str | Path | None = None,
) -> Grader:
    """The grader `name`; the settings are called grader, grader_model and grader_url.

    model, url, cache_file: of `judge`: the model's name at its server (None is the only one that is served), the server's
    address, and where its verdicts are kept. Raises SettingError.
    """
    if name not in GRADERS:
        raise SettingError("grader", name, " or ".join(map(repr, GRADERS)))
    for setting, value, users in (("grader_model", model, ("judge",)), ("grader_url", url, ("judge",))):
        if value is not None and name not in users:
            raise SettingError(setting, value, f"None where grader={name!r}")
    if name == "judge":
        from seal_env.tasks.knowledge.grading.judge import JudgeGrader

        return JudgeGrader(model, server_address("grader_url", url), cache_file)
    return LexicalGrader()
