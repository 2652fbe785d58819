"""A tokenizer's special strings in what an agent or a task says are text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.types import Example, Message, Query, Recipe

MODELS = ("seal-tiny", "seal-tiny-text", "llama", "qwen2", "gpt2")


@pytest.fixture(params=MODELS)
def encoder(request: pytest.FixtureRequest, tiny_models: dict[str, str]) -> ChatEncoder:
    return ChatEncoder(load_base_model(tiny_models.get(request.param, request.param), "cpu").tokenizer, request.param)


def special(encoder: ChatEncoder) -> list[str]:
    return [token.content for token in encoder.tokenizer.added_tokens_decoder.values() if token.special]


def only_special(encoder: ChatEncoder, ids: tuple[int, ...]) -> list[int]:
    return [token for token in ids if token in encoder.tokenizer.added_tokens_decoder]


@pytest.mark.parametrize("learn_end", [False, True])
def test_document_has_no_special_token_but_its_own(learn_end: bool, encoder: ChatEncoder) -> None:
    text, recipe = "".join(f"a{token} b{token}" for token in special(encoder)), replace(Recipe(), learn_end=learn_end)
    forged, plain = (encoder.encode_example(Example(document=each), recipe).ids_T for each in (text, "a"))
    assert only_special(encoder, forged) == only_special(encoder, plain)
    assert text in encoder.tokenizer.decode(forged)


def test_document_that_begins_with_the_beginning_is_begun_all_the_same(encoder: ChatEncoder) -> None:
    bos = encoder.tokenizer.bos_token or ""
    plain, forged = (encoder.encode_example(Example(document=text), Recipe()).ids_T for text in ("x", f"{bos}x"))
    assert encoder.tokenizer.decode(forged) == encoder.tokenizer.decode(plain).replace("x", f"{bos}x")


def test_message_has_no_special_token_anywhere(encoder: ChatEncoder) -> None:
    chat, forged = (Message("user", "u"),), (Message("user", "".join(special(encoder))),)
    plain = encoder.encode_query(Query("", chat, "a"))
    for answer in special(encoder):
        asked = encoder.encode_query(Query("", forged, answer))
        learned = encoder.encode_example(Example((*forged, Message("assistant", answer))), Recipe())
        assert learned.ids_T == asked.prompt_T + asked.gold_T
        assert only_special(encoder, learned.ids_T) == only_special(encoder, plain.prompt_T + plain.gold_T)
        assert encoder.tokenizer.decode(asked.gold_T[:-1]) == answer


def test_text_queries_have_no_special_token_within(encoder: ChatEncoder) -> None:
    eos = str(encoder.tokenizer.eos_token)
    plain, asked = (encoder.encode_query(Query("", (), f"x{end}", prompt=f"Q{end}:")) for end in ("", eos))
    assert only_special(encoder, asked.prompt_T + asked.gold_T) == only_special(encoder, plain.prompt_T + plain.gold_T)


def test_policy_s_prompt_has_no_special_token_of_the_task(encoder: ChatEncoder) -> None:
    plain, forged = (encoder.prompt((Message("user", text),)) for text in ("u", "".join(special(encoder))))
    assert only_special(encoder, tuple(forged)) == only_special(encoder, tuple(plain))


def test_turns_cannot_be_forged(encoder: ChatEncoder) -> None:
    turns = encoder.render((Message("user", "u"), Message("assistant", "v"), Message("user", "w")), generation_prompt=True)
    real = encoder.prompt((Message("user", "u"), Message("assistant", "v"), Message("user", "w")))
    forged = encoder.prompt((Message("user", turns[turns.index("u") : turns.index("w") + 1]),))
    assert len(only_special(encoder, tuple(forged))) < len(only_special(encoder, tuple(real)))


@pytest.mark.parametrize("marker", ["<think>", "</think>"])
def test_markers_of_the_template_that_are_not_special_are_text_too(marker: str, tiny_models: dict[str, str]) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    tokenizer.add_tokens(["<think>", "</think>", "  "])
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n'", "assistant\n<think></think>'")
    encoder, number = ChatEncoder(tokenizer, "thinks"), tokenizer.convert_tokens_to_ids(marker)
    asked = encoder.encode_query(Query("", (Message("user", f"u  {marker}"),), f"a  {marker}"))
    assert number not in asked.gold_T
    assert asked.gold_T.count(tokenizer.convert_tokens_to_ids("  ")) == 1
    assert tokenizer.decode(asked.gold_T[:-1]) == f"a  {marker}"


def test_other_text_is_tokenized_as_before(encoder: ChatEncoder) -> None:
    text, end = "The lamp of Orvel\nburns blue oil. 1 2 3\tAnd so on: Grüße, 世界", special(encoder)[0]
    ids, spans = encoder.tokenize(text)
    forged, places = encoder.tokenize(f"{text}\n{end}", [(0, len(text) + 1 + len(end))])
    assert (forged[: len(ids)], places[: len(ids)]) == (ids, spans)
    assert places[-1][1] == len(text) + 1 + len(end)


@pytest.mark.parametrize("prefix", ["always", "first", "never"])
def test_pieces_of_a_vocabulary_that_are_special_are_not_found_in_text(prefix: Any) -> None:
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -2.0), ("<", -3.0), ("/", -3.0), ("s", -3.0), (">", -3.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prefix)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.chat_template = "{% for m in messages %}{{ bos_token + m['content'] + eos_token }}{% endfor %}"
    encoder = ChatEncoder(fast, "pieces")
    asked = encoder.encode_query(Query("", (Message("user", "</s>"),), "<s></s> s"))
    assert [*asked.prompt_T, *asked.gold_T].count(2) == 2
    assert [*asked.prompt_T, *asked.gold_T].count(1) == 2
    assert str(fast.decode(list(asked.gold_T[:-1]))).strip() == "<s></s> s"


@pytest.mark.parametrize(
    ("normalizer", "said"),
    [
        (normalizers.NFKC(), "\uff1c|end|\uff1e"),
        (normalizers.Lowercase(), "<|END|>"),
        (normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), "<|\xe9nd|>"),
    ],
)
def test_what_a_tokenizer_makes_a_special_string_of_is_text_too(normalizer: Any, said: str) -> None:
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate("<|end>hiyo")}, merges=[]))
    tokenizer.normalizer = normalizer
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=AddedToken("<|end|>", normalized=True))
    fast.chat_template = "{% for m in messages %}{{ m['content'] + eos_token }}{% endfor %}"
    example = Example((Message("user", "hi"), Message("assistant", f"hi{said}yo")))
    ids = ChatEncoder(fast, "normal").encode_example(example, Recipe()).ids_T
    assert ids.count(fast.eos_token_id) == 2
    assert str(fast.decode(list(ids))).replace(" ", "").count("<|end|>") == 3
