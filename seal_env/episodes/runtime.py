"""Runtime: what the episodes of one environment, or of many that run together, have in common."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from seal_env.domains.registry import load_taskset
from seal_env.domains.rewards import make_reward
from seal_env.episodes.fitting import FittingTaskset, longest_query
from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop import make_inner_loop, release_memory
from seal_env.inner_loop.adapted import NOTHING_SAID, adapted_layers
from seal_env.inner_loop.wrapped import hold, model_of, release
from seal_env.journal import storage_errors
from seal_env.self_edits.compile import Rules
from seal_env.self_edits.optional_tools import optional_tools
from seal_env.settings import Settings
from seal_env.store import cache_path
from seal_env.tools.registry import check_tools, choose_tools
from seal_env.types import InnerLoop, Task, Taskset

NO_FOLDER: Final = (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENOENT, errno.ELOOP, errno.EINVAL)
"""Errors of a path that can be no folder, whatever the state of the disk."""


class Runtime:
    """Settings, task set, domain, tools and reward, and the inner loop that does the updates.

    A copy shares what never changes, the model among it. What is pickled is the settings and what was found out; the process
    that unpickles it loads the tasks again, and the model when it is needed.

    Args:
        settings: Of the environment.
        inner_loop: What trains and answers; None is the one that the settings name, which `load` makes.

    Raises:
        UnknownTaskError, TaskError, SettingError: For the task set, the tools or the reward that the settings name.
    """

    def __init__(self, settings: Settings, inner_loop: InnerLoop | None = None) -> None:
        self._prepare(settings)
        if inner_loop is not None:
            self.use(inner_loop)

    def _prepare(self, settings: Settings) -> None:
        """All but the inner loop."""
        self.settings = settings
        self.spec = settings.spec
        self.taskset: Taskset[Any, Any] = load_taskset(self.spec, settings.subset, settings.options)
        """The tasks; once a model is loaded, those that are not too long for it."""
        self.all_tasks = self.taskset
        self._problems: dict[str, str] = {}
        results = cache_path(settings.cache_file) if settings.cache == "on" else None
        self.domain = self.spec.make(settings.options, results.parent if results else None)
        self.tools = choose_tools(settings.own_tools, settings.tools, optional_tools(settings.lora, settings.method))
        check_tools(self.tools, self.domain)
        self._check_examples()
        self.reward = make_reward(settings.reward, self.spec.partial_metric)
        self.budget = settings.budget
        self.adapted = NOTHING_SAID
        """What updates change, once a model is loaded."""
        self.about_model: dict[str, str] = {}
        """Number type and, of a model from the hub, the commit; empty until a model is loaded."""
        self._inner_loop: InnerLoop | None = None
        self._from_settings = self._was_loaded = False
        self._saved = 0

    def _check_examples(self) -> None:
        """Refuse tools with which there is never anything to train on."""
        task = None if any(tool.makes_examples for tool in self.tools) else next(iter(self.taskset), None)
        if task is None or self.domain.add_default_examples(self.domain.segments(task.context)[0], None) is not None:
            return
        makers = " or ".join(tool.name for tool in self.spec.tools if tool.makes_examples) or "one of your own"
        raise SettingError("tools", ",".join(tool.name for tool in self.tools), f"some that make examples: {makers}")

    @property
    def inner_loop(self) -> InnerLoop:
        """What trains and answers; loaded again after unpickling. Raises ModelError before `load`."""
        if self._inner_loop is None and self._was_loaded:
            self.load()
        if self._inner_loop is None:
            raise ModelError("no model is loaded yet: call load() first")
        return self._inner_loop

    def load(self) -> None:
        """Make the inner loop that the settings name, unless there is one: its model stays the same. Raises ModelError."""
        if self._inner_loop is None:
            used = self.settings
            cache, evaluator = (used.cache, used.cache_file), (used.evaluator_url, used.evaluator_model)
            model = (used.inner_loop, used.model, used.device)
            how, weights = (used.template, used.deterministic), (used.dtype, used.revision)
            made = make_inner_loop(*model, *cache, *evaluator, *how, used.worker_plan, *weights)
            self.use(made)
            self._from_settings = True
            hold(made, self)

    def use(self, inner_loop: InnerLoop) -> None:
        """Train with `inner_loop`; the budget drops examples that its model cannot take, and the task set such tasks."""
        if inner_loop is self._inner_loop and self.taskset is not self.all_tasks:
            return
        self.adapted = adapted_layers(inner_loop, self.settings.lora, self.settings.method)
        if (base := model_of(inner_loop)) is not None:
            self.about_model = base.about
        self._inner_loop, self._problems = inner_loop, {}
        self._from_settings, self._was_loaded = False, True
        self.taskset = FittingTaskset(self.all_tasks, self.problem_of)
        longest = inner_loop.max_tokens(self.settings.recipe) + 1
        self.budget = replace(self.settings.budget, max_tokens=min(self.settings.max_tokens, longest))

    def close(self) -> None:
        """Unload the model and end workers, unless another environment has them. What needs them later starts them again."""
        if self._inner_loop is None or not self._from_settings:
            return
        release(self._inner_loop, self)
        base, self._inner_loop = model_of(self._inner_loop), None
        released = base is not None and base.release()
        del base  # or else the memory is still in use when it is to be released
        if released:
            release_memory()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = memo[id(self)] = type(self).__new__(type(self))
        vars(copied).update(self._copied(memo))
        if self._from_settings and self._inner_loop is not None:
            hold(self._inner_loop, copied)
        return copied

    def _copied(self, memo: dict[int, Any]) -> dict[str, Any]:
        """Attributes of a copy."""
        return dict(vars(self))

    def __getstate__(self) -> dict[str, Any]:
        names = ("settings", "budget", "adapted", "about_model", "_problems", "_was_loaded", "_saved")
        kept = {name: vars(self)[name] for name in names}
        return kept if self._from_settings else kept | {"_inner_loop": self._inner_loop}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._prepare(state["settings"])
        vars(self).update(state)
        if self._was_loaded:
            self.taskset = FittingTaskset(self.all_tasks, self.problem_of)

    def problem_of(self, task: Task[Any, Any]) -> str:
        """Why the model cannot be asked about a task; empty if it can, and before `load`."""
        if not self._was_loaded:
            return ""
        if task.task_id not in self._problems:
            self._problems[task.task_id] = longest_query(self.domain.queries(task, 0), self.inner_loop)
        return self._problems[task.task_id]

    @property
    def rules(self) -> Rules:
        """What holds for every self-edit here."""
        return Rules(self.budget, self.settings.recipe, self.tools, self.settings.training)

    def adapter_directory(self, task_id: str) -> Path | None:
        """A new, empty directory for an adapter, unlike that of any other run, process or copy; None if none is saved.

        Raises:
            SettingError: If `save_adapters` can be no folder.
            StorageError: If the disk is full, or the folder cannot be written to.
        """
        if not self.settings.save_adapters:
            return None
        name = folder_name(task_id)
        while True:
            directory = Path(self.settings.save_adapters) / f"{self._saved:04d}-{name}"
            self._saved += 1
            with storage_errors(directory):
                try:
                    directory.mkdir(parents=True)
                except FileExistsError:
                    continue
                except OSError as error:
                    if error.errno not in NO_FOLDER:
                        raise
                    legal = f"a folder that can be written to ({error.strerror})"
                    raise SettingError("save_adapters", self.settings.save_adapters, legal) from error
            return directory


def folder_name(task_id: str) -> str:
    """A task's id where it can name a folder anywhere, or else what is left of it with a digest, so that ids stay apart."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", task_id)[:60].strip(".-")
    return name if name == task_id else f"{name}-{sha256(task_id.encode(errors='replace')).hexdigest()[:8]}".lstrip("-")
