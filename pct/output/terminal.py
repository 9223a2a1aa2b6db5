"""An explanation for a terminal: words shaded by saliency, the verdict, and the curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pct.output.shades import shade_levels
from pct.text.lines import printable

if TYPE_CHECKING:
    from pct.explaining.explanation import Curve, Explanation

# backgrounds of the 256-colour palette, for the class and against it; black letters are readable on all of them
FOR = (None, 224, 217, 210, 203)
AGAINST = (None, 189, 153, 117, 75)
BARS = 24


def render(explanation: Explanation, colour: bool, blocks: bool = True) -> str:
    """An explanation as lines of text.

    Args:
        explanation: the explanation.
        colour: whether to shade words by colour; otherwise marks follow the words.
        blocks: whether the terminal's encoding has block characters.
    """
    e, verdict = explanation, explanation.verdict
    assigned = "" if e.threshold is None or e.confidence >= e.threshold else " not assigned"
    head = f"{printable(e.label_name)}  {e.confidence:.3f}{assigned}  {verdict.kind}"
    if e.notes:
        head += f"  ({'; '.join(e.notes)})"
    lines = [
        head,
        *(f"  {printable(reason)}" for reason in verdict.reasons),
        "",
        *_words(e, colour),
        *_legend(e, colour),
    ]
    if e.saliency_name:
        lines.append(f"words ranked by {e.saliency_name}: {e.saliency_reason}")
    against = f" (the strongest against {e.label_name} first)" if e.signed else ""
    for title, curve in (("most salient first", e.important), (f"least salient first{against}", e.unimportant)):
        lines += ["", f"words removed, {title}", *_curve(e, curve, "█" if blocks else "#")]
    return "\n".join(lines)


def _words(e: Explanation, colour: bool) -> list[str]:
    """A line for the text; of a pair one for each text, under its name. A text of which no word counts is shown as it
    is."""
    shown = [printable(w) if known else f"{printable(w)}[?]" for w, known in zip(e.words, e.known, strict=False)]
    levels = shade_levels(e.saliency, e.signed)
    if not colour:
        marked = [f"{w}{('*' if n > 0 else '-') * abs(n)}" for w, n in zip(shown, levels, strict=True)]
    else:
        backgrounds = [(FOR if n > 0 else AGAINST)[abs(n)] for n in levels]
        marked = [
            w if g is None else f"\x1b[48;5;{g}m\x1b[30m{w}\x1b[0m" for w, g in zip(shown, backgrounds, strict=True)
        ]
    lines = [" ".join(marked[side.words]) or printable(side.text) for side in e.sides]
    return lines if e.text_pair is None else [f"{s.key:>9}  {line}" for s, line in zip(e.sides, lines, strict=True)]


def _legend(e: Explanation, colour: bool) -> list[str]:
    """The legend of the marks, where the saliency is signed or a word unknown."""
    parts = []
    if e.signed:
        sides = [f"\x1b[48;5;{g[3]}m\x1b[30m{w}\x1b[0m" for g, w in ((FOR, "for"), (AGAINST, "against"))]
        parts.append(f"{sides[0]} {e.label_name}, {sides[1]}" if colour else f"* for {e.label_name}, - against")
    if not all(e.known):
        parts.append("[?] unknown to the model")
    return ["", f"({'; '.join(parts)})"] if parts else []


def _curve(e: Explanation, curve: Curve, block: str) -> list[str]:
    removed = ["(none)", *(printable(e.words[i]) for i in curve.removed)]
    width = min(max(len(w) for w in removed), 24)
    lines = []
    low, high = e.scale
    for step, (word, confidence) in enumerate(zip(removed, curve.confidences, strict=True)):
        flip = "  the prediction changes" if step and step == curve.flips_at else ""
        bar = block * round(BARS * (confidence - low) / (high - low))
        lines.append(f"{step:>3}  {word[:width]:<{width}}  {confidence:.3f} {bar}{flip}".rstrip())
    if curve.flips_at and curve.flips_at >= len(curve.confidences):
        lines.append(f"     the prediction changes after {curve.flips_at}")
    return lines
