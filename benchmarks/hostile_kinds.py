"""Actions that an agent could write to break an environment, by kind; each is a function of its seed alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from seal_env.envs.spaces import SelfEditSpace

Rng = np.random.Generator
Kind = Callable[[Rng, SelfEditSpace], object]

MAX_STRING: Final = 1_000_000
SIZES: Final = (64, 1_000, 16_000, 65_536, MAX_STRING)
KEYS: Final = (
    *("name", "arguments", "function", "tool_calls", "role", "content", "type", "data_generation", "training", "id"),
    *("texts", "pairs", "relations", "question", "answer", "entities", "text", "num_orders", "learning_rate", "strategy"),
    *("num_train_epochs", "use_basic_augmentations", "parameters", "index", "call_id", "", "__proto__", "$ref", "\u00e9"),
)
WORDS: Final = (
    *KEYS,
    "finetune",
    "augment",
    "implications",
    "self_qa",
    "rewrite",
    "assistant",
    "function_call",
    "reasoning",
)
NUMBERS: Final = (
    *("0", "-0", "1", "20", "21", "-1", "3.0", "1e-4", "1E400", "-1e400", "NaN", "Infinity", "-Infinity", "1e-400", "0.1.2"),
    *("9" * 5_000, "0." + "3" * 5_000, "1e" + "9" * 50, "0x10", "1_000", "١٢", "+1", "00"),
)
CHARACTERS: Final = (
    "\x00\x07\x1b\x7f\u0085\u00a0\u200b\u202e\u2028\ufeff\ufffe\ud800\udfff\U0001f525\U000e0001\u00e9\u0301\uac00\u65e5"
)
UNITS: Final = (
    *(" ", "\t", "\n", ".", ",", "x", "0", '"', "\\", "`", "[", "{", "}", "[]", '{"a":', "1,", "1e9,", "Q:", "Q: a\n", "A:"),
    *("answer ", "answer:", "a.", "- ", "```", "<tool_call>", "<tool_call>{", "</tool_call>", "<think>", "\\ud800"),
    *("[TOOL_CALLS]", "<|python_tag|>", "<function=finetune>", "functions.finetune(", '{"name":"finetune"},'),
    *("\ud83d", "\U0001f525", "\u0301"),
)
FORMS: Final = (
    *("<tool_call>\n{call}\n</tool_call>", "<tool_call>{call}", "<|python_tag|>{call}", "[TOOL_CALLS][{call}]"),
    *("{call}\n{call}", "[TOOL_CALLS]{name}[ARGS]{arguments}", "<think>{call}</think>\n[{call}]", "<think>[{call}]"),
    *("```json\n[{call}]\n```", "<|channel|>commentary to=functions.{name}<|message|>{arguments}<|call|>"),
    *("functions.{name}:0{arguments}", "<function={name}>{arguments}</function>", "[{name}()]", "{name}({arguments})"),
    *("<|tool_calls_section_begin|>{name}{arguments}", "Sure! [{call}] Done.", "\ufeff[{call}]"),
    "<tool_call>{name}<arg_key>a</arg_key><arg_value>{arguments}</arg_value></tool_call>",
)
ENDS: Final = (("", ""), ("", "x"), ("Q:", "x"), ('"', '"'), ('["', '"]'), ("[", "1]"), ("[", "]"), ("Question", "!"))


CYCLE: Final[list[Any]] = []
CYCLE.append(CYCLE)
DEEP: Final[list[Any]] = []
for _ in range(2_000):
    DEEP[:] = [DEEP[:]]


def pick(rng: Rng, items: Any) -> Any:
    """One of the items."""
    return items[int(rng.integers(len(items)))]


def legal(rng: Rng, space: SelfEditSpace) -> str:
    """A self-edit as the action space draws it."""
    return space.spec.sample(rng)


def value(rng: Rng, depth: int = 4) -> Any:
    """A random JSON value with keys and words that mean something here."""
    kind = int(rng.integers(8 if depth else 5))
    if kind >= 6:
        return {pick(rng, KEYS): value(rng, depth - 1) for _ in range(rng.integers(5))}
    if kind == 5:
        return [value(rng, depth - 1) for _ in range(rng.integers(5))]
    scalars = (None, True, int(rng.integers(-5, 30)), float(rng.normal()), pick(rng, WORDS), 10**400, math.nan, -math.inf)
    return pick(rng, scalars)


def json_value(rng: Rng, space: SelfEditSpace) -> str:
    """Random JSON, numbers that JSON does not have included."""
    return json.dumps(value(rng), ensure_ascii=bool(rng.integers(2)))


def grafted(rng: Rng, space: SelfEditSpace) -> str:
    """A legal self-edit in which one value, at any depth, is another, or one key has another name."""
    action = json.loads(legal(rng, space))
    here: Any = action
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = pick(rng, keys) if keys else None
        if key is None:
            break
        if not isinstance(here[key], dict | list) or not here[key] or rng.random() < 0.3:
            if isinstance(here, dict) and rng.random() < 0.4:
                here[pick(rng, KEYS)] = here.pop(key)
            else:
                here[key] = value(rng)
            break
        here = here[key]
    return json.dumps(action)


def repeated_calls(rng: Rng, space: SelfEditSpace) -> str:
    """One call of a legal self-edit many times, with or without finetune."""
    calls = json.loads(legal(rng, space))
    return json.dumps([pick(rng, calls)] * int(rng.integers(1, 40)) + (calls[-1:] if rng.random() < 0.7 else []))


def garbled(rng: Rng, space: SelfEditSpace) -> str:
    """A legal self-edit with characters deleted, doubled or put in, or cut off."""
    text = legal(rng, space)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(text) + 1))
        inserted = pick(rng, (pick(rng, CHARACTERS), pick(rng, '[]{}",:\\`'), pick(rng, NUMBERS), text[at : at + 20], ""))
        text = text[:at] + str(inserted) + text[at + int(rng.integers(4)) :]
    return text[: int(rng.integers(len(text) + 1))] if rng.random() < 0.2 else text


def numbers(rng: Rng, space: SelfEditSpace) -> str:
    """A training call with numbers that are huge, none, or not written as JSON writes them."""
    rate, epochs = pick(rng, NUMBERS), pick(rng, NUMBERS)
    strategy = pick(rng, ("train_using_all_tokens", "train_using_output_tokens"))
    arguments = f'{{"strategy": "{strategy}", "learning_rate": {rate}, "num_train_epochs": {epochs}}}'
    return f'[{{"name": "training", "arguments": {arguments}}}, {{"name": "finetune", "arguments": {{}}}}]'


def characters(rng: Rng, space: SelfEditSpace) -> str:
    """Random code points: controls, directions, halves of pairs, any plane."""
    size = int(rng.integers(1, 400))
    text = "".join(map(chr, rng.integers(0x110000, size=size).tolist())) + pick(rng, CHARACTERS)
    name = pick(rng, [tool.name for tool in space.tools])
    call = {"name": name, "arguments": {"texts": [text]}}
    return str(pick(rng, (text, json.dumps([call], ensure_ascii=bool(rng.integers(2))))))


def nested(rng: Rng, space: SelfEditSpace) -> str:
    """Deep nesting, closed or not, alone or as an argument."""
    depth = int(pick(rng, (8, 31, 33, 1_000, 30_000)))
    begin, end = pick(rng, (("[", "]"), ('{"a":', "}"), ('{"arguments":', "}"), ('[{"pairs":', "}]")))
    text = begin * depth + pick(rng, ("", "1", "[]")) + end * pick(rng, (depth, depth - 1, 0))
    name = pick(rng, [tool.name for tool in space.tools])
    return str(pick(rng, (text, f'[{{"name": "{name}", "arguments": {text}}}]')))


def long_text(rng: Rng, space: SelfEditSpace) -> str:
    """One unit over and over, up to a million characters, between two ends."""
    size, unit = int(pick(rng, SIZES)), pick(rng, UNITS)
    begin, end = pick(
        rng, (("", ""), ("", "x"), ("Q:", "x"), ('"', '"'), ('["', '"]'), ("[", "1]"), ("[", "]"), ("Question", "!"))
    )
    return f"{begin}{unit * max(1, (size - len(begin) - len(end)) // len(unit))}{end}"


def long_arguments(rng: Rng, space: SelfEditSpace) -> str:
    """Texts and lists as long as an action may be, and longer, as arguments."""
    size, unit = int(pick(rng, SIZES)), pick(rng, ("x", "word ", "\U0001f525", "\u0301", "中", "1 "))
    count = int(pick(rng, (1, 2, 64, 65, 5_000)))
    texts = [unit * max(1, size // count // len(unit))] * count
    shapes: Mapping[str, Any] = {
        "implications": {"texts": texts},
        "rewrite": {"texts": texts},
        "self_qa": {"pairs": [{"question": text, "answer": text} for text in texts]},
        "relations": {"relations": [{"entities": [text, text], "text": text} for text in texts]},
    }
    name = pick(rng, list(shapes))
    calls = [{"name": name, "arguments": shapes[name]}, {"name": "finetune", "arguments": {}}]
    return json.dumps(calls, ensure_ascii=False)


def documents(rng: Rng, space: SelfEditSpace) -> str:
    """Plain text: statements, questions and answers, list marks, very many lines and very long ones."""
    marks = ("", "- ", "1. ", "Q: ", "A: ", "Question: ", "Answer: ", "Question 2: a Answer: ", "**Q:** ")
    count, words = pick(rng, ((3, 2_000), (20, 30), (60, 8), (500, 3), (2_500, 1)))
    drawn = iter(rng.integers(len(WORDS), size=(count, words)).tolist())
    lines = (f"{pick(rng, marks)}{' '.join(WORDS[index] for index in line)}" for line in drawn)
    return str(pick(rng, ("\n", "\r\n", "\u2028", "\n\n")).join(lines))


def markup(rng: Rng, space: SelfEditSpace) -> str:
    """A call as some model's chat template writes it, whole or garbled."""
    call = pick(rng, json.loads(legal(rng, space)))
    form = str(pick(rng, FORMS))
    for field, text in (("call", call), ("name", call["name"]), ("arguments", call["arguments"])):
        form = form.replace(f"{{{field}}}", text if isinstance(text, str) else json.dumps(text))
    at = int(rng.integers(len(form) + 1))
    return form if rng.random() < 0.6 else form[:at] + pick(rng, UNITS) + form[at + 1 :]


