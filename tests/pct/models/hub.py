"""Much-downloaded text classifiers of the Hugging Face hub: what their configurations say, and how they are taken.

Each is made with random weights and its own configuration, less wide and less deep, with a tokenizer of its kind.
`python -m tests.pct.models.hub` prints the table of docs/reference/families.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import pct
from tests.pct.models.families import TEXTS, classifier, tokenizer

IDENTITY = {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}
SEVERAL = {"problem_type": "multi_label_classification"}
SINGLE = {"problem_type": "single_label_classification"}
SCORE = ["LABEL_0"]
UNKNOWN_KIND = "has one output and does not say what it is"
GO_EMOTIONS = [
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
]  # fmt: skip
LANGUAGES = [
    "ja", "nl", "ar", "pl", "de", "it", "pt", "tr", "es", "hi", "el", "ur", "bg", "en", "fr", "zh", "ru", "th",
    "sw", "vi",
]  # fmt: skip
EMOTIONS = [
    "anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise",
]  # fmt: skip
TOXIC = [
    "toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate",
]  # fmt: skip
MODERATION = [
    "H", "H2", "HR", "OK", "S", "S3", "SH", "V", "V2",
]  # fmt: skip
STARS = ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]
ENTAILMENT = ["contradiction", "neutral", "entailment"]


@dataclass(frozen=True)
class OfTheHub:
    """A classifier of the hub.

    Attributes:
        name: its repository.
        family: that of `tests.pct.models.families`.
        labels: the names of its outputs.
        own: what else its configuration says.
        pairs: whether it reads pairs of texts.
    """

    name: str
    family: str
    labels: Sequence[str]
    own: dict[str, Any] = field(default_factory=dict)
    pairs: bool = False


HUB = [
    OfTheHub("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "DistilBERT", ["NEGATIVE", "POSITIVE"]),
    OfTheHub("cardiffnlp/twitter-roberta-base-sentiment-latest", "RoBERTa", ["negative", "neutral", "positive"]),
    OfTheHub("cardiffnlp/twitter-roberta-base-sentiment", "RoBERTa", ["LABEL_0", "LABEL_1", "LABEL_2"]),
    OfTheHub("cross-encoder/ms-marco-MiniLM-L6-v2", "BERT", SCORE, IDENTITY, pairs=True),
    OfTheHub("cross-encoder/ms-marco-electra-base", "ELECTRA", SCORE, IDENTITY, pairs=True),
    OfTheHub("cross-encoder/nli-deberta-v3-base", "DeBERTa-v2", ["contradiction", "entailment", "neutral"], IDENTITY,
             pairs=True),
    OfTheHub("BAAI/bge-reranker-v2-m3", "XLM-R", SCORE, pairs=True),
    OfTheHub("BAAI/bge-reranker-base", "XLM-R", SCORE, pairs=True),
    OfTheHub("BAAI/bge-reranker-large", "XLM-R", SCORE, pairs=True),
    OfTheHub("mixedbread-ai/mxbai-rerank-base-v1", "DeBERTa-v2", SCORE, pairs=True),
    OfTheHub("Alibaba-NLP/gte-reranker-modernbert-base", "ModernBERT", SCORE, {"classifier_pooling": "mean"},
             pairs=True),
    OfTheHub("facebook/bart-large-mnli", "BART", ENTAILMENT, pairs=True),
    OfTheHub("MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli", "DeBERTa-v2", ["entailment", "neutral", "contradiction"],
             pairs=True),
    OfTheHub("joeddav/xlm-roberta-large-xnli", "XLM-R", ENTAILMENT, pairs=True),
    OfTheHub("ProsusAI/finbert", "BERT", ["positive", "negative", "neutral"]),
    OfTheHub("yiyanghkust/finbert-tone", "BERT", ["Neutral", "Positive", "Negative"]),
    OfTheHub("papluca/xlm-roberta-base-language-detection", "XLM-R", LANGUAGES, SINGLE),
    OfTheHub("SamLowe/roberta-base-go_emotions", "RoBERTa", GO_EMOTIONS, SEVERAL),
    OfTheHub("unitary/toxic-bert", "BERT", TOXIC, SEVERAL),
    OfTheHub("martin-ha/toxic-comment-model", "DistilBERT", ["non-toxic", "toxic"], SINGLE),
    OfTheHub("j-hartmann/emotion-english-distilroberta-base", "RoBERTa", EMOTIONS, SINGLE),
    OfTheHub("nlptown/bert-base-multilingual-uncased-sentiment", "BERT", STARS),
    OfTheHub("siebert/sentiment-roberta-large-english", "RoBERTa", ["NEGATIVE", "POSITIVE"]),
    OfTheHub("lxyuan/distilbert-base-multilingual-cased-sentiments-student", "DistilBERT",
             ["positive", "neutral", "negative"]),
    OfTheHub("facebook/roberta-hate-speech-dynabench-r4-target", "RoBERTa", ["nothate", "hate"]),
    OfTheHub("protectai/deberta-v3-base-prompt-injection-v2", "DeBERTa-v2", ["SAFE", "INJECTION"], SINGLE),
    OfTheHub("KoalaAI/Text-Moderation", "DeBERTa-v2", MODERATION, SINGLE),
    OfTheHub("Skywork/Skywork-Reward-V2-Llama-3.1-8B", "Llama", SCORE),
    OfTheHub("Skywork/Skywork-Reward-V2-Qwen3-8B", "Qwen3", SCORE),
]  # fmt: skip


def small(model: OfTheHub) -> Any:
    """The classifier with random weights, less wide and less deep."""
    names = dict(enumerate(model.labels))
    return classifier(model.family, id2label=names, label2id={v: k for k, v in names.items()}, **model.own)


def texts_of(model: OfTheHub) -> list[Any]:
    """What it reads: texts, or pairs of texts."""
    return [(text, "fine") for text in TEXTS] if model.pairs else TEXTS


def transformers_logits(own: Any, words: Any, texts: Sequence[Any]) -> torch.Tensor:
    """transformers' logits of each text, or pair of texts, alone."""
    given = [words(*([text] if isinstance(text, str) else text), return_tensors="pt") for text in texts]
    with torch.no_grad():
        return torch.cat([own(**one).logits for one in given])


