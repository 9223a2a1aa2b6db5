"""A trained model with its tokenizer, classes and settings: save, load, predict, saliency."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pct import __version__
from pct.auditing.kept import AuditSummary, copy_audit, read_audit, registered_tags, take_audit
from pct.explaining.predictor import (
    TOKENS_A_BACKWARD,
    TOKENS_A_BATCH,
    TOKENS_A_GPU_BATCH,
    Forward,
    TextInterface,
    rows_as_tokens,
)
from pct.layout import ADAPTER_CONFIG, CONFIG, MODEL, WEIGHTS, may_be_on_the_hub
from pct.methods import methods
from pct.models import TextModel, build_model
from pct.models.base import for_prediction
from pct.models.structural_copy import structural_copy
from pct.models.transfer import to_device
from pct.models.windows import Windows
from pct.saliency import GRADIENT_NORM, make_saliency
from pct.saliency.base import GradientSaliency
from pct.saliency.defaults import default_saliency
from pct.settings import Settings
from pct.tasks import Task, task_of_settings, with_threshold
from pct.text.plurals import plural
from pct.text.replacement_token import (
    baseline_token,
    check_baseline,
    padding_skipped,
    replacement_token_id,
    texts_with_padding,
)
from pct.text.subwords import SubWords, token_kinds
from pct.text.tokens import TOKEN_TYPE, Bools, Floats, Ints, Tokenizer, Tokens
from pct.text.vocabulary import Vocabulary
from pct.text.words import check_saved_rule, has_pairs, split
from pct.writing import atomic_folder

FORMAT = 1
TRANSFORMERS = "config.json"  # what a folder of the transformers library has
# the settings of a classifier that was not trained here
_UNTRAINED: dict[str, Any] = {"corpus": "", "method": "normal"}


class Classifier(TextInterface):
    """A text classifier with saliency: a `Predictor` in torch.

    Attributes:
        model: the network, in evaluation mode.
        tokenizer: converts texts to tokens.
        classes: the names of the classes, in the order of the probabilities.
        settings: of its training and its explanations.
        audited: the best saliency of an audit of this model; empty without one.
        audit: the summary of that audit, or None.
    """

    def __init__(self, model: TextModel, tokenizer: Tokenizer, classes: Sequence[str], settings: Settings) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.classes = list(classes)
        self.settings = settings
        self.model.task_kind = self.task.kind
        self.model.text_windows = Windows.of(settings, tokenizer)
        self.word_rule = settings.words
        self.audited = ""
        self.audit: AuditSummary | None = None
        self._pairs_checked = False  # see `tokens`

    @property
    def task(self) -> Task:
        """What the outputs mean: one class of several, several labels, or a number."""
        return task_of_settings(self.settings)

    @property
    def tokens_a_batch(self) -> int:
        """The most tokens of a call of `forward`."""
        return TOKENS_A_GPU_BATCH if self.model.device.type == "cuda" else TOKENS_A_BATCH

    @property
    def tokens_a_backward(self) -> int:
        """The most tokens of a call of `explain_rows`; on a GPU they grow with its memory beyond 16 GiB."""
        if self.model.device.type != "cuda":
            return TOKENS_A_BACKWARD
        memory = torch.cuda.get_device_properties(self.model.device).total_memory
        return max(TOKENS_A_BACKWARD, TOKENS_A_BACKWARD * memory // 2**34)

    @property
    def family(self) -> str:
        """The kind of architecture: textcnn, lstm, transformer (an encoder with a new head), wrapped (its own head)."""
        return self.model.family

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor.tokens`. At the first pair of texts, the logits of a pair are compared with transformers'."""
        if self.settings.windows and has_pairs(texts):
            raise ValueError("a pair of texts is not read in windows: leave windows out; the pair is cut")
        tokens = self._encode(texts)
        if self.family == "wrapped":
            self._check_typed_padding(tokens)
            if not self._pairs_checked and has_pairs(texts):
                from pct.models.checks import check_pairs

                check_pairs(self.model, self.tokenizer.tokenizer, self.settings.model_name)  # type: ignore[attr-defined]
                self._pairs_checked = True
        return tokens

    def _encode(self, texts: Sequence[Sequence[str]]) -> Tokens:
        return self.tokenizer.encode(texts, self.settings.text_length)

    def _check_typed_padding(self, tokens: Tokens) -> None:
        """Raises ValueError for a text with a literal padding token, if the model skips it among token ids: it cannot
        skip it among embeddings."""
        for text in texts_with_padding(tokens, self._padding_ids()):
            ids, _ = tokens.rows(np.array([text]))
            if not self.model.same_logits_from_embeddings(torch.from_numpy(ids).to(self.model.device)):  # type: ignore[operator]
                raise padding_skipped(text)

    def reads_pairs(self) -> bool:
        """Whether it reads pairs of texts."""
        return not self._rejects([split(("a", "a"))])

    def _padding_ids(self) -> list[int]:
        """The ids of padding: of the tokenizer, and of the model's configuration and layers, which may differ."""
        tokenizer: Any = getattr(self.tokenizer, "tokenizer", None)
        own = {*getattr(self.model, "padding_ids", ()), getattr(tokenizer, "pad_token_id", None)}
        return sorted(own - {None})

    def skipped_padding(self) -> list[int]:
        """The ids of padding whose token, typed in the middle or at the end of a text, makes the text rejected."""
        tokenizer: Any = getattr(self.tokenizer, "tokenizer", None)
        typed = {x: tokenizer.convert_ids_to_tokens(x) for x in self._padding_ids()} if tokenizer else {}
        return [x for x, token in typed.items() if token and self._rejects([["a", token, "a"], ["a", token]])]

    def _rejects(self, texts: Sequence[Sequence[str]]) -> bool:
        try:
            self.tokens(texts)
        except ValueError:
            return True
        return False

    def forward(self, ids: Ints, mask: Bools) -> Floats:
        """See `Predictor.forward`."""
        model, device = self.model, self.model.device
        with torch.inference_mode(), self._precision(), for_prediction(self.model):
            logits = model(to_device(ids, device), to_device(mask, device)).logits
            return np.asarray(model.head.probabilities(logits.float()).cpu().numpy())

    def forward_over(self, vocabulary: Ints) -> Forward:
        """See `FastForward.forward_over`."""
        model = self.model
        with torch.inference_mode(), self._precision(), for_prediction(self.model):
            projected = model.project(model.embed(to_device(vocabulary, model.device)))
        types, bare = np.divmod(vocabulary, TOKEN_TYPE)
        row_of = np.zeros((int(types.max()) + 1, int(bare.max()) + 1), np.int64)
        row_of[types, bare] = np.arange(len(vocabulary))

        def forward(ids: Ints, mask: Bools) -> Floats:
            rows = row_of[0][ids] if len(row_of) == 1 else row_of[np.divmod(ids, TOKEN_TYPE)]
            source, real = (to_device(x, model.device) for x in (rows, mask))
            with torch.inference_mode(), self._precision(), for_prediction(self.model):
                logits = model.dense(model.recombine(projected, source, real).pooled)
                return np.asarray(model.head.probabilities(logits.float()).cpu().numpy())

        return forward

    def represent(self, ids: Ints, mask: Bools) -> tuple[Floats, Floats]:
        """See `Represents.represent`."""
        model, device = self.model, self.model.device
        with torch.inference_mode(), self._precision(), for_prediction(self.model):
            logits, representation = model(to_device(ids, device), to_device(mask, device))
            return model.head.probabilities(logits.float()).cpu().numpy(), representation.float().cpu().numpy()

    def replacement_token_id(self, removal: str) -> int:
        """See `HasReplacementToken.replacement_token_id`."""
        return replacement_token_id(self.tokenizer, removal)

    def nearest_tokens(self, ids: Ints) -> Ints:
        """See `pct.auditing.stability.Neighbours`. A token that begins a word is replaced by one that does, too."""
        usable, starts = token_kinds(self.tokenizer)
        device, types, ids = self.model.device, ids - ids % TOKEN_TYPE, ids % TOKEN_TYPE
        with torch.inference_mode():
            table = self.model.embed(torch.arange(len(usable), device=device)).float()
            table = torch.nn.functional.normalize(table, dim=-1)
            own = torch.from_numpy(ids).to(device)
            similarity = table[own] @ table.T
            allowed = torch.from_numpy(usable).to(device) & (
                torch.from_numpy(starts).to(device) == torch.from_numpy(starts[ids]).to(device)[:, None]
            )
            allowed[torch.arange(len(ids)), own] = False
            best = similarity.masked_fill(~allowed, -2.0).max(-1)
        return types + np.where((best.values > -2.0).cpu().numpy(), best.indices.cpu().numpy(), ids)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """See `Predictor.explain_rows`: by the saliency of the settings."""
        saliency = make_saliency(self.settings.saliency, self.settings)
        if isinstance(saliency, GradientSaliency):
            return self.attribute_rows(saliency, ids, words, classes)
        return saliency.explain_tokens(self, rows_as_tokens(ids, words, 0), classes)

    def check_saliency(self, saliency: GradientSaliency) -> None:
        """See `Attributes.check_saliency`."""
        check_baseline(self.tokenizer, saliency.name, saliency.options.baseline)
        saliency.check_model(self.model)

    def attribute_rows(
        self, saliency: GradientSaliency, ids: Ints, words: Ints, classes: Ints | None
    ) -> tuple[Floats, Floats]:
        """See `Attributes.attribute_rows`."""
        model, device = self.model, self.model.device
        chosen = None if classes is None else to_device(classes, device)
        with self._precision():
            logits, scores = saliency.attribute(
                model, to_device(ids, device), to_device(words, device), chosen,
                baseline_token(self.tokenizer, saliency.options.baseline),
            )  # fmt: skip
        scores = scores[:, : max(int(words.max()) + 1, 1)]
        return model.head.probabilities(logits.float()).cpu().numpy(), scores.float().cpu().numpy()

    def _precision(self) -> Any:
        # no cache: threads share it, and a weight cast in inference mode has no gradient in another thread
        enabled = self.settings.precision == "bf16"  # not with auto: metrics are small differences
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=enabled, cache_enabled=False)

    def to(self, device: str) -> Self:
        """Moves the model.

        Args:
            device: "cpu", "cuda", ...; "auto" uses a GPU if there is one.

        Returns:
            Itself.
        """
        target = pick_device(device)
        if self.model.device != target:  # a copy: a wrapped model shares its weights with the caller's
            self.model = structural_copy(self.model, target)
        return self

    def save(self, folder: str | Path) -> Path:
        """Writes safetensors, JSON and the tokenizer.

        Args:
            folder: written atomically; an existing classifier is replaced.

        Returns:
            The folder.

        Raises:
            FileExistsError: the folder holds something else.
            ValueError: a wrapped model has other logits when it is loaded again, such as a model of a custom class.
        """
        with atomic_folder(folder, CONFIG) as temporary:
            weights = {k: v.detach().cpu().contiguous().clone() for k, v in self.model.state_dict().items()}
            save_file(weights, temporary / WEIGHTS)
            self.tokenizer.save(temporary)
            about = {
                "format": FORMAT, "version": __version__, "classes": self.classes, "words": self.tokenizer.kind,
                "model": self.model.config(),
                "settings": self.settings.to_dict(), "method_from": methods.origin(self.settings.method),
            }  # fmt: skip
            (temporary / CONFIG).write_text(json.dumps(about, indent=2), encoding="utf-8")
            if self.model.config()["family"] == "wrapped":
                self._check_saved(temporary)
            copy_audit(self, self, temporary)
        return Path(folder)

    def _check_saved(self, folder: Path) -> None:
        from pct.models.checks import cannot_be_saved, check_reloaded, check_same_tokens, one_line

        name = type(getattr(self.model, "model", self.model)).__name__
        try:
            again = type(self).load(folder, str(self.model.device))
        except ValueError as problem:
            raise ValueError(cannot_be_saved(name, one_line(problem.__cause__ or problem))) from problem
        check_reloaded(self.model, again.model, name)
        check_same_tokens(self._encode, again._encode)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> Self:
        """Reads what `save` wrote. Nothing is unpickled.

        Args:
            folder: the classifier's folder.
            device: see `to`.

        Raises:
            FileNotFoundError: the folder holds no classifier.
            ValueError: it is damaged.
            ImportError: its training method came from a package that is not installed.
        """
        from pct.models.checks import check_finite

        path = Path(folder)
        for name in (CONFIG, WEIGHTS):
            if not (path / name).is_file():
                raise FileNotFoundError(
                    f"{path} holds no classifier: {name} is missing; give a folder that pct train or transformers "
                    "wrote, or open an exported one by pct.onnx.predictor.OnnxPredictor.load"
                )
        try:
            about = json.loads((path / CONFIG).read_text(encoding="utf-8"))
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']} is not the format {FORMAT} that this version reads")
            methods.check(about["settings"]["method"], about.get("method_from", ""))
            settings = Settings.from_saved(about["settings"])
            tokenizer = Vocabulary.load(path) if about["words"] == "vocabulary" else SubWords.load(path)
            model = build_model(about["model"])
            model.load_state_dict(load_file(path / WEIGHTS))
            _check_parts(about, tokenizer, model)
            check_finite(model, str(path))
        except (SafetensorError, KeyError, TypeError, OSError, RuntimeError, ValueError) as problem:
            raise ValueError(f"{path} is damaged and cannot be loaded ({problem}); save the model again") from problem
        check_saved_rule(settings.words)
        return cls(model.to(pick_device(device)), tokenizer, about["classes"], settings)


