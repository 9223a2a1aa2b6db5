"""The peers that evaluation and the service are held against: as their users run them, and eager torch."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from pct.classifier import Classifier
from pct.explaining.predictor import TextInterface
from pct.explaining.reduction import words_to_remove
from pct.metrics.removal import AOPC_SHARES
from pct.models.heads import SOFTMAX

Numbers = np.ndarray[Any, Any]


def _inputs(model: Classifier, words: list[str]) -> tuple[torch.Tensor, torch.Tensor, Numbers]:
    tokens = model.tokens([words])
    ids = torch.from_numpy(tokens.ids)[None].to(model.model.device)
    return ids, torch.ones_like(ids, dtype=torch.bool), tokens.word_ids


@torch.no_grad()
def probabilities(model: Classifier, words: list[str]) -> list[float]:
    """Those of the classes, for a text alone."""
    ids, mask, _ = _inputs(model, words)
    row: list[float] = model.model(ids, mask).logits.softmax(-1)[0].tolist()
    return row


def captum_norms(model: Classifier, words: list[str], label: int) -> list[float]:
    """Of each word of a text, the norm of captum's gradient of the label's log-odds at its embeddings."""
    from captum.attr import Saliency

    ids, mask, of_token = _inputs(model, words)

    def log_odds(x: torch.Tensor) -> torch.Tensor:
        return SOFTMAX.score(model.model.encode(x, mask).logits, torch.full((len(x),), label, device=x.device))

    gradient = Saliency(log_odds).attribute(model.model.embed(ids).detach(), abs=False)[0]
    return [gradient[torch.from_numpy(of_token == w)].norm().item() for w in range(of_token.max() + 1)]


def captum_loop(model: Classifier, texts: list[list[str]], all_steps: bool = False) -> dict[str, Numbers]:
    """comp_aopc and suff_aopc of each text: captum's gradient at the embeddings, then a forward for each reduced text.

    all_steps: also every other step of both sides, and the saliency of the two texts that lack one word, as the eight
    metrics need them. Raises ImportError where captum is not installed.
    """
    out: dict[str, list[float]] = {"comp_aopc": [], "suff_aopc": []}
    for words in texts:
        whole = probabilities(model, words)
        label = whole.index(max(whole))
        norms = captum_norms(model, words, label)
        n = len(norms)
        for key, sign in (("comp_aopc", -1), ("suff_aopc", 1)):
            if n == 1:
                out[key].append(float("nan"))
                continue
            order = sorted(range(n), key=lambda w, sign=sign, norms=norms: (sign * norms[w], w))
            steps = [int(words_to_remove(np.array([n]), share)[0]) for share in AOPC_SHARES]
            reached = {}
            for t in range(1, n) if all_steps else sorted(set(steps)):
                rest = [word for w, word in enumerate(words[:n]) if w not in order[:t]]
                reached[t] = probabilities(model, rest)[label]
                if all_steps and t == 1:
                    captum_norms(model, rest, label)
            out[key].append(float(np.mean([whole[label] - reached[t] for t in steps])))
    return {key: np.array(values) for key, values in out.items()}


def captum_saliency(model: Any, tokenizer: Any, texts: list[str], labels: list[int], together: int) -> list[Numbers]:
    """The norm of the log-odds' gradient at each token, specials left out; some texts a call, padded.

    model, tokenizer: of the transformers library.
    """
    from captum.attr import Saliency

    def log_odds(x: torch.Tensor, mask: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return SOFTMAX.score(model(inputs_embeds=x, attention_mask=mask).logits, classes)

    gradient, out = Saliency(log_odds), []
    for start in range(0, len(texts), together):
        some = tokenizer(texts[start : start + together], return_tensors="pt", padding=True)
        mask, classes = some["attention_mask"], torch.tensor(labels[start : start + together])
        embedded = model.get_input_embeddings()(some["input_ids"]).detach().requires_grad_(True)
        norms = gradient.attribute(embedded, abs=False, additional_forward_args=(mask, classes)).norm(dim=-1)
        out += [row[inside.bool()][1:-1].numpy() for row, inside in zip(norms, mask, strict=True)]
    return out


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
