"""Small classifiers of the families that are out there, with random weights, each with its own kind of tokenizer."""

import collections
import functools
import math
from dataclasses import dataclass, field
from typing import Any

import torch

TEXTS = [
    "Despite its slow start, the film is brilliant.",
    "A work of astonishing delicacy and force: memorable performances, top to bottom!",
    "Don't bother... it's 3.5 hours of tired, goofy, self-aware moments; nobody wins.",
    "The U.S. cut isn't bad — café scenes & joy rising above stale material?",
    "fine",
    "unfathomable ridiculousness, leigh's demented premise; but it sustains an enjoyable level",
]
WIDTH = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
LOUD = {"initializer_range": 0.4}
ROTARY = {"num_key_value_heads": 1, "head_dim": 8}


@dataclass(frozen=True)
class Family:
    """A family: its configuration class, what it is given, and how its tokenizer cuts and frames a text.

    frame: the special tokens around a text, $A. pair: those around a pair, $A and $B, with the tokens' types where the
    family has any. longest: tokens of a text at most, None for any number. no_graph: why
    it has no ONNX graph; empty where it has one.
    """

    config: str
    cut: str
    frame: str
    pair: str
    given: dict[str, Any] = field(default_factory=dict)
    specials: dict[str, str] = field(default_factory=dict)
    padding_side: str = "right"
    longest: int | None = 64
    no_graph: str = ""


_BERT_PAIR = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
_NO_TYPES = "[CLS] $A [SEP] $B:0 [SEP]"
_ROBERTA_PAIR = "<s> $A </s> </s> $B:0 </s>"
_BERT = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
_ROBERTA = {
    "bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>",
    "cls_token": "<s>", "sep_token": "</s>",
}  # fmt: skip
_END = {"pad_token": "<|pad|>", "eos_token": "<|end|>", "bos_token": "<|end|>", "unk_token": "<|end|>"}
_XLNET = {
    "pad_token": "<pad>", "unk_token": "<unk>", "sep_token": "<sep>", "cls_token": "<cls>", "mask_token": "<mask>",
}  # fmt: skip
_SIZES = WIDTH | LOUD | {"max_position_embeddings": 64}

FAMILIES = {
    "BERT": Family("BertConfig", "wordpiece", "[CLS] $A [SEP]", _BERT_PAIR, _SIZES, _BERT),
    "DistilBERT": Family(
        "DistilBertConfig", "wordpiece", "[CLS] $A [SEP]", _NO_TYPES,
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 64} | LOUD, _BERT,
    ),
    "ELECTRA": Family(
        "ElectraConfig", "wordpiece", "[CLS] $A [SEP]", _BERT_PAIR, _SIZES | {"embedding_size": 12}, _BERT
    ),
    "MPNet": Family(
        "MPNetConfig", "wordpiece", "<s> $A </s>", _ROBERTA_PAIR, _SIZES | {"max_position_embeddings": 66}, _ROBERTA
    ),
    "RoBERTa": Family(
        "RobertaConfig", "bytes", "<s> $A </s>", _ROBERTA_PAIR, _SIZES | {"max_position_embeddings": 66}, _ROBERTA
    ),
    "XLM-R": Family(
        "XLMRobertaConfig", "unigram", "<s> $A </s>", _ROBERTA_PAIR, _SIZES | {"max_position_embeddings": 66}, _ROBERTA
    ),
    "ALBERT": Family(
        "AlbertConfig", "unigram", "[CLS] $A [SEP]", _BERT_PAIR, _SIZES | {"embedding_size": 12}, _BERT
    ),
    "DeBERTa-v2": Family(
        "DebertaV2Config", "unigram", "[CLS] $A [SEP]", _BERT_PAIR,
        _SIZES | {
            "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8, "share_att_key": True,
            "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
            "pooler_hidden_size": 16,
        },
        _BERT, longest=None,
    ),
    "ModernBERT": Family(
        "ModernBertConfig", "bytes in a sequence", "[CLS] $A [SEP]", _NO_TYPES,
        _SIZES | {"num_hidden_layers": 3, "local_attention": 8, "global_attn_every_n_layers": 3,
                  "initializer_cutoff_factor": 3.0}, _BERT,
    ),
    "XLNet": Family(
        "XLNetConfig", "unigram", "$A:0 <sep>:0 <cls>:2", "$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24} | LOUD, _XLNET, "left", None,
    ),
    "GPT-2": Family(
        "GPT2Config", "bytes", "$A", "$A $B:0",
        {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64} | LOUD, _END,
    ),
    "Llama": Family(
        "LlamaConfig", "bytes in a sequence", "<|end|> $A", "<|end|> $A $B:0", _SIZES | ROTARY, _END, "left"
    ),
    "Qwen3": Family("Qwen3Config", "bytes in a sequence", "$A", "$A $B:0", _SIZES | ROTARY, _END, "left"),
    "T5": Family(
        "T5Config", "unigram", "$A </s>", "$A </s> $B:0 </s>",
        # not with a large initializer_factor: attention without a scale amplifies rounding
        {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "feed_forward_proj": "gated-gelu"},
        {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}, longest=None,
        no_graph="no: its relative positions fall into buckets by a logarithm, whose edges are rounding",
    ),
    "BART": Family(
        "BartConfig", "bytes", "<s> $A </s>", _ROBERTA_PAIR,
        {"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
         "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 64,
         "init_std": 0.4, "scale_embedding": True}, _ROBERTA,
    ),
}  # fmt: skip


