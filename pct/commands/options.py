"""Command-line options, among them one for each field of `Settings`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import Field, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.corpora.splits import SPLITS
from pct.explaining.zero_shot import entailment_classes
from pct.settings import CORPORA, OF_FURTHER_TRAINING, Settings
from pct.text.words import is_pair

if TYPE_CHECKING:
    from pct.classifier import Classifier
    from pct.corpora.loading import ChosenTexts
    from pct.onnx.predictor import OnnxPredictor
    from pct.training.runs import Launch

# the settings of a model that a command can replace, in groups: how a file of rows is read, what the outputs are, how
# the model is opened, and how it is measured
OWN = {
    "reading": (
        "text_column", "text_pair_column", "label_column", "label_separator", "separator", "encoding", "labels",
        "on_bad_row",
    ),
    "outputs": ("head", "threshold"),
    "opening": ("device", "head", "threshold", "windows"),
    "conditions": ("p_important", "p_unimportant", "order", "removal", "remove", "saliency"),
}  # fmt: skip
# of these, the settings that are not taken from the model by default
NOT_OF_MODEL = {"device": "auto", "on_bad_row": "error", "separator": "", "encoding": ""}
# as `pct.training.finetune.finetune_settings` sets them
OF_FINETUNING = {"max_length": "the model's own"} | {
    name: f"{value} for encoders, else {getattr(Settings(), name)}" for name, value in OF_FURTHER_TRAINING.items()
}


def add_settings(
    parser: argparse.ArgumentParser, leave_out: Collection[str] = (), defaults: Mapping[str, str] | None = None
) -> None:
    """Adds an option for every field of `Settings` except `leave_out`. `--batch_size` is an alias of `--batch-size`.

    defaults: what the help says of settings whose default is another one than that of `Settings`.
    """
    group = parser.add_argument_group("settings")
    for f in fields(Settings):
        if f.name not in leave_out:
            switch = {"nargs": "?", "const": "true"} if f.type == "bool" else {}
            default = (defaults or {}).get(f.name, str(f.default).lower() if switch else f.default)
            _add_setting(group, f, default, metavar=_metavar(f), **switch)


def _own_names(names: Collection[str]) -> list[str]:
    return [setting for name in names for setting in OWN.get(name, (name,))]


def add_own_settings(parser: argparse._ActionsContainer, *names: str) -> None:
    """Adds options for settings whose defaults are those of a model. names: of settings, or of groups of `OWN`."""
    for f in fields(Settings):
        if f.name in _own_names(names):
            kind: dict[str, Any] = {"type": float} if f.type == "float" else {"default": ""}
            if choices := [choice for choice in f.metadata["choices"] if choice]:
                kind |= {"choices": ("", *choices)}  # empty: not given
            shown = f"{{{','.join(choices)}}}" if choices else _metavar(f)
            _add_setting(parser, f, NOT_OF_MODEL.get(f.name, "the model's own"), metavar=shown, **kind)


def _add_setting(parser: argparse._ActionsContainer, setting: Field[Any], usual: Any, **kind: Any) -> None:
    """Adds an option in both spellings. usual: its default, as the help shows it; None or empty for none."""
    spellings = dict.fromkeys([f"--{setting.name.replace('_', '-')}", f"--{setting.name}"])
    text = setting.metadata["help"] + ("" if usual in (None, "") else f" (default: {usual})")
    parser.add_argument(*spellings, dest=setting.name, help=text.replace("%", "%%"), **kind)


def _metavar(setting: Field[Any]) -> str:
    """What the help shows in the place of a setting's value."""
    if kind := {"bool": "true|false", "int": "N", "float": "X"}.get(str(setting.type)):
        return kind
    return "NAME" if setting.metadata["choices"] else setting.name.rsplit("_", 1)[-1].upper()


