"""pct export: a model as ONNX graphs with the gradient inside."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports, and prints how closely the graphs agree with torch."""
    parser = argparse.ArgumentParser(
        prog="pct export",
        description="Writes a model as ONNX graphs that give logits, representation and saliency, with weights and "
        "tokens, in a folder that pct evaluate and pct explain read without torch. They are compared with torch first; "
        "graphs that differ are not kept.",
        epilog="example: pct export models:/pct-planted-textcnn@champion exported",
    )
    parser.add_argument("model", help="a run's or a model's folder, runs:/<id>/model or models:/<name>@champion")
    parser.add_argument("folder", help="where the exported model goes")
    parser.add_argument("--int8", action="store_true", help="int8 weights; what they cost is measured and written down")
    options = parser.parse_args(arguments)

    from pct.classifier import load
    from pct.onnx.export import export

    print(export(load(options.model, "cpu"), options.folder, options.int8).table())
    return 0
