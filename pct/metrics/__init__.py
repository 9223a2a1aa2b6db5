"""Accuracy and the metrics of pathology. The registry lists them by name; no torch here."""

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
metrics: Registry[type[Metric]] = Registry(
    "metric",
    "pct.metrics",
    {
        **dict.fromkeys(("acc", "f_x"), "pct.metrics.accuracy"),
        "macro_f1": "pct.metrics.confusion",
        **dict.fromkeys(("comp", "suff", "comp_aopc", "suff_aopc"), "pct.metrics.removal"),
        **dict.fromkeys(("ir", "ur", "ir_rate", "ur_rate"), "pct.metrics.flips"),
        **dict.fromkeys(("i_var", "u_var", "i_var_aligned", "u_var_aligned"), "pct.metrics.rank_variance"),
        **dict.fromkeys(("comp_random", "margin", "suff_margin", "win"), "pct.metrics.chance"),
        **dict.fromkeys(("naopc_comp", "naopc_suff"), "pct.metrics.normalised"),
        **dict.fromkeys(("tau_loo",), "pct.metrics.leave_one_out"),
        **dict.fromkeys(("cos_important", "cos_unimportant", "separation"), "pct.metrics.collapse"),
        **dict.fromkeys((*RATIONALE, *SHORTCUT), "pct.metrics.rationale"),
    },
)
