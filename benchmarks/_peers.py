"""The peers that evaluation and the service are held against: as their users run them, and eager torch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from pct.classifier import Classifier
from pct.explaining.predictor import TextInterface
from pct.explaining.reduction import words_to_remove
from pct.explaining.saliency import class_score
from pct.metrics.removal import AOPC_SHARES
from pct.text.subwords import SubWords

Numbers = np.ndarray[Any, Any]


def captum_loop(model: Classifier, texts: list[list[str]], all_steps: bool = False) -> dict[str, Numbers]:
    """comp_aopc and suff_aopc of each text: captum's gradient at the embeddings, then a forward for each reduced text.

    all_steps: also every other step of both sides, and the saliency of the two texts that lack one word, as the eight
    metrics need them. Raises ImportError where captum is not installed.
    """
    from captum.attr import Saliency

    def embedded(words: list[str]) -> tuple[torch.Tensor, torch.Tensor, Numbers]:
        tokens = model.tokens([words])
        ids = torch.from_numpy(tokens.ids)[None].to(model.model.device)
        return ids, torch.ones_like(ids, dtype=torch.bool), tokens.words

    @torch.no_grad()
    def probabilities(words: list[str]) -> list[float]:
        ids, mask, _ = embedded(words)
        found: list[float] = model.model(ids, mask).logits.softmax(-1)[0].tolist()
        return found

    def saliency(words: list[str], label: int) -> list[float]:
        ids, mask, of_token = embedded(words)

        def log_odds(x: torch.Tensor) -> torch.Tensor:
            return class_score(model.model.encode(x, mask).logits, torch.full((len(x),), label, device=x.device))

        gradient = Saliency(log_odds).attribute(model.model.embed(ids).detach(), abs=False)[0]
        return [gradient[torch.from_numpy(of_token == w)].norm().item() for w in range(of_token.max() + 1)]

    out: dict[str, list[float]] = {"comp_aopc": [], "suff_aopc": []}
    for words in texts:
        whole = probabilities(words)
        label = whole.index(max(whole))
        found = saliency(words, label)
        n = len(found)
        for key, sign in (("comp_aopc", -1), ("suff_aopc", 1)):
            if n == 1:
                out[key].append(float("nan"))
                continue
            order = sorted(range(n), key=lambda w, sign=sign, found=found: (sign * found[w], w))
            steps = [int(words_to_remove(np.array([n]), share)[0]) for share in AOPC_SHARES]
            reached = {}
            for t in range(1, n) if all_steps else sorted(set(steps)):
                rest = [word for w, word in enumerate(words[:n]) if w not in order[:t]]
                reached[t] = probabilities(rest)[label]
                if all_steps and t == 1:
                    saliency(rest, label)
            out[key].append(float(np.mean([whole[label] - reached[t] for t in steps])))
    return {key: np.array(values) for key, values in out.items()}


class _Answers(nn.Module):
    """A classifier as ferret wants a transformers model: called with ids or embeddings, answers with `.logits`."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.inner = classifier.model
        encoder: Any = classifier.model.encoder
        self.config, self.get_input_embeddings = encoder.config, encoder.get_input_embeddings

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.inner.device

    def forward(
        self, input_ids: Any = None, inputs_embeds: Any = None, attention_mask: Any = None, **_: Any
    ) -> SimpleNamespace:
        """The logits, (batch, classes)."""
        embeddings = self.inner.embed(input_ids) if inputs_embeds is None else inputs_embeds
        return SimpleNamespace(logits=self.inner.encode(embeddings, attention_mask.bool()).logits)


def ferret_loop(classifier: Classifier, texts: list[str]) -> Numbers:
    """ferret's AOPC comprehensiveness and sufficiency of each text with its gradient explainer: (2, texts).

    Raises ImportError where ferret is not installed.
    """
    try:
        from ferret import AOPC_Comprehensiveness_Evaluation, AOPC_Sufficiency_Evaluation, GradientExplainer
    except Exception as problem:  # it imports much, and much may be missing or too new
        raise ImportError(f"ferret cannot be imported ({type(problem).__name__}: {problem})") from problem
    model, tokenizer = _Answers(classifier), tokenizer_of(classifier)
    explain = GradientExplainer(model, tokenizer, multiply_by_inputs=False)
    evaluators = [e(model, tokenizer) for e in (AOPC_Comprehensiveness_Evaluation, AOPC_Sufficiency_Evaluation)]
    out = []
    for text in texts:
        _, logits = evaluators[0].helper._forward(text, output_hidden_states=False)
        label = int(logits.argmax())
        explanation = explain(text, label)
        out.append([float(e.compute_evaluation(explanation, label).score) for e in evaluators])
    return np.array(out).T


def ferret_targets(counts: Numbers) -> tuple[Numbers, Numbers]:
    """How many words go at each of ferret's thresholds, and whether it counts: (texts, 10) both.

    It takes the whole part of the share, leaves out no word at all, and what the threshold before took already.
    """
    steps = (np.arange(0.1, 1.1, 0.1) * counts[:, None]).astype(np.int64)
    before = np.concatenate([np.zeros((len(steps), 1), np.int64), steps[:, :-1]], 1)
    return steps, (steps > before) & (steps > 0) & (steps <= counts[:, None])


def plain_texts(classifier: Classifier, texts: list[str]) -> list[str]:
    """Those in which every word is one token, also after `decode`: there ferret, which counts tokens, counts words."""
    tokens = classifier.tokens([t.split() for t in texts])
    tokenizer = tokenizer_of(classifier)
    plain = []
    for text, start, stop, n in zip(texts, tokens.starts[:-1], tokens.starts[1:], tokens.counts, strict=True):
        ids = tokens.ids[start:stop].tolist()
        if len(ids) == n + 2 and n == len(text.split()) and tokenizer(tokenizer.decode(ids[1:-1]))["input_ids"] == ids:
            plain.append(text)
    return plain


def tokenizer_of(classifier: Classifier) -> Any:
    """The transformers tokenizer of an encoder's classifier."""
    assert isinstance(classifier.tokenizer, SubWords)
    return classifier.tokenizer.tokenizer


class Eager(TextInterface):
    """A `Predictor` by eager torch, without what only `Classifier` shares between reduced texts."""

    def __init__(self, inner: Classifier) -> None:
        self.classes, self.settings, self.tokens = inner.classes, inner.settings, inner.tokens
        self.forward, self.explain_rows = inner.forward, inner.explain_rows

    @classmethod
    def load(cls, folder: str | Path, threads: int) -> Self:
        """A saved classifier, on so many threads of this process."""
        torch.set_num_threads(threads)
        return cls(Classifier.load(folder, "cpu"))

    def with_saliency(self, kind: str) -> Self:
        """The same: its saliency is that of the settings."""
        return self
