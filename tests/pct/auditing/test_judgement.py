"""What an audit says, from numbers that are made up: the verdict follows the intervals and nothing else."""

import numpy as np
import pytest

from pct.auditing.gate import Requirement
from pct.auditing.judgement import LEAST_MARGIN
from pct.metrics.bootstrap import Interval, intervals_of, paired_bootstrap
from tests.pct.auditing.fake_audits import cell, fake_audit, judged

AT_CHANCE = Interval(0.51, 0.47, 0.55)


def test_an_interval_is_that_of_the_paired_bootstrap_on_the_same_draws():
    values = np.random.default_rng(0).normal(size=(80, 2))
    values[::7, 1] = np.nan
    mine = intervals_of(values)
    for column, interval in zip(values.T, mine, strict=True):
        twin = paired_bootstrap(np.zeros(80), column)
        assert interval.value == pytest.approx(twin.value)
        assert (interval.low, interval.high) == pytest.approx((twin.low, twin.high), abs=0.02)
    assert np.isnan(intervals_of(np.full((4, 1), np.nan))[0]).all()


def test_a_clear_winner_is_shown_whatever_it_costs():
    seen = judged({("l2", "delete"): cell(0.05, 0.7), ("occlusion", "delete"): cell(0.3, 0.95, seed=1)}, shown="l2")
    assert (seen.best, seen.ties, seen.worse) == ("occlusion", [], [])
    assert seen.beats == {"delete": ["occlusion", "l2"]}
    assert seen.best_of_one_pass == "l2"
    assert seen.verdict[0].startswith("Show occlusion.")
    assert any("best saliency that needs one pass is l2" in sentence for sentence in seen.verdict)
    assert "saliency='occlusion'" in seen.advice[0]


def test_of_those_that_cannot_be_told_apart_the_one_of_fewest_passes_is_shown():
    cells = {
        ("occlusion", "delete"): cell(0.202, 0.9, seed=1),
        ("grad_x_input", "delete"): cell(0.2, 0.9, seed=2),
        ("integrated_gradients", "delete"): cell(0.201, 0.9, seed=3),
        ("l2", "delete"): cell(0.05, 0.7, seed=4),
    }
    seen = judged(cells, shown="grad_x_input")
    assert seen.best == "grad_x_input"
    assert seen.ties == ["occlusion", "integrated_gradients"]
    assert "Nothing has to be changed" in seen.advice[0]


def test_ties_are_judged_on_the_same_texts_though_their_intervals_overlap():
    """The margins of two saliencies vary together from text to text: their difference is sure."""
    shared = np.random.default_rng(5).normal(0, 0.3, 300)
    first, second = (cell(m, 0.9, spread=0.01, seed=i, shared=shared) for i, m in ((1, 0.3), (2, 0.29)))
    a, b = intervals_of(np.stack([first["margin"], second["margin"]], 1))
    assert a.low < b.high
    seen = judged({("occlusion", "delete"): first, ("l2", "delete"): second})
    assert (seen.best, seen.ties) == ("occlusion", [])


def test_a_margin_that_is_surely_larger_by_next_to_nothing_does_not_pay_for_more_passes():
    shared = np.random.default_rng(5).normal(0, 0.1, 300)
    margins = {"occlusion": 0.304, "l2": 0.3}
    cells = {(n, "delete"): cell(m, 0.9, spread=0.001, seed=1, shared=shared) for n, m in margins.items()}
    seen = judged(cells)
    assert (seen.best, seen.ties) == ("l2", ["occlusion"])


def test_of_two_that_tie_at_one_price_the_one_that_draws_nothing_is_shown():
    cells = {("drawn", "delete"): cell(0.2, 0.9, seed=1), ("l2", "delete"): cell(0.2, 0.9, seed=1)}
    assert judged(cells, seeded=["drawn"]).best == "l2"
    assert judged(cells).best == "drawn"


def test_where_nothing_beats_chance_no_explanation_is_to_be_shown():
    seen = judged({("l2", "delete"): cell(0.001), ("occlusion", "delete"): cell(0.0, seed=1, spread=0.3)})
    assert (seen.best, seen.holds, seen.beats) == ("", [], {"delete": []})
    assert seen.verdict[0].startswith("No saliency beats a random order")
    assert not any("hardly depends" in sentence for sentence in seen.verdict)
    assert "pct finetune" in seen.advice[0]


def test_a_margin_that_is_sure_but_tiny_is_no_explanation():
    seen = judged({("l2", "delete"): cell(LEAST_MARGIN / 2, 0.95, spread=0.001)})
    assert seen.best == ""


def test_a_margin_without_wins_is_no_explanation():
    assert judged({("l2", "delete"): cell(0.2, 0.5)}).best == ""


