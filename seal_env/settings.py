"""The settings of an environment: what `gym.make` takes as keyword arguments, checked once and resolved to what is used.

`Settings` has what all domains share; `Settings.options` has the settings of the domain alone. Both are given flat.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from seal_env.domains.base import DomainOptions, DomainSpec
from seal_env.domains.registry import DEFAULT_DOMAIN, get_domain
from seal_env.domains.rewards import RELATIVE, Reward, make_reward
from seal_env.errors import SettingError
from seal_env.inner_loop.optim.registry import check_recipe
from seal_env.inner_loop.tokens.arguments import DATE, TemplateArguments, is_argument, is_date
from seal_env.inner_loop.workers.options import EVERY_GPU, LOCAL, WorkerPlan
from seal_env.inner_loop.workers.remote import REMOTE_INNER_LOOPS
from seal_env.models.catalog import MODEL_DEFAULTS, MODEL_NAME, is_hub_id
from seal_env.options import JsonText, Names, Options, PathText, unknown_setting
from seal_env.serving.address import AddressText, server_address
from seal_env.tools.base import Tool
from seal_env.tools.common.rehearse import REHEARSE
from seal_env.types import PROFILES, Budget, LoraSpec, Recipe, TrainingConfig, UpdateMethod

MAX_EPOCHS = 20
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
"""A branch, a tag or a commit of the hub."""
DEVICE = re.compile("auto|cpu|mps|cuda(:[0-9]{1,3}|:all)?")
LAYER_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""The last part of a layer's name in the model."""