def _check_parts(about: dict[str, Any], tokenizer: Tokenizer, model: TextModel) -> None:
    """Raises ValueError if the parts of a folder do not belong to the same model."""
    classes, outputs = about["classes"], model.dense.out_features
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes must be a list of names, got {classes!r}")
    if len(classes) != outputs:
        raise ValueError(f"{plural(len(classes), 'class is', 'classes are')} named, the model has {outputs}")
    if isinstance(tokenizer, Vocabulary) and len(tokenizer) != about["model"]["vocabulary"]:
        raise ValueError(f"the vocabulary has {len(tokenizer)} entries, the model {about['model']['vocabulary']}")


def load(
    path: str | Path, device: str = "auto", head: str = "", threshold: float | None = None, windows: str = ""
) -> Classifier:
    """Loads a classifier.

    Args:
        path: the folder of a saved classifier or of a run, a "runs:/..." or "models:/..." URI of MLflow, or the folder
            or hub name of any `AutoModelForSequenceClassification` (see `wrap`).
        device: "cpu", "cuda", ...; "auto" uses a GPU if there is one.
        head: what the outputs of a classifier of transformers are, where its configuration does not say it (see
            `wrap`).
        threshold: of several labels, the probability from which a label is assigned; None for the model's own.
        windows: how texts of more tokens than the model reads at once are read, as "stride=128" (see
            `pct.models.windows.Windows`); if empty, as the model was saved. They are truncated by default.

    Raises:
        FileNotFoundError: there is no such classifier.
        ValueError: it is damaged, or cannot be explained (see `wrap`).
        ImportError: a URI without MLflow, or a training method of a package that is not installed.
    """
    text = str(path)
    in_mlflow = text.startswith(("runs:/", "models:/"))
    folder = Path(path) / MODEL if (Path(path) / MODEL).is_dir() else Path(path)
    saved = in_mlflow or (folder / CONFIG).is_file()
    if head and saved:
        raise ValueError(f"head {head}: {text} is a saved classifier, which has its own head; leave it out")
    if in_mlflow:
        return with_windows(with_threshold(_from_mlflow(text, device), threshold), windows)
    of_transformers = any((folder / name).is_file() for name in (TRANSFORMERS, ADAPTER_CONFIG))
    if not saved and (of_transformers or may_be_on_the_hub(text)):
        classifier = _from_transformers(str(folder), text, pick_device(device), head).to(device)
    elif not saved and not folder.exists():
        raise FileNotFoundError(f"there is no folder {text}: give one that pct train or transformers wrote")
    else:
        classifier = Classifier.load(folder, device)
    # the audit of a run is in the run's folder or in its model's folder
    take_audit(classifier, read_audit(classifier, path, folder), path)
    return with_windows(with_threshold(classifier, threshold), windows)


