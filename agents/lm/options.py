"""Options of the agents that are language models: which model writes self-edits, and how it is sampled."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from seal_env.agents.lm.text_styles import ALL_STYLES, StyleName
from seal_env.errors import SettingError
from seal_env.options import Names, Options, Paths, PathText
from seal_env.serving.address import AddressText

SAME: Final = "same"
"""The policy model is the base model of the environment, as in SEAL."""


class PolicyOptions(Options):
    """What all of these agents have in common."""

    policy_model: PathText = SAME
    """Who writes the self-edits: same (the environment's base model), a Hugging Face id or a local directory (local_hf), the
    name of a served model (openai_compatible)."""
    temperature: float = Field(1.0, ge=0)
    """Sampling temperature; 0 is greedy."""
    max_new_tokens: int = Field(512, ge=1)
    """Most tokens of an answer."""
    style: StyleName | None = None
    """What the prompt asks for: tools (tool calls), or texts where the domain learns from texts: in one of the paper's
    styles, or facts (a short prompt for small models). None is implications there and tools anywhere else."""


class LocalPolicyOptions(PolicyOptions):
    """Options of the agent `local_hf`, and of the policy that a trainer begins with."""

    policy_adapter: Paths = ()
    """Directories of LoRA adapters in PEFT format on top of the policy model, separated by commas; their changes add up, as
    those of ReST-EM's rounds do."""
    policy_device: str = "auto"
    """Where the policy model runs: auto (CUDA where there is one), cpu, cuda, cuda:N or mps."""
    constrained: bool = False
    """Sample only tokens that lead to a valid self-edit; not for texts."""
    mix: Names = ()
    """Styles of texts in which the policy is asked one after the other, separated by commas; its replies, one for each name,
    are one self-edit. Empty is one reply in style."""
    best_of: int = Field(1, ge=1, le=1000)
    """Replies that are sampled for each one that is written; proxy chooses it, without an update."""
    proxy: Literal["words", "likelihood"] = "words"
    """By what the best of several replies is chosen: words (the most different words) or likelihood (the highest mean log
    probability of its tokens)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for each in self.mix:
            if each not in ALL_STYLES:
                raise SettingError("mix", each, " or ".join(map(repr, ALL_STYLES)))
        if self.mix and self.style is not None:
            raise SettingError("style", self.style, "None where there is a mix of styles")
        if self.constrained and (self.mix or self.style in ALL_STYLES):
            name, value = ("mix", ",".join(self.mix)) if self.mix else ("style", self.style)
            raise SettingError("constrained", True, f"False where {name}={value!r}: texts have no grammar")
        return self


class ServedPolicyOptions(PolicyOptions):
    """Options of the agent `openai_compatible`."""

    base_url: AddressText | None = None
    """Address of the OpenAI-compatible server; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1. The key is taken
    from OPENAI_API_KEY."""
    forms: Names | None = None
    """Forms of request that may be used, the strictest first, separated by commas: tools, structured_outputs, json_schema,
    text. A single one is used without trying it, as text for a model that was trained to answer in text; None is all."""
    concurrency: int = Field(16, ge=1)
    """Most requests at one time."""
    timeout: float = Field(120.0, gt=0)
    """Seconds for one request, until the whole answer is there."""
    retries: int = Field(4, ge=0)
    """Further attempts after a request that failed, with back-off."""