class Settings(Options):
    """Settings of one environment. `resolve` makes them; None stands for the default of the model or the domain."""

    domain: str = DEFAULT_DOMAIN
    """Kind of task; set by the environment's id."""
    subset: PathText = "seal-train"
    """Task set: a name, a name with a count (mini-eval:20), comma-separated task ids, or a path; `seal-env tasks list` shows
    the names."""
    tools: Names | None = None
    """Tools of a self-edit, in order; the default is the domain's."""
    model: PathText = MODEL_NAME
    """Base model: seal-tiny, seal-tiny-text or seal-tiny-text-wide (bundled), a Hugging Face id or a local directory."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu, cuda, cuda:N (GPUs of NVIDIA, or of AMD with ROCm), cuda:all (a worker on each
    GPU of this machine) or mps (those of Apple). One device holds the whole model."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of the base model's weights: auto (bfloat16 on CUDA, else float32), float32 or bfloat16. Adapters are
    trained in float32 always."""
    revision: str | None = None
    """Branch, tag or commit of a model from the Hugging Face hub; None is its main branch. Other models have none."""
    chat_template_kwargs: JsonText = "{}"
    """Arguments of the base model's chat template, as a JSON object: {"enable_thinking": false}. An argument that the
    template does not use is an error."""
    template_date: str = DATE
    """Today's date for the chat template (those of Llama 3.2 and gpt-oss write it), as YYYY-MM-DD."""
    inner_loop: str = "batched"
    """What runs the weight updates: batched (many adapters in one pass), reference (PEFT, one at a time) or ray (batched, in
    workers on this machine or on a cluster, see docs/scaling.md)."""
    workers: int | None = Field(None, ge=1)
    """Workers of inner_loop=ray; None is one for each GPU of the cluster, or for each CPU core where it has none."""
    ray_address: str = LOCAL
    """The Ray cluster with the workers: local (Ray is started on this machine), auto or host:port."""
    worker_options: JsonText = "{}"
    """What Ray gives each worker, as a JSON object: num_cpus, num_gpus, memory, accelerator_type, resources,
    scheduling_strategy, runtime_env."""
    deterministic: bool = False
    """Whether equal updates have equal results bit by bit on one device, whatever runs beside them: they train one at a time
    with deterministic kernels. Without it results depend on the others of a batch by rounding, and on a GPU from run to
    run."""
    profile: Literal["fixed", "paper"] = "fixed"
    """fixed, or paper: SEAL's published recipe with its quirks."""
    evaluator: Literal["local", "vllm"] = "local"
    """What answers the queries with the updated model: local (the inner loop itself) or vllm (a vLLM server, see
    docs/serving.md). A server's answers are not cached."""
    evaluator_url: AddressText | None = None
    """Address of that server, including /v1; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1."""
    evaluator_model: str | None = None
    """The server's name for the base model; None is the only model that it serves."""
    reward: str | Reward = "accuracy"
    """accuracy (share of queries solved), gain (accuracy minus the base model's), solved, the domain's partial credit
    (cell_accuracy, word_f1), or a callable (base, updated) -> float."""
    sequence: int = Field(1, ge=1)
    """Tasks of an episode of SEAL-Continual-v0, each learned for good; 1 anywhere else."""
    reward_over: Literal["seen", "new", "change"] = "seen"
    """Reward of a self-edit in SEAL-Continual-v0: seen (mean score over all tasks so far), new (score on the new task) or
    change (change of the mean over them)."""
    max_rehearsed: int = Field(0, ge=0)
    """Documents of earlier tasks that a self-edit in SEAL-Continual-v0 may rehearse, beside its own examples, with the tool
    rehearse; 0 is no such tool."""
    rehearse_from: Literal["documents", "samples"] = "documents"
    """What the tool rehearse takes: documents (of earlier tasks, as learned) or samples (what the model itself
    writes, after it has learned a task, when it is given the first half of each document)."""
    consolidation: Literal["merge", "average", "orthogonal", "retrieval"] = "merge"
    """How updates stay in SEAL-Continual-v0: merge (each is added to the weights), average (the mean of their changes is
    added), orthogonal (merged, each adapter with inputs that no earlier one reads) or retrieval (they stay apart, and a
    question picks its adapter)."""
    invalid_reward: float = 0.0
    """Reward of a step with a mistake of the agent, and of an update that diverged."""
    max_turns: int = Field(8, ge=1)
    """Most actions for each segment of a task; 1 is the paper's one-shot case."""
    learn_end: bool = False
    """Whether documents end with an end token, which is learned too; the default is the model's own."""
    decode: Literal["failed", "never"] = "failed"
    """failed: answers that are not exactly right are decoded, so that predictions can be shown; never: they are not, which
    is faster (only where a score needs no text)."""
    method: UpdateMethod = "lora"
    """lora (an adapter) or full (all weights of the model)."""
    optimizer: str = Recipe.optimizer
    """Optimizer of the updates: adamw, sgd or a registered one."""
    schedule: str = Recipe.schedule
    """Learning rate schedule after the warm-up: cosine, linear or a registered one; the default is the domain's own."""
    regularise: float = Field(Recipe.regularise, ge=0)
    """Weight of a term of the loss that keeps the updated model near to the model before: KL(before || now) over the tokens
    that carry loss. 0 is no such term; only with method=lora."""
    default_learning_rate: float = Field(TrainingConfig.learning_rate, gt=0, le=1)
    """Peak learning rate of a self-edit that sets none; the default is the model's or the domain's own."""
    default_num_epochs: int = Field(TrainingConfig.num_train_epochs, ge=0, le=MAX_EPOCHS)
    """Epochs of a self-edit that sets none; the default is the model's or the domain's own."""
    max_steps: int = Field(Budget.max_steps, ge=0)
    """Optimizer steps that a self-edit may take, for each segment of a task."""
    max_examples: int = Field(Budget.max_examples, ge=1)
    """Training examples that are trained on, after shuffling, for each segment; the default is the model's own."""
    max_tokens: int = Field(Budget.max_tokens, ge=2)
    """Training examples of this many tokens or more are dropped."""
    max_training_tokens: int = Field(Budget.max_training_tokens, ge=0)
    """Tokens that training may process (tokens of the examples times epochs), for each segment; the default is the model's
    own."""
    batch_size: int = Field(Recipe.batch_size, ge=1)
    """Examples of an optimizer step; the default is the model's or the domain's own."""
    lora_rank: int = Field(LoraSpec.rank, ge=1)
    """Rank of the adapter; the default is the model's or the domain's own."""
    lora_alpha: float = Field(LoraSpec.alpha, gt=0)
    """Scale of the adapter, times its rank; the default is the model's or the domain's own."""
    lora_targets: Names = LoraSpec.target_modules
    """Names of the linear layers that are adapted."""
    save_adapters: PathText | None = None
    """Directory for the adapters of all self-edits, in PEFT format; None is no directory."""
    cache: Literal["on", "read", "off"] = "on"
    """on (an update whose result is known is not trained again), read (known results are used, new ones are not stored) or
    off, as it is where a server answers."""
    cache_file: PathText | None = None
    """Where results are cached: an SQLite file, or a directory for one; None is SEAL_ENV_CACHE if it is set, or else the run
    folder of a command, or else the memory of the process."""
    options: SerializeAsAny[DomainOptions] = Field(default_factory=DomainOptions, exclude=True)
    """The domain's own settings."""

    @classmethod
    def resolve(cls, **given: Any) -> Settings:
        """Check settings and fill in the defaults of the model and the domain.

        Args:
            **given: Shared settings and the domain's own, side by side. None stands for the default.

        Raises:
            SettingError: For an unknown setting or a value that is not legal.
        """
        spec = get_domain(given.get("domain", DEFAULT_DOMAIN))
        shared, own = cls.model_fields.keys() - {"options"}, spec.options.model_fields.keys()
        for name in given:
            if name not in shared | own:
                raise unknown_setting(name, given[name], sorted(shared | own))
        given = _with_defaults(spec, given)
        options = spec.options.checked(**{name: value for name, value in given.items() if name in own})
        if given.get("evaluator") == "vllm":
            given["evaluator_url"] = server_address("evaluator_url", given.get("evaluator_url"))
            given.setdefault("cache", "off")
        return cls.checked(**{name: value for name, value in given.items() if name in shared}, options=options)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not math.isfinite(self.lora_alpha):
            raise SettingError("lora_alpha", self.lora_alpha, "a finite number above 0")
        self._check_names()
        self._check_revision()
        if self.profile not in self.spec.profiles:
            raise SettingError("profile", self.profile, f"{_or(self.spec.profiles)} where domain={self.domain!r}")
        if not is_date(self.template_date):
            raise SettingError("template_date", self.template_date, "a date, as YYYY-MM-DD")
        make_reward(self.reward, self.spec.partial_metric)
        if self.decode == "never" and self.scores_need_text:
            raise SettingError("decode", self.decode, "'failed' where a score needs the text of wrong answers")
        check_recipe(self.recipe)
        if self.regularise and self.method != "lora":
            raise SettingError("regularise", self.regularise, f"0 where method={self.method!r}")
        self._check_sequence()
        self._check_evaluator()
        self._check_workers()
        return self

    def _check_names(self) -> None:
        """What can be said without the model; its own layers and its template are read where it is loaded."""
        targets = self.lora_targets
        if not targets or len(set(targets)) < len(targets) or not all(map(LAYER_NAME.fullmatch, targets)):
            legal = "names of linear layers, each once, of letters, digits, _ and -: q_proj,v_proj"
            raise SettingError("lora_targets", ",".join(targets), legal)
        for name in self.template.by_name:
            if not is_argument(name):
                legal = "names of arguments that the template itself reads, not of those that transformers takes or gives it"
                raise SettingError("chat_template_kwargs", name, legal)

    def _check_revision(self) -> None:
        if self.revision is None:
            return
        if not is_hub_id(self.model):
            raise SettingError("revision", self.revision, "None, unless model is a Hugging Face id")
        if not REVISION.fullmatch(self.revision):
            raise SettingError("revision", self.revision, "a branch, a tag or a commit: main, v1.0, refs/pr/3")

    def _check_sequence(self) -> None:
        if self.rehearse_from != "documents" and not self.max_rehearsed:
            raise SettingError("rehearse_from", self.rehearse_from, "'documents' unless max_rehearsed > 0")
        if self.sequence == 1:
            if self.consolidation != "merge":
                raise SettingError("consolidation", self.consolidation, "'merge' unless sequence > 1")
            if self.max_rehearsed:
                raise SettingError("max_rehearsed", self.max_rehearsed, "0 unless sequence > 1: there are no earlier tasks")
            return
        if self.consolidation != "merge" and self.method != "lora":
            raise SettingError("consolidation", self.consolidation, f"'merge' where method={self.method!r}")
        for name, value, legal in (
            ("evaluator", self.evaluator, "local"),
            ("profile", self.profile, "fixed"),
        ):
            if value != legal:
                raise SettingError(name, value, f"{legal!r} where sequence={self.sequence}")
        if self.options.segments != 1:
            raise SettingError("passages", self.options.segments, f"1 where sequence={self.sequence}")
        if self.reward in RELATIVE:
            raise SettingError("reward", self.reward, "another one where sequence > 1 (reward_over='change' is alike)")

    def _check_evaluator(self) -> None:
        if self.evaluator == "local":
            for name in ("evaluator_url", "evaluator_model"):
                if (value := getattr(self, name)) is not None:
                    raise SettingError(name, value, "None, unless evaluator='vllm' has a server answer")
        elif self.cache != "off":  # what a server runs is no part of a job, by which results are found again
            raise SettingError("cache", self.cache, "'off' where evaluator='vllm' has a server answer")

    def _check_workers(self) -> None:
        if not DEVICE.fullmatch(self.device):
            raise SettingError("device", self.device, "'auto', 'cpu', 'cuda', 'cuda:N', 'cuda:all' or 'mps'")
        remote = self.inner_loop in REMOTE_INNER_LOOPS
        self.worker_plan.check(remote, self.device)
        if self.evaluator != "local" and (remote or self.device == EVERY_GPU):
            raise SettingError("evaluator", self.evaluator, "'local' where workers train")

    @property
    def worker_plan(self) -> WorkerPlan:
        """How many workers there are, where, and what each gets."""
        return WorkerPlan(self.workers, self.ray_address, self.worker_options)

    @property
    def scores_need_text(self) -> bool:
        """Whether the reward depends on the text of answers that are not exactly right."""
        return self.options.needs_text or self.reward == self.spec.partial_metric or callable(self.reward)

    @property
    def spec(self) -> DomainSpec:
        """The domain."""
        return get_domain(self.domain)

    @property
    def own_tools(self) -> tuple[Tool[Any], ...]:
        """The tools of a self-edit where the setting `tools` names none: the domain's, and `rehearse`."""
        *others, finetune = self.spec.tools
        return (*others, *([REHEARSE] if self.max_rehearsed else ()), finetune)

    @property
    def template(self) -> TemplateArguments:
        """What the base model's chat template is given beside messages."""
        return TemplateArguments(self.template_date, self.chat_template_kwargs)

    @property
    def lora(self) -> LoraSpec:
        """Shape of the adapter."""
        return LoraSpec(self.lora_rank, self.lora_alpha, self.lora_targets)

    @property
    def budget(self) -> Budget:
        """What one self-edit may cost, over all segments of a task."""
        segments = self.options.segments
        tokens = self.max_training_tokens * segments
        return Budget(self.max_steps * segments, self.max_examples * segments, self.max_tokens, tokens)

    @property
    def prompt_names_tokens(self) -> bool:
        """Whether the prompt names the budget of training tokens: everywhere but with a bundled model and its own default.

        The bundled models and their tokenizers learned the prompt as it was before there was such a budget, and results with
        them were measured so. Their valid self-edits do not get fewer by the sentence (100 each on mini-train and mini-eval:
        96 and 96 without it, 95 and 96 with it). The reply to a draft that is over the budget always says so.
        """
        return self.max_training_tokens != MODEL_DEFAULTS.get(self.model, {}).get("max_training_tokens")

    @property
    def training(self) -> TrainingConfig:
        """How a self-edit without a `training` call is trained."""
        return TrainingConfig(learning_rate=self.default_learning_rate, num_train_epochs=self.default_num_epochs)

    @property
    def recipe(self) -> Recipe:
        """How the update is done."""
        own = {name: getattr(self, name) for name in ("batch_size", "learn_end", "optimizer", "schedule", "regularise")}
        return replace(PROFILES[self.profile], **{**own, **self.spec.recipe})

    def flat(self) -> dict[str, Any]:
        """All settings by name, the domain's own too, as data that JSON and TOML can hold."""
        found = {**self.model_dump(exclude={"options"}), **self.options.model_dump()}
        return {name: _as_data(value) for name, value in found.items()}


def default_of(name: str) -> Any:
    """The default of a shared setting, where neither the model nor the domain has its own."""
    return Settings.model_fields[name].default


def _with_defaults(spec: DomainSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, and where it says nothing the defaults of the model, then those of the task set, then those of the domain."""
    chosen = {name: value for name, value in given.items() if value is not None}
    model = chosen.get("model", spec.defaults.get("model", MODEL_NAME))
    known = Settings.model_fields.keys() | spec.options.model_fields.keys()
    own = {name: value for name, value in MODEL_DEFAULTS.get(model, {}).items() if name in known}
    subset = chosen.get("subset", spec.defaults.get("subset", Settings.model_fields["subset"].default))
    return {**spec.defaults, **spec.subset_defaults(str(subset)), **own, **chosen}


def _as_data(value: Any) -> Any:
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    return list(value) if isinstance(value, tuple) else value


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(map(repr, names))