def wrap(model: Any, tokenizer: Any = None, name: str = "", head: Any = None, **settings: Any) -> Classifier:
    """Wraps a classifier of the transformers library, with its own head, pooling, class names and special tokens.

    Args:
        model: an `AutoModelForSequenceClassification`, or a `text-classification` pipeline, whose `max_length` is
            honoured; a `SetFitModel`, or a `SentenceTransformer` with a `head`. Its weights are shared, but for weights
            of half precision on a CPU, which are copied as float32. It is not changed.
        tokenizer: its fast tokenizer; a pipeline has its own. It is not changed.
        name: the model's name; if empty, its own name.
        head: what the outputs are, where the configuration does not say it: `sigmoid` reads one output z as the
            log-odds of a class; the classes are then "not NAME" and "NAME" with the logits 0 and z, where NAME is the
            output's name in id2label, or "positive" for LABEL_0; it reads several outputs as those of several labels.
            `value` reads one output as a number, which is explained itself.
            Of a `SentenceTransformer`: a fitted `LogisticRegression` of scikit-learn, one for each of several labels in
            a `OneVsRestClassifier` or `MultiOutputClassifier`, or a `SetFitHead`.
        settings: of the explanation, such as `saliency="l1"` (see `Settings`). By default, `max_length` is the model's
            limit. `threshold` is the probability from which one of several labels is assigned. `windows` reads longer
            texts in windows, as "stride=128".

    Returns:
        A classifier with the same logits as in transformers for the same strings.

    Raises:
        ValueError: the model cannot be explained; the message has the reason: a pipeline for another task,
            several numbers, classes without names, a slow tokenizer or one of another model, weights of half precision,
            padding that changes the result, a `max_length` beyond the model's positions.
        TypeError: it is no model of transformers, or its tokenizer is missing.
    """
    from pct.models.checks import check_kind, check_length, in_usable_precision
    from pct.models.sentence import has_sentence_body, sentence_classifier

    if isinstance(head, str):
        settings, head = {"head": head} | settings, None
    if head is not None or has_sentence_body(model):
        parts = sentence_classifier(model, head, name or type(model).__name__)
        own = {"max_length": parts.max_length, "model": parts.model.name, "multi_label": parts.several}
        chosen = Settings.from_dict({**_UNTRAINED, **own} | settings)
        check_length(chosen.max_length, parts.model.encoder, parts.model.name)
        return _explained(Classifier(parts.model, SubWords(parts.tokenizer), parts.classes, chosen), settings)
    if tokenizer is None:
        from pct.models.pipelines import parts_of

        model, tokenizer, own = parts_of(model)
        settings = own | settings
    check_kind(model, full_name := _name_of(model, name))
    return _wrapped(in_usable_precision(model, full_name), copy.deepcopy(tokenizer), full_name, settings)


