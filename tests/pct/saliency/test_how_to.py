"""The code of docs/how-to/saliency.md runs, and its adapters give what this project's own saliencies give."""

import re

import numpy as np
import pytest

from pct.saliency import saliencies
from tests.pct.small import small_classifier, small_texts
from tests.project import REPOSITORY

PAGE = "docs/how-to/saliency.md"


@pytest.fixture
def blocks():
    """The code of the page, in its order; what it registers is forgotten afterwards."""
    yield re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / PAGE).read_text(encoding="utf-8"), re.M | re.S)
    for name in ("alone", "captum_integrated_gradients", "shap_kernel"):
        saliencies._loaded.pop(name, None)


def run(*blocks):
    names = {"__name__": "a_package_of_yours"}
    for block in blocks:
        exec(compile(block, PAGE, "exec"), names)
    return names


def test_the_saliency_of_the_page_runs_by_its_name(blocks):
    names = run(*blocks[:2])
    assert names["report"].saliency == "alone"
    classifier = names["clf"]
    explained = names["pct"].explain(classifier, ["A dull comedy"], saliency="alone")[0]
    f = classifier.predict(explained.words)[:, explained.label]
    np.testing.assert_allclose(explained.saliency, np.log(f) - np.log(1 - f), atol=1e-3)


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_the_adapter_of_captum_gives_integrated_gradients(blocks, family):
    pytest.importorskip("captum", reason="captum is not installed")
    run(blocks[0], next(block for block in blocks if "captum" in block))
    texts = small_texts(4, seed=2, longest=6)
    found = small_classifier(family, seed=2).saliency(texts, by="captum_integrated_gradients")
    own = small_classifier(family, seed=2, integrated_steps=64).saliency(texts, by="integrated_gradients")
    for one, other in zip(found, own, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.1, atol=0.05 * np.abs(other).max())


def test_the_adapter_of_shap_gives_shapley_values(blocks):
    pytest.importorskip("shap", reason="shap is not installed")
    run(blocks[0], next(block for block in blocks if "import shap" in block))
    texts, classifier = [*small_texts(4, seed=2, longest=6), "film"], small_classifier("lstm", seed=2)
    found, own = classifier.saliency(texts, by="shap_kernel"), classifier.saliency(texts, by="kernel_shap")
    for one, other in zip(found, own, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
