"""Saves a classifier as a folder of the transformers library with a model card, and uploads it to the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pct.auditing.kept import FILE as AUDIT
from pct.auditing.kept import copy_audit
from pct.classifier import TRANSFORMERS, Classifier, load
from pct.layout import CONFIG, MODEL
from pct.metrics.change import Change
from pct.models.checks import check_reloaded, check_same_tokens
from pct.models.pretrained import OWN, READING, without_bars
from pct.models.to_transformers import to_transformers
from pct.output.html import ASSETS, fill
from pct.text.plurals import plural
from pct.text.subwords import SubWords
from pct.writing import atomic_folder, check_folder, write_text

CARD = "README.md"
# the files of a folder of transformers, which may be replaced; no folders, such as a trainer's checkpoints
OF_TRANSFORMERS = (
    TRANSFORMERS, CARD, AUDIT, "generation_config.json", "*.safetensors", "*.safetensors.index.json", "*.bin",
    "*.bin.index.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt",
    "*.model", "chat_template*",
)  # fmt: skip


def save_transformers(classifier: Classifier, folder: str | Path, change: Change | None = None) -> Path:
    """Writes config.json, model.safetensors, the tokenizer and a model card atomically.

    `AutoModelForSequenceClassification.from_pretrained` and `pipeline("text-classification", truncation=True)` give the
    same logits; windows are read by `pct.load` alone. How it reads texts (`READING`) is kept in config.json.

    Args:
        classifier: a wrapped classifier, or an encoder that was trained here.
        folder: a new folder, or a folder of a transformers model, which is replaced.
        change: the change by finetuning, for the card.

    Raises:
        ValueError: transformers has no class for the model, see `to_transformers`.
        FileExistsError: the folder holds something else.
    """
    target = Path(folder)
    check_target(target)
    model = to_transformers(classifier.model, classifier.classes)
    setattr(model.config, OWN, {name: getattr(classifier.settings, name) for name in READING})
    assert isinstance(classifier.tokenizer, SubWords)  # checked by to_transformers
    with atomic_folder(target, TRANSFORMERS) as temporary, without_bars():
        model.save_pretrained(temporary)
        classifier.tokenizer.save_files(temporary, model_max_length=classifier.settings.max_length)
        write_text(temporary / CARD, model_card(classifier, target.name, change))
        reloaded = load(temporary, str(classifier.model.device))
        check_reloaded(classifier.model, reloaded.model, type(model).__name__)
        check_same_tokens(classifier._encode, reloaded._encode)
        copy_audit(classifier, reloaded, temporary)
    return target


def check_target(folder: Path) -> None:
    """Checks that `save_transformers` may write to a folder: a new or empty one, or one of a transformers model alone.

    Raises:
        FileExistsError: as `check_folder`, or for a file or folder that would be lost.
    """
    check_folder(folder, TRANSFORMERS)
    if not (folder / TRANSFORMERS).is_file():
        return
    others = [x.name for x in folder.iterdir() if x.is_dir() or not any(x.match(name) for name in OF_TRANSFORMERS)]
    if others:
        raise FileExistsError(f"{folder} also holds {sorted(others)[0]}, which would be lost; give a new folder")
    config: Any = json.loads((folder / TRANSFORMERS).read_text(encoding="utf-8"))
    if not isinstance(config, dict) or "model_type" not in config:
        raise FileExistsError(f"{folder} holds a {TRANSFORMERS} that is not of transformers; give a new folder")


def check_finetuned(classifier: Classifier, folder: str | Path, source: str) -> None:
    """Checks, before the training, that `save_finetuned` may write to the folder.

    source: the folder or name that the classifier was loaded from.

    Raises FileExistsError as `check_folder`, and for the folder of the classifier itself.
    """
    if Path(folder).resolve() in (Path(source).resolve(), Path(source, MODEL).resolve()):
        raise FileExistsError(f"{folder} holds the classifier itself, which would be lost; give another folder")
    if isinstance(classifier.tokenizer, SubWords):
        check_target(Path(folder))
    else:
        check_folder(folder, CONFIG)


def save_finetuned(classifier: Classifier, folder: str | Path, change: Change) -> Path:
    """`save_transformers`; for a textcnn or lstm, `Classifier.save` with the same model card."""
    if isinstance(classifier.tokenizer, SubWords):
        return save_transformers(classifier, folder, change)
    target = classifier.save(folder)
    write_text(target / CARD, model_card(classifier, target.name, change))
    return target


def model_card(classifier: Classifier, name: str, change: Change | None = None) -> str:
    """The text of README.md: the model, its training, and the change."""
    return fill(
        ASSETS / "card.md", name=name, classes=classifier.classes, s=classifier.settings, task=classifier.task,
        change=change, plural=plural,
    )  # fmt: skip


def push_to_hub(folder: str | Path, name: str, private: bool = False) -> str:
    """Uploads a folder of `save_transformers` to the Hugging Face hub. Returns the URL of the commit.

    Args:
        folder: the folder to upload.
        name: OWNER/NAME; the repository is created if it does not exist.
        private: whether a new repository is private.

    Raises:
        OSError: the hub rejected the upload, or is not reachable.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=name, folder_path=str(folder), commit_message="A classifier by pct")
    except (HfHubHTTPError, OSError, ValueError) as problem:
        reason = " ".join(str(problem).split())
        raise OSError(f"{name} could not be pushed to the hub ({reason}); log in with `hf auth login`") from problem
    return str(commit)
