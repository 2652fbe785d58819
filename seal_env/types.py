"""The dictionary of seal-env: every noun that crosses a module boundary, meaning first.

Axis suffixes used in names, wherever a ragged list is not obvious: D demonstrations, E training examples, Q queries,
S optimizer steps, T tokens. Everything here is frozen; everything here is importable without torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from seal_env.panels import Panel

ContextT_co = TypeVar("ContextT_co", covariant=True)
QueryT_co = TypeVar("QueryT_co", covariant=True)

Role = Literal["system", "user", "assistant"]
Strategy = Literal["train_using_all_tokens", "train_using_output_tokens"]
ProfileName = Literal["fixed", "paper"]
UpdateMethod = Literal["lora", "full"]


class Outcome(StrEnum):
    """How an action, or its update, ended. Every `info` carries one."""

    OK = "ok"
    NOT_JSON = "not_json"
    UNKNOWN_TOOL = "unknown_tool"
    INVALID_ARGUMENTS = "invalid_arguments"
    MISSING_FINETUNE = "missing_finetune"
    EMPTY_DATA = "empty_data"
    OVER_BUDGET = "over_budget"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_ERROR = "engine_error"
    TASK_TOO_LONG = "task_too_long"

    @property
    def is_infrastructure(self) -> bool:
        """True for a failure that is not the agent's fault: the episode is truncated and its reward is NaN."""
        return self in (Outcome.OUT_OF_MEMORY, Outcome.ENGINE_ERROR, Outcome.TASK_TOO_LONG)


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True)
class Example:
    """One training example: a chat whose last message is the assistant's answer, the part that is learned; or a document.

    document: a text without any chat around it, all of which is learned.
    """

    messages: tuple[Message, ...] = ()
    document: str | None = None

    def __post_init__(self) -> None:
        assert bool(self.messages) != (self.document is not None), "an example is a chat or a document"


@dataclass(frozen=True)
class Document:
    """A text that an agent wrote, to be learned under a title."""

    title: str
    text: str

    @property
    def rendered(self) -> str:
        """As the model reads it: the title, a line break, the text; without a title the text alone."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True)
class Query:
    """One question put to the (adapted) model: a chat that ends with the user, and the answer that counts as right.

    pattern: a regular expression that every legal answer matches in full; decoding stops as soon as that is impossible, and
    in any case at max_answer_tokens. prompt: a text instead of a chat, from which the answer goes on after a space.
    """

    query_id: str
    messages: tuple[Message, ...]
    answer: str
    pattern: str | None = None
    max_answer_tokens: int = 2048
    prompt: str | None = None

    def __post_init__(self) -> None:
        assert bool(self.messages) != (self.prompt is not None), "a query is a chat or a prompt"


@dataclass(frozen=True)
class Task(Generic[ContextT_co, QueryT_co]):
    """One thing to adapt to, in the domain's own form: what the agent sees, and what it is scored on and never sees."""

    task_id: str
    context: ContextT_co
    queries: tuple[QueryT_co, ...]