def wrap_in_place(model: Any, tokenizer: Any, **settings: Any) -> Classifier:
    """`wrap` for a model in a training loop: it is not copied, so that loop and classifier share its modules. Two
    forward hooks stay on its head. Arguments and errors as in `wrap`."""
    from pct.models.checks import check_kind

    check_kind(model, full_name := _name_of(model, ""))
    wrapped = _wrapped(model, copy.deepcopy(tokenizer), full_name, settings)
    if "saliency" not in settings:  # training ranks words as `pct.train` does; explanations keep their default
        wrapped.settings = wrapped.settings.replace(saliency=GRADIENT_NORM)
    return wrapped


def _name_of(model: Any, name: str) -> str:
    return name or getattr(getattr(model, "config", None), "name_or_path", "") or type(model).__name__


def _wrapped(model: Any, tokenizer: Any, full_name: str, settings: dict[str, Any]) -> Classifier:
    from pct.models.checks import check_length
    from pct.models.outputs import SIGMOID_KIND, VALUE_KIND
    from pct.models.pretrained import kept_reading, max_tokens, wrap_model

    network = wrap_model(model, tokenizer, full_name, settings.get("head", ""))
    own = {"max_length": max_tokens(model, tokenizer), "multi_label": network.task_kind == SIGMOID_KIND}
    number = {"head": VALUE_KIND} if network.task_kind == VALUE_KIND else {}
    kept = kept_reading(model.config)
    chosen = Settings.from_dict({**_UNTRAINED, **own, **kept} | settings | number | {"model": full_name})
    check_length(chosen.max_length, model, full_name)
    return _explained(Classifier(network, SubWords(tokenizer), network.classes, chosen), settings)


