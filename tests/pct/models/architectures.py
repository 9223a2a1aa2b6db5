"""Every architecture that transformers registers for sequence classification, tiny, and what pct.wrap says of it.

`python -m tests.pct.models.architectures` prints the table of docs/reference/families.md anew; of some, with names.
"""

import re
import sys
from typing import Any

import numpy as np
import torch

import pct
from tests.pct.models.families import TEXTS, tokenizer

WIDTH, HEADS, INNER, PLACES = 32, 4, 48, 80
SIZES = {
    2: ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers",
        "num_decoder_layers", "num_key_value_heads", "num_experts_per_tok"),
    HEADS: ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads",
            "decoder_attention_heads", "num_experts", "n_routed_experts", "num_local_experts"),
    8: ("head_dim", "d_kv", "d_head"),
    16: ("moe_intermediate_size", "shared_expert_intermediate_size"),
    WIDTH: ("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "word_embed_proj_dim",
            "pooler_hidden_size"),
    INNER: ("intermediate_size", "ffn_dim", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim", "d_ff", "hidden_dim",
            "d_inner", "dff"),
    PLACES: ("max_position_embeddings", "n_positions"),
    0.2: ("initializer_range",),
}  # fmt: skip
NAMES = {0: "negative", 1: "positive", 2: "neither"}
_LATENT = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
           "head_dim": 4, "num_key_value_heads": HEADS}  # fmt: skip
_LINEAR = {"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 2,
           "layer_types": ["linear_attention", "full_attention"]}  # fmt: skip
_TEXT = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": 2, "num_attention_heads": HEADS,
         "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": PLACES, "initializer_range": 0.2,
         "layer_types": ["full_attention"] * 2, "vocab_size": 160, "pad_token_id": 0, "bos_token_id": 2,
         "eos_token_id": 3}  # fmt: skip
_VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
           "image_size": 28, "patch_size": 14}  # fmt: skip
_COMPOSED = {"text_config": _TEXT, "vision_config": _VISION, "hidden_size": None}
# what an architecture needs beside the sizes; None leaves a size to it
MORE: dict[str, dict[str, Any]] = {
    "axk1": _LATENT | {"n_group": 1, "topk_group": 1},
    "axk2": _LATENT | {"index_head_dim": 8, "index_n_heads": 2, "index_topk": 64},
    "deepseek_v2": _LATENT, "deepseek_v3": _LATENT | {"n_group": 1, "topk_group": 1}, "minicpm3": _LATENT,
    "mistral4": _LATENT | {"qk_head_dim": 12, "rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "llama_4_scaling_beta": 0.1, "partial_rotary_factor": 1.0,
        "original_max_position_embeddings": PLACES}},
    "cohere_compass_text": {"rope_parameters": {k: {"rope_type": "default", "rope_theta": 1e4}
                                                for k in ("full_attention", "sliding_attention")}},
    "esmc": {"num_key_value_heads": HEADS}, "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4}, "falcon": {"head_dim": None},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 4, "mamba_dt_rank": 4,
              "use_mamba_kernels": False},
    "zamba": {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "attention_hidden_size": 64,
              "attention_head_dim": 16, "mamba_d_state": 4, "mamba_dt_rank": 4, "use_mamba_kernels": False,
              "num_key_value_heads": HEADS, "layers_block_type": ["mamba", "hybrid"] * 2},
    "zamba2": {"num_hidden_layers": 3, "layers_block_type": ["mamba", "hybrid", "mamba"], "mamba_d_state": 4,
               "n_mamba_heads": 4, "num_key_value_heads": HEADS, "use_mamba_kernels": False, "head_dim": None,
               "hybrid_layer_ids": [1]},
    "qwen3_next": _LINEAR, "qwen3_5_text": _LINEAR, "qwen3_moe": {"num_experts_per_tok": 2},
    "qwen3_5": {"text_config": _TEXT | _LINEAR, "hidden_size": None, "vision_config": {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH}},
    "gemma3": _COMPOSED,
    "modernvbert": _COMPOSED | {"text_config": {k: v for k, v in _TEXT.items() if k != "head_dim"}},
    "ultravbert": _COMPOSED | {"text_config": _TEXT | {"prediction_head_size": WIDTH}},
    "t5gemma": {"encoder": _TEXT, "decoder": _TEXT, "num_hidden_layers": None},
    "t5gemma2": {"encoder": {"text_config": _TEXT, "vision_config": _VISION}, "decoder": _TEXT},
    "gemma3_text": {"layer_types": ["full_attention"] * 2}, "gpt_oss": {"num_local_experts": HEADS},
    "reformer": {"axial_pos_shape": [8, 10], "axial_pos_embds_dim": [16, 16], "attention_head_size": 8,
                 "attn_layers": ["local", "lsh"], "feed_forward_size": INNER, "num_hidden_layers": None,
                 "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4, "num_buckets": 2},
    "funnel": {"block_sizes": [1, 1], "block_repeats": None, "num_hidden_layers": None, "n_layer": None},
    "xlnet": {"max_position_embeddings": None}, "xmod": {"default_language": "en_XX"},
    "roc_bert": {"enable_pronunciation": True, "pronunciation_vocab_size": 160, "shape_vocab_size": 160,
                 "pronunciation_embed_dim": 8, "shape_embed_dim": 8},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 8},
    "perceiver": {"num_latents": 4, "d_latents": WIDTH, "num_self_attends_per_block": 1,
                  "num_self_attention_heads": 2, "num_cross_attention_heads": 2},
    "layoutlmv3": {"coordinate_size": 5, "shape_size": 6, "input_size": 28, "patch_size": 14},
    "lilt": {"hidden_size": 48, "channel_shrink_ratio": 2, "max_2d_position_embeddings": 80},
    "longformer": {"attention_window": 8},
    "canine": {"num_hash_buckets": 64, "local_transformer_stride": 8, "vocab_size": None},
    "plbart": {"decoder_start_token_id": 2}, "t5": {"decoder_start_token_id": 0}, "bart": {"decoder_start_token_id": 2},
    "bigbird_pegasus": {"decoder_start_token_id": 2}, "mvp": {"decoder_start_token_id": 2},
    "mt5": {"decoder_start_token_id": 0}, "umt5": {"decoder_start_token_id": 0},
}  # fmt: skip


