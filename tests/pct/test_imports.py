"""What importing the library brings in, each in a fresh interpreter. The directions of imports: `make lint`."""

import subprocess
import sys
from pathlib import Path

import pytest

import pct

ROOT = Path(__file__).parents[2]
TORCH_FREE = [
    "pct", "pct.metrics.report", "pct.explaining.explanation", "pct.explaining.predictor", "pct.explaining.reduction",
    "pct.text.words", "pct.metrics.rationale",
]  # fmt: skip
FOREIGN = {"mlflow", "ray", "bentoml", "pipelines", "tuning", "serving", "optuna", "onnxruntime"}


def loaded_by(statement):
    """The top-level modules that a statement leaves in memory."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_metrics_explanations_and_the_service_need_is_free_of_torch():
    loaded = loaded_by(f"import {', '.join(TORCH_FREE)}\npct.explain, pct.evaluate, pct.Predictor, pct.Settings")
    assert "numpy" in loaded
    assert not loaded & ({"torch", "transformers", "datasets", "pandas", "sklearn", "matplotlib"} | FOREIGN)


def test_the_whole_library_brings_in_no_tracking_tuning_or_serving():
    loaded = loaded_by("import pct\nfor name in pct.__all__: getattr(pct, name)")
    assert "torch" in loaded
    assert not loaded & FOREIGN
    assert not loaded & {"transformers", "datasets"}  # asked for only where a model or a corpus needs them


def test_a_metric_is_computed_without_torch():
    code = (
        "from tests.pct.toy import Scale\nimport pct\n"
        "assert pct.evaluate(Scale(), (['good the bad superb'], [1])).acc == 1.0\n"
        "assert pct.explain(Scale(), ['good the bad superb'])[0].label == 1"
    )
    assert "torch" not in loaded_by(code)


def test_the_public_names_are_there_and_no_others():
    assert set(pct.__all__) <= set(dir(pct))
    for name in pct.__all__:
        public = getattr(pct, name)
        assert getattr(public, "__module__", "pct.").startswith("pct.")
    with pytest.raises(AttributeError, match="module 'pct' has no attribute 'expalin'"):
        _ = pct.expalin


def test_the_names_that_were_promised_are_public():
    promised = {"load", "explain", "evaluate", "train", "Settings", "Explanation"}
    assert promised <= set(pct.__all__)
    assert callable(pct.Classifier.predict)
    assert callable(pct.Classifier.saliency)
    assert (ROOT / "pct" / "py.typed").is_file()
