"""pct export: a model as ONNX graphs with their gradient, or as a classifier of the transformers library."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pct.commands.options import add_own_settings, given_own
from pct.commands.parser import CommandParser
from pct.settings import WORD_MODELS


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports a model, and prints the differences of the graphs from torch."""
    parser = CommandParser(
        prog="pct export",
        description="Writes a model as ONNX graphs of logits, representation and saliency, with its tokenizer, into a "
        "folder that pct evaluate and pct explain read without torch. The graphs are compared with torch first; "
        "nothing is written if they differ. --to transformers writes a wrapped classifier, or an encoder trained here, "
        "as a folder that AutoModelForSequenceClassification loads, with equal logits.",
        epilog="example: pct export models:/pct-planted-textcnn@champion exported",
    )
    parser.add_argument("model", help="a run's or a model's folder, runs:/<id>/model or models:/<name>@champion")
    parser.add_argument("folder", help="the folder for the exported model")
    parser.add_argument("--to", default="onnx", choices=("onnx", "transformers"), help="the form (default: onnx)")
    parser.add_argument("--int8", action="store_true", help="int8 weights; their cost is measured and recorded")
    parser.add_argument(
        "--saliencies",
        metavar="NAMES",
        help="of a transformer: frozen_grad_x_input, gim or both, separated by a comma; each is a further graph, which "
        "takes as long to export as the others together; empty for none (default: frozen_grad_x_input if the model "
        "supports it, and the model's own)",
    )
    add_own_settings(parser, "outputs")
    options = parser.parse_args(arguments)
    for_onnx = {"--int8": options.int8, "--saliencies": options.saliencies is not None}
    if options.to != "onnx" and (refused := [name for name, given in for_onnx.items() if given]):
        raise ValueError(f"{' and '.join(refused)} can be used with --to onnx only")

    from pct.classifier import load

    classifier = load(options.model, "cpu", **given_own(options, "outputs"))
    if options.to == "transformers":
        from pct.training.model_card import save_transformers

        print(f"{save_transformers(classifier, options.folder)}: config.json, model.safetensors, tokenizer, README.md")
        return 0
    from pct.onnx.export import export

    if classifier.settings.model not in WORD_MODELS:
        print("the graphs are built and compared with torch: about 15 seconds per layer", file=sys.stderr)
    modified = None if options.saliencies is None else [x for x in options.saliencies.split(",") if x]
    print(export(classifier, options.folder, options.int8, modified=modified).table())
    return 0
