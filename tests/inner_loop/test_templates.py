"""Every chat template that TRL ships, and what templates may do: think, write the date, take arguments."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from transformers import AutoTokenizer

from seal_env.errors import ModelError, SettingError
from seal_env.inner_loop.tokens.arguments import TemplateArguments
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.types import PROFILES, Example, Message, Query, Recipe

trl = pytest.importorskip("trl")

FOLDER = Path(trl.__file__).parent / "chat_templates"
TEMPLATES = sorted(path.stem for path in FOLDER.glob("*.jinja"))
MARKER = re.compile(r"<[|｜][^<>{}\s]+[|｜]>|</?(?:think|start_of_turn|end_of_turn|end_of_utterance|s)>|<\|turn>|<turn\|>")
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d [A-Z][a-z]{2} \d{4}")
OPENED = {"deepseek_r1_distill", "deepseekv3", "qwen3_5_think", "qwen3_6", "qwen3_8", "nemotron_3_nano"}
ANSWERS = ("8 7\n6 5", "d", "e", "end", "5", "turn", "return", "assistant", "final", "  padded \n", "<think>", "a</think>b")
CHATS = {
    "user": (Message("user", "What is d at the end?"),),
    "system": (Message("system", "Answer briefly."), Message("user", "What is d at the end?")),
}


@pytest.fixture
def chatml(tiny_models: dict[str, str]) -> Any:
    return AutoTokenizer.from_pretrained(tiny_models["qwen2"])


def encoder_of(name: str, tokenizer: Any, **arguments: str) -> ChatEncoder:
    """The tokenizer with a template of TRL's and its markers as special tokens; thoughts are added tokens, as Qwen's are."""
    if name not in TEMPLATES:
        pytest.skip(f"TRL {version('trl')} does not ship {name}")
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")
    markers = set(MARKER.findall(tokenizer.chat_template)) - {"<think>", "</think>"}
    tokenizer.add_special_tokens({"additional_special_tokens": sorted(markers)})
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.bos_token = "<|pad|>"
    return ChatEncoder(tokenizer, name, TemplateArguments(**arguments))


def encoded(encoder: ChatEncoder, chat: tuple[Message, ...], answer: str) -> tuple[Any, Any]:
    example = Example((*chat, Message("assistant", answer)))
    return encoder.encode_query(Query("0", chat, answer)), encoder.encode_example(example, Recipe())


def test_templates_of_trl_are_found() -> None:
    least = 41 if Version(version("trl")) >= Version("1.16") else 18
    assert len([name for name in TEMPLATES if not name.endswith("_training")]) >= least


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_answer_is_learned_and_asked_for_alike(name: str, chat: str, chatml: Any) -> None:
    encoder = encoder_of(name, chatml)
    for answer in ANSWERS:
        asked, learned = encoded(encoder, CHATS[chat], answer)
        chosen = zip(learned.ids_T, learned.supervised("train_using_output_tokens"), strict=True)
        assert asked.prompt_T + asked.gold_T == learned.ids_T
        assert tuple(token for token, kept in chosen if kept) == asked.gold_T
        assert chatml.decode(asked.gold_T[:-1]).strip() == answer.strip()
        assert asked.gold_T[-1] in asked.stop_ids
        assert not set(asked.gold_T[:-1]) & asked.stop_ids


@pytest.mark.parametrize("name", [name for name in TEMPLATES if not name.startswith(("llava", "smolvlm", "idefics"))])
def test_plain_messages_are_rendered_as_the_tokenizer_renders_them(name: str, chatml: Any) -> None:
    encoder = encoder_of(name, chatml, date="2026-01-02")
    for answer in ("8 7\n6 5", " padded\n"):
        chat = [{"role": "user", "content": " What?\n"}, {"role": "assistant", "content": answer}]
        theirs = chatml.apply_chat_template(chat, tokenize=False)
        ours = encoder.render([Message("user", " What?\n"), Message("assistant", answer)], generation_prompt=False)
        assert DATE.sub("DATE", ours) == DATE.sub("DATE", theirs)


@pytest.mark.parametrize("name", sorted(OPENED))
def test_opened_thoughts_are_not_what_an_answer_is_asked_for_in(name: str, chatml: Any) -> None:
    encoder = encoder_of(name, chatml)
    assert encoder.render(CHATS["user"], generation_prompt=True).endswith("<think>\n")
    prompt = chatml.decode(encoded(encoder, CHATS["user"], "5")[0].prompt_T)
    assert prompt.count("<think>") == prompt.count("</think>")


def test_thoughts_are_closed_as_the_template_writes_them(chatml: Any) -> None:
    asked, _ = encoded(encoder_of("qwen3_6", chatml), CHATS["user"], "5")
    assert chatml.decode(asked.prompt_T).endswith("assistant\n<think>\n\n</think>\n\n")
    assert chatml.decode(asked.gold_T) == "5<|im_end|>"


@pytest.mark.parametrize("name", ["llama3_2", "gptoss", "muse_glimmer"])
def test_date_is_a_fixed_one(name: str, chatml: Any) -> None:
    texts = [encoder_of(name, chatml, date=date).render(CHATS["user"], True) for date in ("2024-07-26", "2025-03-01")]
    found = [re.findall(r"(?:Date|date): ([^\n.]*)", text)[-1] for text in texts]
    assert found in (["26 Jul 2024", "01 Mar 2025"], ["2024-07-26", "2025-03-01"])


def test_template_that_thinks_is_told_not_to_by_its_argument(chatml: Any) -> None:
    silent = encoder_of("qwen3_6", chatml, values='{"enable_thinking": false}')
    assert silent.render(CHATS["user"], generation_prompt=True).endswith("<think>\n\n</think>\n\n")


def test_argument_that_the_template_does_not_read_is_refused(chatml: Any) -> None:
    for values, legal in (('{"enable_thinkin": 1}', "enable_thinking"), ('{"messages": []}', "enable_thinking")):
        with pytest.raises(SettingError, match=f"chat_template_kwargs.*{legal}"):
            encoder_of("qwen3", chatml, values=values)


def test_template_that_leaves_out_a_message_is_refused(chatml: Any) -> None:
    chatml.chat_template = "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}"
    with pytest.raises(ModelError, match="leaves out a message"):
        ChatEncoder(chatml, "mute").encode_query(Query("0", CHATS["user"], "5"))


def test_system_message_that_a_template_would_drop_goes_to_the_user(chatml: Any) -> None:
    chatml.chat_template = "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['content'] }}\n{% endif %}{% endfor %}"
    text = ChatEncoder(chatml, "deaf").render(CHATS["system"], generation_prompt=True)
    assert text == "Answer briefly.\n\nWhat is d at the end?\n"


@pytest.mark.parametrize("answer", ["5", "[UNUSED_TOKEN_145]", "_", "TOKEN", "145"])
def test_answer_that_is_within_the_end_token_is_found_before_it(answer: str, chatml: Any) -> None:
    chatml.add_special_tokens({"additional_special_tokens": ["[UNUSED_TOKEN_145]"]})
    chatml.chat_template = chatml.chat_template.replace("<|im_end|>", "[UNUSED_TOKEN_145]")
    asked, _ = encoded(ChatEncoder(chatml, "intern"), CHATS["user"], answer)
    assert chatml.decode(asked.gold_T) == f"{answer}[UNUSED_TOKEN_145]"
    assert asked.stop_ids == {chatml.eos_token_id, chatml.convert_tokens_to_ids("[UNUSED_TOKEN_145]")}


def test_text_after_an_answer_is_no_end_of_its_turn(chatml: Any) -> None:
    chatml.chat_template = chatml.chat_template.replace("'<|im_end|>' + '\n'", "' (over)\n'")
    asked, _ = encoded(ChatEncoder(chatml, "texts"), CHATS["user"], "f (x)")
    assert chatml.decode(asked.gold_T) == "f (x)<|im_end|>"
    assert asked.stop_ids == {chatml.eos_token_id}


def test_answer_that_merges_with_the_prompt_is_asked_for_as_learned(tiny_models: dict[str, str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["llama"])
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ex' + m['content'] + eos_token }}{% endfor %}"
    tokenizer.chat_template += "{% if add_generation_prompt %}assistant: ex{% endif %}"
    for answer in ("ery pair of grids", "Every", "ample"):
        asked, learned = encoded(ChatEncoder(tokenizer, "merges"), CHATS["user"], answer)
        assert asked.prompt_T + asked.gold_T == learned.ids_T
        assert tokenizer.decode(asked.gold_T[:-1]) == answer


def test_trailing_prompt_follows_where_the_template_ends_a_chat_otherwise(chatml: Any) -> None:
    encoder = encoder_of("phi3", chatml)
    ids = encoder.encode_example(Example((*CHATS["user"], Message("assistant", "5"))), PROFILES["paper"]).ids_T
    assert chatml.decode(ids).endswith("5<|end|>\n<|assistant|>\n")
