"""VMASK (Chen & Ji, EMNLP 2020, arXiv 2010.00667): a probability of each word to be read, learned with the model."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pct.methods.base import Batch, SettingsMethod, Step, supervised_loss
from pct.models.base import TextModel
from pct.saliency.gradients import word_part
from pct.text.subwords import SubWords
from pct.text.tokens import TOKEN_TYPE, Tokenizer

HIDDEN = 100  # the width of the network that gives the probabilities
READ_AT_FIRST = 3.0  # the log-odds with which a word is read before training: p = .95
ROWS = 10_000  # of the table of embeddings, at once


class WordMasks(nn.Module):
    """(.., width) embeddings -> (..,) the log-odds with which their tokens are read, by a network of one hidden layer.

    Args:
        width: of the embeddings.
        always_read: the ids of tokens that are not masked.
    """

    always_read: Tensor

    def __init__(self, width: int, always_read: list[int]) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(width, HIDDEN), nn.Linear(HIDDEN, 1)
        nn.init.constant_(self.out.bias, READ_AT_FIRST)
        self.register_buffer("always_read", torch.tensor(always_read, dtype=torch.long), persistent=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """See the class. They are in the precision of the network, also for embeddings of less."""
        with torch.autocast(embeddings.device.type, enabled=False):
            hidden = torch.tanh(self.hidden(embeddings.to(self.out.weight.dtype)))
            return self.out(hidden).squeeze(-1)

    def expected(self, ids: Tensor, embeddings: Tensor) -> Tensor:
        """(..,) the probability of each token to be read, in the precision of its embedding, (.., width)."""
        return torch.where(self.may_be_masked(ids), self(embeddings).sigmoid(), 1.0).to(embeddings.dtype)

    def may_be_masked(self, ids: Tensor) -> Tensor:
        """Whether each token may be masked: not one that is always read."""
        return ~torch.isin(ids % TOKEN_TYPE, self.always_read)


class VMask(SettingsMethod):
    """Cross-entropy of texts with random tokens masked + beta KL(q || a fair coin), the mean over these tokens.

    q is the probability of a token to be read, from its embedding. In training each token is read, or masked (its
    embedding becomes 0), at random by q, with the gradient of the relaxed choice. In evaluation its embedding is
    multiplied by q; after training the products become the model's embeddings, so that its architecture is unchanged.
    """

    def prepare(self, model: TextModel, tokenizer: Tokenizer) -> None:
        """See `MethodWithWeights.prepare`: adds the masks to the model.

        Raises:
            ValueError: the model has no table of word embeddings that it alone reads, or the table is not trained.
        """
        table = model.word_table
        if table is None or not table.weight.requires_grad:
            raise ValueError(
                "method vmask changes the word embeddings: it needs a model with a table of them that is trained, and "
                "that no decoder reads; use another method"
            )
        special = tokenizer.special_ids() if isinstance(tokenizer, SubWords) else []
        masks = WordMasks(table.embedding_dim, special).to(table.weight.device)
        model.add_module("word_masks", masks)

        def in_evaluation(module: nn.Module, ids: tuple[Tensor], embeddings: Tensor) -> Tensor:
            return embeddings if module.training else embeddings * masks.expected(ids[0], embeddings)[..., None]

        self.hook = table.register_forward_hook(in_evaluation)

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        masks, real = masks_of(model), batch.word_ids > -2
        embeddings = model.embed(batch.ids)
        of_words = word_part(model, embeddings)
        log_odds = masks(of_words)
        masked = real & masks.may_be_masked(batch.ids)
        read = torch.where(masked, random_choice(log_odds), 1.0).to(embeddings.dtype)
        types = embeddings[..., of_words.shape[-1] :]
        logits = model.encode(torch.cat([of_words * read[..., None], types], -1), real).logits
        loss = supervised_loss(logits, batch)
        divergence = (from_fair_coin(log_odds) * masked).sum() / masked.sum().clamp(min=1)
        parts = {"cross_entropy": loss.detach(), "divergence": divergence.detach()}
        return Step(loss + self.settings.mask_weight * divergence, parts)

    @torch.no_grad()
    def finish(self, model: TextModel) -> None:
        """See `MethodWithWeights.finish`: multiplies the model's embeddings by q, and removes the masks."""
        self.hook.remove()
        table, masks = model.word_table, masks_of(model)
        assert table is not None
        for ids in torch.split(torch.arange(table.num_embeddings, device=model.device), ROWS):
            table.weight[ids] *= masks.expected(ids, table(ids))[:, None]
        del model.word_masks


def masks_of(model: TextModel) -> WordMasks:
    """The word masks that `VMask.prepare` added. Raises ValueError if there are none."""
    masks = getattr(model, "word_masks", None)
    if not isinstance(masks, WordMasks):
        raise ValueError("the model has no word masks: call prepare of the method first")
    return masks


def random_choice(log_odds: Tensor) -> Tensor:
    """0 or 1 at random with these log-odds of 1, with the gradient of sigmoid(log-odds + noise): the Gumbel-softmax of
    two classes at temperature 1, straight through (Jang et al. 2017, arXiv 1611.01144)."""
    uniform = torch.rand_like(log_odds).clamp(1e-7, 1 - 1e-7)
    relaxed = (log_odds + uniform.log() - torch.log1p(-uniform)).sigmoid()
    return (relaxed > 0.5).to(relaxed.dtype) + (relaxed - relaxed.detach())


def from_fair_coin(log_odds: Tensor) -> Tensor:
    """KL(q || 1/2) = log 2 - H(q) in nats, of a coin with these log-odds."""
    return math.log(2) - F.softplus(log_odds) + log_odds * log_odds.sigmoid()
