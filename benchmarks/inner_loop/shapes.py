"""Published shapes with random weights, and a tokenizer that splits text as Llama 3's does.

The speed of an update does not depend on the values of the weights. `build_tokenizer` needs no download: it has Llama 3's
rule for splitting text (a digit, the space before it and a line break are a token each), learned on this project's prompts,
and uses a small part of the shape's vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast
from transformers.utils import logging

from seal_env.self_edits.prompt import SYSTEM
from seal_env.tasks.arc.prompt import SOLVE_INSTRUCTION

LLAMA_1B: Mapping[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}
"""Llama-3.2-1B: 1,235,814,400 parameters."""

QWEN_7B: Mapping[str, Any] = {
    "model_type": "qwen2",
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
}
"""Qwen2.5-7B: 7,615,616,512 parameters."""

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL_TOKENS = ("<|pad|>", "<|begin|>", "<|end|>", "<|header|>", "<|/header|>", "<|eot|>")
CHAT_TEMPLATE = (
    "{{- bos_token }}{%- for m in messages %}{{- '<|header|>' + m['role'] + '<|/header|>\n\n' + m['content'] + '<|eot|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|header|>assistant<|/header|>\n\n' }}{%- endif %}"
)
PROMPT_TEXTS = (SOLVE_INSTRUCTION, SYSTEM, "\n\nInput\n\nOutput\n", "system", "user", "assistant")


def build_tokenizer(max_length: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE that splits text as Llama 3 does, learned from the prompts' fixed text. Deterministic."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(PROMPT_TEXTS * 10, trainer)
    begin = [("<|begin|>", tokenizer.token_to_id("<|begin|>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=begin)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        bos_token="<|begin|>",
        eos_token="<|end|>",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def make_config(shape: Mapping[str, Any]) -> PretrainedConfig:
    """A shape, a `model_type` and that type's own fields, as transformers' config."""
    fields = dict(shape)
    return AutoConfig.for_model(fields.pop("model_type"), **fields)


def draw_model(shape: Mapping[str, Any], device: str, dtype: torch.dtype) -> tuple[Any, PreTrainedTokenizerFast]:
    """A model of this shape with random weights, drawn on the device, and its tokenizer.

    Args:
        shape: `model_type` and that type's own fields.
        device: Where the weights are; a CPU takes a minute per 10 B parameters.
        dtype: Of the weights.
    """
    torch.manual_seed(0)
    with torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(make_config(shape), dtype=dtype, trust_remote_code=False)
    tokenizer = build_tokenizer(int(shape["max_position_embeddings"]))
    eos = tokenizer.convert_tokens_to_ids("<|eot|>")
    for config in (model.config, model.generation_config):
        config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, eos
        config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def build_model(shape: Mapping[str, Any], folder: Path, device: str) -> str:
    """Write a model of this shape with random bf16 weights, and its tokenizer, to `folder`; returns the folder.

    Args:
        shape: See `draw_model`.
        folder: Where to write.
        device: Where the weights are drawn.
    """
    logging.disable_progress_bar()
    model, tokenizer = draw_model(shape, device, torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return str(folder)
