"""Baselines for evaluation and the service: captum as its users run it, and eager torch."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from pct.classifier import Classifier
from pct.explaining.predictor import TextInterface
from pct.explaining.reduction import ERASER_SHARES, words_to_remove
from pct.models.heads import SOFTMAX

Numbers = np.ndarray[Any, Any]


def _inputs(model: Classifier, words: list[str]) -> tuple[torch.Tensor, torch.Tensor, Numbers]:
    tokens = model.tokens([words])
    ids = torch.from_numpy(tokens.ids)[None].to(model.model.device)
    return ids, torch.ones_like(ids, dtype=torch.bool), tokens.word_ids


@torch.no_grad()
def probabilities(model: Classifier, words: list[str]) -> list[float]:
    """The class probabilities of one text."""
    ids, mask, _ = _inputs(model, words)
    row: list[float] = model.model(ids, mask).logits.softmax(-1)[0].tolist()
    return row


def captum_norms(model: Classifier, words: list[str], label: int) -> list[float]:
    """The norm of captum's gradient of the label's log-odds at the embeddings of each word of a text."""
    from captum.attr import Saliency

    ids, mask, of_token = _inputs(model, words)

    def log_odds(x: torch.Tensor) -> torch.Tensor:
        return SOFTMAX.score(model.model.encode(x, mask).logits, torch.full((len(x),), label, device=x.device))

    gradient = Saliency(log_odds).attribute(model.model.embed(ids).detach(), abs=False)[0]
    return [gradient[torch.from_numpy(of_token == w)].norm().item() for w in range(of_token.max() + 1)]


def captum_loop(model: Classifier, texts: list[list[str]], all_steps: bool = False) -> dict[str, Numbers]:
    """comp_aopc and suff_aopc of each text: captum's gradient at the embeddings, then a forward pass per reduced text.

    all_steps: also run the remaining steps of both sides, and the saliency of the two texts with one word removed, as
    the eight metrics require. Raises ImportError if captum is not installed.
    """
    out: dict[str, list[float]] = {"comp_aopc": [], "suff_aopc": []}
    for words in texts:
        full_text = probabilities(model, words)
        label = full_text.index(max(full_text))
        norms = captum_norms(model, words, label)
        n = len(norms)
        for key, sign in (("comp_aopc", -1), ("suff_aopc", 1)):
            if n == 1:
                out[key].append(float("nan"))
                continue
            order = sorted(range(n), key=lambda w, sign=sign, norms=norms: (sign * norms[w], w))
            steps = [int(words_to_remove(np.array([n]), share)[0]) for share in ERASER_SHARES]
            reached = {}
            for t in range(1, n) if all_steps else sorted(set(steps)):
                rest = [word for w, word in enumerate(words[:n]) if w not in order[:t]]
                reached[t] = probabilities(model, rest)[label]
                if all_steps and t == 1:
                    captum_norms(model, rest, label)
            out[key].append(float(np.mean([full_text[label] - reached[t] for t in steps])))
    return {key: np.array(values) for key, values in out.items()}


def captum_saliency(model: Any, tokenizer: Any, texts: list[str], labels: list[int], batch_size: int) -> list[Numbers]:
    """The norm of the log-odds' gradient at each token, without the special tokens; padded batches.

    model, tokenizer: of the transformers library.
    """
    from captum.attr import Saliency

    def log_odds(x: torch.Tensor, mask: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return SOFTMAX.score(model(inputs_embeds=x, attention_mask=mask).logits, classes)

    gradient, out = Saliency(log_odds), []
    for start in range(0, len(texts), batch_size):
        inputs = tokenizer(texts[start : start + batch_size], return_tensors="pt", padding=True)
        mask, classes = inputs["attention_mask"], torch.tensor(labels[start : start + batch_size])
        embedded = model.get_input_embeddings()(inputs["input_ids"]).detach().requires_grad_(True)
        norms = gradient.attribute(embedded, abs=False, additional_forward_args=(mask, classes)).norm(dim=-1)
        out += [row[inside.bool()][1:-1].numpy() for row, inside in zip(norms, mask, strict=True)]
    return out


class Eager(TextInterface):
    """A `Predictor` on eager torch, without the work that `Classifier` shares between reduced texts."""

    def __init__(self, inner: Classifier) -> None:
        self.classes, self.settings, self.tokens = inner.classes, inner.settings, inner.tokens
        self.forward, self.explain_rows = inner.forward, inner.explain_rows

    @classmethod
    def load(cls, folder: str | Path, threads: int) -> Self:
        """Loads a saved classifier, and sets the number of torch threads of this process."""
        torch.set_num_threads(threads)
        return cls(Classifier.load(folder, "cpu"))

    def with_saliency(self, kind: str) -> Self:
        """The same predictor: its saliency is that of the settings."""
        return self
