"""Tool calls as the chat templates themselves write them: each that TRL ships is read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from transformers.utils.chat_template_utils import render_jinja_template

from seal_env.self_edits.parse_calls import parse
from seal_env.tools.base import Tool
from seal_env.tools.registry import openai_tools
from seal_env.types import ToolCall
from tests.helpers.tools import ARC_TOOLS, EXAMPLES, KNOWLEDGE_TOOLS

TRL = pytest.importorskip("trl")
TEMPLATES = {path.stem: path for path in sorted((Path(TRL.__file__).parent / "chat_templates").glob("*.jinja"))}
WRITE_NO_CALLS = (
    "cohere",
    "gemma_",
    "gemma3",
    "idefics3",
    "lfm2_training",
    "llama3_training",
    "llava_next",
    "phi3",
    "smolvlm",
)
WRITE_NO_CALLS_EITHER = ("gemma", "lfm2", "llama3", "deepseek_r1_distill", "deepseek_r1_distill_training")
WRITE_CALLS = [
    name for name in TEMPLATES if not (name.startswith((*WRITE_NO_CALLS, "qwen2_5_vl")) or name in WRITE_NO_CALLS_EITHER)
]


def reply(template: str, tools: Sequence[Tool[Any]], calls: Sequence[ToolCall]) -> str:
    """What a template writes behind the prompt for a turn with these calls."""
    encode: Callable[[Any], Any] = json.dumps if template == TEMPLATES["deepseekv3"].read_text(encoding="utf-8") else dict
    functions = [{"name": call.name, "arguments": encode(call.arguments)} for call in calls]
    asked: list[dict[str, Any]] = [{"role": "user", "content": "?"}]
    said: dict[str, Any] = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": each} for each in functions],
    }
    prompt, whole = (
        render_jinja_template(
            [chat],
            tools=[*openai_tools(tools)],
            chat_template=template,
            add_generation_prompt=len(chat) == 1,
            bos_token="<s>",
            eos_token="</s>",
        )[0][0]
        for chat in (asked, [*asked, said])
    )
    differ = [index for index, (left, right) in enumerate(zip(prompt, whole, strict=False)) if left != right]
    start = min([*differ, len(prompt)])
    return str(whole[len(whole[:start].rstrip("<|｜")) :])  # both may go on with a mark


@pytest.mark.parametrize("tools", [ARC_TOOLS, KNOWLEDGE_TOOLS], ids=["arc", "knowledge"])
@pytest.mark.parametrize("name", WRITE_CALLS)
def test_calls_in_a_chat_template_are_read(name: str, tools: Sequence[Tool[Any]]) -> None:
    calls = tuple(ToolCall(tool.name, EXAMPLES[tool.name]) for tool in tools)
    if name.startswith(("llama3", "gptoss")):
        calls = calls[:1]  # all that these templates write in one turn
    assert parse(reply(TEMPLATES[name].read_text(encoding="utf-8"), tools, calls)) == calls


def test_there_are_templates_enough() -> None:
    assert len(WRITE_CALLS) >= (40 if Version(version("trl")) >= Version("1.16") else 15)