def given_own(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options of `add_own_settings` that are given, by name."""
    return {name: value for name in _own_names(names) if (value := getattr(options, name)) not in (None, "")}


def refuse_given(
    parser: argparse.ArgumentParser, options: argparse.Namespace, names: Collection[str], reason: str
) -> None:
    """Raises ValueError for the first of the options `names` that is not at its default: it would have no effect."""
    for name in names:
        if getattr(options, name, None) not in (None, parser.get_default(name)):
            raise ValueError(f"--{name.replace('_', '-')} has no effect {reason}: leave it out")


def open_given(options: argparse.Namespace, threads: int = 0, name: str = "") -> Classifier | OnnxPredictor:
    """A model, opened as the options "opening" say.

    Args:
        options: of the command line.
        threads: CPU threads of one call; 0 uses all cores.
        name: of the model; if empty, the option `model`.

    Raises as `pct.load`.
    """
    from pct.opening import open_model

    return open_model(name or options.model, threads=threads, **given_own(options, "opening"))


def conditions_of(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """The arguments of `pct.evaluate` that the options "conditions" give; by default those of a model's settings, and
    of saliency None."""
    return settings.evaluation_options | {"saliency": None} | given_own(options, "conditions")


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """Adds --text-pair: see `typed_pairs`."""
    parser.add_argument(
        "--text-pair", action="append", default=[], metavar="TEXT",
        help="the second text of a pair, once for each text of the command line",
    )  # fmt: skip


def typed_pairs(texts: Sequence[str], second: Sequence[str]) -> list[str | tuple[str, str]]:
    """The texts of a command line, as pairs if there are second texts.

    Raises ValueError unless there is a second text for each, and for a text that is the name of a file.
    """
    for text in texts:
        if re.fullmatch(r"\S{1,250}\.\w+", text) and Path(text).is_file():
            raise ValueError(f"{text} is a file, not a text: give it by --data")
    if second and len(second) != len(texts):
        raise ValueError(f"{len(texts)} texts need as many --text-pair, got {len(second)}")
    return list(zip(texts, second, strict=True)) if second else list(texts)


def note_single_texts(predictor: Classifier | OnnxPredictor, pairs: bool) -> None:
    """Prints a note if a model that was made for pairs gets single texts. pairs: whether the texts are pairs."""
    if not pairs and (predictor.settings.text_pair_column or entailment_classes(predictor.classes)):
        print(
            "note: this model was made for pairs of texts, and these are single: give the second texts by --text-pair, "
            "and those of a file by --text-pair-column",
            file=sys.stderr,
        )


MODEL_HELP = (
    "a classifier of the transformers library by its folder or hub name, a run's, a model's or an exported folder, "
    "runs:/<id>/model or models:/<name>@champion"
)


def add_measured_texts(parser: argparse.ArgumentParser, model: str = "model") -> None:
    """Adds the options of a model and of the texts to measure it on: a file, or a split of a corpus.

    model: how the model is given, by position or by the option --model.
    """
    parser.add_argument(
        model,
        **({"required": True} if model.startswith("-") else {}),  # type: ignore[arg-type]
        help=MODEL_HELP,
    )
    parser.add_argument(
        "--data",
        default="",
        help="a file with texts, and labels if there are some, in place of a corpus; - is standard input",
    )
    add_own_settings(parser, "reading")
    parser.add_argument("--corpus", default="", help=f"{', '.join(CORPORA)} or hub:OWNER/NAME (default: its own)")
    parser.add_argument("--split", default="test", choices=SPLITS, help="of the corpus (default: test)")
    parser.add_argument(
        "--limit", type=int, default=0, help="the maximum number of sampled texts; 0 uses all (default)"
    )


def reading_settings(options: argparse.Namespace, settings: Settings) -> Settings:
    """A model's settings with the options "reading". Raises ValueError as `Settings`."""
    # the format of the training file does not apply to another file
    own = settings.replace(separator="", encoding="", on_bad_row="error") if options.data else settings
    return own.replace(**given_own(options, "reading"))


def measured_texts(
    options: argparse.Namespace, predictor: Classifier | OnnxPredictor, seed: int, needs_labels: bool = False
) -> ChosenTexts:
    """The texts that the options of `add_measured_texts` name.

    seed: of the texts that --limit samples. needs_labels: whether they must have labels, also where no label column is
    named.
    """
    from pct.corpora.loading import choose_texts
    from pct.corpora.splits import limited

    if options.data and options.corpus:
        raise ValueError(f"--data {options.data} and --corpus {options.corpus}: give one of them")
    if not (options.data or options.corpus or predictor.settings.corpus):
        raise ValueError("give the texts by --data FILE, or by --corpus NAME")
    settings = reading_settings(options, predictor.settings)
    chosen = choose_texts(
        settings, predictor.classes, options.corpus, options.data, options.split,
        needs_labels=needs_labels or bool(options.label_column),
    )  # fmt: skip
    texts, notes = limited(chosen.split, chosen.notes, options.limit, seed)
    note_single_texts(predictor, any(map(is_pair, texts.texts[:1])))
    return chosen._replace(split=texts, notes=notes)


def add_devices(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a training on several devices: see `launch_of`."""
    parser.add_argument("--devices", type=int, default=1, help="processes that train together, by Ray (default: 1)")
    parser.add_argument(
        "--ray", default="", metavar="ADDRESS", help="with --devices: local, auto or the head's host:port"
    )


def launch_of(options: argparse.Namespace) -> Launch | None:
    """How `pct.training.runs.run` starts the training that the options of `add_devices` state."""
    if options.devices == 1 and not options.ray:
        return None
    # by name: the library imports nothing of the packages above it
    return import_module("tuning.devices").on_devices(options.devices, options.ray)


def given_settings(options: argparse.Namespace) -> dict[str, str]:
    """The given settings as strings. An empty value counts as not given.

    A training file implies the corpus `files`. Raises ValueError for a training file with another corpus.
    """
    given = {f.name: v for f in fields(Settings) if (v := getattr(options, f.name, None)) not in (None, "")}
    if "train_file" in given and given.setdefault("corpus", "files") != "files":
        raise ValueError(
            f"train_file {given['train_file']} is not read by the corpus {given['corpus']}; set corpus to files"
        )
    return given


def read_settings(options: argparse.Namespace) -> Settings:
    """`given_settings` as settings. Raises ValueError as `Settings.from_dict`."""
    return Settings.from_dict(given_settings(options))