@dataclass(frozen=True)
class ToolCall:
    """A tool's name and its arguments as parsed from the action, not yet checked against the tool's schema."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class TrainingConfig:
    """What the agent decides about the weight update.

    strategy: which tokens carry loss. learning_rate: AdamW's peak rate, in (0, 1]. num_train_epochs: passes over the
    examples, 0..20; 0 leaves the base model as it is.
    """

    strategy: Strategy = "train_using_output_tokens"
    learning_rate: float = 1e-4
    num_train_epochs: int = 2


@dataclass(frozen=True)
class Budget:
    """What one self-edit may cost.

    max_steps: optimizer steps. max_examples: training examples that remain after shuffling. max_tokens: an example of
    this many tokens or more is dropped. max_training_tokens: epochs x tokens of the examples.
    """

    max_steps: int = 375
    max_examples: int = 250
    max_tokens: int = 8192
    max_training_tokens: int = 3_072_000


@dataclass(frozen=True)
class LoraSpec:
    """Shape of the adapter: A [rank, in], B [out, rank], applied as (alpha / rank) * B A x. No dropout."""

    rank: int = 128
    alpha: float = 16.0
    target_modules: tuple[str, ...] = ("q_proj", "v_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Recipe:
    """How the update is done (SEAL's ARC recipe by default): the environment's choice, unless it offers the tool `recipe`.

    optimizer, schedule: registered names, see `seal_env.inner_loop.optim.registry`. The schedule is what follows after the
    learning rate has risen linearly for warmup_steps optimizer steps.
    pad_loss: padding carries loss, one padded length for the whole set ("paper"). double_bos: training text starts with
    two BOS. trailing_prompt: training text ends with one more generation prompt. no_op_over_budget: a self-edit over the
    budget, or without examples, is scored as the base model instead of as a mistake. learn_end: documents end with EOS,
    which carries loss; SEAL's do not. regularise: weight, in an adapter's loss, of KL(before || now) over its tokens.
    """

    batch_size: int = 2
    warmup_steps: int = 11
    schedule: str = "cosine"
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    adam_eps: float = 1e-8
    max_grad_norm: float = 1.0
    pad_loss: bool = False
    double_bos: bool = False
    trailing_prompt: bool = False
    no_op_over_budget: bool = False
    learn_end: bool = False
    regularise: float = 0.0


PROFILES: Mapping[str, Recipe] = {
    "fixed": Recipe(),
    "paper": Recipe(pad_loss=True, double_bos=True, trailing_prompt=True, no_op_over_budget=True),
}


@dataclass(frozen=True)
class SelfEdit:
    """All that the inner loop needs to know of the agent's decision: rendered examples and a training config.

    Attributes:
        examples_E: rendered, filtered and capped, in the order in which they remain.
        training: the training config.
        optimizer_steps: what training on the examples will take.
        tokens: sum of their lengths. training_tokens: what training reads of them, padding included.
        candidates: how many there were before the filter and the cap.
        recipe: fields of `Recipe` that this update overrides. lora: the same for `LoraSpec`.
    """

    examples_E: tuple[Example, ...]
    training: TrainingConfig
    optimizer_steps: int
    tokens: int
    candidates: int
    recipe: Mapping[str, Any] = field(default_factory=dict)
    training_tokens: int = 0
    lora: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InvalidSelfEdit:
    """What the agent got wrong: a typed outcome, and a reason that names the field, the value and what would be legal."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class UpdateJob:
    """One weight update and the queries to ask afterwards. Pure: equal jobs give equal results.

    No examples, or no epochs, means: ask the base model. decode: also decode the answers that are not exactly right, or else
    their text is None. save_to: a directory for the adapter, in PEFT format, or for the whole model. method: an adapter, or
    all weights. orthogonal_to: by layer, an orthonormal basis (tensor [inputs, n]) to which the rows of A stay orthogonal.
    """

    examples_E: tuple[Example, ...]
    training: TrainingConfig
    lora: LoraSpec
    recipe: Recipe
    seed: int
    queries_Q: tuple[Query, ...]
    decode: bool = True
    save_to: Path | None = None
    method: UpdateMethod = "lora"
    orthogonal_to: Mapping[str, Any] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """False if the base model answers as it is."""
        return bool(self.examples_E) and self.training.num_train_epochs > 0


@dataclass(frozen=True)
class Answer:
    """What the model says to one query.

    exact: greedy decoding gives exactly the gold answer (decided by one teacher-forced pass). text: the greedy answer, or
    None if it was not decoded. margin: the smallest gap, in logits, between the gold token and its best rival; negative
    where another token wins, near 0 where kernels could decide either way.
    """

    query_id: str
    exact: bool
    text: str | None
    margin: float


@dataclass(frozen=True)
class UpdateResult:
    """What came of an UpdateJob. `timings` (seconds) differ between equal runs; nothing else does.

    losses_S: mean loss of the supervised tokens of each optimizer step. micro_batch: examples per forward pass, below the
    recipe's batch size only if memory ran out. adapter: the directory that was written because the job has `save_to`, an
    adapter in PEFT format or a whole model; None if nothing was written, as in every cached result.
    """

    outcome: Outcome
    reason: str
    answers_Q: tuple[Answer, ...]
    losses_S: tuple[float, ...] = ()
    tokens_trained: int = 0
    micro_batch: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)
    adapter: Path | None = None


