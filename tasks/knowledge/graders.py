"""Graders by name. Importing this module imports neither torch nor the client of a server; making a grader may."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from seal_env.errors import SettingError
from seal_env.server_address import server_address
from seal_env.tasks.knowledge.grader import Grader
from seal_env.tasks.knowledge.lexical_grader import LexicalGrader

GRADERS: Final = ("lexical", "semantic", "judge")


def make_grader(
    name: str,
    model: str | None = None,
    url: str | None = None,
    device: str = "auto",
    cache_file: str | Path | None = None,
) -> Grader:
    """The grader `name`; the settings are called grader, grader_model and grader_url.

    model: for `semantic` a Hugging Face id or a local directory (None is its own default), for `judge` a model's name at its
    server (None is the only one that is served). url: of the judge's server. device: of `semantic`. cache_file: of `judge`.
    Raises SettingError, and ModelError if the model of `semantic` cannot be loaded.
    """
    if name not in GRADERS:
        raise SettingError("grader", name, " or ".join(map(repr, GRADERS)))
    for setting, value, users in (("grader_model", model, ("semantic", "judge")), ("grader_url", url, ("judge",))):
        if value is not None and name not in users:
            raise SettingError(setting, value, f"None where grader={name!r}")
    if name == "semantic":
        from seal_env.tasks.knowledge.semantic_grader import MODEL, SemanticGrader

        return SemanticGrader(model or MODEL, device)
    if name == "judge":
        from seal_env.tasks.knowledge.judge_grader import JudgeGrader

        return JudgeGrader(model, server_address("grader_url", url), cache_file)
    return LexicalGrader()
