"""A sweep's plan as a file, also one of an earlier version."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pct.settings import Settings
from tests.tuning.conftest import tiny_plan
from tuning.plan import PLAN, Plan
from tuning.resources import Resources

FORMER: dict[str, Any] = {"kind": "sweep", "split": "validation", "points": [], "name": ""}


def write_former(folder: Path, **changes: Any) -> None:
    """Writes the plan as 0.1.0 did."""
    tiny_plan().save(folder, Resources())
    about = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    about["plan"] |= FORMER | changes
    (folder / PLAN).write_text(json.dumps(about), encoding="utf-8")


def test_a_plan_of_an_earlier_version_is_read_and_its_folder_found_again(tmp_path):
    write_former(tmp_path)
    assert Plan.load(tmp_path)[0] == tiny_plan()
    about = asdict(tiny_plan(trials=1)) | FORMER
    del about["sweep_baseline"]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]
    assert tiny_plan().default_folder() == Path(f"runs/sweep-planted-textcnn-pct-pareto-{digest}")


def test_an_ablation_of_an_earlier_version_is_refused_by_its_new_name(tmp_path):
    write_former(tmp_path, kind="ablation", split="test", points=[{"alpha": 0.1}], name="alpha", baseline=False)
    with pytest.raises(ValueError, match="holds an ablation of an earlier version; run pct reproduce --table instead"):
        Plan.load(tmp_path)


def test_a_sweep_of_a_number_is_refused():
    with pytest.raises(ValueError, match="a sweep compares accuracies, and a number has none: leave head value out"):
        Plan(Settings(head="value"))
