"""Small models of many architectures, with random weights: two layers, 32 wide, windows of 16 tokens where there are any."""

from __future__ import annotations

from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM

Config = dict[str, Any]

SHAPE: Final[Config] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "max_position_embeddings": 512, "initializer_range": 0.2, "tie_word_embeddings": False,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT: Final[Config] = {
    "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "initializer_range": 0.2,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
ALL_HEADS: Final[Config] = {"num_key_value_heads": 4}
WINDOW: Final[Config] = {"sliding_window": 16}
EXPERTS: Final[Config] = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
DEEPSEEK: Final[Config] = ALL_HEADS | {
    "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
    "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "kv_lora_rank": 8, "q_lora_rank": None,
    "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8,
}  # fmt: skip
LATENT: Final[Config] = ALL_HEADS | {
    "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8,
}  # fmt: skip
SPARSE: Final[Config] = DEEPSEEK | {"q_lora_rank": 8, "index_n_heads": 2, "index_head_dim": 8, "index_topk": 16}
SSM: Final[Config] = {
    "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8, "mamba_chunk_size": 16,
}  # fmt: skip
DELTA: Final[Config] = {
    "layer_types": ["linear_attention", "full_attention"], "linear_num_value_heads": 4, "linear_num_key_heads": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
OMITTED: Final = object()


def _rope(kind: str, **fields: Any) -> Config:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **fields}}


LONG = _rope("longrope", short_factor=[1.0] * 4, long_factor=[4.0] * 4, original_max_position_embeddings=64)
LLAMA3 = _rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)