def architectures() -> dict[str, str]:
    """The class of each model type that transformers registers."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    return dict(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)


def tiny(model_type: str) -> Any:
    """A classifier of the architecture with random weights, out of training."""
    from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

    kind, words = CONFIG_MAPPING[model_type], tokenizer("DistilBERT")  # it gives no token types, which few models take
    usual = kind()
    given: dict[str, Any] = {name: size for size, names in SIZES.items() for name in names if hasattr(usual, name)}
    given |= {"vocab_size": len(words), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    given |= {"id2label": NAMES, "label2id": {name: i for i, name in NAMES.items()}} | MORE.get(model_type, {})
    config = kind(**{name: value for name, value in given.items() if value is not None})
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(config).eval()


def verdict(model_type: str) -> str:
    """`yes`, where the logits of texts are transformers' own in batches too, else the reason why not.

    Of a refusal of several lines, the lines. Raises whatever else than the library's own refusals comes.
    """
    try:
        model = tiny(model_type)
    except ImportError as problem:
        needs = re.search(r"pip install '?([\w-]+)|requires the ([\w-]+)", str(problem))
        return f"not made here: it needs {(needs[1] or needs[2]).lower() if needs else 'another package'}"
    words = tokenizer("DistilBERT")
    try:
        made = pct.wrap(model, words, model_type)
    except ValueError as refused:
        return f"no: {_without_names(str(refused), model, model_type)}"
    with torch.no_grad():
        wanted = np.concatenate([model(**words(text, return_tensors="pt")).logits.softmax(-1) for text in TEXTS])
    np.testing.assert_allclose(made.predict(TEXTS), wanted, atol=1e-4)
    return "yes"


def _without_names(message: str, model: Any, model_type: str) -> str:
    """The reason alone: without the model's names, numbers and the remedy."""
    kind = type(model).__name__
    reason = message.removeprefix(model_type).strip().removeprefix(f"({kind})").removeprefix(kind).strip()
    remedies = (
        "there is no gradient", "set it up", "what it predicts", "its head has", "nothing can", "it cannot be measured",
        "its predictions depend",
    )  # fmt: skip
    reason = re.split("|".join(f": {words}" for words in remedies), reason)[0]
    return re.sub(r", by [\d.e+-]+", "", reason).replace("|", "\\|")


def table(verdicts: dict[str, str]) -> str:
    """The verdicts, as docs/reference/families.md shows them."""
    classes = architectures()
    lines = ["| architecture | taken |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `{name}` {classes[name]} | {said} |" for name, said in verdicts.items())])


if __name__ == "__main__":
    import transformers

    transformers.logging.set_verbosity_error()
    said = {}
    for name in sys.argv[1:] or architectures():
        try:
            said[name] = verdict(name)
        except Exception as problem:
            said[name] = f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
    print(table(said))
