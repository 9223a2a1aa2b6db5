"""A saved tokenizer, read with the `tokenizers` library, so that serving needs neither transformers nor torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.text.subwords import SubWords

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def load_subwords(folder: Path) -> SubWords:
    """Loads what `SubWords.save` wrote. It gives the same `Tokens` as `SubWords.load`.

    Raises FileNotFoundError for missing files, ValueError for damaged ones, ImportError without `tokenizers`.
    """
    return SubWords(SavedTokenizer(folder / "tokenizer"))


class SavedTokenizer:
    """The interface of a transformers tokenizer that `SubWords` uses, over tokenizer.json and tokenizer_config.json."""

    is_fast = True

    def __init__(self, folder: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ImportError("sub-words need the tokenizers library: pip install 'pct-explain[serve]'") from None
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} holds no tokenizer: {name} is missing; save the model again")
        try:
            config: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            text = (folder / "tokenizer.json").read_text(encoding="utf-8")
            self.backend_tokenizer: Tokenizer = Tokenizer.from_str(text)
        except Exception as problem:  # the library raises a bare Exception
            raise ValueError(f"{folder} is damaged and cannot be loaded ({problem}); save the model again") from problem
        self.unk_token, self.mask_token, pad = (_token(config, x) for x in ("unk_token", "mask_token", "pad_token"))
        self.pad_token_id, self.unk_token_id = (
            None if x is None else self.backend_tokenizer.token_to_id(x) for x in (pad, self.unk_token)
        )
        self.model_input_names: list[str] = config.get("model_input_names", [])
        self.truncation_side: str = config.get("truncation_side", "right")
        self.split_special_tokens: bool = config.get("split_special_tokens", False)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)


def _token(config: dict[str, Any], name: str) -> str | None:
    """A special token. The file has a string, or, from older versions of the library, {"content": ...}."""
    value = config.get(name)
    return value["content"] if isinstance(value, dict) else value