MODELS: Final[dict[str, dict[str, tuple[str, Config]]]] = {
    "Dense": {
        "Llama": ("llama", {}),
        "Mistral": ("mistral", {"sliding_window": None}),
        "Ministral 3": ("ministral3", {}),
        "Qwen2": ("qwen2", {}),
        "Qwen3": ("qwen3", {}),
        "Gemma": ("gemma", {}),
        "OLMo": ("olmo", {}),
        "OLMo 2": ("olmo2", {}),
        "SmolLM3": ("smollm3", {}),
        "StableLM": ("stablelm", {}),
        "Starcoder 2": ("starcoder2", {}),
        "ERNIE 4.5": ("ernie4_5", {}),
        "Seed-OSS": ("seed_oss", {}),
        "Hunyuan": ("hunyuan_v1_dense", {}),
        "InternLM 3": ("internlm3", {}),
        "Helium": ("helium", {}),
        "Arcee": ("arcee", {}),
        "Apertus": ("apertus", {}),
        "Nemotron": ("nemotron", {}),
        "BitNet, not quantised": ("bitnet", {}),
        "GPT-2": ("gpt2", GPT),
        "OPT": ("opt", ALL_HEADS | {"ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.2}),
        "BioGPT": ("biogpt", ALL_HEADS),
        "Cohere Command R": ("cohere", {}),
        "Granite": ("granite", {"logits_scaling": 2.0}),
        "MiniCPM 3": ("minicpm3", LATENT),
        "nanochat": ("nanochat", {}),
    },
    "Dense, with fused layers": {
        "Phi-3": ("phi3", {}),
        "GLM": ("glm", {}),
        "GLM-4": ("glm4", {}),
        "GPT-NeoX": ("gpt_neox", {}),
        "GPT-BigCode": ("gpt_bigcode", GPT),
        "Falcon": ("falcon", {"head_dim": OMITTED, "new_decoder_architecture": True, "num_kv_heads": 2}),
        "Persimmon": ("persimmon", ALL_HEADS),
        "Bloom": ("bloom", {"n_layer": 2, "n_head": 4}),
        "MPT": ("mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 512}),
    },
    "With a bias in the head, or attention of their own": {
        "Phi-1 and 2": ("phi", ALL_HEADS),
        "GPT-J": ("gptj", GPT | {"rotary_dim": 4}),
        "CodeGen": ("codegen", GPT | {"rotary_dim": 4}),
        "GPT-1": ("openai-gpt", GPT),
        "GPT-Neo": (
            "gpt_neo",
            {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
             "max_position_embeddings": 512, "window_size": 16, "initializer_range": 0.2},
        ),
        "XGLM": ("xglm", {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48, "init_std": 0.2}),
        "DiffLlama": ("diffllama", {}),
        "Doge": ("doge", {}),
    },
    "Windows, chunks and sinks": {
        "Mistral 7B v0.1": ("mistral", WINDOW),
        "Qwen2 with windows": ("qwen2", WINDOW | {"use_sliding_window": True, "max_window_layers": 1}),
        "Gemma 2": ("gemma2", WINDOW | {"query_pre_attn_scalar": 8}),
        "Gemma 3": (
            "gemma3_text", WINDOW | {"query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"]},
        ),
        "OLMo 3": ("olmo3", WINDOW),
        "EXAONE 4": ("exaone4", WINDOW),
        "Command R7B": ("cohere2", WINDOW),
        "VaultGemma": ("vaultgemma", WINDOW | {"query_pre_attn_scalar": 8}),
        "gpt-oss": ("gpt_oss", WINDOW | EXPERTS),
        "Llama 4": (
            "llama4_text",
            EXPERTS | {"intermediate_size_mlp": 48, "attention_chunk_size": 16, "no_rope_layers": [1, 0],
                       "interleave_moe_layer_step": 2},
        ),
    },
    "Long contexts": {
        "Llama 3.1": ("llama", LLAMA3),
        "Llama with YaRN": ("llama", _rope("yarn", factor=8.0, original_max_position_embeddings=64)),
        "Llama with dynamic NTK": ("llama", {"max_position_embeddings": 64} | _rope("dynamic", factor=4.0)),
        "Phi-3 128k": ("phi3", {"original_max_position_embeddings": 64} | LONG),
    },
    "Mixtures of experts": {
        "Mixtral": ("mixtral", EXPERTS),
        "Qwen2 MoE": ("qwen2_moe", EXPERTS | {"shared_expert_intermediate_size": 16, "mlp_only_layers": [0]}),
        "Qwen3 MoE": ("qwen3_moe", EXPERTS),
        "Qwen3 MoE with a dense layer": ("qwen3_moe", EXPERTS | {"mlp_only_layers": [0]}),
        "DeepSeek V2": ("deepseek_v2", DEEPSEEK),
        "DeepSeek V3": ("deepseek_v3", DEEPSEEK | {"q_lora_rank": 8, "head_dim": 4}),
        "DeepSeek V3.2": ("deepseek_v32", SPARSE),
        "GLM-4 MoE": ("glm4_moe", DEEPSEEK),
        "GLM-5": ("glm_moe_dsa", SPARSE),
        "dots.llm1": ("dots1", DEEPSEEK),
        "ERNIE 4.5 MoE": (
            "ernie4_5_moe", EXPERTS | {"moe_num_experts": 4, "moe_k": 2, "moe_layer_start_index": 1},
        ),
        "OLMoE": ("olmoe", EXPERTS),
        "FlexOlmo": ("flex_olmo", EXPERTS),
        "Phi-3.5 MoE": ("phimoe", EXPERTS),
        "Granite MoE": ("granitemoe", EXPERTS),
        "MiniMax M2": ("minimax_m2", EXPERTS),
        "AFMoE": ("afmoe", EXPERTS | {"num_dense_layers": 1}),
        "Solar Open": ("solar_open", DEEPSEEK),
        "EXAONE MoE": ("exaone_moe", EXPERTS),
        "Hunyuan MoE": ("hunyuan_v1_moe", EXPERTS | {"moe_topk": [2, 2]}),
        "JetMoE": ("jetmoe", EXPERTS | {"kv_channels": 8, "num_attention_heads": None}),
    },
    "Recurrent and hybrid": {
        "Mamba": ("mamba", {"state_size": 4}),
        "Mamba 2": ("mamba2", {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16}),
        "Falcon Mamba": ("falcon_mamba", {"state_size": 4}),
        "RWKV": ("rwkv", {"attention_hidden_size": 32, "context_length": 512}),
        "RecurrentGemma": (
            "recurrent_gemma", {"block_types": ["recurrent", "attention"], "attention_window_size": 16, "lru_width": 32},
        ),
        "Jamba": (
            "jamba",
            EXPERTS | {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1,
                       "mamba_d_state": 4},
        ),
        "Bamba": ("bamba", SSM | {"attn_layer_indices": [1]}),
        "Falcon H1": ("falcon_h1", SSM | {"mamba_d_ssm": 64}),
        "Granite 4 hybrid": (
            "granitemoehybrid", EXPERTS | SSM | {"layer_types": ["mamba", "attention"], "shared_intermediate_size": 16},
        ),
        "Qwen3-Next": ("qwen3_next", EXPERTS | DELTA | {"shared_expert_intermediate_size": 16}),
        "Qwen3.5": ("qwen3_5_text", DELTA),
        "LFM2": ("lfm2", {"layer_types": ["conv", "full_attention"], "block_ff_dim": 48}),
        "MiniMax": ("minimax", EXPERTS),
        "OLMo hybrid": ("olmo_hybrid", {}),
    },
    "Encoders": {
        "BERT": ("bert", ALL_HEADS),
        "BERT as a decoder": ("bert", ALL_HEADS | {"is_decoder": True}),
        "RoBERTa as a decoder": ("roberta", {"is_decoder": True}),
        "ModernBERT decoder": ("modernbert-decoder", {"local_attention": 16, "global_attn_every_n_layers": 2}),
    },
}  # fmt: skip
"""By group, the name of a family and its `model_type` with what its configuration has beside SHAPE."""


def tiny_model(name: str, vocabulary: int, **changes: Any) -> Any:
    """A model of a family, frozen, in fp32.

    Args:
        name: A family of `MODELS`.
        vocabulary: How many tokens it has.
        changes: Of its configuration.
    """
    kind, fields = next(models[name] for models in MODELS.values() if name in models)
    shape = {} if fields.keys() & {"n_embd", "num_layers", "d_model"} else SHAPE
    torch.manual_seed(0)
    chosen = {**shape, "vocab_size": vocabulary, **fields, **changes}
    config = AutoConfig.for_model(kind, **{each: value for each, value in chosen.items() if value is not OMITTED})
    return AutoModelForCausalLM.from_config(config, trust_remote_code=False).requires_grad_(False).eval()
