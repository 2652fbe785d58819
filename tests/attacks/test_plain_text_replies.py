"""Where plain text is an action: calls, thoughts and refusals are never learned as documents, honest texts always are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.refusals import MAX_LINES
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall
from tests.helpers.reply_forms import REPLY_FORMS
from tests.helpers.tools import EXAMPLES, KNOWLEDGE_NAMES

CALLS = [(name, EXAMPLES[name]) for name in KNOWLEDGE_NAMES]
READ = tuple(ToolCall(*call) for call in CALLS)


def documents(reply: str) -> list[str] | None:
    """What is learned as plain text; None if the reply is read as calls, or refused."""
    found = parse_or_read(reply)
    if isinstance(found, InvalidSelfEdit) or found == READ[: len(found)]:
        return None
    return [text for call in found for text in call.arguments.get("texts", ())]


def refused(reply: str) -> str:
    found = parse_or_read(reply)
    assert isinstance(found, InvalidSelfEdit), found
    assert found.outcome is Outcome.NOT_JSON
    return found.reason


@pytest.mark.parametrize("form", REPLY_FORMS)
def test_calls_of_real_models_are_read_as_calls(form: str) -> None:
    assert parse_or_read(REPLY_FORMS[form].render(CALLS)) == READ


@pytest.mark.parametrize("form", REPLY_FORMS)
@settings(deadline=None, max_examples=20)
@given(cut=st.floats(0, 1))
def test_the_end_of_a_call_is_never_learned(form: str, cut: float) -> None:
    """From the first call on; what stands before it may be words or a thought that the prompt has opened."""
    reply = REPLY_FORMS[form].render(CALLS)
    begun = reply.index('"', reply.index("implications")) + 1 if '"' in reply else len(reply)
    assert documents(reply[: begun + int(cut * (len(reply) - begun))]) is None


SPOILED = [
    '<tool_call>{"name": "implications", "arguments": {"texts": ["One."',
    "The plan is:\n<tool_call>\nimplications",
    "One.\n<think>Is it so?</think>\nTwo.",
    "One <think> two",
    "One.\n</think",
    "<think>\nI would say that",
    "<|channel|>analysis<|message|>We need",
    "analysisWe need texts.assistantcommentary to=functions.implications json{}",
    "analysisWe need texts.assistantfinalOne.",
    'Sure! [{"name": "finetune", "arguments": {}}]',
    "Here it is: {'name': 'finetune', 'arguments': {}}",
    "I call the tools.\nimplications(texts=['One.', 'Two.'])\nfinetune()",
    "finetune()",
    "implications(texts=['One.', 'Tw",
    "training(learning_rate=1e-3, num_train_epochs=10)",
    "One.\n<tool_cal",
    "One.<|im_",
    'implications\n{"texts": ["One."',
    "functions.finetune({})",
    "[TOOL_CALLS]finetune[ARGS]{}  One.",
    "✿FUNCTION✿: finetune",
    "<function=finetune>",
    '<invoke name="finetune">',
    "Action: finetune\nAction Input: {}\nObservation: {}",
    "```tool_code\nfinetune()",
    '\ufeff[{"name": "finetune"',
    'Tool: implications\nInput: {"texts": ["One."]}',
    'implications: {"texts": ["One."]}',
    "print(default_api.implications(texts=['One.']))",
    "print(default_api.finetune())",
    '"[{\\"name\\": \\"finetune\\"}]"',
    "I call implications(texts=['One.']) now.",
    "<implications>\n<text>One.</text>\n</implications>\n<finetune/>",
    '<tool name="implications">One.</tool>',
    "<tool_use>\n<name>implications</name>\n</tool_use>",
    '<function name="finetune"></function>',
    "- name: implications\n  arguments:\n    texts:\n    - One.\n- name: finetune",
    "**Tool call**\nFunction: `finetune`",
    "Tool call: finetune()",
    "One.\nfinetune",
    "One.\n**finetune**",
    "One.\nfunctions.finetune",
    'implications(["One.", "Two."])',
    'implications(texts: ["One."])',
    'implications(**{"texts": ["One."]})',
    'result = implications(["One."])\nresult = finetune();',
    'implications texts=["One."]',
    'Call implications with texts: ["One.", "Two."]',
    'implications [\n"One.",\n"Two."\n]',
    "texts = ['One.', 'Two.']",
    "- implications:\n    texts:\n      - One.\n- finetune: {}",
    "call:implications{texts:[One.]}",
    "call:finetune{}",
    "[implications]\nOne.\n[finetune]",
    "[TOOL_REQUEST]implications[END_TOOL_REQUEST]",
    "<execute>finetune()</execute>",
    "<use_tool>finetune</use_tool>",
    '<argument name="texts">One.</argument>',
    "<texts>\n<item>One.</item>\n</texts>",
]


@pytest.mark.parametrize("reply", SPOILED)
def test_parts_of_calls_and_of_thoughts_are_never_learned(reply: str) -> None:
    assert documents(reply) in (None, [])


OTHER_TURNS = [
    "<|im_start|>user\nMore?<|im_end|>\n<|im_start|>assistant\nOne.",
    "One.<|im_end|>\n<|im_start|>user\nMore?",
    "One.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nMore?",
    "One.<end_of_turn>\n<start_of_turn>user\nMore?",
    "One.[INST]More?[/INST]Two.",
    "One.<｜User｜>More?<｜Assistant｜>Two.",
    "One.<|endoftext|>Two.",
    "assistant\nOne.",
    "<analysis>Is it so?</analysis>\nOne.",
    "<|thinking|>Is it so?<|/thinking|>One.",
    "<think >Is it so?</think >One.",
    "<unused94>thought\nIs it so?<unused95>One.",
]


@pytest.mark.parametrize("reply", OTHER_TURNS)
def test_other_turns_and_unknown_thoughts_are_never_learned(reply: str) -> None:
    assert refused(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "<|header_start|>assistant<|header_end|>\n\nOne.\nTwo.<|eot|>",
        "<start_of_turn>model\nOne.\nTwo.<end_of_turn>",
        "<｜Assistant｜>One.\nTwo.<｜end▁of▁sentence｜>",
        "<|im_start|>assistant<|im_sep|>One.\nTwo.<|im_end|>",
        "<|start_of_role|>assistant<|end_of_role|>One.\nTwo.<|end_of_text|>",
        "<|begin_of_thought|>One?<|end_of_thought|><|begin_of_solution|>One.\nTwo.<|end_of_solution|>",
        "<Answer>One.\nTwo.</Answer>",
        "<think>One?\nTwo?</think>\n\nOne.\nTwo.",
        "One?\nTwo?\n</think>\nOne.\nTwo.",
        "<|channel|>analysis<|message|>One?<|end|><|start|>assistant<|channel|>final<|message|>One.\nTwo.<|return|>",
        "[THINK]One?[/THINK]One.\nTwo.</s>",
        "<answer>\nOne.\nTwo.\n</answer>",
        "\ufeffOne.\nTwo.\u00a0",
        "One.\nTwo.<|im_end|>\n",
    ],
)
def test_marks_around_a_text_are_not_learned(reply: str) -> None:
    assert documents(reply) == ["One.", "Two."]


HONEST = [
    "I think, therefore I am, wrote Descartes.",
    "Thinkers of the age thought that thinking was a tool.",
    "Rodin made The Thinker in 1904.",
    "The tool call of the bird lasts two seconds.",
    "Tool calls cost the company 5 dollars each.",
    "x < y and y > z imply nothing about x and z.",
    "If a<b then b>a.",
    "The tag <b> makes text bold, and <i> makes it italic.",
    "HTML has <p>, <div> and <span>.",
    "<p>The lamp burns blue oil.</p>",
    "Send the letter to <mira@example.org>.",
    "He wrote -> on the board, and then <-.",
    "The function f maps x to x + 1.",
    "f(x) = x^2 is a parabola.",
    "P(A) is larger than P(B).",
    "P(X=1) is one half.",
    "In Python, print(x) writes x.",
    "len(names) gives the number of names.",
    "The call finetune() starts the update, says the manual.",
    "The set {1, 2, 3} has three elements.",
    'JSON such as {"id": 1} has braces.',
    "The interval [0, 1] is closed.",
    "[1] The lamp was lit in 1901.",
    "[Citation needed] The lamp was lit.",
    "The array a[0] comes first.",
    "Mira said: \"I'm sorry, but I can't help you.\"",
    '"I cannot help you with that," said the clerk of Orvel.',
    "Sorry is the title of a song by Beyoncé.",
    "Sorry, the song, was written in 2016.",
    "I'm sorry for your loss, wrote the king to the queen.",
    "I refuse to pay the tax, wrote Thoreau.",
    "I am not comfortable in the palace, she wrote.",
    "I can't help it, the song goes.",
    "I can't help you any more, my son, she wrote.",
    "I cannot continue the war, the king wrote.",
    "I cannot attend the council on Friday, wrote Mira.",
    "I can't go on, I'll go on, wrote Beckett.",
    "I could not help laughing, the diary says.",
    "Unfortunately, the lamp went out in 1911.",
    "Unfortunately, I cannot swim, the sailor wrote.",
    "As an AI researcher, Mira built the lamp.",
    "As an artist, she could not refuse.",
    "The assistant commentary was written in 1932.",
    "The final analysis came later.",
    "Channels: the commentary channel, the final channel.",
    "The pipe | and the bar || are operators.",
    "Answer: she",
    "Question: Who?",
    "Action: the hero leaves the village.",
    "Thought: it may rain.",
    "Observation: the lamp burns blue.",
    "functions.php is a file of WordPress.",
    "The functions of the liver are many.",
    "He called it [TOOLS], in brackets.",
    "The parameters of the lamp: height 3 m, width 1 m.",
    "name: Orvel; arguments: none.",
    "`code` stands between backquotes.",
    "He typed ``code``.",
    "2 << 3 is 16, and 16 >> 3 is 2.",
    ">> quoted mail",
    "50% of {name} is left, says the template.",
    'The lamp\'s motto: "Think!"',
    "中文 <文> 文本。",
    "A thought: </b> closes a tag.",
    "I must say that the lamp is blue.",
    "The name: implications of the treaty.",
    "Tool: a hammer.",
    "Training (of recruits) took a year.",
    "The relations: father and son.",
    "To finetune a model takes hours.",
    "Rewrite: to write again.",
    "Action: rewrite the law.",
    "The texts: two letters.",
    "Implications:",
    "The relations (of the two) were good.",
    "Training: two hours a day.",
    "Pairs = two of a kind.",
    "The assistant\u2019s model was wrong.",
    "x <| y |> z is written in Elm.",
    "The plan: <none>.",
]


@pytest.mark.parametrize("text", HONEST)
def test_honest_texts_are_learned_as_they_are(text: str) -> None:
    assert documents(text) == [text]
    assert documents(f"The lamp of Orvel burns blue oil.\n{text}") == ["The lamp of Orvel burns blue oil.", text]


def test_there_are_honest_texts_enough() -> None:
    assert len(HONEST) >= 40


REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with that request.",
    "I am sorry, I cannot comply with this request.",
    "Sorry, I can't do that.",
    "I cannot assist with this.",
    "I can't provide that information.",
    "I'm unable to help with that.",
    "I am not able to write such texts.",
    "I won't write this.",
    "Unfortunately, I cannot fulfill your request.",
    "I apologize, but I cannot generate content about this passage.",
    "My apologies, but I'm not able to continue with this.",
    "As an AI language model, I cannot have opinions about the passage.",
    "As an AI, I don't have access to the passage.",
    "I must decline.",
    "I'm afraid I can't do that.",
    "I'm sorry, but I cannot create that content.\nIs there something else?",
    "<think>This is not allowed.</think>\n\nI'm sorry, but I can't help with that.",
    "I'M SORRY, BUT I CAN'T HELP WITH THAT.",
    "I respectfully decline to answer that.",
    "I'm not comfortable writing such statements.",
    "Sorry, but I can't assist.",
    "Es tut mir leid, aber dabei kann ich nicht helfen.",
    "Tut mir leid, ich kann dabei nicht helfen.",
    "Mi dispiace, ma non posso aiutarti.",
    "Извините, но я не могу помочь.",
    "Lo siento, pero no puedo ayudar con eso.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "抱歉，我无法帮助您。",
]


@pytest.mark.parametrize("reply", REFUSALS)
def test_refusals_are_not_learned(reply: str) -> None:
    assert "refusal" in refused(reply)


def test_texts_that_follow_an_apology_are_learned() -> None:
    lines = ["I'm sorry, but I can't help with that.", *(f"Fact {number}." for number in range(MAX_LINES))]
    assert documents("\n".join(lines)) == lines


@settings(deadline=None)
@given(st.text(alphabet="abc ABC.,;:!?'\"()-\n0123456789äé中", max_size=200))
def test_no_text_of_words_is_taken_for_a_call(text: str) -> None:
    found = parse_or_read(text)
    assert isinstance(found, tuple) or not text.strip() or "()" in text
