"""Graders by name, open to graders from outside. Importing this module loads no torch, no server's client and no tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seal_env.errors import SettingError
from seal_env.serving.address import server_address
from seal_env.tasks.knowledge.grading.base import Attempt, Grader
from seal_env.tasks.knowledge.grading.exact_match import ExactMatchGrader

VERDICTS = "verdicts.sqlite"
"""Name of the file in which a judge's verdicts are cached, beside the results of updates."""
GradeFunction = Callable[[str, str, str], bool]
"""(question, gold, prediction) -> whether the prediction is right."""


@dataclass(frozen=True)
class GraderEntry:
    """How a grader is made. uses: the keyword arguments that `factory` takes: of "model", "url" and "cache_file"."""

    factory: Callable[..., Grader]
    uses: tuple[str, ...] = ()


def register_grader(name: str, factory: Callable[..., Grader], uses: Sequence[str] = ()) -> None:
    """Make a grader available as the setting `grader=name`.

    Args:
        name: New name.
        factory: Returns the grader; called with the keyword arguments in `uses`.
        uses: Which of "model", "url" (the settings grader_model and grader_url) and "cache_file" it takes.

    Raises:
        SettingError: Another grader has this name, or `uses` has an argument that does not exist.
    """
    if name in GRADERS:
        raise SettingError("name", name, f"a name that is not taken: there are {', '.join(GRADERS)}")
    if unknown := set(uses) - {"model", "url", "cache_file"}:
        raise SettingError("uses", min(unknown), "'model', 'url' or 'cache_file'")
    GRADERS[name] = GraderEntry(factory, tuple(uses))


def make_grader(
    grader: str | GradeFunction,
    model: str | None = None,
    url: str | None = None,
    cache_file: str | Path | None = None,
) -> Grader:
    """Make a grader.

    Args:
        grader: A registered name, or a function (question, gold, prediction) -> bool.
        model: Setting grader_model. For `judge` the model's name at its server; None is the only model that it serves.
        url: Setting grader_url. For `judge` the address of an OpenAI-compatible server.
        cache_file: Where `judge` stores its verdicts; graders without a cache ignore it.

    Raises:
        SettingError: No such grader, or a setting that it does not take.
    """
    entry = check_grader(grader, model, url)
    given: dict[str, Any] = {"model": model, "url": url, "cache_file": cache_file}
    return entry.factory(**{argument: given[argument] for argument in entry.uses})


def check_grader(grader: str | GradeFunction, model: str | None = None, url: str | None = None) -> GraderEntry:
    """How the grader is made, without making it; arguments and errors as `make_grader` has them."""
    entry = GraderEntry(lambda: FunctionGrader(grader)) if callable(grader) else GRADERS.get(grader)
    if entry is None:
        raise SettingError("grader", grader, " or ".join(map(repr, GRADERS)))
    for argument, value in (("model", model), ("url", url)):
        if value is not None and argument not in entry.uses:
            raise SettingError(f"grader_{argument}", value, f"None where grader={grader!r}")
    return entry


def name_of(grader: str | Callable[..., Any]) -> str:
    """A grader's name, or "module:function"."""
    if isinstance(grader, str):
        return grader
    named = grader if hasattr(grader, "__qualname__") else type(grader)
    return f"{named.__module__}:{named.__qualname__}"


def asks_server(grader: str | Callable[..., Any]) -> bool:
    """Whether a grader takes the address of a server."""
    return isinstance(grader, str) and grader in GRADERS and "url" in GRADERS[grader].uses


@dataclass(frozen=True)
class FunctionGrader:
    """A function as a grader."""

    function: GradeFunction

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """See Grader."""
        return bool(self.function(question, gold, prediction))

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """See Grader."""
        return [self.grade(*attempt) for attempt in attempts]


def _lexical() -> Grader:
    from seal_env.tasks.knowledge.grading.lexical import LexicalGrader  # loads tables of words and places

    return LexicalGrader()


def _judge(model: str | None, url: str | None, cache_file: str | Path | None) -> Grader:
    from seal_env.tasks.knowledge.grading.judge import JudgeGrader  # imports the client

    return JudgeGrader(model, server_address("grader_url", url), cache_file)


GRADERS: dict[str, GraderEntry] = {
    "lexical": GraderEntry(_lexical),
    "exact_match": GraderEntry(ExactMatchGrader),
    "judge": GraderEntry(_judge, ("model", "url", "cache_file")),
}
"""Every grader by name; `register_grader` adds to it."""
