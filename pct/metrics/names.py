"""The names of the core metrics and of the gaps between them."""

from __future__ import annotations

from collections.abc import Mapping

CORE_METRICS = ("acc", "f_x", "comp", "suff", "ir", "ur", "i_var", "u_var")
# a gap is the first metric less the second; a larger gap is healthier
GAPS = {"comp-suff": ("comp", "suff"), "ur-ir": ("ur", "ir"), "i_var-u_var": ("i_var", "u_var")}
CONTROL_GAPS = {"naopc-gap": ("naopc_comp", "naopc_suff")}


def gaps_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """The gaps between the metrics that are present.

    Args:
        metrics: means by name.
    """
    return {name: metrics[a] - metrics[b] for name, (a, b) in GAPS.items() if a in metrics and b in metrics}
