"""The frozen base model and its tokenizer: loaded once in a process, shared by every environment, never changed."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers.utils import logging as transformers_logging

from seal_env.errors import ModelError, SettingError
from seal_env.forking import Lock
from seal_env.inner_loop.model.adapter_files import begin_directory
from seal_env.inner_loop.model.files import load_model, load_tokenizer, reason_of
from seal_env.inner_loop.model.fingerprint import fingerprint
from seal_env.inner_loop.model.hub import resolve_source
from seal_env.inner_loop.model.stamp import Stamp, stamp_of
from seal_env.inner_loop.model.targets import FLOATS, Targets, find_targets
from seal_env.inner_loop.model.threads import one_thread_in_forks
from seal_env.inner_loop.tokens.arguments import DEFAULT, TemplateArguments
from seal_env.inner_loop.tokens.token_cache import JobEncoder
from seal_env.models.catalog import MODEL_DIRECTORIES
from seal_env.types import AdaptedLayers, InnerLoop, LoraSpec, UpdateMethod

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
    """

    name: str
    model: Any
    tokenizer: Any
    device: torch.device
    max_tokens: int
    template: TemplateArguments = DEFAULT
    inner_loops: dict[str, InnerLoop] = field(default_factory=dict)

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
        """
        begin_directory(directory)
        self.model.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)

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


def choose_device(device: str) -> torch.device:
    """The device of this name; `auto` is CUDA if available, otherwise the CPU. Equal devices compare equal.

    Raises:
        SettingError: There is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not count):
        return torch.device("cpu")
    if device != "auto" and not re.fullmatch("cuda(:[0-9]{1,3})?", device):
        raise SettingError("device", device, "'auto', 'cpu', 'cuda' or 'cuda:N'")
    index = int(device.partition(":")[2] or 0)
    if not count:
        raise SettingError("device", device, "'auto' or 'cpu': this machine has no CUDA device that torch can use")
    if index >= count:
        raise SettingError("device", device, f"'cuda:0' to 'cuda:{count - 1}': there are {count} CUDA devices")
    return torch.device("cuda", index)


class _Loaded(NamedTuple):
    """A model that was loaded from files with this stamp, by what its chat template is given."""

    stamp: Stamp
    models: dict[TemplateArguments, FrozenLM]


_LOADED: dict[tuple[str, torch.device], _Loaded] = {}
_LOADING = Lock()
_KEPT = 4


def load_base_model(name: str, device: str = "auto", template: TemplateArguments = DEFAULT) -> FrozenLM:
    """Load a model, in fp32 on a CPU and in bf16 on CUDA.

    Equal arguments give the same object, unless the model's files have changed: then they are reloaded. Models that
    differ in `template` share their weights.

    Only safetensors are read, and no code of the model's repository is run; see `seal_env.inner_loop.model.files`.

    Args:
        name: A bundled model ("seal-tiny", "seal-tiny-text"), a local directory or a Hugging Face id.
        device: See `choose_device`.
        template: What the chat template is given beside messages.

    Raises:
        ModelError: The model or its tokenizer cannot be loaded, or lacks what inner loops need.
        SettingError: There is no such device.
    """
    one_thread_in_forks()
    source, key = str(MODEL_DIRECTORIES.get(name, name)), (name, choose_device(device))
    with _LOADING.held():
        now, loaded = stamp_of(source), _LOADED.pop(key, None)
        if loaded is None or loaded.stamp != now:
            base = _load(name, key[1])
            loaded = _Loaded(now or stamp_of(source), {base.template: base})  # files of the hub may be new
        _LOADED[key] = loaded
        for oldest in list(_LOADED)[:-_KEPT]:
            del _LOADED[oldest]
        if template not in loaded.models:
            loaded.models[template] = next(iter(loaded.models.values())).with_template(template)
        return loaded.models[template]


def _load(name: str, device: torch.device) -> FrozenLM:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with loading(name) as source:
        tokenizer = load_tokenizer(source)
        model: Any = load_model(source, dtype)
    with_defaults(tokenizer, name)
    model.requires_grad_(False).eval().to(device)
    if device.type == "cpu":
        for weight in model.parameters():  # older transformers map them from the file, which may be saved again
            weight.data = weight.data.clone()
    return FrozenLM(name, model, tokenizer, device, context_length(model, tokenizer))


@contextmanager
def loading(name: str) -> Iterator[str]:
    """A context for loading parts of a model from where it is. Raises ModelError for every error in it."""
    transformers_logging.disable_progress_bar()
    try:
        yield resolve_source(str(MODEL_DIRECTORIES.get(name, name)))
    except Exception as error:  # what a library raises for a file that somebody else wrote
        known = " or ".join(map(repr, MODEL_DIRECTORIES))
        raise ModelError(
            f"model={name!r} cannot be loaded: {reason_of(error)}. Expected {known}, a directory or a hub id"
        ) from error


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