@functools.cache
def tokenizer(name: str) -> Any:
    """The family's tokenizer, with a vocabulary made from TEXTS."""
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    return PreTrainedTokenizerFast(
        tokenizer_object=_built(family), padding_side=family.padding_side, model_max_length=family.longest or int(1e30),
        model_input_names=["input_ids", "attention_mask", *(["token_type_ids"] if ":1" in family.pair else [])],
        **family.specials,
    )  # fmt: skip


def _built(family: Family) -> Any:
    """Only the vocabularies of bytes are learnt: the trainers of the others give another one at each start."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    specials = list(dict.fromkeys(family.specials.values()))
    unknown = family.specials.get("unk_token")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if family.cut == "wordpiece":
        normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        pieces = _pieces(normalizer, splitter, inner="##")[: 160 - len(specials)]
        vocabulary = {piece: i for i, piece in enumerate([*specials, *(piece for piece, _ in pieces)])}
        built = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
        built.normalizer, built.pre_tokenizer = normalizer, splitter
    elif family.cut == "unigram":
        normalizer, splitter = normalizers.NFKC(), pre_tokenizers.Metaspace()
        pieces = _pieces(normalizer, splitter, inner="")[:110]
        scored = [*((special, 0.0) for special in specials), *((piece, math.log(n / 1000)) for piece, n in pieces)]
        built = Tokenizer(models.Unigram(scored, unk_id=specials.index(unknown)))
        built.normalizer, built.pre_tokenizer = normalizer, splitter
        built.decoder = decoders.Metaspace()
    else:
        built = Tokenizer(models.BPE())
        split = pre_tokenizers.Split(_words(), "isolated")
        built.pre_tokenizer = (
            bytes_ if family.cut == "bytes"
            else pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        )  # fmt: skip
        built.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=360, initial_alphabet=bytes_.alphabet(), special_tokens=specials, show_progress=False
        )
        built.train_from_iterator(TEXTS, trainer)
    built.add_special_tokens(specials)
    ids = [(token, built.token_to_id(token)) for token in specials]
    built.post_processor = processors.TemplateProcessing(single=family.frame, pair=family.pair, special_tokens=ids)
    return built


def _pieces(normalizer: Any, splitter: Any, *, inner: str) -> list[tuple[str, int]]:
    """The characters of TEXTS' words, then their pieces of two to five characters, those first that cover the most
    text, with how often each occurs. inner: what precedes a piece that does not start its word."""
    counts: collections.Counter[str] = collections.Counter()
    for text in TEXTS:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            for start in range(len(word)):
                for end in range(start + 1, min(len(word), start + 5) + 1):
                    counts[(inner if start else "") + word[start:end]] += 1

    def order(item: tuple[str, int]) -> tuple[bool, int, str]:
        length = len(item[0].removeprefix(inner))
        return length > 1, -item[1] * length, item[0]

    return sorted(counts.items(), key=order)


def _words() -> Any:
    from tokenizers import Regex

    return Regex(r"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+")


def classifier(name: str, classes: int = 3, seed: int = 0, **changes: Any) -> Any:
    """A classifier of the family, with random weights, out of training."""
    import transformers

    family, words = FAMILIES[name], tokenizer(name)
    ids = {f"{k}_id": words.convert_tokens_to_ids(v) for k, v in family.specials.items()}
    names = dict(enumerate(["negative", "positive", "neither", "both"][:classes]))
    given = {"vocab_size": len(words), "decoder_start_token_id": ids["pad_token_id"], "id2label": names,
             "label2id": {v: k for k, v in names.items()}, **ids, **family.given, **changes}  # fmt: skip
    shape = getattr(transformers, family.config)(**given)
    torch.manual_seed(seed)
    return transformers.AutoModelForSequenceClassification.from_config(shape).eval()


def of_one_output(name: str, **changes: Any) -> Any:
    """`classifier` with one output, which has no name of its own."""
    return classifier(name, **{"classes": 1, "id2label": {0: "LABEL_0"}, "label2id": {"LABEL_0": 0}, **changes})


def table() -> str:
    """What can be done with each family, as docs/reference/families.md shows it."""
    cuts = {"wordpiece": "WordPiece", "unigram": "unigram", "bytes": "byte-level BPE",
            "bytes in a sequence": "byte-level BPE in a sequence"}  # fmt: skip
    lines = ["| family | tokenizer in the tests | load | train | export |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {name} | {cuts[f.cut]} | yes | yes | {f.no_graph or 'yes'} |" for name, f in FAMILIES.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
