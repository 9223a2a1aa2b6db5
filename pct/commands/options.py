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
from pct.settings import CORPORA, HEADS, LABELS, ON_BAD_ROW, ORDERS, REMOVALS, SALIENCIES, Settings
from pct.text.tokens import REMOVE
from pct.text.words import is_pair

if TYPE_CHECKING:
    from pct.classifier import Classifier
    from pct.corpora.loading import ChosenTexts
    from pct.onnx.predictor import OnnxPredictor
    from pct.training.runs import Launch

READING: dict[str, tuple[str, Sequence[str]]] = {  # options of a file: what they are, and their choices, if any
    "text_column": ("of the file (default: the model's own setting)", ()),
    "text_pair_column": ("of the second texts of pairs (default: text_pair where there is one)", ()),
    "label_column": ("of the file, or one for each of several labels (default: the model's own setting)", ()),
    "label_separator": ("of several labels: between the labels of a cell", ()),
    "separator": ("of a CSV file's columns (default: detected)", ()),
    "encoding": ("of a text file, as cp1252 (default: UTF-8, or by its byte order mark)", ()),
    "labels": ("whether labels are class names or indices (default: the model's own setting)", LABELS),
    "on_bad_row": ("whether an unusable row ends the job or is skipped (default: error)", ON_BAD_ROW),
}


# as `pct.training.finetune.finetune_settings` sets them
OF_FINETUNING = {
    "method": "removal_margin for encoders, else pct", "margin_bound": "4 for encoders, else 2",
    "max_length": "the model's own",
}  # fmt: skip


def add_settings(
    parser: argparse.ArgumentParser, leave_out: Collection[str] = (), defaults: Mapping[str, str] | None = None
) -> None:
    """Adds an option for every field of `Settings` except `leave_out`. `--batch_size` is an alias of `--batch-size`.

    defaults: what the help says of settings whose default is another one than that of `Settings`.
    """
    group = parser.add_argument_group("settings")
    for f in fields(Settings):
        if f.name in leave_out:
            continue
        switch = {"nargs": "?", "const": "true"} if f.type == "bool" else {}
        value = (defaults or {}).get(f.name, str(f.default).lower() if switch else f.default)
        default = "" if value in (None, "") else f" (default: {value})"
        group.add_argument(
            *dict.fromkeys([f"--{f.name.replace('_', '-')}", f"--{f.name}"]),
            dest=f.name,
            metavar=_metavar(f),
            help=(f.metadata.get("help", "") + default).replace("%", "%%"),
            **switch,  # type: ignore[arg-type]
        )


def _metavar(setting: Field[Any]) -> str:
    """What the help shows in the place of a setting's value."""
    if kind := {"bool": "true|false", "int": "N", "float": "X"}.get(str(setting.type)):
        return kind
    return "NAME" if setting.metadata["choices"] else setting.name.rsplit("_", 1)[-1].upper()


def add_reading(parser: argparse._ActionsContainer) -> None:
    """Adds the options for reading a file of rows. By default the model's own settings apply."""
    for name, (what, choices) in READING.items():
        spellings = dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"])
        parser.add_argument(*spellings, dest=name, default="", help=what, **_or_none(choices))


def _or_none(choices: Sequence[str]) -> dict[str, Any]:
    """Arguments of `add_argument` for an option that is one of some choices, or empty; any text without choices."""
    return {"choices": ("", *choices), "metavar": f"{{{','.join(choices)}}}"} if choices else {}


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the options of how a model is opened: see `open_given`."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    add_head(parser)
    parser.add_argument(
        "--windows", default="", help="of encoders: read texts beyond the model's length in windows that start every N "
        "tokens: stride=N, or stride=N,most=M for at most M windows (default: such texts are cut)",
    )  # fmt: skip


def add_head(parser: argparse.ArgumentParser) -> None:
    """Adds the options of what a model's outputs are: see `pct.load`."""
    parser.add_argument(
        "--head", default="", **_or_none(HEADS),
        help="what the outputs of a transformers classifier are, if its configuration does not say it: of one output, "
        "sigmoid is the log-odds of a class, and value a number; of several, sigmoid is that of several labels",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=float, help="of several labels: the probability from which one is assigned (default: .5)"
    )


