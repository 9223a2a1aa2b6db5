"""A tokenised corpus that several trainings share, such as the trials of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from pct.corpora import text_file
from pct.corpora.loading import CORPUS_SETTINGS
from pct.corpora.splits import Corpus
from pct.models.build import load_tokenizer, make_vocabulary, needs_vocabulary
from pct.settings import Settings
from pct.text.tokens import Tokenizer, Tokens, only_side
from pct.text.words import split_all
from pct.training.kept_tokens import PARTS, kept_tokens

DECIDING = (*CORPUS_SETTINGS, "model", "words", "max_length", "windows", "vocabulary_size", "remove")


@dataclass(frozen=True)
class Prepared:
    """A corpus, its tokenizer, and its training and validation texts as tokens.

    made_for: the settings that they depend on.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    train: Tokens
    validation: Tokens
    made_for: dict[str, object]

    @property
    def cut_texts(self) -> int:
        """The number of training texts that were truncated."""
        return int((self.train.truncated > 0).sum())

    def check(self, settings: Settings) -> None:
        """Raises ValueError if a run of these settings needs other tokens."""
        changed = [
            f"{k}: {v!r} -> {getattr(settings, k)!r}" for k, v in self.made_for.items() if getattr(settings, k) != v
        ]
        if changed:
            raise ValueError(f"the corpus was prepared for other settings ({'; '.join(changed)}); prepare it again")


def prepare(settings: Settings, corpus: Corpus, tokenizer: Tokenizer | None = None) -> Prepared:
    """Tokenises a corpus. Without a tokenizer, builds that of the settings. Raises as `pct.models.build.make_model`.

    The tokens of a split of more than `LARGE` rows are in files: see `kept_tokens`.
    """
    made_for = {k: getattr(settings, k) for k in DECIDING}
    if max(len(corpus.splits[k]) for k in PARTS) > text_file.LARGE:
        own = tokenizer or (None if needs_vocabulary(settings) else load_tokenizer(settings.model))
        return Prepared(corpus, *kept_tokens(settings, corpus, own), made_for)
    train_texts, validation_texts = (split_all(corpus.splits[k].texts, settings.words) for k in PARTS)
    tokenizer = tokenizer or make_vocabulary(settings, train_texts) or load_tokenizer(settings.model)
    train, validation = (
        only_side(tokenizer.encode(part, settings.text_length), part, settings.remove)
        for part in (train_texts, validation_texts)
    )
    return Prepared(corpus, tokenizer, train, validation, made_for)
