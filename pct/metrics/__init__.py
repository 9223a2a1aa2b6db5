"""Accuracy and the metrics of pathology. The registry lists them by name. This package does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pct.registry import Registry

if TYPE_CHECKING:
    from pct.metrics.base import Metric

RATIONALE = (
    "rationale_auprc", "rationale_auprc_random", "rationale_f1", "rationale_f1_random", "rationale_iou_f1",
    "rationale_iou_f1_random", "rationale_tau",
)  # fmt: skip
SHORTCUT = ("rationale_auprc_shortcut", "rationale_f1_shortcut", "shortcut_share")
_CLASSES = {
    "accuracy:Accuracy": ("acc",),
    "accuracy:Confidence": ("f_x",),
    "accuracy:MacroF1": ("macro_f1",),
    "number_errors:NumberErrors": ("mae", "rmse", "pearson"),
    "removal:Comprehensiveness": ("comp",),
    "removal:Sufficiency": ("suff",),
    "removal:ComprehensivenessAopc": ("comp_aopc",),
    "removal:SufficiencyAopc": ("suff_aopc",),
    "flips:Flips": ("ir", "ur"),
    "flips:FlipRates": ("ir_rate", "ur_rate"),
    "rank_variance:RankVariance": ("i_var", "u_var", "i_var_aligned", "u_var_aligned"),
    "chance:Chance": ("comp_random", "margin", "suff_margin", "win"),
    "normalised:NormalisedAopc": ("naopc_comp", "naopc_suff"),
    "leave_one_out:LeaveOneOut": ("tau_loo",),
    "collapse:Collapse": ("cos_important", "cos_unimportant", "separation"),
    "rationale:Rationale": RATIONALE,
    "rationale:Shortcut": SHORTCUT,
}
metrics: Registry[type[Metric]] = Registry(
    "metric", "pct.metrics", {name: f"pct.metrics.{cls}" for cls, names in _CLASSES.items() for name in names}
)
