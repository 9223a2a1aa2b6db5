"""Single sentences as they lose their words: steps, representations, the page's section."""

import numpy as np
import pytest

from pct.classifier import Classifier
from pct.explaining.explanation import Curve
from pct.metrics.evaluation import evaluate
from pct.output.report.sentences import SENTENCES, case_figure, reduction_html, reduction_steps, study
from tests.pct.small import small_classifier


@pytest.fixture(params=["textcnn", "transformer"])
def model(request: pytest.FixtureRequest) -> Classifier:
    return small_classifier(request.param)


def test_the_steps_go_to_the_first_change_of_the_prediction_and_name_the_word_that_goes_next() -> None:
    steps = reduction_steps(["a", "fine", "film"], Curve([1, 0], [0.9, 0.4, 0.3], flips_at=1))
    assert [(s.removed, s.words, s.next_word, s.changed) for s in steps] == [
        (0, ["a", "fine", "film"], 1, False),
        (1, ["a", "film"], None, True),
    ]
    never = reduction_steps(["a", "fine", "film"], Curve([1, 0], [0.9, 0.8, 0.7]))
    assert [(s.removed, s.changed) for s in never] == [(0, False), (1, False), (2, False)]
    beyond = reduction_steps(list("abcd"), Curve([0], [0.9, 0.8], flips_at=3))  # it changes behind the curve's end
    assert [(s.removed, s.changed) for s in beyond] == [(0, False), (1, False)]


def test_the_cosines_are_those_of_the_collapse_metrics(model: Classifier) -> None:
    text = "The film is brilliant and moving ."
    (case,) = study(model, "pct", [text])
    # all N - 1 removals that the curve has: ceil(share N) of them
    n = len(case.seen.words)
    share = (n - 1) / n - 1e-9
    report = evaluate(model, ([text], [0]), share, share, metrics=["cos_important", "cos_unimportant"])
    assert case.important.shape[0] == n
    assert case.cosines() == pytest.approx(
        (report.metrics["cos_important"], report.metrics["cos_unimportant"]), abs=1e-6
    )


def test_a_sentence_is_drawn_by_each_method_and_told_step_by_step(model: Classifier) -> None:
    cases = [study(model, name, ["The film <is> brilliant .", "Bad film ."]) for name in ("normal", "pct")]
    pairs = [list(pair) for pair in zip(*cases, strict=True)]
    assert len(case_figure(pairs[0]).axes) == 6
    assert len(case_figure(pairs[1]).axes) == 6  # too few words for t-SNE
    shown = reduction_html("mr-textcnn", pairs)
    assert "&lt;" in shown
    assert "<is>" not in shown
    first = pairs[0][0].seen
    assert f"<b>{first.words[first.important.removed[0]]}</b>" in shown.replace("&lt;", "<").replace("&gt;", ">")


def test_the_papers_sentences_are_ten() -> None:
    assert len(set(SENTENCES)) == 10
    assert np.all([s == s.strip() for s in SENTENCES])
