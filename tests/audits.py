"""Audits for tests: made by hand, or of a folder that keeps one."""

from pathlib import Path

from pct.auditing.judgement import Judgement
from pct.auditing.kept import FILE, model_digest
from pct.auditing.result import Audit, AuditRow
from pct.metrics.bootstrap import Interval
from pct.opening import open_model


def small_audit(best: str, margin: float = 0.3) -> Audit:
    """An audit of a saliency beside a random order; best: empty where none beats it."""
    measured = {
        "comp": Interval(0.4, 0.35, 0.45), "suff": Interval(-0.05, -0.1, 0.0), "comp-suff": Interval(0.45, 0.4, 0.5),
        "margin": Interval(margin, margin - 0.05, margin + 0.05), "win": Interval(0.9, 0.85, 0.95),
    }  # fmt: skip
    chance = dict.fromkeys(measured, Interval(0.0, -0.02, 0.02)) | {"win": Interval(0.5, 0.45, 0.55)}
    rows = [
        AuditRow(best or "l2", "delete", True, 9.0, 1.5, measured if best else chance),
        AuditRow("random", "delete", False, 0.0, 0.1, chance),
    ]
    verdict = [f"Show {best}."] if best else ["No saliency beats a random order on these texts."]
    judgement = Judgement(best, "delete", holds=["delete"] if best else [], verdict=verdict, advice=["Nothing."])
    facts = {
        "accuracy": [0.8, 0.75, 0.85], "largest_class": 0.5, "confidence": [0.9, 0.88, 0.92], "cut_texts": 0,
        "shown": "l2",
    }  # fmt: skip
    about = {"model": "a model", "budget": "cheap", "seed": 0, "limit": 0, "saliencies": [best or "l2", "random"]}
    return Audit(judgement, rows, 40, facts, about=about)


def write_audit(folder: Path, best: str) -> Path:
    """Keeps such an audit in a model's folder, as `pct audit --keep` does."""
    result = small_audit(best)
    result.about["model_digest"] = model_digest(open_model(str(folder), "cpu"))
    (folder / FILE).write_text(result.to_json(), encoding="utf-8")
    return folder / FILE
