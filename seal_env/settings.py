"""Everything that an environment can be told, checked once and resolved to what will be used.

The fields of `Settings` are the keyword arguments of `gym.make("SEAL-ARC-v0", ...)` and the settings of a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from seal_env.errors import SettingError
from seal_env.models.catalog import MODEL_NAME, TEXT_MODEL_NAME
from seal_env.serving.address import server_address
from seal_env.tasks.knowledge.grading.registry import GRADERS
from seal_env.types import PROFILES, Budget, LoraSpec, Recipe, TrainingConfig

# Small models want other adapters than those that SEAL uses for models of billions of parameters; see docs/decisions/.
MODEL_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    MODEL_NAME: {"grid_format": "lettered", "lora_rank": 16, "lora_alpha": 256.0, "max_examples": 48},
    TEXT_MODEL_NAME: {
        "lora_rank": 8,
        "lora_alpha": 512.0,
        "default_learning_rate": 5e-4,
        "default_num_epochs": 3,
        "batch_size": 4,
        "learn_end": "on",
        "max_examples": 64,
    },
}
FALLBACKS: Mapping[str, Mapping[str, Any]] = {
    "arc": {
        "grid_format": "plain",
        "lora_rank": LoraSpec.rank,
        "lora_alpha": LoraSpec.alpha,
        "batch_size": Recipe.batch_size,
        "learn_end": "off",
        "max_examples": Budget.max_examples,
        "default_learning_rate": TrainingConfig.learning_rate,
        "default_num_epochs": TrainingConfig.num_train_epochs,
    },
    "knowledge": {
        "grid_format": "plain",
        "lora_rank": 32,
        "lora_alpha": 64.0,
        "batch_size": 1,
        "learn_end": "off",
        "max_examples": Budget.max_examples,
        "default_learning_rate": 1e-3,
        "default_num_epochs": 10,
    },
}
"""SEAL's own, by domain (arXiv 2506.10943, appendices)."""
RECIPES: Mapping[str, Mapping[str, Any]] = {"arc": {}, "knowledge": {"schedule": "linear", "warmup_steps": 0}}
"""What the update of a domain's self-edits has otherwise than Recipe."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "domain": tuple(FALLBACKS),
    "profile": tuple(PROFILES),
    "method": ("lora", "full"),
    "evaluation": ("greedy", "vote"),
    "evaluator": ("engine", "vllm"),
    "grader": GRADERS,
    "reward": ("accuracy", "gain", "solved", "cell_accuracy", "word_f1"),
    "learn_passage": ("on", "off"),
    "learn_end": ("on", "off"),
    "reward_over": ("seen", "new", "change"),
    "decode": ("failed", "never"),
    "grid_format": ("plain", "lettered"),
    "cache": ("on", "read", "off"),
}
ELSEWHERE: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "arc": {
        "reward": ("accuracy", "gain", "solved", "cell_accuracy"),
        "passages": (1,),
        "learn_passage": ("on",),
        "grader": ("lexical",),
    },
    "knowledge": {
        "reward": ("accuracy", "gain", "solved", "word_f1"),
        "profile": ("fixed",),
        "evaluation": ("greedy",),
        "decode": ("failed",),
    },
}
"""Settings of which a domain has only some values."""
MAX_EPOCHS = 20
LEAST: Mapping[str, int] = {
    "max_turns": 1,
    "lora_rank": 1,
    "batch_size": 1,
    "max_steps": 0,
    "max_examples": 1,
    "max_tokens": 2,
    "passages": 1,
    "sequence": 1,
}


@dataclass(frozen=True)
class Settings:
    """Settings of one environment.

    Attributes:
        domain: arc or knowledge; set by the environment's id.
        subset: task set: seal-train, seal-eval, arc1-train, arc1-eval, arc2-train, arc2-eval, mini-train, mini-eval,
            comma-separated task ids, or a path (a folder of tasks, a task, or a challenges file). In knowledge:
            synthetic-train, synthetic-eval, synthetic-reworded, squad-train, squad-validation, comma-separated ids, or a file
            of passages.
        model: base model: seal-tiny or seal-tiny-text (embedded), a Hugging Face id or a local directory. Never a live
            object.
        device: auto (CUDA where there is one), cpu, cuda, cuda:N.
        inner_loop: who does the weight update: batched (many adapters in one pass) or reference (PEFT, one after another).
        profile: fixed, or paper: SEAL's published recipe with its quirks.
        evaluation: greedy (one attempt, all demonstrations in the prompt) or vote (SEAL's: many prompts, two attempts).
        evaluator: who answers with the updated model: engine (the inner loop itself) or vllm (a vLLM server, see
            docs/serving.md). A server's answers are not cached.
        evaluator_url: address of that server, up to and with /v1; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1.
        evaluator_model: the server's name for the base model; None is the only one that it serves.
        grader: who judges answers in knowledge: lexical (words, numbers and dates) or judge (a
            language model behind an OpenAI-compatible server).
        grader_model: the judge's name at its server; None is the only one that it serves.
        grader_url: address of the judge's server; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1.
        reward: accuracy (share of queries solved), gain (accuracy minus the base model's), solved, cell_accuracy (ARC),
            word_f1 (knowledge).
        sequence: tasks of an episode of SEAL-Continual-v0, each learned for good; 1 anywhere else.
        reward_over: what a self-edit of SEAL-Continual-v0 is paid: seen (the mean over all tasks so far), new (the task at
            hand) or change (by how much the mean over them rose).
        invalid_reward: reward of a step in which the agent made a mistake, and of an update that diverged.
        max_turns: actions in an episode at most, for each of its passages; 1 is the paper's one-shot case.
        passages: passages of an episode, all learned in one update; the agent writes about one after the other (knowledge).
        learn_passage: whether the passage itself is learned beside what is written about it (knowledge): on or off.
        learn_end: whether a document ends with a token that says so and is learned too (knowledge): on or off; None is the
            model's own (off as in the paper; seal-tiny-text on).
        decode: failed: answers that are not exactly right are decoded, so that predictions can be shown; never: they are
            not, which is faster (only for ARC, evaluation greedy and a reward other than cell_accuracy).
        method: lora (an adapter) or full (all weights of the model).
        default_learning_rate: peak learning rate of a self-edit that sets none; None is the model's or the domain's own (ARC
            1e-4, knowledge 1e-3).
        default_num_epochs: epochs of a self-edit that sets none; None is the model's or the domain's own (ARC 2, knowledge 10).
        max_steps: optimizer steps that a self-edit may take, for each of its passages.
        max_examples: training examples kept, after shuffling; None is the model's own default (250, seal-tiny 48).
        max_tokens: training examples of this many tokens or more are dropped.
        batch_size: examples of an optimizer step; None is the model's or the domain's own (ARC 2, knowledge 1).
        lora_rank: rank of the adapter; None is the model's own default.
        lora_alpha: scale of the adapter, times its rank; None is the model's own default.
        lora_targets: names of the linear layers that are adapted, separated by commas.
        grid_format: plain or lettered (each row begins with its letter); None is the model's own default.
        save_adapters: directory for the adapters of all self-edits, in PEFT format; None keeps none.
        cache: on (an update whose result is known is not trained again), read (known results are used, new ones are not
            kept) or off, as it is where a server answers. Only `timings` can tell a known result from a fresh one.
        cache_file: where results are kept: an SQLite file, or a directory for one; None is SEAL_ENV_CACHE if it is set, or
            else the run folder of `seal-env run`, and anywhere else the memory of the process.
    """

    domain: str = "arc"
    subset: str = "seal-train"
    model: str = MODEL_NAME
    device: str = "auto"
    inner_loop: str = "batched"
    profile: str = "fixed"
    evaluation: str = "greedy"
    evaluator: str = "engine"
    evaluator_url: str | None = None
    evaluator_model: str | None = None
    grader: str = "lexical"
    grader_model: str | None = None
    grader_url: str | None = None
    reward: str = "accuracy"
    sequence: int = 1
    reward_over: str = "seen"
    invalid_reward: float = 0.0
    max_turns: int = 8
    passages: int = 1
    learn_passage: str = "on"
    learn_end: str | None = None
    decode: str = "failed"
    method: str = "lora"
    default_learning_rate: float | None = None
    default_num_epochs: int | None = None
    max_steps: int = Budget.max_steps
    max_examples: int | None = None
    max_tokens: int = Budget.max_tokens
    batch_size: int | None = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_targets: str = ",".join(LoraSpec.target_modules)
    grid_format: str | None = None
    save_adapters: str | None = None
    cache: str = "on"
    cache_file: str | None = None

    @classmethod
    def resolve(cls, **given: Any) -> Settings:
        """Check `given` and fill in the model's own defaults. Raises SettingError."""
        hints = get_type_hints(cls)
        for name, value in given.items():
            if name not in hints:
                close = get_close_matches(name, hints, n=1)
                raise SettingError(name, value, f"a known setting{f'; did you mean {close[0]!r}?' if close else ''}")
            _check_type(name, value, hints[name])
        own = MODEL_DEFAULTS.get(given.get("model", cls.model), {})
        for name, fallback in FALLBACKS.get(given.get("domain", cls.domain), {}).items():
            if given.get(name) is None:
                given[name] = own.get(name, fallback)
        if given.get("evaluator") == "vllm":
            given["evaluator_url"] = server_address("evaluator_url", given.get("evaluator_url"))
            given.setdefault("cache", "off")
        settings = cls(**given)
        settings._check()
        return settings

    def _check(self) -> None:
        for name, legal in CHOICES.items():
            if getattr(self, name) not in legal:
                raise SettingError(name, getattr(self, name), " or ".join(map(repr, legal)))
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise SettingError(name, getattr(self, name), f"at least {least}")
        if not math.isfinite(self.invalid_reward):
            raise SettingError("invalid_reward", self.invalid_reward, "a finite number")
        if not 0 < self.alpha < math.inf:
            raise SettingError("lora_alpha", self.lora_alpha, "a finite number above 0")
        if not all(name.strip() for name in self.lora_targets.split(",")):
            raise SettingError("lora_targets", self.lora_targets, "names of linear layers, separated by commas")
        self._check_training()
        self._check_domain()
        self._check_evaluator()
        if self.decode == "never" and (self.evaluation == "vote" or self.reward == "cell_accuracy"):
            raise SettingError(
                "decode", self.decode, "'failed' where evaluation='vote' or reward='cell_accuracy' need answers"
            )

    def _check_training(self) -> None:
        if not 0 < self.training.learning_rate <= 1:
            raise SettingError("default_learning_rate", self.default_learning_rate, "above 0 and at most 1")
        if not 0 <= self.training.num_train_epochs <= MAX_EPOCHS:
            raise SettingError("default_num_epochs", self.default_num_epochs, f"0 to {MAX_EPOCHS}")

    def _check_domain(self) -> None:
        """What only the other domain has."""
        for name, legal in ELSEWHERE[self.domain].items():
            if (value := getattr(self, name)) not in legal:
                options = " or ".join(map(repr, legal))
                raise SettingError(name, value, f"{options} where domain={self.domain!r}")
        if self.sequence > 1:
            for name, one in (("evaluator", "engine"), ("passages", 1), ("profile", "fixed")):
                if (value := getattr(self, name)) != one:
                    raise SettingError(name, value, f"{one!r} where sequence={self.sequence}")
            if self.reward == "gain":
                raise SettingError("reward", self.reward, "another one where sequence > 1 (reward_over='change' is alike)")
        for name in ("grader_model", "grader_url"):
            if getattr(self, name) is not None and self.grader == "lexical":
                raise SettingError(name, getattr(self, name), "None, unless grader='judge'")

    def _check_evaluator(self) -> None:
        if self.evaluator == "engine":
            for name in ("evaluator_url", "evaluator_model"):
                if (value := getattr(self, name)) is not None:
                    raise SettingError(name, value, "None, unless evaluator='vllm' has a server answer")
        elif self.cache != "off":  # what a server runs is no part of a job, by which results are found again
            raise SettingError("cache", self.cache, "'off' where evaluator='vllm' has a server answer")

    def _resolved(self, name: str) -> Any:
        value = getattr(self, name)
        return FALLBACKS[self.domain][name] if value is None else value

    @property
    def alpha(self) -> float:
        """The adapter's alpha, resolved."""
        return float(self._resolved("lora_alpha"))

    @property
    def lora(self) -> LoraSpec:
        """Shape of the adapter."""
        targets = tuple(name.strip() for name in self.lora_targets.split(","))
        return LoraSpec(self._resolved("lora_rank"), self.alpha, targets)

    @property
    def budget(self) -> Budget:
        """What one self-edit may cost."""
        return Budget(self.max_steps * self.passages, self._resolved("max_examples") * self.passages, self.max_tokens)

    @property
    def training(self) -> TrainingConfig:
        """How a self-edit without a `training` call is trained."""
        rate, epochs = self._resolved("default_learning_rate"), self._resolved("default_num_epochs")
        return TrainingConfig(learning_rate=float(rate), num_train_epochs=epochs)

    @property
    def recipe(self) -> Recipe:
        """How the update is done."""
        own = {"batch_size": self._resolved("batch_size"), "learn_end": self._resolved("learn_end") == "on"}
        return replace(PROFILES[self.profile], **{**own, **RECIPES[self.domain]})


def _check_type(name: str, value: object, hint: Any) -> None:
    """Raise SettingError unless `value` is of the field's type; an int is a float, a bool is neither."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if float in kinds:
        kinds = (*kinds, int)
    if not isinstance(value, kinds) or isinstance(value, bool):
        names = " or ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
        raise SettingError(name, value, names)
