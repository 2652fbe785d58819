"""An entry of the leaderboard: one agent on one version of the suite, with the evidence that its numbers follow from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import jsonschema
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seal_env.agents.registry import agents
from seal_env.errors import TaskError
from seal_env.experiments.settings import LABEL
from seal_env.experiments.suite.definition import Part, Suite, load_suite
from seal_env.intervals import bootstrap, pass_at_k

FORMAT: Final = 1
TRAINED: Final = ("policy_adapter", "policy_file")
"""Options that name a trained policy."""
ROUNDING: Final = 1e-9
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """Base of the parts of an entry."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Range(Record):
    """A mean and its 95 % bootstrap interval over tasks, or over sequences of tasks."""

    mean: float
    low: float
    high: float


class Cost(Record):
    """What a part cost, in all."""

    updates: Count
    """Self-edits that took at least one optimizer step."""
    steps: Count
    """Optimizer steps."""
    example_tokens: Count
    """Tokens of the training examples of these updates, each counted once, whatever the epochs."""
    policy_tokens: Count | None
    """Tokens that a language model wrote; 0 if none did, None if it is not known."""
    seconds: float = Field(ge=0, allow_inf_nan=False)
    """Wall time. It depends on what else the machine did, so the leaderboard does not show it."""


class Evidence(Record):
    """What the numbers of a part follow from."""

    journal: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 of the journal with every self-edit and answer, which comes with an entry that is sent in."""
    success: dict[str, list[Share]]
    """Of each episode by task: the share of queries that the updated model answers. Of a sequence, by its number: the share
    at its end."""
    base: dict[str, Share]
    """The same of the base model."""
    updated: dict[str, list[bool]] = Field(default_factory=dict)
    """Whether each self-edit was valid."""


class Row(Record):
    """One part of the suite."""

    model: str
    """The base model."""
    fingerprint: str | None
    """Of the base model; None if workers or servers hold it."""
    episodes: int = Field(ge=1)
    success: Range
    gain: Range
    """Success minus that of the base model, paired by task."""
    valid: Range
    """Share of self-edits that were no mistake."""
    pass_at: dict[str, float]
    """Chance that the best of k self-edits solves every query of a task, by k; empty for sequences."""
    cost: Cost
    evidence: Evidence


class Entry(Record):
    """One agent on one version of the suite."""

    format: int
    suite: str
    digest: str
    label: str = Field(pattern=LABEL)
    agent: str
    options: dict[str, Any]
    learns: bool
    """Whether the agent learns from the rewards of the very tasks that it is measured on."""
    trained_on: str | None
    """Task set that a policy was trained on; None if it was not trained."""
    command: str = Field(pattern="^seal-env eval [^`\\n]*$")
    versions: dict[str, str]
    engine: int
    """Version of the inner loop's numerics."""
    machine: str
    parts: dict[str, Row]
    not_applicable: dict[str, str]
    """Why the agent does not work in the other parts."""


def schema() -> dict[str, Any]:
    """The JSON Schema of an entry."""
    return Entry.model_json_schema()


def row_of(part: Part, found: Mapping[str, Any], cost: Cost, evidence: Evidence) -> Row:
    """A part's row: every number in it but the cost follows from the evidence."""
    return Row(**found, **numbers(part, evidence), cost=cost, evidence=evidence)


def numbers(part: Part, evidence: Evidence) -> dict[str, Any]:
    """What the evidence comes to."""
    means = {key: float(np.mean(values)) for key, values in evidence.success.items()}
    counts = {key: (len(values), sum(value == 1.0 for value in values)) for key, values in evidence.success.items()}
    least = min(count for count, _ in counts.values())
    ks = () if part.sequences else sorted({1, least})
    return {
        "episodes": sum(map(len, evidence.success.values())),
        "success": _range(list(means.values())),
        "gain": _range([mean - evidence.base[key] for key, mean in means.items()]),
        "valid": _range([float(np.mean(values)) for values in evidence.updated.values()]),
        "pass_at": {str(k): float(np.mean([pass_at_k(n, solved, k) for n, solved in counts.values()])) for k in ks},
    }


def _range(values: Sequence[float]) -> Range:
    mean, low, high = bootstrap(values)
    return Range(mean=mean, low=mean if low is None else low, high=mean if high is None else high)


def journal_digest(content: bytes) -> str:
    """The digest of a journal in `Evidence`."""
    return hashlib.sha256(content).hexdigest()


def check_entry(data: Mapping[str, Any]) -> Entry:
    """Read an entry.

    Args:
        data: The content of its file.

    Raises:
        TaskError: Says why it is no entry of the leaderboard: another form, another digest of the suite, episodes that are
            missing, numbers that do not follow from the evidence, a trained policy that does not say on what, or an agent
            that is known to learn and does not say so.
        SettingError: For a suite that does not exist.
    """
    for problem in jsonschema.Draft202012Validator(schema()).iter_errors(data):
        raise TaskError(f"{problem.json_path}: {problem.message[:200]}")
    try:
        entry = Entry.model_validate(data)
    except ValidationError as error:  # of what JSON Schema has no words for, such as NaN
        raise TaskError(f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error
    suite = load_suite(entry.suite)
    if (entry.format, entry.digest) != (FORMAT, suite.digest):
        raise TaskError(
            f"digest {entry.digest[:12]} of suite {entry.suite!r} is not that of this version, {suite.digest[:12]}"
        )
    if any(entry.options.get(name) for name in TRAINED) and not entry.trained_on:
        raise TaskError("a trained policy has to say what it was trained on (--trained-on)")
    if not entry.learns and entry.agent in agents() and agents()[entry.agent].learns:
        raise TaskError(f"learns is false, but the agent {entry.agent!r} learns from the rewards of what it is measured on")
    unknown = [*(name for name in (*entry.parts, *entry.not_applicable) if name not in suite.parts)]
    if unknown or not entry.parts:
        raise TaskError(f"parts of suite {entry.suite!r} are {', '.join(suite.parts)}, not {', '.join(unknown) or 'none'}")
    if both := [name for name in entry.parts if name in entry.not_applicable]:
        raise TaskError(f"{both[0]}: a part that was measured is not one in which the agent does not work")
    for name, row in entry.parts.items():
        _check_row(name, suite, row)
    return entry


def _check_row(name: str, suite: Suite, row: Row) -> None:
    part, found = suite.parts[name], row.evidence
    if row.model == part.model and row.fingerprint not in (part.fingerprint, None):
        raise TaskError(f"{name}: {row.model!r} is not the model that the suite was made with")
    keys = [str(number) for number in range(part.sequences)] if part.sequences else list(part.tasks)
    each = 1 if part.sequences else part.samples
    if sorted(found.success) != sorted(keys) or any(len(values) != each for values in found.success.values()):
        raise TaskError(f"{name}: {each} episodes of each of {len(keys)} tasks are needed; some are missing, or too many")
    if sorted(found.base) != sorted(keys) or sorted(found.updated) != sorted(keys):
        raise TaskError(f"{name}: the evidence is not about the same tasks")
    written = int(part.settings["sequence"]) if part.sequences else each
    if any(len(values) != written for values in found.updated.values()):
        raise TaskError(f"{name}: the evidence says of {written} self-edits for each key whether they were valid")
    for field, value in numbers(part, found).items():
        if not _same(getattr(row, field), value):
            raise TaskError(f"{name}: {field} does not follow from the evidence")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Range):
        return all(_same(getattr(one, field), getattr(other, field)) for field in ("mean", "low", "high"))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return math.isclose(one, other, rel_tol=0, abs_tol=ROUNDING)
