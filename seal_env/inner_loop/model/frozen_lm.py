"""The frozen base model and its tokenizer: loaded once in a process, shared by every environment, never changed."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from transformers.utils import logging as transformers_logging

from seal_env.errors import ModelError
from seal_env.forking import Lock
from seal_env.inner_loop.model.adapter_files import new_directory
from seal_env.inner_loop.model.devices import choose_device, choose_dtype
from seal_env.inner_loop.model.files import load_config, load_model, load_tokenizer, reason_of
from seal_env.inner_loop.model.fingerprint import fingerprint
from seal_env.inner_loop.model.hub import commit_of, resolve_source
from seal_env.inner_loop.model.memory import release_memory
from seal_env.inner_loop.model.stamp import stamp_of
from seal_env.inner_loop.model.targets import FLOATS, Targets, find_targets
from seal_env.inner_loop.model.threads import one_thread_in_forks
from seal_env.inner_loop.tokens.arguments import DEFAULT, TemplateArguments
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.models.catalog import MODEL_DIRECTORIES
from seal_env.types import AdaptedLayers, InnerLoop, LoraSpec, UpdateMethod

logger = logging.getLogger(__name__)

# For tokenizers that come without a chat template: the contents, a blank line between them.
PLAIN_TEMPLATE = (
    "{{- bos_token or '' }}{%- for message in messages %}{{- message['content'] }}"
    "{%- if message['role'] == 'assistant' %}{{- eos_token }}{%- else %}{{- '\n\n' }}{%- endif %}{%- endfor %}"
)


@dataclass(frozen=True, eq=False)
class FrozenLM:
    """A causal language model in evaluation mode without gradients, its tokenizer and its device.

    Attributes:
        name: Its name, used in messages.
        model: The transformers model. It never has an adapter: inner loops work on modules of their own, see `share`.
        tokenizer: Its tokenizer.
        device: Where it is.
        max_tokens: Its context length in tokens.
        template: What its chat template is given beside messages.
        inner_loops: The inner loops on this model, with and without caches, by name.
        commit: Of the hub, that its files are from; None for those of a folder.
    """

    name: str
    model: Any
    tokenizer: Any
    device: torch.device
    max_tokens: int
    template: TemplateArguments = DEFAULT
    inner_loops: dict[str, InnerLoop] = field(default_factory=dict)
    commit: str | None = None

    def __post_init__(self) -> None:
        """Raise ModelError for a quantised model."""
        check_not_quantised(self.model, self.name)

    @cached_property
    def encoder(self) -> JobEncoder:
        """Encodes examples and queries as tokens, each once for all inner loops."""
        return JobEncoder(self)

    @cached_property
    def checks(self) -> dict[Any, Any]:
        """What was found out about the architecture, by what was asked: see `seal_env.inner_loop.model.plain`."""
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the model and its tokenizer, computed once; see `seal_env.inner_loop.model.fingerprint`."""
        return fingerprint(self.model, self.tokenizer, self.device)

    @property
    def embedding_rows(self) -> int:
        """How many tokens the model can read."""
        return embedding_rows(self.model)

    @property
    def pad_id(self) -> int:
        """The padding token; the token that ends a sequence where the model has no embedding for it.

        Raises:
            ModelError: The model has no embedding for either.
        """
        ids = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        for token in ids:
            if token is not None and token < self.embedding_rows:
                return int(token)
        raise ModelError(
            f"model={self.name!r}: its tokenizer's padding and end tokens are {ids[0]} and {ids[1]}, but its embedding has "
            f"{self.embedding_rows} rows. Use the model's own tokenizer"
        )

    def targets(self, spec: LoraSpec) -> Targets:
        """The layers that an adapter of this shape changes; see `find_targets`, whose errors it raises."""
        return find_targets(self.model, spec.target_modules)

    def adapted(self, spec: LoraSpec, method: UpdateMethod) -> AdaptedLayers:
        """What an update changes; see `seal_env.inner_loop.adapted`, whose errors it raises."""
        if method == "full":
            return AdaptedLayers({"all weights": sum(1 for _ in self.model.parameters())})
        targets = self.targets(spec)
        return AdaptedLayers(targets.counts, targets.missing)

    def beside(self, model: Any) -> FrozenLM:
        """Another model of this architecture with the same tokenizer; both share what is encoded and what was checked."""
        other = replace(self, model=model, inner_loops={})
        vars(other).update({name: getattr(self, name) for name in ("encoder", "checks")})
        return other

    def with_template(self, template: TemplateArguments) -> FrozenLM:
        """The same model with other arguments of its chat template."""
        return replace(self, template=template, tokenizer=copy.deepcopy(self.tokenizer), inner_loops={})

    def save(self, directory: Path) -> None:
        """Write model and tokenizer (safetensors), as transformers and vLLM load them.

        Raises:
            FileExistsError: There is something in the directory.
            StorageError: It cannot be written.
        """
        with new_directory(directory):
            self.model.save_pretrained(directory)
            self.tokenizer.save_pretrained(directory)

    @property
    def about(self) -> dict[str, str]:
        """The number type of its weights, and the commit. Without weights here, see `load_outline`, there is no type."""
        dtype = str(next(self.model.parameters()).dtype).removeprefix("torch.")
        found = {"dtype": None if self.device.type == "meta" else dtype, "commit": self.commit}
        return {name: value for name, value in found.items() if value is not None}

    def release(self) -> bool:
        """Have the model unloaded when nothing refers to it and `release_memory` is called.

        Returns:
            False for a bundled model, which is small and stays.
        """
        if self.name in MODEL_DIRECTORIES:
            return False
        with _LOADING.held():
            for key in [key for key, base in _KEPT.items() if base.model is self.model]:
                del _KEPT[key]
        return True

    def forget_fingerprint(self) -> None:
        """Have the fingerprint computed again, after the weights have changed."""
        vars(self).pop("fingerprint", None)


