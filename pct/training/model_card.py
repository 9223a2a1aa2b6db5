"""Saves a classifier as a folder of the transformers library with a model card, and uploads it to the hub."""

from __future__ import annotations

from pathlib import Path

from pct.auditing.kept import copy_audit
from pct.classifier import TRANSFORMERS, Classifier, load
from pct.layout import CONFIG, MODEL
from pct.metrics.change import Change
from pct.models.checks import check_reloaded
from pct.models.pretrained import without_bars
from pct.models.to_transformers import to_transformers
from pct.output.html import ASSETS, fill
from pct.text.plurals import plural
from pct.text.subwords import SubWords
from pct.writing import atomic_folder, check_folder, write_text

CARD = "README.md"


def save_transformers(classifier: Classifier, folder: str | Path, change: Change | None = None) -> Path:
    """Writes config.json, model.safetensors, the tokenizer and a model card atomically.

    `AutoModelForSequenceClassification.from_pretrained` and `pipeline("text-classification")` give the same logits.

    Args:
        classifier: a wrapped classifier, or an encoder that was trained here.
        folder: a new folder, or a folder of a transformers model, which is replaced.
        change: the change by finetuning, for the card.

    Raises:
        ValueError: transformers has no class for the model, see `to_transformers`.
        FileExistsError: the folder holds something else.
    """
    target = Path(folder)
    check_folder(target, TRANSFORMERS)
    model = to_transformers(classifier.model, classifier.classes)
    assert isinstance(classifier.tokenizer, SubWords)  # checked by to_transformers
    with atomic_folder(target, TRANSFORMERS) as temporary, without_bars():
        model.save_pretrained(temporary)
        classifier.tokenizer.save_files(temporary)
        write_text(temporary / CARD, model_card(classifier, target.name, change))
        reloaded = load(temporary, str(classifier.model.device))
        check_reloaded(classifier.model, reloaded.model, type(model).__name__)
        copy_audit(classifier, reloaded, temporary)
    return target


def check_finetuned(classifier: Classifier, folder: str | Path, source: str) -> None:
    """Checks, before the training, that `save_finetuned` may write to the folder.

    source: the folder or name that the classifier was loaded from.

    Raises FileExistsError as `check_folder`, and for the folder of the classifier itself.
    """
    if Path(folder).resolve() in (Path(source).resolve(), Path(source, MODEL).resolve()):
        raise FileExistsError(f"{folder} holds the classifier itself, which would be lost; give another folder")
    check_folder(folder, TRANSFORMERS if isinstance(classifier.tokenizer, SubWords) else CONFIG)


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