def _explained(classifier: Classifier, settings: dict[str, Any]) -> Classifier:
    """Sets its saliency: without a run, that of explanations is also that of measurements."""
    chosen, given = classifier.settings, settings.get("saliency", "")
    saliency = given or default_saliency(classifier).name
    classifier.settings = chosen.replace(saliency=saliency, explain_by=chosen.explain_by or given)
    return classifier


def with_windows(classifier: Classifier, windows: str) -> Classifier:
    """A classifier that reads long texts in windows (see `load`); unchanged if `windows` is empty."""
    if windows:
        classifier.settings = classifier.settings.replace(windows=windows)
        classifier.model.text_windows = Windows.of(classifier.settings, classifier.tokenizer)
    return classifier


def _from_transformers(source: str, name: str, device: torch.device, head: str) -> Classifier:
    from pct.models.pretrained import load_classifier, load_tokenizer

    try:
        return wrap(load_classifier(source, device.type), load_tokenizer(source).tokenizer, name, head=head)
    except OSError as problem:
        missing = "" if Path(name).exists() else "there is no such folder here, and the hub did not give it; "
        raise FileNotFoundError(
            f"{name} holds no classifier: {missing}give a folder that pct train wrote, or a classifier of the "
            f"transformers library by its folder or hub name ({problem})"
        ) from problem


def _from_mlflow(uri: str, device: str) -> Classifier:
    try:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise ImportError(f"{uri} is in MLflow: pip install 'pct-explain[tracking]'") from None
    with tempfile.TemporaryDirectory(prefix="pct-") as folder:
        try:
            root = Path(download_artifacts(artifact_uri=uri, dst_path=folder))
        except MlflowException as problem:
            raise FileNotFoundError(f"{uri} cannot be downloaded from MLflow: {problem}") from problem
        # an exported model may be in the same folder; it has no safetensors
        folders = sorted(f for f in root.rglob(CONFIG) if (f.parent / WEIGHTS).is_file())
        if not folders:
            raise FileNotFoundError(f"{uri} holds no classifier: the download from MLflow has no {CONFIG}")
        classifier = Classifier.load(folders[0].parent, device)
    take_audit(classifier, AuditSummary.from_tags(registered_tags(uri)), uri)
    return classifier


def pick_device(name: str) -> torch.device:
    """The torch device for "auto", "cpu", "cuda", ... Raises ValueError for an unknown or missing device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be auto, cpu or cuda, got {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name}: torch sees no GPU on this machine; choose auto or cpu")
    return device
