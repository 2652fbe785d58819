"""How a language model that writes self-edits is reached and sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seal_env.agents.lm.text_styles import STYLES, TOOLS
from seal_env.errors import SettingError

SAME = "same"
"""The policy model is the base model of the environment, as in SEAL."""


@dataclass(frozen=True)
class PolicySettings:
    """Settings of the agents `local_hf` and `openai_compatible`.

    Attributes:
        policy_model: who writes the self-edits: same (the environment's base model), a Hugging Face id or a local directory
            (local_hf), the name of a served model (openai_compatible).
        policy_adapter: a directory with a LoRA adapter in PEFT format on top of the policy model; several, separated by
            commas, add up, as those of ReST-EM's rounds do.
        policy_device: auto (CUDA where there is one), cpu, cuda, cuda:N.
        base_url: of the OpenAI-compatible server; None is OPENAI_BASE_URL, or else http://127.0.0.1:8000/v1. The key is
            taken from OPENAI_API_KEY.
        temperature: of sampling; 0 is greedy.
        max_new_tokens: of an answer, at most.
        style: what is asked for: tools (tool calls), or texts in a style of the paper, which only knowledge reads:
            implications, implications-long, implications-very-long, rewrite, self-qa, relations. None is tools in ARC,
            implications in knowledge.
        constrained: only tokens that lead to a valid self-edit are sampled (local_hf); not for texts.
        concurrency: requests on their way at one time.
        timeout: seconds for one request.
        retries: further attempts after a request that failed, with back-off.
    """

    policy_model: str = SAME
    policy_adapter: str | None = None
    policy_device: str = "auto"
    base_url: str | None = None
    temperature: float = 1.0
    max_new_tokens: int = 512
    style: str | None = None
    constrained: bool = False
    concurrency: int = 16
    timeout: float = 120.0
    retries: int = 4

    def __post_init__(self) -> None:
        """Raises SettingError."""
        if self.style not in (None, TOOLS, *STYLES):
            raise SettingError("style", self.style, " or ".join(map(repr, (None, TOOLS, *STYLES))))
        if self.constrained and self.style in STYLES:
            raise SettingError("constrained", True, f"False where style={self.style!r}: texts have no grammar")
        for name, least in (("max_new_tokens", 1), ("concurrency", 1), ("retries", 0)):
            if getattr(self, name) < least:
                raise SettingError(name, getattr(self, name), f"at least {least}")
        if not 0 <= self.temperature < math.inf:
            raise SettingError("temperature", self.temperature, "a finite number of at least 0")
        if not 0 < self.timeout < math.inf:
            raise SettingError("timeout", self.timeout, "a finite number of seconds above 0")