def refuse_given(
    parser: argparse.ArgumentParser, options: argparse.Namespace, names: Collection[str], reason: str
) -> None:
    """Raises ValueError for the first of the options `names` that is not at its default: it would have no effect."""
    for name in names:
        if getattr(options, name, None) not in (None, parser.get_default(name)):
            raise ValueError(f"--{name.replace('_', '-')} has no effect {reason}: leave it out")


def open_given(options: argparse.Namespace, threads: int = 0, name: str = "") -> Classifier | OnnxPredictor:
    """A model, opened as the options of `add_model` say.

    Args:
        options: of the command line.
        threads: CPU threads of one call; 0 uses all cores.
        name: of the model; if empty, the option `model`.

    Raises as `pct.load`.
    """
    from pct.opening import open_model

    return open_model(
        name or options.model, options.device, options.head, options.threshold, threads, options.windows
    )  # fmt: skip


def add_remove(parser: argparse._ActionsContainer) -> None:
    """Adds --remove."""
    parser.add_argument(
        "--remove", choices=REMOVE, help="of pairs: whose words are ranked and removed (default: both, ranked together)"
    )


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """Adds the options of how words are ranked and removed in a measurement: see `conditions_of`."""
    parser.add_argument("--p-important", type=float, help="the share of words removed as important")
    parser.add_argument("--p-unimportant", type=float, help="the share of words removed as unimportant")
    parser.add_argument("--order", choices=ORDERS, help="rank words once, after each removal, or by a beam of five")
    parser.add_argument("--removal", choices=REMOVALS, help="delete words, or replace them by that token")
    add_remove(parser)
    parser.add_argument("--saliency", help=f"how words are ranked: {', '.join(SALIENCIES)} (default: the model's own)")


def conditions_of(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """The arguments of `pct.evaluate` that the options of `add_conditions` give; by default those of a model's
    settings, and of saliency None."""
    own = settings.evaluation_options
    given = {name: value for name in own if (value := getattr(options, name)) is not None}
    return own | given | {"saliency": options.saliency}


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


def add_measured_texts(parser: argparse.ArgumentParser, model: str = "model") -> None:
    """Adds the options of a model and of the texts to measure it on: a file, or a split of a corpus.

    model: how the model is given, by position or by the option --model.
    """
    parser.add_argument(
        model,
        **({"required": True} if model.startswith("-") else {}),  # type: ignore[arg-type]
        help="a classifier of the transformers library by its folder or hub name, a run's, a model's or an exported "
        "folder, runs:/<id>/model or models:/<name>@champion",
    )
    parser.add_argument(
        "--data", default="", help="a file with texts and labels, in place of a corpus; - is standard input"
    )
    add_reading(parser)
    parser.add_argument("--corpus", default="", help=f"{', '.join(CORPORA)} or hub:OWNER/NAME (default: its own)")
    parser.add_argument("--split", default="test", choices=SPLITS, help="of the corpus (default: test)")
    parser.add_argument(
        "--limit", type=int, default=0, help="the maximum number of sampled texts; 0 uses all (default)"
    )


def reading_settings(options: argparse.Namespace, settings: Settings) -> Settings:
    """A model's settings with the options of `add_reading`. Raises ValueError as `Settings`."""
    # the format of the training file does not apply to another file
    own = settings.replace(separator="", encoding="", on_bad_row="error") if options.data else settings
    return own.replace(**{name: value for name in READING if (value := getattr(options, name))})


def measured_texts(
    options: argparse.Namespace, predictor: Classifier | OnnxPredictor, seed: int, needs_labels: bool = True
) -> ChosenTexts:
    """The texts that the options of `add_measured_texts` name. seed: of the texts that --limit samples."""
    from pct.corpora.loading import choose_texts
    from pct.corpora.splits import limited

    if options.data and options.corpus:
        raise ValueError(f"--data {options.data} and --corpus {options.corpus}: give one of them")
    settings = reading_settings(options, predictor.settings)
    chosen = choose_texts(
        settings, predictor.classes, options.corpus, options.data, options.split, needs_labels=needs_labels
    )
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