def share(model: Any, parameters: Sequence[torch.nn.Parameter] | None = None) -> Any:
    """A copy of a model's modules that shares the model's parameters and buffers.

    Args:
        model: The model.
        parameters: Used instead of the model's own, in the order of `model.parameters()`.
    """
    own = list(model.parameters())
    held = {id(tensor): used for tensor, used in zip(own, own if parameters is None else parameters, strict=True)}
    return copy.deepcopy(model, held | {id(tensor): tensor for tensor in model.buffers()})


def embedding_rows(model: Any) -> int:
    """How many tokens a model can read, which may be fewer than its tokenizer has."""
    return int(model.get_input_embeddings().weight.shape[0])


def check_not_quantised(model: Any, name: str) -> None:
    """Raise ModelError for a model whose weights are codes that other weights or tables explain."""
    if getattr(model, "is_quantized", False):
        raise ModelError(f"model={name!r} is quantised, and updates need full-precision weights. Use the original model")
    plain = (
        (each, weight.dtype in FLOATS and type(weight.data) is torch.Tensor) for each, weight in model.named_parameters()
    )
    odd = next((each for each, numbers in plain if not numbers), None)
    if odd is not None:
        raise ModelError(
            f"model={name!r} has weights that are not floating-point numbers: {odd!r} has {model.get_parameter(odd).dtype}. "
            f"Use a model in fp32, bf16 or fp16"
        )


_LOADED: WeakValueDictionary[tuple[object, ...], FrozenLM] = WeakValueDictionary()
"""By name, device, number type, revision, stamp of the files and template: every model that something still uses."""
_KEPT: dict[tuple[object, ...], FrozenLM] = {}
"""The models that stay although nothing may use them: the last ones, the newest last."""
_MOST_KEPT = 4
_LOADING = Lock()


