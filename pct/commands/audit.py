"""pct audit: which explanation of a model can be trusted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pct.auditing.plan import BUDGETS
from pct.commands.options import add_measured_texts, reading_settings
from pct.settings import REMOVALS
from pct.writing import check_file, write_text

UNMET = 3  # the exit status where a requirement is not met


def main(arguments: Sequence[str] | None = None) -> int:
    """Audits and prints; --output writes the page, --require makes it a gate."""
    parser = argparse.ArgumentParser(
        prog="pct audit",
        description="Which explanation of a model can be trusted: every saliency that the model allows on the same "
        "texts and the same removals of words, with 95 % intervals, beside a random order of removal. It ends in a "
        "judgement: which saliency to show, what it cannot be told from, and whether it beats a random order.",
        epilog="example: pct audit my-classifier --data reviews.csv --output audit.html; "
        'pct audit my-classifier --data reviews.csv --require "margin>0.02" --require "win>0.6"',
    )
    add_measured_texts(parser)
    parser.add_argument(
        "--budget", default="usual", choices=BUDGETS,
        help="cheap: saliencies of one pass, margin and win alone; usual: smooth_grad, "
        "occlusion, flips and stability too; all: every saliency, and the normalised AOPC (some 5 N^2 passes a text)",
    )  # fmt: skip
    parser.add_argument("--saliencies", nargs="+", default=[], metavar="NAME", help="these alone, and random")
    parser.add_argument(
        "--removals", nargs="+", default=[], choices=REMOVALS,
        help="how words are removed, the first one decides (default: delete, and mask where there is a mask token)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the limit, the random orders and what is drawn")
    parser.add_argument(
        "--output", default=[], nargs="+", metavar="FILE",
        help="write it: .html (one page), .md (for a model card), .json; an audit with an output that was stopped goes "
        "on where it was",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep it beside the model: explanations then use its best")
    parser.add_argument(
        "--require", action="append", default=[], metavar="METRIC>NUMBER",
        help=f"exit with status {UNMET} where the best saliency's interval does not lie above (or, with <, below) it",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)

    from pct.auditing.gate import Requirement
    from pct.auditing.kept import FILE

    requirements = [Requirement.parse(text) for text in options.require]
    for path in options.output:
        if Path(path).suffix not in (".html", ".md", ".json"):
            raise ValueError(f"--output must end in .html, .md or .json, got {path!r}")
        check_file(path)
    if options.keep and not Path(options.model).is_dir():
        raise ValueError(f"--keep writes {FILE} into the model's folder, and {options.model} is not a folder here")
    if options.keep:
        check_file(Path(options.model) / FILE)

    from pct.auditing.audit import audit
    from pct.auditing.measure import remove_parts
    from pct.auditing.plan import make_plan
    from pct.corpora.loading import choose_texts
    from pct.metrics.rationale import metrics_of_marks
    from pct.opening import open_model

    classifier = open_model(options.model, options.device)
    texts, source, notes = choose_texts(
        reading_settings(options, classifier.settings), classifier.classes, options.corpus, options.data, options.split,
        needs_labels=bool(options.label_column),
    )  # fmt: skip
    plan = make_plan(
        classifier, options.saliencies, options.budget, options.removals, metrics_of_marks(texts), options.seed
    )
    for requirement in requirements:
        requirement.check(plan.names)
    parts = Path(f"{options.output[0]}.parts") if options.output else None
    result = audit(
        classifier, texts, options.saliencies, options.budget, options.removals, options.limit, options.seed,
        progress=not options.quiet, parts=parts, name=options.model,
    )  # fmt: skip
    result.about.update(source=source, data={**notes, **result.about["data"]})
    for path in options.output:
        result.save(path)
    print(result.to_json() if options.json else result.summary())
    if options.keep:
        write_text(Path(options.model) / FILE, result.to_json())
        kept = f"explanations use {result.best}" if result.best else "it changes no explanation, since none is best"
        print(f"kept in {Path(options.model) / FILE}: {kept}", file=sys.stderr)
    if parts is not None:
        remove_parts(parts, result.about["job"])
    unmet = result.unmet(options.require)
    for line in unmet:
        print(f"requirement: {line}", file=sys.stderr)
    return UNMET if unmet else 0
