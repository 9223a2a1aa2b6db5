"""pct audit: compares all saliencies of a model, and judges which can be trusted."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pct.auditing.plan import BUDGETS
from pct.commands.errors import UNMET
from pct.commands.options import add_measured_texts, add_own_settings, measured_texts, open_given
from pct.commands.parser import CommandParser
from pct.settings import REMOVALS
from pct.writing import check_file, write_text

if TYPE_CHECKING:
    from pct.auditing.result import Audit
    from pct.corpora.splits import Split


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
    add_audit_options(parser)
    parser.add_argument(
        "--output", default=[], nargs="+", metavar="FILE",
        help="write the result: .html (one page), .md (for a model card), .json; with an output, an interrupted audit "
        "resumes when the same command is run again",
    )  # fmt: skip
    parser.add_argument(
        "--keep", action="store_true", help="save it in the model's folder: explanations then use its best saliency"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)

    from pct.auditing.kept import FILE

    requirements = requirements_of(options)
    for path in options.output:
        if Path(path).suffix not in (".html", ".md", ".json"):
            raise ValueError(f"--output must end in .html, .md or .json, got {path!r}")
        check_file(path)
    if options.keep and not Path(options.model).is_dir():
        raise ValueError(f"--keep writes {FILE} into the model's folder, and {options.model} is not a folder here")
    if options.keep:
        check_file(Path(options.model) / FILE)
    parts = Path(f"{options.output[0]}.parts") if options.output else None
    result, _, _ = audit_given(options, requirements, parts)
    for path in options.output:
        result.save(path)
    print(result.to_json() if options.json else result.summary())
    if options.output:
        print(f"written to {', '.join(options.output)}", file=sys.stderr)
    if options.keep:
        write_text(Path(options.model) / FILE, result.to_json())
        effect = f"explanations use {result.best}" if result.best else "explanations do not change, since none is best"
        print(f"saved in {Path(options.model) / FILE}: {effect}", file=sys.stderr)
    if parts is not None:
        from pct.auditing.measure import remove_parts

        remove_parts(parts, result.about["job"])
    return UNMET if report_unmet(result, requirements) else 0


def add_audit_options(parser: argparse.ArgumentParser, model: str = "model") -> None:
    """Adds the options of `audit_given`. model: see `add_measured_texts`."""
    add_measured_texts(parser, model)
    parser.add_argument(
        "--budget", default="usual", choices=BUDGETS,
        help="cheap: only saliencies of one pass, margin and win; usual: also smooth_grad, occlusion, flips and "
        "stability; all: every saliency, and the normalised AOPC, about 5 N^2 passes per text (default: usual)",
    )  # fmt: skip
    parser.add_argument("--saliencies", nargs="+", default=[], metavar="NAME", help="only these, and random")
    parser.add_argument(
        "--removals", nargs="+", default=[], metavar="NAME",
        help=f"how words are removed: {', '.join(REMOVALS)}; the first under which a saliency beats a random "
        "order decides (default: delete, and mask if there is a mask token)",
    )  # fmt: skip
    add_own_settings(parser, "remove", "opening")
    parser.add_argument("--seed", type=int, default=0, help="of the sampled texts and the random orders (default: 0)")
    parser.add_argument(
        "--require", action="append", default=[], metavar="METRIC>NUMBER",
        help=f"exit with status {UNMET} unless the interval of the best saliency is above (with <, below) the number; "
        "several with ; between",
    )  # fmt: skip


def requirements_of(options: argparse.Namespace) -> list[str]:
    """The requirements of the options. Raises ValueError for one that has another form."""
    from pct.auditing.gate import Requirement

    requirements = _parts(options.require, ";")
    for text in requirements:
        Requirement.parse(text)
    return requirements


def audit_given(
    options: argparse.Namespace, requirements: Sequence[str], parts: Path | None = None
) -> tuple[Audit, Split, list[str]]:
    """The audit that the options ask for, its texts and the classes. parts: see `pct.audit`.

    Raises ValueError, before it begins, for a requirement of a metric that it does not measure.
    """
    from pct.auditing.audit import audit
    from pct.auditing.gate import Requirement
    from pct.auditing.plan import check_names, make_plan
    from pct.metrics.rationale import metrics_of_marks

    names, removals = _parts(options.saliencies, " ,"), _parts(options.removals, " ,")
    check_names(names, removals)
    classifier = open_given(options)
    texts, source, notes = measured_texts(options, classifier, options.seed)
    chosen = names, options.budget, removals
    measured = make_plan(classifier, *chosen, metrics_of_marks(texts), options.seed).names
    measured += ["acc"] if texts.labelled and not classifier.task.number else []
    for text in requirements:
        Requirement.parse(text).check(measured)
    result = audit(
        classifier, texts, *chosen, seed=options.seed, progress=not options.quiet, parts=parts, name=options.model,
        remove=options.remove or None,
    )  # fmt: skip
    result.about.update(source=source, limit=options.limit, data=notes)
    return result, texts, classifier.classes


def report_unmet(result: Audit, requirements: Sequence[str]) -> list[str]:
    """Those requirements that are not met, which are printed on standard error."""
    unmet = result.unmet(requirements)
    for line in unmet:
        print(f"requirement: {line}", file=sys.stderr)
    return unmet


def _parts(values: Sequence[str], separators: str) -> list[str]:
    """Several values may stand in one string: `mlflow run -P name=VALUE` gives each option once."""
    parts = (part.strip() for value in values for part in re.split(f"[{separators}]", value))
    return [part for part in parts if part]
