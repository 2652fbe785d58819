"""What real models write when they call tools: every form by its own rendering of a list of calls.

Each follows the documentation of the model family or its chat template; none is rendered by code that is under test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Call = tuple[str, dict[str, Any]]
Calls = Sequence[Call]
One = Callable[[str, dict[str, Any]], str]
Render = Callable[[Calls], str]


class ReplyForm(NamedTuple):
    """render: a reply with these calls. ends: whether the form has a mark for the end of all calls."""

    render: Render
    ends: bool


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def objects(calls: Calls, name: str = "name", arguments: str = "arguments") -> list[dict[str, Any]]:
    return [{name: tool, arguments: given} for tool, given in calls]


def a_list(name: str = "name", arguments: str = "arguments") -> Render:
    return lambda calls: dumps(objects(calls, name, arguments))


def each(one: Callable[[str, dict[str, Any]], str], before: str = "", between: str = "", after: str = "") -> Render:
    return lambda calls: before + between.join(one(*call) for call in calls) + after


def tagged(begin: str, end: str, between: str = "\n", arguments: str = "arguments") -> Render:
    return each(lambda tool, given: f"{begin}{dumps({'name': tool, arguments: given})}{end}", between=between)


def python(value: object) -> str:
    return repr(value)


def python_json(value: object) -> str:
    return dumps(value)


def python_call(literal: Callable[[object], str], method: str = "") -> One:
    return lambda tool, given: f"{tool}{method}({', '.join(f'{key}={literal(value)}' for key, value in given.items())})"


def printed(tool: str, given: dict[str, Any]) -> str:
    return f"print(default_api.{python_call(python)(tool, given)})"


def bare(value: object, true: str = "true", false: str = "false") -> str:
    """A value in a tag: a text as it is, anything else as JSON."""
    if isinstance(value, bool):
        return true if value else false
    return value if isinstance(value, str) else dumps(value)


def qwen_coder(tool: str, given: dict[str, Any]) -> str:
    parameters = "".join(
        f"<parameter={key}>\n{bare(value, 'True', 'False')}\n</parameter>\n" for key, value in given.items()
    )
    return f"<tool_call>\n<function={tool}>\n{parameters}</function>\n</tool_call>"


def function_only(tool: str, given: dict[str, Any]) -> str:
    return qwen_coder(tool, given).removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")


def glm(tool: str, given: dict[str, Any]) -> str:
    pairs = "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{bare(value)}</arg_value>\n" for key, value in given.items())
    return f"<tool_call>{tool}\n{pairs}</tool_call>"


def glm_47(tool: str, given: dict[str, Any]) -> str:
    return (
        glm(tool, given).replace("\n", "", 1)
        if not given
        else (
            f"<tool_call>{tool}"
            + "".join(f"<arg_key>{key}</arg_key><arg_value>{bare(value)}</arg_value>" for key, value in given.items())
            + "</tool_call>"
        )
    )


def invoke(prefix: str = "", typed: bool = False) -> One:
    def one(tool: str, given: dict[str, Any]) -> str:
        lines = [f'<{prefix}invoke name="{tool}">']
        for key, value in given.items():
            kind = f' string="{bare(isinstance(value, str))}"' if typed else ""
            lines.append(f'<{prefix}parameter name="{key}"{kind}>{bare(value)}</{prefix}parameter>')
        return "\n".join([*lines, f"</{prefix}invoke>"])

    return one


def deepseek_v3(tool: str, given: dict[str, Any]) -> str:
    return f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{tool}\n```json\n{dumps(given)}\n```<｜tool▁call▁end｜>"


def deepseek_v31(tool: str, given: dict[str, Any]) -> str:
    return f"<｜tool▁call▁begin｜>{tool}<｜tool▁sep｜>{dumps(given)}<｜tool▁call▁end｜>"


def kimi_k2(calls: Calls) -> str:
    inner = "".join(
        f"<|tool_call_begin|>functions.{tool}:{number}<|tool_call_argument_begin|>{dumps(given)}<|tool_call_end|>"
        for number, (tool, given) in enumerate(calls)
    )
    return f"<|tool_calls_section_begin|>{inner}<|tool_calls_section_end|>"


def kimi_k3(calls: Calls) -> str:
    inner = ""
    for number, (tool, given) in enumerate(calls):
        inner += f'<|open|>call tool="{tool}" index="{number}"<|sep|>'
        for key, value in given.items():
            kind = {str: "string", bool: "boolean", list: "array"}.get(type(value), "number")
            inner += f'<|open|>argument key="{key}" type="{kind}"<|sep|>{bare(value)}<|close|>argument<|sep|>'
        inner += "<|close|>call<|sep|>"
    return f"<|open|>tools<|sep|>{inner}<|close|>tools<|sep|>"


def gemma_value(value: object, quote: str) -> str:
    if isinstance(value, str):
        return f"{quote}{value}{quote}"
    if isinstance(value, list):
        return f"[{','.join(gemma_value(item, quote) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{gemma_value(item, quote)}" for key, item in value.items()) + "}"
    return dumps(value)


def gemma(begin: str, end: str, quote: str) -> One:
    return lambda tool, given: f"{begin}call:{tool}{gemma_value(given, quote)}{end}"


def harmony(tool: str, given: dict[str, Any]) -> str:
    return f"<|channel|>commentary to=functions.{tool} <|constrain|>json<|message|>{dumps(given)}<|call|>"


def harmony_in_the_role(tool: str, given: dict[str, Any]) -> str:
    return f"<|start|>assistant to=functions.{tool}<|channel|>commentary json<|message|>{dumps(given)}<|call|>"


def python_tag(tool: str, given: dict[str, Any]) -> str:
    return dumps({"type": "function", "name": tool, "parameters": given})


def inkling(tool: str, given: dict[str, Any]) -> str:
    return f"<|message_model|><|content_invoke_tool_json|>{dumps({'name': tool, 'args': given})}<|end_message|>"


def functionary_2(tool: str, given: dict[str, Any]) -> str:
    return f"<|from|>assistant\n<|recipient|>{tool}\n<|content|>{dumps(given)}<|stop|>"


def react(tool: str, given: dict[str, Any]) -> str:
    return f"Thought: I adapt the model.\nAction: {tool}\nAction Input: {dumps(given)}"


def step3(tool: str, given: dict[str, Any]) -> str:
    return f"<｜tool_call_begin｜>function<｜tool_sep｜>{invoke('steptml:')(tool, given)}<｜tool_call_end｜>"


def openai(encodings: int) -> Callable[[Calls], list[dict[str, Any]]]:
    def render(calls: Calls) -> list[dict[str, Any]]:
        rendered = []
        for number, (tool, given) in enumerate(calls):
            arguments: object = given
            for _ in range(encodings):
                arguments = dumps(arguments)
            rendered.append({"id": f"call_{number}", "type": "function", "function": {"name": tool, "arguments": arguments}})
        return rendered

    return render


def message(calls: Calls) -> str:
    return dumps({"role": "assistant", "content": "<think>Which?</think>", "tool_calls": openai(1)(calls)})


def gemini(calls: Calls) -> str:
    return dumps([{"functionCall": {"name": tool, "args": given}} for tool, given in calls])


def claude_blocks(calls: Calls) -> str:
    used = [{"type": "tool_use", "id": "toolu_1", "name": tool, "input": given} for tool, given in calls]
    return dumps({"role": "assistant", "content": [{"type": "text", "text": "I adapt the model."}, *used]})


def parallel(calls: Calls) -> str:
    uses = [{"recipient_name": f"functions.{tool}", "parameters": given} for tool, given in calls]
    return dumps({"tool_uses": uses})


def muse(tool: str, given: dict[str, Any]) -> str:
    return f"to={tool}<|message|><atem:function_calls>\n{invoke('atem:')(tool, given)}\n</atem:function_calls>"


def dsml(wrapper: str) -> Render:
    return each(invoke("｜DSML｜", typed=True), f"<｜DSML｜{wrapper}>\n", "\n", f"\n</｜DSML｜{wrapper}>")


def fence(inner: Render, language: str = "json", mark: str = "```") -> Render:
    return lambda calls: f"I choose this.\n\n{mark}{language}\n{inner(calls)}\n{mark}\nIt is a good choice."


def after(before: str, inner: Render, behind: str = "") -> Render:
    return lambda calls: before + inner(calls) + behind


ANALYSIS = "<|channel|>analysis<|message|>Which?<|end|>"
DEEPSEEK = "<｜tool▁calls▁begin｜>"
HERMES = tagged("<tool_call>\n", "\n</tool_call>")

REPLY_FORMS: dict[str, ReplyForm] = {
    # JSON
    "list": ReplyForm(a_list(), True),
    "list with parameters (Llama 3)": ReplyForm(a_list(arguments="parameters"), True),
    "tool_name and parameters (Command R)": ReplyForm(a_list("tool_name", "parameters"), True),
    "objects of OpenAI": ReplyForm(lambda calls: dumps(openai(0)(calls)), True),
    "objects of OpenAI, texts as arguments": ReplyForm(lambda calls: dumps(openai(1)(calls)), True),
    "objects of OpenAI, arguments encoded twice": ReplyForm(lambda calls: dumps(openai(2)(calls)), True),
    "message of OpenAI": ReplyForm(message, True),
    "wrapped in tool_calls": ReplyForm(lambda calls: dumps({"tool_calls": objects(calls)}), True),
    "parallel uses": ReplyForm(parallel, True),
    "parts of Gemini": ReplyForm(gemini, True),
    "blocks of Claude": ReplyForm(claude_blocks, True),
    "one object a line": ReplyForm(each(lambda tool, given: dumps(objects([(tool, given)])[0]), between="\n"), False),
    "objects and semicolons (Llama 3.1)": ReplyForm(
        each(lambda tool, given: dumps({"name": tool, "parameters": given}), between="; "), False
    ),
    "fenced list among words": ReplyForm(fence(a_list()), True),
    "fenced list without a language": ReplyForm(fence(a_list(), ""), True),
    "list in a fence of tildes": ReplyForm(fence(a_list(), mark="~~~"), True),
    "list in a longer fence": ReplyForm(fence(a_list(), mark="````"), True),
    "LM Studio": ReplyForm(tagged("[TOOL_REQUEST]", "[END_TOOL_REQUEST]"), False),
    "Command R": ReplyForm(lambda calls: f"Action: ```json\n{dumps(objects(calls, 'tool_name', 'parameters'))}\n```", True),
    "byte order mark": ReplyForm(after("\ufeff", a_list()), True),
    "spaces of other kinds": ReplyForm(after("\u00a0\u2003\u200b", a_list(), "\u00a0\u3000\ufeff"), True),
    "end token": ReplyForm(after("", a_list(), "<|im_end|>\n"), True),
    "header of Llama 3": ReplyForm(
        after("<|start_header_id|>assistant<|end_header_id|>\n\n", a_list(arguments="parameters"), "<|eot_id|>"), True
    ),
    "header of ChatML": ReplyForm(after("<|im_start|>assistant\n", a_list(), "<|im_end|>"), True),
    "fenced objects, one a line": ReplyForm(
        fence(each(lambda tool, given: dumps({"name": tool, "arguments": given}), between="\n")), True
    ),
    "fenced Hermes": ReplyForm(lambda calls: f"```xml\n{HERMES(calls)}\n```", True),
    # after thoughts
    "list after a thought": ReplyForm(after('<think>\n[{"name": "finetune"}]?\n</think>\n\n', a_list()), True),
    "list after a thought that the prompt opened": ReplyForm(after("Which?\n</think>\n\n", a_list()), True),
    "Hermes after a thought": ReplyForm(after("<think>Which? <tool_call>?</think>\n", HERMES), False),
    "Magistral": ReplyForm(after("[THINK]Which?[/THINK]", lambda calls: f"[TOOL_CALLS]{dumps(objects(calls))}"), True),
    "Hunyuan": ReplyForm(after("<think>Which?</think>\n<answer>\n<tool_calls>", a_list(), "</tool_calls>\n</answer>"), True),
    "Granite 3.2": ReplyForm(
        after("Here is my thought process:\nWhich?\n\nHere is my response:\n<|tool_call|>", a_list()), True
    ),
    # JSON between marks
    "Hermes, Qwen": ReplyForm(HERMES, False),
    "Hermes after words": ReplyForm(after("I adapt the model.\n", HERMES), False),
    "Hermes without its last mark": ReplyForm(lambda calls: HERMES(calls).removesuffix("\n</tool_call>"), False),
    "Granite 3": ReplyForm(after("<|tool_call|>", a_list()), True),
    "Granite 20B": ReplyForm(tagged("<function_call> ", "", " "), False),
    "Phi-4-mini": ReplyForm(after("<|tool_call|>", a_list(), "<|/tool_call|>"), True),
    "functools": ReplyForm(after("functools", a_list()), True),
    "Llama-Nemotron": ReplyForm(after("<TOOLCALL>", a_list(), "</TOOLCALL>"), True),
    "Jamba": ReplyForm(after("<tool_calls>[\n", lambda calls: a_list()(calls)[1:-1], "\n]</tool_calls>"), True),
    "MiniMax-M1": ReplyForm(
        each(lambda tool, given: dumps({"name": tool, "arguments": given}), "<tool_calls>\n", "\n", "\n</tool_calls>"), True
    ),
    "InternLM2": ReplyForm(tagged("<|action_start|><|plugin|>\n", "<|action_end|>\n", "", "parameters"), False),
    "Command A": ReplyForm(
        after(
            "<|START_THINKING|>Which?<|END_THINKING|><|START_ACTION|>[\n",
            lambda calls: ",\n".join(
                f'    {{"tool_call_id": "{number}", "tool_name": {dumps(tool)}, "parameters": {dumps(given)}}}'
                for number, (tool, given) in enumerate(calls)
            ),
            "\n]<|END_ACTION|>",
        ),
        True,
    ),
    "Apertus": ReplyForm(
        lambda calls: f"<|tools_prefix|>{dumps([{tool: given} for tool, given in calls])}<|tools_suffix|>", True
    ),
    "Inkling": ReplyForm(each(inkling, "<|message_model|><|content_thinking|>Which?<|end_message|>"), False),
    "python tag with JSON": ReplyForm(each(python_tag, "<|python_tag|>", "; ", "<|eom_id|>"), False),
    # a name before JSON
    "Llama 4, between its marks": ReplyForm(
        after(
            "<|header_start|>assistant<|header_end|>\n\n<|python_start|>",
            lambda calls: f"[{', '.join(python_call(python)(*call) for call in calls)}]",
            "<|python_end|><|eot|>",
        ),
        True,
    ),
    "Mistral v3": ReplyForm(after("[TOOL_CALLS] ", a_list()), True),
    "Mistral v11": ReplyForm(
        each(lambda tool, given: f"[TOOL_CALLS]{tool}[CALL_ID]Ab1cD2eF3[ARGS]{dumps(given)}", after="</s>"), False
    ),
    "Mistral v13": ReplyForm(each(lambda tool, given: f"[TOOL_CALLS]{tool}[ARGS]{dumps(given)}"), False),
    "Mistral without special tokens": ReplyForm(each(lambda tool, given: f"{tool}{dumps(given)}"), False),
    "DeepSeek V3": ReplyForm(each(deepseek_v3, "<｜tool▁calls▁begin｜>", "\n", "<｜tool▁calls▁end｜>"), True),
    "DeepSeek R1": ReplyForm(
        each(deepseek_v3, f"Which?\n</think>\n\n{DEEPSEEK}", "\n", "<｜tool▁calls▁end｜><｜end▁of▁sentence｜>"), True
    ),
    "DeepSeek V3.1": ReplyForm(each(deepseek_v31, "<｜tool▁calls▁begin｜>", "", "<｜tool▁calls▁end｜>"), True),
    "DeepSeek V3.1 with bars of ASCII": ReplyForm(
        lambda calls: each(deepseek_v31, DEEPSEEK, "", "<｜tool▁calls▁end｜>")(calls).replace("｜", "|"), True
    ),
    "Qwen2.5-Coder": ReplyForm(tagged("<tools>\n", "\n</tools>"), False),
    "Kimi K2": ReplyForm(kimi_k2, True),
    "gpt-oss": ReplyForm(each(harmony, f"{ANALYSIS}<|start|>assistant", "<|start|>assistant"), False),
    "gpt-oss, recipient in the role": ReplyForm(each(harmony_in_the_role), False),
    "gpt-oss, list in the final channel": ReplyForm(
        after(f"{ANALYSIS}<|start|>assistant<|channel|>final<|message|>", a_list(), "<|return|>"), True
    ),
    "Functionary 3.1": ReplyForm(each(lambda tool, given: f"<function={tool}>{dumps(given)}</function>"), False),
    "Functionary 3.2": ReplyForm(
        after("all\nI adapt the model.", each(lambda tool, given: f">>>{tool}\n{dumps(given)}")), False
    ),
    "Functionary 2": ReplyForm(each(functionary_2, between="\n"), False),
    "names of the namespace functions": ReplyForm(
        each(lambda tool, given: f"functions.{tool}({dumps(given)})", between="\n"), False
    ),
    "names of the namespace functions in JSON": ReplyForm(
        lambda calls: dumps([{"name": f"functions.{tool}", "arguments": given} for tool, given in calls]), True
    ),
    "ReAct": ReplyForm(each(react, between="\n"), False),
    "Qwen-Agent": ReplyForm(each(lambda tool, given: f"✿FUNCTION✿: {tool}\n✿ARGS✿: {dumps(given)}", between="\n"), False),
    # Python
    "Llama 4, pythonic": ReplyForm(each(python_call(python), "[", ", ", "]"), True),
    "calls in Python, a line each": ReplyForm(each(python_call(python), between="\n"), False),
    "LFM2": ReplyForm(each(python_call(python_json), "<|tool_call_start|>[", ", ", "]<|tool_call_end|>"), True),
    "Olmo 3": ReplyForm(each(python_call(python_json), "<function_calls>\n", "\n", "\n</function_calls>"), True),
    "python tag with a method": ReplyForm(
        each(python_call(python_json, ".call"), "<|python_tag|>", "; ", "<|eom_id|>"), False
    ),
    "Gemma 3, printed in a fence": ReplyForm(fence(each(printed, between="\n"), "tool_code"), True),
    "Gemma 3, printed": ReplyForm(each(printed, between="\n"), False),
    "smolagents, in a fence": ReplyForm(
        after("Thought: I adapt the model.\nCode:\n", fence(each(python_call(python), between="\n"), "py"), "<end_code>"),
        True,
    ),
    "Gemma 3": ReplyForm(fence(each(python_call(python), "[", ", ", "]"), "tool_code"), True),
    # tags
    "Qwen3-Coder": ReplyForm(each(qwen_coder, between="\n"), False),
    "Qwen3-Coder without its first mark": ReplyForm(each(function_only, between="\n"), False),
    "Seed-OSS": ReplyForm(
        each(
            lambda tool, given: f"<seed:tool_call>\n{function_only(tool, given)}\n</seed:tool_call>",
            "<seed:think>Which?</seed:think>",
        ),
        False,
    ),
    "GLM 4.5": ReplyForm(each(glm, "<think>Which?</think>\n", "\n"), False),
    "GLM 4.7": ReplyForm(each(glm_47), False),
    "MiniMax-M2": ReplyForm(each(invoke(), "<minimax:tool_call>\n", "\n", "\n</minimax:tool_call>"), True),
    "Claude": ReplyForm(each(invoke(), "<function_calls>\n", "\n", "\n</function_calls>"), True),
    "Muse Glimmer": ReplyForm(
        each(muse, "to=self<|message|>Which?<|eom|><|start|>assistant ", "<|eom|><|start|>assistant "), False
    ),
    "Muse Glimmer without special tokens": ReplyForm(each(lambda *call: muse(*call).partition("<|message|>")[2]), False),
    "DeepSeek V3.2": ReplyForm(dsml("function_calls"), True),
    "DeepSeek V4": ReplyForm(after("Which?</think>\n\n", dsml("tool_calls")), True),
    "Step3": ReplyForm(each(step3, "<｜tool_calls_begin｜>", "", "<｜tool_calls_end｜>"), True),
    "Kimi K3": ReplyForm(kimi_k3, True),
    "FunctionGemma": ReplyForm(each(gemma("<start_function_call>", "<end_function_call>", "<escape>")), False),
    "Gemma 4": ReplyForm(
        each(gemma("<|tool_call>", "<tool_call|>", '<|"|>'), "<|channel>thought\nWhich?\n<channel|>", after="<turn|>"), False
    ),
}
