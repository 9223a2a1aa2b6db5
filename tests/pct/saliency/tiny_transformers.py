"""Tiny classifiers of many architectures of the transformers library, with large random weights and no tokenizer."""

import functools
from typing import Any

import torch

from pct.models.wrapped import Wrapped

SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 40,
    "max_position_embeddings": 32, "initializer_range": 0.4, "pad_token_id": 0,
}  # fmt: skip
DECODER = SIZES | {"num_key_value_heads": 1, "head_dim": 8}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0, "pooler_hidden_size": 16}
SHORT = {"n_layer": 2, "n_head": 2, "vocab_size": 40, "initializer_range": 0.4, "pad_token_id": 0}

# a name, the configuration class without its ending, and its arguments
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", SIZES),
    "bert with gelu_new": ("Bert", SIZES | {"hidden_act": "gelu_new"}),
    "bert with silu": ("Bert", SIZES | {"hidden_act": "silu"}),
    "roberta": ("Roberta", SIZES),
    "distilbert": (
        "DistilBert",
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "vocab_size": 40, "max_position_embeddings": 32,
         "initializer_range": 0.4},
    ),
    "electra": ("Electra", SIZES | {"embedding_size": 12}),
    "albert": ("Albert", SIZES | {"embedding_size": 12}),
    "deberta": ("Deberta", SIZES | RELATIVE),
    "deberta-v2": (
        "DebertaV2",
        SIZES | RELATIVE | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm",
                            "position_biased_input": False},
    ),
    "modernbert": (
        "ModernBert",
        SIZES | {"num_hidden_layers": 3, "local_attention": 8, "global_attn_every_n_layers": 3,
                 "initializer_cutoff_factor": 3.0},
    ),
    "mpnet": ("MPNet", SIZES),
    "xlnet": ("XLNet", {"d_model": 16, "d_inner": 24} | SHORT),
    "gpt2": ("GPT2", {"n_embd": 16, "n_positions": 32} | SHORT),
    "llama": ("Llama", DECODER),
    "qwen3": ("Qwen3", DECODER),
    "gemma": ("Gemma", DECODER),
    "gemma2": ("Gemma2", DECODER),
    "mistral": ("Mistral", DECODER),
    "bart": (
        "Bart",
        {"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
         "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 32,
         "init_std": 0.4, "vocab_size": 40, "pad_token_id": 0, "decoder_start_token_id": 2, "eos_token_id": 3},
    ),
    "opt": (
        "OPT",
        {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 24, "init_std": 0.4,
         "max_position_embeddings": 32, "vocab_size": 40, "word_embed_proj_dim": 16, "pad_token_id": 0},
    ),
    "funnel": (
        "Funnel",
        {"block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 24, "vocab_size": 40,
         "num_decoder_layers": 1, "initializer_std": 0.4, "pad_token_id": 0},
    ),
    "xlm": (
        "XLM",
        {"emb_dim": 16, "n_layers": 2, "n_heads": 2, "vocab_size": 40, "max_position_embeddings": 32, "init_std": 0.4,
         "embed_init_std": 0.4, "pad_index": 0, "pad_token_id": 0},
    ),
    # of these the logits are not the sum of the relevances
    "bloom": ("Bloom", {"hidden_size": 16} | SHORT),
    "t5": (
        "T5",
        {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "vocab_size": 40,
         "feed_forward_proj": "gated-gelu", "initializer_factor": 3.0, "pad_token_id": 0, "decoder_start_token_id": 0,
         "eos_token_id": 3},
    ),
    "esm": ("Esm", SIZES | {"mask_token_id": 5}),
}  # fmt: skip
REFUSED = ("bloom", "t5", "esm")
CONSERVED = tuple(name for name in CONFIGURATIONS if name not in REFUSED)


def inner_model(name: str, classes: int = 3, seed: int = 0, **changes: Any) -> Any:
    """An `AutoModelForSequenceClassification` of a configuration, in evaluation mode."""
    import transformers

    kind, arguments = CONFIGURATIONS[name]
    config = getattr(transformers, f"{kind}Config")(num_labels=classes, **arguments | changes)
    torch.manual_seed(seed)
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


@functools.cache
def tiny(name: str) -> Wrapped:
    """The wrapped model of a configuration, in float32. Tests must not change it."""
    return Wrapped(inner_model(name), name)


def exact(name: str, **changes: Any) -> Wrapped:
    """The wrapped model of a configuration, in float64, of its own."""
    return Wrapped(inner_model(name, **changes), name).double()


def one_text(length: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and words of a batch of one text (1, length): a special token at each end, one word of two tokens."""
    words = torch.tensor([[-1, 0, 0, *range(1, length - 3), -1]])
    return torch.arange(4, 4 + length)[None], words


def two_texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and words of a padded batch of two texts, (2, 7); the second has three words."""
    ids, words = one_text()
    short = torch.tensor([[4, 9, 12, 6, 5, 0, 0]]), torch.tensor([[-1, 0, 1, 2, -1, -2, -2]])
    return torch.cat([ids, short[0]]), torch.cat([words, short[1]])