def load_base_model(
    name: str, device: str = "auto", template: TemplateArguments = DEFAULT, dtype: str = "auto", revision: str | None = None
) -> FrozenLM:
    """Load a model.

    Equal arguments give the same object, unless the model's files have changed: then they are reloaded. Models that
    differ in `template` share their weights. The last four models stay loaded until `unload_models` or `FrozenLM.release`.

    Only safetensors are read, and no code of the model's repository is run; see `seal_env.inner_loop.model.files`.

    Args:
        name: A bundled model ("seal-tiny", "seal-tiny-text"), a local directory or a Hugging Face id.
        device: See `choose_device`.
        template: What the chat template is given beside messages.
        dtype: Of the weights, see `choose_dtype`.
        revision: Branch, tag or commit of a Hugging Face id; None is its main branch.

    Raises:
        ModelError: The model or its tokenizer cannot be loaded, or lacks what inner loops need.
        SettingError: There is no such device or number type.
    """
    one_thread_in_forks()
    source, where = str(MODEL_DIRECTORIES.get(name, name)), choose_device(device)
    kind = choose_dtype(dtype, where)
    with _LOADING.held():
        key = (name, where, kind, revision, stamp_of(source, revision))
        base = _LOADED.get((*key, template))
        if base is None:
            base = next((each for found, each in _LOADED.items() if found[:-1] == key), None)
            if base is None:
                base = _load(name, where, kind, revision)
                key = (*key[:-1], stamp_of(source, revision))  # files of the hub may be new
            base = base if base.template == template else base.with_template(template)
            _LOADED[*key, template] = base
        _keep(key, base)
        return base


def _keep(key: tuple[object, ...], base: FrozenLM) -> None:
    """Have a model stay, and others of the same name and kind, whose files were others, go."""
    for old in [each for each in _KEPT if each[:-1] == key[:-1]]:
        del _KEPT[old]
    _KEPT[key] = base
    for oldest in list(_KEPT)[:-_MOST_KEPT]:
        del _KEPT[oldest]


def unload_models() -> None:
    """Release the memory of every loaded model that no environment and no inner loop in use refers to."""
    with _LOADING.held():
        _KEPT.clear()
    release_memory()


def _load(name: str, device: torch.device, dtype: torch.dtype, revision: str | None) -> FrozenLM:
    with loading(name, revision) as (source, chosen):
        config = load_config(source, chosen)  # first: it may tell that nothing else should be read
        tokenizer = load_tokenizer(source, chosen)
        try:
            model: Any = load_model(source, dtype, device, chosen, config)
        except MemoryError:
            unload_models()
            model = load_model(source, dtype, device, chosen, config)
    with_defaults(tokenizer, name)
    model.requires_grad_(False).eval().to(device)
    if device.type == "cpu":
        for weight in model.parameters():  # they may be mapped from the file, which may be saved again
            weight.data = weight.data.clone()
    commit = commit_of(source, chosen)
    logger.debug("loaded %s from %s on %s, in %s", name, source, device, model.dtype)
    return FrozenLM(name, model, tokenizer, device, context_length(model, tokenizer), commit=commit)


@contextmanager
def loading(name: str, revision: str | None = None) -> Iterator[tuple[str, str | None]]:
    """A context for loading parts of a model from where it is: a folder, or an id and a revision of the hub.

    Raises ModelError for every error in it.
    """
    transformers_logging.disable_progress_bar()
    try:
        source = resolve_source(str(MODEL_DIRECTORIES.get(name, name)), revision)
        yield source, None if os.path.isdir(source) else revision
    except Exception as error:  # what a library raises for a file that somebody else wrote
        known = " or ".join(map(repr, MODEL_DIRECTORIES))
        legal = "" if isinstance(error, MemoryError) else f". Expected {known}, a directory or a hub id"
        raise ModelError(f"model={name!r} cannot be loaded: {reason_of(error)}{legal}") from error


def with_defaults(tokenizer: Any, name: str) -> None:
    """Give a tokenizer a padding token and a chat template if it has none. Raises ModelError for what else it lacks."""
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"model={name!r} has no fast tokenizer; token spans need one")
    if tokenizer.eos_token is None:
        raise ModelError(f"model={name!r}: its tokenizer has no end-of-sequence token")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE


def context_length(model: Any, tokenizer: Any) -> int:
    """Of a model, in tokens."""
    return int(getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length)
