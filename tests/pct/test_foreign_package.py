"""A method, a metric, a saliency of another package: trained by, loaded elsewhere, measured, missed when it is gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
PROJECT = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "pct-tiny"
version = "1.5"

[tool.setuptools]
py-modules = ["pct_tiny"]

[project.entry-points."pct.methods"]
shaken = "pct_tiny:Shaken"

[project.entry-points."pct.metrics"]
half_drop = "pct_tiny:HalfDrop"

[project.entry-points."pct.saliencies"]
alone = "pct_tiny:Alone"
"""
TRAIN = """
import pct
s = pct.Settings(method="shaken", epochs=1, limit=64, max_length=12, device="cpu", threads=1, evaluate_epochs=False)
pct.train(s, progress=False).save({folder!r})
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the package was installed into."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    (source / "pct_tiny.py").write_text(SOURCE, encoding="utf-8")
    (source / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    code = (
        "import sys, zipfile; from setuptools import build_meta; target = sys.argv[1]; "
        "zipfile.ZipFile(f'{target}/{build_meta.build_wheel(target)}').extractall(target)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def python(code, *paths):
    """A fresh interpreter with some folders on its path."""
    path = os.pathsep.join([*map(str, paths), str(REPOSITORY)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)


def test_a_package_brings_a_method_and_a_metric_and_is_missed_when_it_is_gone(installed, tmp_path):
    folder = str(tmp_path / "model")
    trained = python(TRAIN.format(folder=folder), installed)
    assert trained.returncode == 0, trained.stderr
    measure = (
        "import sys; from pct.cli import main; "
        f"sys.exit(main(['evaluate', {folder!r}, '--limit', '20', '--metrics', 'acc', 'half_drop', '--json']))"
    )
    measured = python(measure, installed)
    assert measured.returncode == 0, measured.stderr
    assert '"half_drop": ' in measured.stdout
    listed = python(
        "import sys; from pct.methods import methods; from pct.metrics import metrics\n"
        "assert 'shaken' in methods.names() and 'half_drop' in metrics.names()\n"
        "assert 'pct_tiny' not in sys.modules and 'torch' not in sys.modules",
        installed,
    )
    assert listed.returncode == 0, listed.stderr
    missed = python(measure)
    assert missed.returncode == 1
    assert missed.stderr.strip().splitlines()[-1] == (
        "error: the method 'shaken' is missing: it came from the package pct-tiny 1.5 (pct_tiny:Shaken); "
        "install or import that"
    )


SALIENCY = """
import numpy as np
import pct
s = pct.Settings(
    method="normal", epochs=1, limit=64, max_length=12, device="cpu", threads=1, evaluate_epochs=False, saliency="alone"
)
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
classifier.save({folder!r})
"""


def test_a_package_brings_a_saliency_by_one_class(installed, tmp_path):
    folder = str(tmp_path / "model")
    used = python(SALIENCY.format(folder=folder), installed)
    assert used.returncode == 0, used.stderr
    listed = python(
        "import sys; from pct.saliency import saliencies\n"
        "assert 'alone' in saliencies.names() and 'l2' in saliencies.names()\n"
        "assert 'pct_tiny' not in sys.modules and 'torch' not in sys.modules",
        installed,
    )
    assert listed.returncode == 0, listed.stderr
    measure = (
        f"import sys; from pct.cli import main; sys.exit(main(['evaluate', {folder!r}, '--limit', '20', '--json']))"
    )
    measured = python(measure, installed)
    assert measured.returncode == 0, measured.stderr
    missed = python(measure)
    assert missed.returncode == 1
    assert missed.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "'alone'" in missed.stderr.strip().splitlines()[-1]