def verdict(model: OfTheHub) -> tuple[str, str]:
    """Its task, and how it is taken. Raises AssertionError if the outputs are not those of transformers."""
    own, words = small(model), tokenizer(model.family)
    texts = texts_of(model)
    logits = transformers_logits(own, words, texts)
    heads = [""]
    try:
        pct.wrap(own, words)
    except ValueError as refused:
        if UNKNOWN_KIND not in str(refused):
            return "", f"no: {refused}"
        heads = ["sigmoid", "value"]
    kinds = [_compare(pct.wrap(own, words, head=head), texts, logits) for head in heads]
    return " or ".join(kinds), " or ".join(f"`--head {head}`" for head in heads if head) or "as it is"


def _compare(wrapped: Any, texts: Sequence[Any], logits: torch.Tensor) -> str:
    """The task of a classifier whose outputs are those of transformers' logits."""
    if logits.shape[1] == 1:
        kind, expected = "one score", torch.cat([1 - logits.sigmoid(), logits.sigmoid()], 1)
        if len(wrapped.classes) == 1:
            kind, expected = "a number", logits
    elif wrapped.task.several:
        kind, expected = f"{logits.shape[1]} labels", logits.sigmoid()
    else:
        kind, expected = f"one of {logits.shape[1]} classes", logits.softmax(-1)
    np.testing.assert_allclose(wrapped.predict(texts), expected.numpy(), atol=1e-5)
    return kind


def row(model: OfTheHub) -> str:
    """Its row of the table."""
    task, taken = verdict(model)
    return f"| `{model.name}` | {model.family} | {task}{' of a pair' if model.pairs else ''} | {taken} |"


if __name__ == "__main__":
    print("\n".join(["| model | family | task | taken |", "| --- | --- | --- | --- |", *map(row, HUB)]))
