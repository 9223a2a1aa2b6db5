"""A method, a metric, a saliency of another package: trained by, loaded elsewhere, measured, missed when it is gone."""

import os
import subprocess
import sys

import pytest

from pct.cli import main
from tests.project import REPOSITORY

SOURCE = '''
import torch.nn.functional as F

import numpy as np

from pct.explaining.reduction import words_to_remove
from pct.explaining.removal import RemovalPlan
from pct.methods.base import Step
from pct.metrics.base import Metric
from pct.saliency.base import ForwardSaliency


class Alone(ForwardSaliency):
    """The log-odds of the class where a word stands alone."""

    signed = True

    def passes(self, counts):
        return counts.astype(float)

    def scores(self, texts, probabilities, labels):
        words, counts = np.arange(texts.tokens.counts.max()), texts.tokens.counts
        text, word = np.nonzero(words < counts[:, None])
        others = (words < counts[text, None]) & (words != word[:, None])
        scores = np.zeros((len(counts), len(words)))
        scores[text, word] = self.output(texts.probabilities(text, others), labels[text])
        return scores


class Shaken:
    """Cross-entropy of logits that are halved."""

    def __init__(self, settings):
        self.settings = settings

    def __call__(self, model, batch):
        loss = F.cross_entropy(model(batch.ids, batch.word_ids > -2).logits / 2, batch.labels)
        return Step(loss, {"cross_entropy": loss.detach()})


class HalfDrop(Metric):
    """f_c(X) - f_c(X without the more salient half)."""

    names = ("half_drop",)

    def plan(self, counts):
        return RemovalPlan.at(counts, important=words_to_remove(counts, 0.5)[:, None])

    def columns(self, block):
        seen = block.seen
        after = seen.important.confidence[range(len(seen.counts)), words_to_remove(seen.counts, 0.5)]
        return {"half_drop": block.of_several(seen.important.confidence[:, 0] - after)}
'''
ENTRY_POINTS = """[pct.methods]
shaken = pct_tiny:Shaken

[pct.metrics]
half_drop = pct_tiny:HalfDrop

[pct.saliencies]
alone = pct_tiny:Alone
"""
USE = """
import sys
import numpy as np
from pct.methods import methods
from pct.metrics import metrics
from pct.saliency import saliencies
assert "shaken" in methods.names() and "half_drop" in metrics.names()
assert "alone" in saliencies.names() and "l2" in saliencies.names()
assert "pct_tiny" not in sys.modules and "torch" not in sys.modules
import pct
quick = dict(epochs=1, limit=64, max_length=12, device="cpu", threads=1, evaluate_epochs=False)
pct.train(pct.Settings(method="shaken", **quick), progress=False).save("method")
s = pct.Settings(method="normal", saliency="alone", **quick)
data = pct.load_corpus(s)
classifier = pct.train(s, progress=False)
texts = list(data["test"]["text"])[:5]
own, asked = classifier.saliency(texts), classifier.saliency(texts, by="alone")
report = pct.evaluate(classifier, data["test"], limit=20, saliency="alone", metrics=["comp"])
explained = pct.explain(classifier, texts, saliency="alone")
words = [classifier.predict(explained[0].words)]  # each word of the first text as a text of its own
label = explained[0].label
odds = np.log(words[0][:, label]) - np.log(1 - words[0][:, label])
assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(own, asked))
assert all(np.allclose(a, b.saliency, atol=1e-4) for a, b in zip(asked, explained))
assert np.allclose(explained[0].saliency, odds, atol=1e-3), (explained[0].saliency, odds)
assert report.saliency == explained[0].saliency_name == "alone" and explained[0].signed
classifier.save("saliency")
"""
MEASURE = """
from pct.cli import main
for folder, metrics in (("method", ["--metrics", "acc", "half_drop"]), ("saliency", [])):
    print(folder, main(["evaluate", folder, "--limit", "20", "--json", *metrics]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the package was installed into, with the files that an installer writes."""
    target = tmp_path_factory.mktemp("target")
    about = target / "pct_tiny-1.5.dist-info"
    about.mkdir()
    (target / "pct_tiny.py").write_text(SOURCE, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pct-tiny\nVersion: 1.5\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return target


def python(code, folder, package):
    """A fresh interpreter that works in a folder, with the package's on its path."""
    path = os.pathsep.join([str(package), str(REPOSITORY)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def used(installed, tmp_path_factory):
    """A folder with two classifiers: "method" was trained by the package's method, "saliency" has its saliency."""
    folder = tmp_path_factory.mktemp("used")
    done = python(USE, folder, installed)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_package_brings_a_method_a_metric_and_a_saliency_that_other_processes_load(installed, used):
    measured = python(MEASURE, used, installed)
    assert measured.returncode == 0, measured.stderr
    assert '"half_drop": ' in measured.stdout
    assert "\nmethod 0\n" in measured.stdout
    assert measured.stdout.endswith("\nsaliency 0\n")


def test_what_a_package_brought_is_missed_by_name_when_it_is_gone(used, capsys):
    """This process has it not."""
    assert [main(["evaluate", str(used / name), "--limit", "20"]) for name in ("method", "saliency")] == [1, 1]
    of_method, of_saliency = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert of_method == (
        "error: the method 'shaken' is missing: it came from the package pct-tiny 1.5 (pct_tiny:Shaken); "
        "install or import that"
    )
    assert "'alone'" in of_saliency
