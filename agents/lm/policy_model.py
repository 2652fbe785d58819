"""A language model that writes self-edits: loaded through transformers, and sampled reproducibly in batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from safetensors import SafetensorError
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList

from seal_env.agents.lm.constrained import SelfEditGrammar
from seal_env.agents.lm.policy_chat import PolicyChat, as_action
from seal_env.agents.lm.policy_prompt import PolicyPrompt
from seal_env.errors import ModelError, PolicyError, SettingError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.memory import in_halves

BATCH_TOKENS: Final = 2**16
"""Tokens, prompts and answers together, that are generated at one time."""

Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Generation:
    """One answer of a policy model.

    text: what it says, without special tokens. token_ids: as sampled, with the token that ended the turn. finished: there
    was one. logprob: natural logarithm of the probability with which token_ids were drawn, temperature and constraint
    included; at temperature 0 that of drawing them at temperature 1.
    """

    text: str
    token_ids: tuple[int, ...]
    finished: bool
    logprob: float

    @property
    def action(self) -> str:
        """The text as the environment reads it."""
        return as_action(self.text)


class PolicyModel:
    """A causal language model, with LoRA adapters on top if there are any, that answers observations.

    It works on modules of its own that share their weights with `base`, which stays as it is. `model` is the Hugging Face
    model, a PeftModel if there are adapters, without gradients. Not to be used by several threads at once.
    """

    def __init__(
        self,
        base: FrozenLM,
        adapters: Sequence[str | Path] = (),
        constrained: bool = False,
        tools: bool = True,
        chat: PolicyChat | None = None,
    ) -> None:
        """adapters: folders in PEFT format; the adapters' changes add up. constrained: only valid self-edits are written.

        tools, chat: see PolicyPrompt; a constrained answer is a plain list of calls, so its prompt has none in the template.
        Raises ModelError for an adapter that does not fit, and SettingError if texts are to be constrained, or the library
        that constrains is missing.
        """
        chat = chat or PolicyChat()
        if constrained and chat.wants_texts:
            raise SettingError("constrained", True, f"False where style={chat.style!r}: texts have no grammar")
        self.base = base
        own = share(base.model)
        own.generation_config = GenerationConfig()  # a model's own may ask for penalties and cuts that were not asked for
        self.model: Any = _with_adapters(own, adapters) if adapters else own
        self.prompt = PolicyPrompt(base, tools and not constrained, chat)
        stop_ids = self.prompt.stop_ids
        self._grammar = SelfEditGrammar(base.tokenizer, stop_ids, chat.tools) if constrained else None

    def too_long(self, observation: str) -> str | None:
        """Why the model cannot be asked this: its prompt leaves no room for an answer. None if it does."""
        return self._too_long(self.prompt.encode(observation))

    def _too_long(self, prompt: Prompt) -> str | None:
        if len(prompt) < self.base.max_tokens:
            return None
        return f"the prompt takes {len(prompt)} tokens; {self.base.name!r} takes {self.base.max_tokens}, answer included"

    def sample(
        self,
        observations: Sequence[str],
        seed: int,
        temperature: float = 1.0,
        max_new_tokens: int = 512,
        first: int = 0,
    ) -> list[Generation]:
        """One answer for each observation, drawn from the whole vocabulary; `temperature` 0 takes the likeliest tokens.

        Answer i is drawn with random numbers of its own, which depend on `seed` and on first + i alone, so it does not
        depend on the observations beside it but for rounding: a batch of another shape moves logits by some 1e-6 in fp32
        and 1e-2 in bf16, which changes a token where the draw was that close. Equal calls give equal answers on one machine.
        torch's global random state is neither read nor moved. Equal observations share the work on their prompt.
        An answer ends after max_new_tokens, or where the model's context does. Raises PolicyError for a prompt that is too
        long (see `too_long`) or for which memory runs out.
        """
        prompts = [self.prompt.encode(observation) for observation in observations]
        for reason in filter(None, map(self._too_long, prompts)):
            raise PolicyError(reason)
        limits = [min(max_new_tokens, self.base.max_tokens - len(prompt)) for prompt in prompts]
        samples: dict[int, Generation] = {}

        def work(places: Sequence[int]) -> None:
            limit = limits[places[0]]
            draws = np.stack([np.random.default_rng((seed, first + place)).random(limit) for place in places])
            found = self._generate([prompts[place] for place in places], draws, temperature)
            samples.update(zip(places, found, strict=True))

        def give_up(place: int) -> None:
            raise PolicyError(f"memory ran out for one prompt of {len(prompts[place])} tokens")

        for places in _batches(prompts, limits):
            in_halves(places, work, give_up)
        return [samples[place] for place in range(len(observations))]

    @torch.no_grad()
    def _generate(self, prompts_B: Sequence[Prompt], draws_BT: NDArray[np.float64], temperature: float) -> list[Generation]:
        """Answers to prompts of one batch. draws_BT: a uniform number for each token that may come."""
        batch = self._pad(prompts_B)
        draw = SeededDraw(torch.from_numpy(draws_BT).to(self.base.device), temperature)
        processors = LogitsProcessorList([draw])
        if self._grammar is not None:
            processors.insert(0, self._grammar.processor(len(prompts_B)))
        output = self.model.generate(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            past_key_values=self._prefill(batch),
            generation_config=self._config(draws_BT.shape[1]),
            logits_processor=processors,
        )
        answers = output[:, batch.ids.shape[1] :].tolist()
        logprobs = torch.stack(draw.logprobs_T, dim=1).tolist()
        return [self._sample(ids, logs) for ids, logs in zip(answers, logprobs, strict=True)]

    def _config(self, limit: int) -> GenerationConfig:
        pad = self.base.tokenizer.pad_token_id
        return GenerationConfig(
            do_sample=False, max_new_tokens=limit, eos_token_id=list(self.prompt.stop_ids), pad_token_id=pad
        )

    def _pad(self, prompts_B: Sequence[Prompt]) -> _Batch:
        different = list(dict.fromkeys(prompts_B))
        longest, pad, device = max(map(len, different)), self.base.tokenizer.pad_token_id, self.base.device
        ids = torch.tensor([[pad] * (longest - len(each)) + list(each) for each in different], device=device)
        mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in different], device=device)
        rows = torch.tensor([different.index(prompt) for prompt in prompts_B], device=device)
        return _Batch(ids[rows], mask[rows], ids, mask, rows)

    def _prefill(self, batch: _Batch) -> DynamicCache | None:
        """The cache of all tokens of the prompts but the last, computed once for equal prompts; None if there are none."""
        if len(batch.different_ids) == len(batch.rows) or batch.ids.shape[1] < 2:
            return None
        config = self._config(1)
        config.return_dict_in_generate = True
        output = self.model.generate(
            input_ids=batch.different_ids[:, :-1], attention_mask=batch.different_mask[:, :-1], generation_config=config
        )
        cache = output.past_key_values
        if not isinstance(cache, DynamicCache):
            return None
        cache.batch_select_indices(batch.rows)
        return cache

    def _sample(self, ids: list[int], logprobs: list[float]) -> Generation:
        ends = next((place for place, token in enumerate(ids) if token in self.prompt.stop_ids), None)
        said = ids if ends is None else ids[: ends + 1]
        text = str(self.base.tokenizer.decode(ids[:ends], skip_special_tokens=True))
        return Generation(text, tuple(said), ends is not None, float(sum(logprobs[: len(said)])))


class _Batch(NamedTuple):
    """Prompts padded on the left, int64 [B, T] and [different prompts, T]; rows: which of these each of the B is."""

    ids: torch.Tensor
    mask: torch.Tensor
    different_ids: torch.Tensor
    different_mask: torch.Tensor
    rows: torch.Tensor


class SeededDraw(LogitsProcessor):
    """Makes greedy decoding a draw: of a row's tokens only the one is left at which the row's next uniform number points.

    That is sampling by the inverse of the distribution function: one number decides a token, whatever the other rows are,
    and no random state is used up. logprobs_T: [B] for each step, the logarithm of the probability of what was drawn.
    """

    def __init__(self, draws_BT: torch.Tensor, temperature: float) -> None:
        self._draws, self._temperature = draws_BT, temperature
        self.logprobs_T: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Logits [B, vocabulary] -> the same shape, minus infinity everywhere but at the drawn token."""
        step = min(len(self.logprobs_T), self._draws.shape[1] - 1)
        logprobs = torch.log_softmax(scores.double() / (self._temperature or 1.0), dim=-1)
        if self._temperature == 0:
            chosen = logprobs.argmax(-1, keepdim=True)
        else:
            reached = logprobs.exp().cumsum(-1)
            wanted = self._draws[:, step, None] * reached[:, -1:]
            chosen = torch.searchsorted(reached, wanted, right=True).clamp(max=scores.shape[1] - 1)
        self.logprobs_T.append(logprobs.gather(1, chosen).squeeze(1))
        return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)


