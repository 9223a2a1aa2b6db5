"""pct audit: compares all saliencies of a model, and judges which can be trusted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pct.auditing.plan import BUDGETS
from pct.commands.options import add_measured_texts, add_model, add_remove, measured_texts, open_given
from pct.commands.parser import CommandParser
from pct.settings import REMOVALS
from pct.writing import check_file, write_text

UNMET = 3  # the exit status where a requirement is not met


def main(arguments: Sequence[str] | None = None) -> int:
    """Audits a model and prints the result. The exit status is UNMET if a requirement is not met."""
    parser = CommandParser(
        prog="pct audit",
        description="Compares all saliencies that the model supports, on the same texts and removals of words, with "
        "95 % intervals and a random order as control. The judgement is which saliency is best, which others are not "
        "significantly different, and whether it is better than a random order.",
        epilog="example: pct audit my-classifier --data reviews.csv --output audit.html; "
        'pct audit my-classifier --data reviews.csv --require "margin>0.02" --require "win>0.6"',
    )
    add_measured_texts(parser)
    parser.add_argument(
        "--budget", default="usual", choices=BUDGETS,
        help="cheap: only saliencies of one pass, margin and win; usual: also smooth_grad, occlusion, flips and "
        "stability; all: every saliency, and the normalised AOPC (about 5 N^2 passes per text)",
    )  # fmt: skip
    parser.add_argument("--saliencies", nargs="+", default=[], metavar="NAME", help="only these, and random")
    parser.add_argument(
        "--removals", nargs="+", default=[], choices=REMOVALS,
        help="how words are removed; the judgement is by the first one (default: delete, and mask if there is a mask "
        "token)",
    )  # fmt: skip
    add_remove(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the sampled texts and the random orders")
    parser.add_argument(
        "--output", default=[], nargs="+", metavar="FILE",
        help="write the result: .html (one page), .md (for a model card), .json; with an output, an interrupted audit "
        "resumes when the same command is run again",
    )  # fmt: skip
    parser.add_argument(
        "--keep", action="store_true", help="save it in the model's folder: explanations then use its best saliency"
    )
    parser.add_argument(
        "--require", action="append", default=[], metavar="METRIC>NUMBER",
        help=f"exit with status {UNMET} unless the interval of the best saliency is above (with <, below) the number",
    )  # fmt: skip
    add_model(parser)
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
    from pct.metrics.rationale import metrics_of_marks

    classifier = open_given(options)
    texts, source, notes = measured_texts(options, classifier, options.seed, bool(options.label_column))
    plan = make_plan(
        classifier, options.saliencies, options.budget, options.removals, metrics_of_marks(texts), options.seed
    )
    for requirement in requirements:
        requirement.check(plan.names)
    parts = Path(f"{options.output[0]}.parts") if options.output else None
    result = audit(
        classifier, texts, options.saliencies, options.budget, options.removals, seed=options.seed,
        progress=not options.quiet, parts=parts, name=options.model, remove=options.remove,
    )  # fmt: skip
    result.about.update(source=source, limit=options.limit, data=notes)
    for path in options.output:
        result.save(path)
    print(result.to_json() if options.json else result.summary())
    if options.keep:
        write_text(Path(options.model) / FILE, result.to_json())
        effect = f"explanations use {result.best}" if result.best else "explanations do not change, since none is best"
        print(f"saved in {Path(options.model) / FILE}: {effect}", file=sys.stderr)
    if parts is not None:
        remove_parts(parts, result.about["job"])
    unmet = result.unmet(options.require)
    for line in unmet:
        print(f"requirement: {line}", file=sys.stderr)
    return UNMET if unmet else 0