def parsed(rng: Rng, space: SelfEditSpace) -> object:
    """No text at all: JSON that is parsed already, and whatever else a program could hand over."""
    calls = json.loads(legal(rng, space))
    others = (
        None,
        1,
        math.nan,
        b"[]",
        {1: 2},
        {"name": {1, 2}},
        CYCLE,
        DEEP,
        (calls,),
        object(),
        ["\ud800"],
        [10**5_000],
        rng,
    )
    return pick(rng, (calls, tuple(calls), {"role": "assistant", "tool_calls": calls}, value(rng), pick(rng, others)))


KINDS: Final[Mapping[str, Kind]] = {
    "legal": legal,
    "one value or key is another": grafted,
    "garbled": garbled,
    "random JSON": json_value,
    "a call many times": repeated_calls,
    "numbers": numbers,
    "characters": characters,
    "nested": nested,
    "long texts": long_text,
    "long arguments": long_arguments,
    "plain text": documents,
    "markup of tool calls": markup,
    "no text": parsed,
}
"""By name; the number of an action says which one it is, in turn."""


def hostile_action(seed: int, number: int, space: SelfEditSpace) -> tuple[str, object]:
    """(name of its kind, action) of the action with this number."""
    name = list(KINDS)[number % len(KINDS)]
    return name, KINDS[name](np.random.default_rng([seed, number]), space)