def test_a_model_at_chance_is_told_so_before_anything_else():
    seen = judged({("l2", "delete"): cell(0.3, 0.95)}, accuracy=AT_CHANCE)
    assert seen.learned is False
    assert seen.verdict[0].startswith("The model is not significantly better than its most frequent class")
    assert seen.best == "l2"
    assert seen.advice == [
        "Audit more texts; if the accuracy is then still not significantly above the share of the most frequent class, "
        "train the model further."
    ]


def test_without_labels_nothing_is_said_of_what_was_learned():
    seen = judged({("l2", "delete"): cell(0.3, 0.95)}, accuracy=None)
    assert seen.learned is None
    assert not any("frequent class" in sentence for sentence in seen.verdict)


def test_a_model_that_hardly_depends_on_its_words_is_told_so():
    columns = cell(0.0, spread=0.001)
    columns["comp"] = columns["margin"] + 0.001
    seen = judged({("l2", "delete"): columns})
    assert seen.best == ""
    assert any("hardly depends on the words" in sentence for sentence in seen.verdict)
    assert "No saliency can help" in seen.advice[0]


def test_one_that_is_worse_than_a_random_order_is_named_with_and_without_a_best():
    bad = {("attention", "delete"): cell(-0.1, 0.2, seed=1)}
    for others in ({}, {("l2", "delete"): cell(0.2, 0.9)}):
        seen = judged(bad | others)
        assert seen.worse == ["attention"]
        assert any("Worse than a random order: attention" in sentence for sentence in seen.verdict)


def test_what_holds_under_one_removal_alone_is_said_to():
    cells = {("l2", "delete"): cell(0.2, 0.9), ("l2", "mask"): cell(0.0, seed=1)}
    seen = judged(cells)
    assert (seen.best, seen.removal, seen.holds) == ("l2", "delete", ["delete"])
    message = "This holds with words deleted; it was not found with words replaced by the mask token."
    assert message in seen.verdict
    turned = judged({("l2", "delete"): cell(0.0, seed=1), ("l2", "mask"): cell(0.2, 0.9)})
    assert (turned.best, turned.removal, turned.holds) == ("l2", "mask", ["mask"])
    both = judged({("l2", "delete"): cell(0.2, 0.9), ("l2", "mask"): cell(0.2, 0.9)})
    assert "This holds with words deleted and words replaced by the mask token." in both.verdict


def random_cells(seed, texts, saliencies=13, orders=5):
    """Saliencies that are random numbers, on a model whose removals are skewed: most cost little, few cost much."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.normal(-3.5, 1, texts))
    random = scale[:, None] * rng.gamma(0.3, 1, (texts, orders))
    cells = {}
    for i in range(saliencies):
        comp, suff = (scale * rng.gamma(0.3, 1, texts) for _ in range(2))
        columns = {"comp": comp, "suff": suff, "comp_random": random.mean(1), "margin": comp - random.mean(1)}
        cells[f"random {i}", "delete"] = columns | {"win": (comp[:, None] > random).mean(1)}
    return cells


def test_of_saliencies_that_are_random_numbers_one_wins_in_no_more_than_a_twentieth_of_the_audits():
    winners = [judged(random_cells(seed, texts=60)).best for seed in range(100)]
    assert sum(map(bool, winners)) <= 5


def test_a_requirement_is_held_against_the_end_of_the_interval_that_speaks_against_it():
    x = {"margin": Interval(0.1, 0.03, 0.2)}

    def failure(text, intervals=x):
        return Requirement.parse(text).failure(intervals)

    assert [failure(text) for text in ("margin>0.02", "margin<.3", "margin >= 0.03", "margin<=2e-1")] == [""] * 4
    assert failure("margin>0.05") == "margin>0.05 is not met: 0.1000 [0.0300, 0.2000], whose lower end counts"
    assert "upper end" in failure("margin<0.15")
    assert failure("margin>0.03")  # not above it
    assert failure("margin>0", {"margin": Interval(np.nan, np.nan, np.nan)})  # a missing number meets nothing


@pytest.mark.parametrize("text", ["margin", "margin>", ">0.1", "margin=0.1", "margin>x", "margin>0.1 or so", ""])
def test_a_requirement_that_cannot_be_read_says_how_one_is_written(text):
    with pytest.raises(ValueError, match=r"as margin>0\.02; got"):
        Requirement.parse(text)


def test_a_requirement_on_what_is_not_measured_names_what_is():
    with pytest.raises(ValueError, match="margn is not measured; there are comp, suff, comp_random"):
        fake_audit({"l2": 0.2}).unmet(["margn>0.02"])


def test_an_audit_is_held_to_its_best_saliency_or_to_the_control_where_there_is_none():
    assert fake_audit({"l2": 0.2, "grad_x_input": 0.05}).unmet(["margin>0.1", "acc>0.8"]) == []
    assert len(fake_audit({"l2": 0.0}).unmet(["margin>0.1", "win>0.6", "acc>0.8"])) == 2