def _batches(prompts: Sequence[Prompt], limits: Sequence[int]) -> Iterator[list[int]]:
    """Places of the prompts that are answered together: those of like length, equal ones side by side, within the bound."""
    batch: list[int] = []
    for place in sorted(range(len(prompts)), key=lambda each: (limits[each], len(prompts[each]), prompts[each])):
        cost = (len(prompts[place]) + limits[place]) * (len(batch) + 1)
        if batch and (cost > BATCH_TOKENS or limits[place] != limits[batch[0]]):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _with_adapters(model: Any, adapters: Sequence[str | Path]) -> PeftModel:
    """The model with all of these LoRA adapters at work. PEFT draws weights before it reads them: not from our caller."""
    for folder in map(Path, adapters):
        missing = [name for name in ("adapter_config.json", "adapter_model.safetensors") if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"policy_adapter={str(folder)!r} has no {missing[0]}; expected a folder in PEFT format")
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        try:
            peft = PeftModel.from_pretrained(model, str(adapters[0]), adapter_name="0")
            for number, further in enumerate(adapters[1:], 1):
                peft.load_adapter(str(further), adapter_name=str(number))
        except (RuntimeError, ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ModelError(
                f"policy_adapter={[str(each) for each in adapters]} does not fit the model: {reason}"
            ) from error
    tuner: Any = peft.base_model  # the PeftModel itself switches on one adapter at most
    tuner.set_adapter([str(number) for number in range(len(adapters))])
    peft.requires_grad_(False).eval()
    return peft
