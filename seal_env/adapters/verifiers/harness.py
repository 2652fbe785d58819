"""The harness: one chat completion a turn, in this process."""

from __future__ import annotations

from typing import Any, Literal

from seal_env.adapters.verifiers.taskset import SealData
from seal_env.agents.lm.served.forms import FORMS, PLAIN
from seal_env.domains.registry import get_domain
from seal_env.errors import needs_extra
from seal_env.self_edits.optional_tools import optional_tools
from seal_env.tools.registry import choose_tools

with needs_extra("verifiers"):
    import httpx
    import verifiers.v1 as vf
    from verifiers.v1.dialects.chat import message_to_wire


class SealHarnessConfig(vf.HarnessConfig):
    """How self-edits are asked for: `--env.agent.harness.*`."""

    form: Literal["tools", "structured_outputs", "json_schema", "text"] = "text"
    """Form of the requests, see docs/serving.md; with `tools` the policy may call the tools one by one."""


class SealHarness(vf.Harness[SealHarnessConfig]):
    """Starts no program: a request to the model's endpoint is all that a turn needs."""

    APPENDS_SYSTEM_PROMPT = SUPPORTS_RESUME = True
    EXECUTES_CODE = NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: SealData,
    ) -> vf.ProgramResult:
        """One request. See the base class."""
        system, prompt = self.resolve_prompt(data)
        messages = [vf.UserMessage(content=prompt)] if isinstance(prompt, str) else list(prompt or ())
        if system:
            messages.insert(0, vf.SystemMessage(content=system))
        tools = choose_tools(get_domain(data.domain).tools, data.tools, optional_tools())
        form = PLAIN if data.wants_texts else self.config.form
        body: dict[str, Any] = {"model": ctx.model, "messages": [message_to_wire(each) for each in messages]}
        async with httpx.AsyncClient(timeout=None) as client:  # noqa: S113 (verifiers has limits of its own)
            reply = await client.post(
                f"{endpoint}/chat/completions",
                headers={"Authorization": f"Bearer {secret}"},
                json=body | FORMS[form](tools),
            )
        problem = "" if reply.is_success else reply.text
        return vf.ProgramResult(exit_code=int(not reply.is_success), stdout="", stderr=problem)
