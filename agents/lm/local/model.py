"""A language model that writes self-edits: loaded through transformers, and sampled reproducibly in batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList

from seal_env.agents.lm.chat import Chat, PolicyChat
from seal_env.agents.lm.local.adapters import with_adapters
from seal_env.agents.lm.local.constrained import SelfEditGrammar
from seal_env.agents.lm.local.prompt import PolicyPrompt
from seal_env.agents.lm.local.sampling import Generation, Prompt, SeededDraw, batches
from seal_env.errors import PolicyError, SettingError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, share
from seal_env.inner_loop.model.memory import in_halves
from seal_env.self_edits.call_forms.table import first_mark
from seal_env.thoughts import has_thought


class PolicyModel:
    """A causal language model, with LoRA adapters on top if there are any, that answers chats.

    It works on modules of its own that share their weights with `base`, which stays as it is. `model` is the Hugging Face
    model, a PeftModel if there are adapters, without gradients. Not to be used by several threads at once.

    Args:
        base: The model, frozen.
        chat: How the policy is prompted.
        adapters: Folders in PEFT format; the adapters' changes add up.
        constrained: Sample valid self-edits only. The prompt then has no tools in the template: the answer is a JSON list.
        tools: See PolicyPrompt.
        as_learned: See PolicyPrompt.

    Raises:
        ModelError: For an adapter that does not fit.
        SettingError: If texts are to be constrained, or the package that constrains is missing.
    """

    def __init__(
        self,
        base: FrozenLM,
        chat: PolicyChat,
        adapters: Sequence[str | Path] = (),
        constrained: bool = False,
        tools: bool = True,
        as_learned: bool = False,
    ) -> None:
        if constrained and chat.wants_texts:
            raise SettingError("constrained", True, f"False where style={chat.style!r}: texts have no grammar")
        self.base = base
        own = share(base.model)
        own.generation_config = GenerationConfig()  # a model's own may ask for penalties and cuts that were not asked for
        self.model: Any = with_adapters(own, adapters) if adapters else own
        self.prompt = PolicyPrompt(base, chat, tools and not constrained, as_learned)
        stop_ids = self.prompt.stop_ids
        self._grammar = SelfEditGrammar(base.tokenizer, stop_ids, chat.tools) if constrained else None

    def too_long(self, chat: Chat) -> str | None:
        """Why the model cannot answer this chat: it leaves no room for an answer. None if it does."""
        return self._too_long(self.prompt.encode(chat))

    def _too_long(self, prompt: Prompt) -> str | None:
        if len(prompt) < self.base.max_tokens:
            return None
        return f"the prompt takes {len(prompt)} tokens; {self.base.name!r} takes {self.base.max_tokens}, answer included"

    def sample(
        self,
        chats: Sequence[Chat],
        seed: int,
        temperature: float = 1.0,
        max_new_tokens: int = 512,
        first: int = 0,
    ) -> list[Generation]:
        """Sample one answer to each chat from the whole vocabulary.

        Answer i is drawn with random numbers of its own, which depend on `seed` and on first + i alone, so it does not
        depend on the chats beside it but for rounding: a batch of another shape moves logits by some 1e-6 in fp32 and 1e-2
        in bf16, which changes a token where the draw was that close. Equal calls give equal answers on one machine.
        torch's global random state is neither read nor moved. Equal chats share the work on their prompt.

        Args:
            chats: One for each answer.
            seed: Of all answers.
            temperature: 0 takes the likeliest tokens.
            max_new_tokens: Most tokens of an answer, which also ends where the model's context does.
            first: Number of the first answer in the sequence that belongs to `seed`.

        Raises:
            PolicyError: For a chat that is too long (see `too_long`), or for which memory runs out.
        """
        prompts = [self.prompt.encode(chat) for chat in chats]
        for reason in filter(None, map(self._too_long, prompts)):
            raise PolicyError(reason)
        limits = [min(max_new_tokens, self.base.max_tokens - len(prompt)) for prompt in prompts]
        samples: dict[int, Generation] = {}

        def work(batch: Sequence[int]) -> None:
            limit = limits[batch[0]]
            draws = np.stack([np.random.default_rng((seed, first + index)).random(limit) for index in batch])
            found = self._generate([prompts[index] for index in batch], draws, temperature)
            samples.update(zip(batch, found, strict=True))

        def fail(index: int) -> None:
            raise PolicyError(f"memory ran out for one prompt of {len(prompts[index])} tokens")

        for batch in batches(prompts, limits):
            in_halves(batch, work, fail)
        return [samples[index] for index in range(len(chats))]

    @torch.no_grad()
    def _generate(self, prompts_B: Sequence[Prompt], draws_BT: NDArray[np.float64], temperature: float) -> list[Generation]:
        """Answers to the prompts of one batch. draws_BT: see SeededDraw."""
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
        return [self._generation(ids, logs) for ids, logs in zip(answers, logprobs, strict=True)]

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

    def _generation(self, ids: list[int], logprobs: list[float]) -> Generation:
        end = next((index for index, token in enumerate(ids) if token in self.prompt.stop_ids), None)
        sampled = ids if end is None else ids[: end + 1]
        text = str(self.base.tokenizer.decode(ids[:end]))
        if first_mark(text) is None and not has_thought(text):
            text = str(self.base.tokenizer.decode(ids[:end], skip_special_tokens=True))
        logprob = float(sum(logprobs[: len(sampled)]))
        return Generation(text, tuple(sampled), end is not None, logprob, self.prompt.opened_thought)


class _Batch(NamedTuple):
    """Prompts padded on the left, int64 [B, T] and [different prompts, T]; rows: which of these each of the B is."""

    ids: torch.Tensor
    mask: torch.Tensor
    different_ids: torch.Tensor
    different_mask: torch.Tensor
    rows: torch.Tensor
