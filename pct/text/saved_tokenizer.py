"""A saved tokenizer, read by the `tokenizers` library alone: serving has sub-words without transformers or torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.text.subwords import SubWords

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


def load_subwords(folder: Path) -> SubWords:
    """What `SubWords.save` wrote, giving the same `Tokens` as `SubWords.load`.

    Raises FileNotFoundError or ValueError for a folder without a sound tokenizer, ImportError without `tokenizers`.
    """
    return SubWords(SavedTokenizer(folder / "tokenizer"))


class SavedTokenizer:
    """The part of a transformers tokenizer that `SubWords` asks for, over tokenizer.json and tokenizer_config.json.

    Threads may share it: a tokenizer is set up for one length once, and not changed while it is in use.
    """

    is_fast = True

    def __init__(self, folder: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ImportError("sub-words need the tokenizers library: pip install 'pct-explain[serve]'") from None
        self.name_or_path = str(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} holds no tokenizer: {name} is missing; save the model again")
        try:
            config: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            text = (folder / "tokenizer.json").read_text(encoding="utf-8")
            self.backend_tokenizer: Tokenizer = Tokenizer.from_str(text)
        except Exception as problem:  # the library raises a bare Exception
            raise ValueError(f"{folder} is damaged and cannot be loaded ({problem}); save the model again") from problem
        # the file keeps how its last text was cut and padded: neither is ours
        self.backend_tokenizer.no_truncation()
        self.backend_tokenizer.no_padding()
        self.unk_token, self.mask_token, pad = (_token(config, x) for x in ("unk_token", "mask_token", "pad_token"))
        self.pad_token_id, self.unk_token_id = (
            None if x is None else self.backend_tokenizer.token_to_id(x) for x in (pad, self.unk_token)
        )
        self.truncation_side = "right"
        self._cutting: dict[int, Tokenizer] = {}

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)

    def __call__(
        self, texts: Sequence[str], truncation: bool = False, max_length: int = 0, return_attention_mask: bool = False
    ) -> SavedBatch:
        """Texts as tokens; the arguments mean what they mean to a transformers tokenizer."""
        tokenizer = self._cut_to(max_length) if truncation else self.backend_tokenizer
        return SavedBatch(tokenizer.encode_batch(list(texts)))

    def _cut_to(self, max_length: int) -> Tokenizer:
        if max_length not in self._cutting:
            made = type(self.backend_tokenizer).from_str(self.backend_tokenizer.to_str())
            made.enable_truncation(max_length, stride=0, strategy="longest_first", direction=self.truncation_side)
            self._cutting[max_length] = made
        return self._cutting[max_length]


@dataclass(frozen=True)
class SavedBatch:
    """encodings: the library's own, one a text."""

    encodings: Sequence[Encoding]


def _token(config: dict[str, Any], name: str) -> str | None:
    """A special token, which the file holds as a string or, from older libraries, as {"content": ...}."""
    value = config.get(name)
    return value["content"] if isinstance(value, dict) else value
