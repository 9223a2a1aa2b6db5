"""Audits of numbers that tests make up: no model is run."""

import numpy as np

from pct.auditing.judgement import judge_audit
from pct.auditing.plan import CONTROL
from pct.auditing.result import Audit, AuditRow
from pct.explaining.explanation import Curve, Explanation
from pct.metrics.bootstrap import Interval, intervals_of

ACCURACY = Interval(0.9, 0.87, 0.92)
PASSES = {
    CONTROL: 0.0, "l2": 1.0, "grad_x_input": 1.0, "integrated_gradients": 16.0, "occlusion": 20.0, "smooth_grad": 8.0,
}  # fmt: skip


def cell(margin=0.0, win=0.5, texts=300, seed=0, spread=0.1, shared=None):
    """The columns of a saliency: margins about a mean, wins that are so often 1. shared: added to the margins."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, spread, texts)
    margins = margin + noise - noise.mean() + (0 if shared is None else shared)
    wins = (rng.random((texts, 5)) < win).mean(1)
    random = np.abs(rng.normal(0.02, 0.01, texts))
    comp, suff = margins + random, rng.normal(0.0, 0.01, texts)
    columns = {"comp": comp, "suff": suff, "comp_random": random, "margin": margins, "win": wins}
    return {**columns, "comp-suff": comp - suff}


def judged(cells, accuracy=ACCURACY, largest=0.5, shown="", passes=None, seeded=()):
    """The judgement on cells by (saliency, removal)."""
    names = {name for name, _ in cells}
    costs = {name: PASSES.get(name, 1.0) for name in names} | (passes or {})
    return judge_audit(cells, costs, accuracy, largest, shown, seeded)


def fake_audit(
    margins, removals=("delete",), accuracy=ACCURACY, largest=0.5, texts=300, examples=(), curves=True, **about
):
    """An audit of saliencies with the margins that are given; the control is added."""
    cells = {
        (name, removal): cell(margin, 0.5 + min(margin * 3, 0.45), texts, seed=i)
        for removal in removals
        for i, (name, margin) in enumerate({**margins, CONTROL: 0.0}.items())
    }
    judgement = judged(cells, accuracy, largest, shown="l2")
    rows = [
        AuditRow(name, removal, True, PASSES.get(name, 1.0), 1.5,
                 dict(zip(columns, intervals_of(np.stack(list(columns.values()), 1)), strict=True)))
        for (name, removal), columns in cells.items()
    ]  # fmt: skip
    falls = np.array([0, 0.1, 0.2, 0.4, 0.7, 1.0])
    return Audit(
        judgement=judgement,
        rows=rows,
        texts=texts,
        facts={
            "accuracy": None if accuracy is None else list(accuracy), "largest_class": largest,
            "confidence": [0.8, 0.78, 0.82], "cut_texts": 3, "shown": "l2",
        },
        refused={"attention": "saliency attention is for encoders & decoders"},
        curves={f"{row.saliency}, {row.removal}": [
            (0.8 - 2 * row.metrics["margin"].value * falls).tolist(), (0.8 - 0.1 * falls).tolist(),
        ] for row in rows} if curves else {},
        examples=[{"row": i, "gold": "negative", **explanation(words).to_dict()} for i, words in enumerate(examples)],
        about={"model": "a-model", "budget": "usual", "seed": 0, "shares": [0.1, 0.1], "data": {}} | about,
    )  # fmt: skip


def explanation(words):
    """An explanation of some words whose saliency falls from the first to the last."""
    text, spans, start = " ".join(words), [], 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    count = len(words)
    order = list(range(count))
    return Explanation(
        words=list(words), saliency=np.linspace(1, -0.5, count, dtype=np.float32), label=1, label_name="positive",
        confidence=0.8, important=Curve(order[:-1], np.linspace(0.8, 0.75, count).tolist()),
        unimportant=Curve(order[:0:-1], np.linspace(0.8, 0.3, count).tolist(), 2), comp=0.01, suff=0.2, text=text,
        spans=spans, known=[True] * (count - 1) + [False], saliency_name="grad_x_input",
        probabilities={"negative": 0.2, "positive": 0.8},
    )  # fmt: skip