@dataclass(frozen=True)
class Evaluation:
    """The score of one set of answers to a task's queries, in [0, 1].

    accuracy: share of queries solved. partial: mean share of what is right within the answers, by the domain's own measure
    (ARC: cells, 0 for an answer of the wrong shape; knowledge: F1 of words). predictions_Q: for each query the attempts
    made, in the domain's own form; None where nothing could be parsed.
    metrics: further measures, any numbers, by the names in `DomainSpec.metrics`; only those that could be measured.
    correct_Q: whether each query is solved; empty where the domain does not say.
    """

    accuracy: float
    partial: float
    predictions_Q: tuple[tuple[Any, ...], ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    correct_Q: tuple[bool, ...] = ()

    @property
    def solved(self) -> bool:
        """True if every query is solved."""
        return self.accuracy == 1.0


@dataclass(frozen=True)
class AdaptedLayers:
    """What updates change in a model.

    counts: how many layers of each name, as {"q_proj": 28}. missing: names that were asked for and are not adapted, or not
    everywhere, each with the reason.
    """

    counts: Mapping[str, int]
    missing: Mapping[str, str] = field(default_factory=dict)


class InnerLoop(Protocol):
    """Trains an adapter for each job, or all weights, starting from one base model, and answers the job's queries."""

    def run(self, jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        """Results in the order of the jobs. The base model is bit-identical before and after."""
        ...

    def count_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Length of each example in the base model's tokens, template included."""
        ...

    def max_tokens(self, recipe: Recipe) -> int:
        """The longest example that the base model can be trained on under `recipe`, in tokens as `count_tokens` counts."""
        ...


class Taskset(Protocol[ContextT_co, QueryT_co]):
    """A named, ordered collection of tasks of one domain; `tasks[task_id]` raises UnknownTaskError."""

    @property
    def name(self) -> str: ...
    @property
    def task_ids(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Task[ContextT_co, QueryT_co]]: ...
    def __getitem__(self, task_id: str) -> Task[ContextT_co, QueryT_co]: ...


class TaskDomain(Protocol):
    """How one kind of task is rendered, for an agent and for a model, and how a model's answers are scored.

    briefing: what the prompt says of this kind of task. queries_depend_on_seed: whether they depend on the episode's seed.
    """

    @property
    def briefing(self) -> str: ...
    @property
    def queries_depend_on_seed(self) -> bool: ...

    def segments(self, context: Any) -> tuple[Any, ...]:
        """A task's context as what an agent is shown, and writes about, one after another; one segment in most tasks."""
        ...

    def render(self, segment: Any) -> str:
        """A segment as the agent reads it."""
        ...

    def as_data(self, segment: Any) -> dict[str, Any]:
        """A segment as data that JSON can hold, for agents that do not read text."""
        ...

    def add_default_examples(self, segment: Any, candidates: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """What is learned from, in the domain's own form, given the candidates that tools made; None if there are none."""
        ...

    def render_example(self, example: Any) -> Example:
        """A training example in the domain's own form -> the chat, or the document, that the model learns from."""
        ...

    def queries(self, task: Task[Any, Any], seed: int) -> tuple[Query, ...]:
        """The queries that score the model on `task`; a pure function of the task and the seed."""
        ...

    def score(self, task: Task[Any, Any], answers_Q: Sequence[Answer], seed: int) -> Evaluation:
        """Score the answers to `queries(task, seed)`, in the same order."""
        ...

    def gold(self, task: Task[Any, Any]) -> tuple[Any, ...]:
        """The right answer to each query, in the domain's own form."""
        ...

    def panels(self, task: Task[Any, Any], shown: Mapping[str, Evaluation | None] | None) -> list[list[Panel]]:
        """The task as rows of panels. shown: evaluations by name, which go beside the gold answers; None hides both."""
        ...


class Step(NamedTuple):
    """What Gymnasium's `step` returns. reward: NaN after an infrastructure failure, which truncates the episode."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]
