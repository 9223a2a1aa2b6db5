"""The tokens of a large corpus: written once into the cache folder, by all cores, and read from there by later runs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pct
from pct.corpora.splits import Corpus
from pct.layout import cache_folder
from pct.output.workers import START_SECONDS, Workers, available_cores
from pct.settings import Settings
from pct.text.token_files import read_tokens, write_tokens
from pct.text.tokens import Tokenizer, Tokens, only_side
from pct.text.vocabulary import Vocabulary, normalized
from pct.text.words import NATURAL, SPACES, split_all, split_each

TEXTS_A_TASK = 5000
FORMAT = 2  # of the folders in the cache
ABOUT = "about.json"
PARTS = ("train", "validation")

logger = logging.getLogger("pct.training")


class Encoder(NamedTuple):
    """How texts become tokens. tokenizer: None while words are counted for one."""

    words: str
    length: int
    remove: str
    tokenizer: Tokenizer | None


def kept_tokens(settings: Settings, corpus: Corpus, tokenizer: Tokenizer | None) -> tuple[Tokenizer, Tokens, Tokens]:
    """The tokenizer, and the tokens of the training and validation texts, in files.

    The folder in the cache is named by a hash of the corpus, the tokenizer and the settings that the tokens depend on.
    With a word rule of the user's own nothing is kept, since its code may change.

    Args:
        settings: of the run.
        corpus: a large one.
        tokenizer: None for a vocabulary of the training texts.
    """
    identity = ["vocabulary", settings.vocabulary_size] if tokenizer is None else tokenizer_digest(tokenizer)
    how = [settings.words, settings.text_length, settings.remove, identity, pct.__version__, FORMAT]
    key = hashlib.sha256(json.dumps([corpus.fingerprint, how]).encode()).hexdigest()[:16]
    cache = cache_folder() / "tokens"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / key
    own_rule = settings.words not in (NATURAL, SPACES)
    if folder.is_dir() and not own_rule:
        try:
            tokens = _read(folder, tokenizer)
        except (OSError, KeyError, TypeError, ValueError) as problem:
            logger.warning("the tokens in %s are damaged (%s): tokenising again", folder, problem)
            shutil.rmtree(folder)
        else:
            logger.warning("the tokens of this corpus are reused from %s", folder)
            return tokens
    with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as scratch:
        _write(settings, corpus, tokenizer, Path(scratch))
        opened_files = _read(Path(scratch), tokenizer)
        if not own_rule:
            os.chmod(scratch, 0o755)
            with suppress(OSError):  # another process was first; on Windows, open files are not moved
                os.rename(scratch, folder)
        return opened_files


def _write(settings: Settings, corpus: Corpus, tokenizer: Tokenizer | None, folder: Path) -> None:
    about: dict[str, Any] = {}
    encoder = Encoder(settings.words, settings.text_length, settings.remove, tokenizer)
    if tokenizer is None:
        counts: Counter[str] = Counter()
        for part in _of_chunks(count_words, encoder, corpus.splits["train"].texts):
            counts.update(part)
        vocabulary = Vocabulary.of_counts(counts, settings.vocabulary_size)
        about = {"words": vocabulary.words, "rare": len(vocabulary) - vocabulary.first_rare}
        encoder = encoder._replace(tokenizer=vocabulary)
    for name in PARTS:
        write_tokens(_of_chunks(encode, encoder, corpus.splits[name].texts), folder / name)
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _read(folder: Path, tokenizer: Tokenizer | None) -> tuple[Tokenizer, Tokens, Tokens]:
    if tokenizer is None:
        tokenizer = Vocabulary(**json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    train, validation = (read_tokens(folder / name) for name in PARTS)
    return tokenizer, train, validation


def count_words(encoder: Encoder, texts: Sequence[Any], first: int) -> Counter[str]:
    """How often each word occurs, as a vocabulary has it. first: the place of the first text in the split."""
    documents = split_each(texts, encoder.words, first)
    return Counter(chain.from_iterable(map(normalized, documents)))


def encode(encoder: Encoder, texts: Sequence[Any], first: int) -> Tokens:
    """The tokens of some texts. first: as of `count_words`."""
    assert encoder.tokenizer is not None
    documents = split_all(texts, encoder.words, first)
    return only_side(encoder.tokenizer.encode(documents, encoder.length), documents, encoder.remove)


def _of_chunks(function: Callable[..., Any], encoder: Encoder, texts: Sequence[Any]) -> Iterator[Any]:
    """The results of a function of all texts, in parts. Long work is shared by processes, one per core."""
    starts = range(0, len(texts), TEXTS_A_TASK)
    tasks = ((texts[start : start + TEXTS_A_TASK], start) for start in starts)
    processes = available_cores() if _is_own_command() else 1
    # a first task that takes longer shows that the whole takes longer than it takes to start the processes
    patience = START_SECONDS * processes / len(starts)
    yield from Workers(encoder, partial(opened, encoder), processes, patience).map(function, tasks)


def opened(encoder: Encoder, threads: int) -> Encoder:
    """The encoder in a process of its own, which has no more threads than its part of the cores."""
    if threads == 1:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    return encoder


def _is_own_command() -> bool:
    """Whether this process is a command of this project. A new process imports the main module, and a user's own may
    begin its work anew there."""
    main = sys.modules["__main__"]
    name = main.__spec__.name if main.__spec__ else Path(getattr(main, "__file__", None) or "").stem
    return name.partition(".")[0] in ("pct", "pipelines", "tuning")


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """A hash of a tokenizer's files."""
    digest = hashlib.sha256(tokenizer.kind.encode())
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer.save(Path(scratch))
        for path in sorted(p for p in Path(scratch).rglob("*") if p.is_file()):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
