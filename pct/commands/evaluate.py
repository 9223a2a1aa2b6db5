"""pct evaluate: the metrics of a saved model on a corpus or a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from pct.commands.options import add_measured_texts, add_model, measured_texts, open_given
from pct.settings import ORDERS, REMOVALS, SALIENCIES
from pct.writing import check_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures a model and prints the metrics."""
    from pct.metrics import metrics
    from pct.metrics.cost import cost_table
    from pct.metrics.evaluation import evaluate
    from pct.saliency import saliencies

    costs = cost_table(list(metrics.own))
    parser = argparse.ArgumentParser(
        prog="pct evaluate",
        description="Accuracy and the pathology metrics of a model, with standard errors over the texts.",
        epilog=f"example: pct evaluate runs/mr-lstm-pct-1a2b3c4d --data reviews.csv --json\n\n{costs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_measured_texts(parser)
    parser.add_argument("--p-important", type=float, help="the share of words removed as important")
    parser.add_argument("--p-unimportant", type=float, help="the share of words removed as unimportant")
    parser.add_argument("--order", choices=ORDERS, help="rank words once, after each removal, or by a beam of five")
    parser.add_argument("--removal", choices=REMOVALS, help="delete words, or replace them by that token")
    parser.add_argument("--saliency", help=f"how words are ranked: {', '.join(SALIENCIES)} (default: the model's own)")
    cost = "only these, or all; the table below has the cost of each"
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", help=cost)
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--per-text", default="", metavar="FILE", help="a file for the values of each text (Parquet)")
    options = parser.parse_args(arguments)
    if options.per_text:
        check_file(options.per_text)
    if options.saliency:
        saliencies.check(options.saliency)

    classifier = open_given(options)
    s = classifier.settings
    texts, source, notes = measured_texts(options, classifier, s.corpus_seed)
    given = {name: value for name in s.evaluation_options if (value := getattr(options, name)) is not None}
    bar = sys.stderr.isatty() and not options.json
    how = s.evaluation_options | given | {"metrics": options.metrics, "saliency": options.saliency}
    report = replace(evaluate(classifier, texts, **how, progress=bar), data=notes)
    if options.per_text:
        report.to_parquet(options.per_text)
    print(report.to_json() if options.json else f"{options.model} on {source}, {len(texts)} texts\n{report.table()}")
    return 0
