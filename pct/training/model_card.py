"""A classifier handed back to the transformers library: a folder that it loads, and a card that says what is known."""

from __future__ import annotations

from pathlib import Path

from pct.auditing.kept import copy_audit
from pct.classifier import TRANSFORMERS, Classifier, load
from pct.layout import CONFIG
from pct.metrics.change import Change
from pct.models.checks import check_reloaded
from pct.models.to_transformers import to_transformers
from pct.text.subwords import SubWords
from pct.writing import atomic_folder, check_folder, write_text

CARD = "README.md"
_HEAD = """---
library_name: transformers
pipeline_tag: text-classification
tags:
- pathological-contrastive-training
- explainability
---

"""
_USE = """
## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", "{name}")

import pct  # pip install pct-explain

pct.explain(pct.load("{name}"), ["a text"])
```
"""


def save_transformers(classifier: Classifier, folder: str | Path, change: Change | None = None) -> Path:
    """Writes config.json, model.safetensors, the tokenizer and a model card; the folder appears whole or not at all.

    `AutoModelForSequenceClassification.from_pretrained` and `pipeline("text-classification")` give its logits.

    Args:
        classifier: a wrapped classifier, or an encoder that was trained here.
        folder: where it goes; a folder of a transformers model is replaced.
        change: what `finetune` found, for the card.

    Raises:
        ValueError: a model that has no form in transformers, see `to_transformers`.
        FileExistsError: the folder holds something else.
    """
    target = Path(folder)
    check_folder(target, TRANSFORMERS)
    model = to_transformers(classifier.model, classifier.classes)
    assert isinstance(classifier.tokenizer, SubWords)  # or it would have been refused
    with atomic_folder(target, TRANSFORMERS) as made:
        model.save_pretrained(made)
        classifier.tokenizer.save_files(made)
        write_text(made / CARD, model_card(classifier, target.name, change))
        again = load(made, str(classifier.model.device))
        check_reloaded(classifier.model, again.model, type(model).__name__)
        copy_audit(classifier, again, made)
    return target


def check_finetuned(classifier: Classifier, folder: str | Path) -> None:
    """Looks, before hours of training, whether `save_finetuned` may write there. Raises as `check_folder`."""
    check_folder(folder, TRANSFORMERS if isinstance(classifier.tokenizer, SubWords) else CONFIG)


def save_finetuned(classifier: Classifier, folder: str | Path, change: Change) -> Path:
    """`save_transformers`; a textcnn or lstm, which has no form there, as `Classifier.save`, with the same card."""
    if isinstance(classifier.tokenizer, SubWords):
        return save_transformers(classifier, folder, change)
    target = classifier.save(folder)
    write_text(target / CARD, model_card(classifier, target.name, change))
    return target


def model_card(classifier: Classifier, name: str, change: Change | None = None) -> str:
    """The text of README.md: what the model is, how it was trained, and what changed by it."""
    s = classifier.settings
    lines = [f"# {name}", "", f"Classes: {', '.join(classifier.classes)}. Made from `{s.model}`.", ""]
    if change is not None:
        lines += [
            f"Trained further by the method `{s.method}` ({s.epochs} epochs, lr {s.lr:g}, seed {s.seed}), and held "
            f"against the model that it was made from on the same {len(change.before.columns['label'])} texts, which "
            "neither was trained on here. comp and suff are what removing the words that a gradient calls important or "
            "unimportant takes from the confidence, ir and ur how many such words change the prediction; the larger a "
            f"gap, the more its explanations can be trusted. Texts were cut to {s.max_length} tokens.", "",
            change.markdown(), "",
        ]  # fmt: skip
    return _HEAD + "\n".join(lines) + _USE.format(name=name)


def push_to_hub(folder: str | Path, name: str, private: bool = False) -> str:
    """Uploads a folder that `save_transformers` made to the Hugging Face hub; returns the commit's address.

    Args:
        folder: what is uploaded.
        name: OWNER/NAME; the repository is made where it is not there yet.
        private: whether a new repository is private.

    Raises:
        OSError: the hub refused, or did not answer.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=name, folder_path=str(folder), commit_message="A classifier by pct")
    except (HfHubHTTPError, OSError, ValueError) as problem:
        said = " ".join(str(problem).split())
        raise OSError(f"{name} could not be pushed to the hub ({said}); `hf auth login` gives it a token") from problem
    return str(done)
