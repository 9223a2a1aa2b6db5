"""The metrics against a loop that reduces lists of words and asks the classifier about one text at a time."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pct
from pct.corpora.splits import Split
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import COMPANIONS, RATES
from tests.pct import twins
from tests.pct.number import number_model
from tests.pct.several import several_classifier
from tests.pct.small import FAMILIES, LEXICON, small_classifier, small_texts
from tests.pct.toy import Scale

METRICS = (*CORE_METRICS, *COMPANIONS, *RATES)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def labels_for(texts):
    return [i % 2 for i in range(len(texts))]


def assert_columns_are_the_twin_s(classifier, texts, report, p_important=0.1, p_unimportant=0.1, order="static"):
    labels = labels_for(texts)
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        expected = twins.metrics(
            classifier, text.split(), label, p_important, p_unimportant, recomputed=order == "recomputed"
        )
        actual = {name: float(report.columns[name][i]) for name in expected}
        assert actual == pytest.approx(expected, abs=1e-5, nan_ok=True), text


@pytest.mark.parametrize("order", ["static", "recomputed"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_metric_of_every_text_is_the_loop_s(family, order):
    classifier = small_classifier(family, seed=1)
    texts = [*small_texts(20, seed=5), "film"]
    report = pct.evaluate(classifier, (texts, labels_for(texts)), order=order)
    assert_columns_are_the_twin_s(classifier, texts, report, order=order)
    n = report.columns["n"]
    flipped = (n > 1) & (report.columns["ir"] < n - 1)
    assert flipped.sum() >= 3  # else the flips would go untested
    assert len(set(report.columns["predicted"])) > 1


@pytest.mark.parametrize(("p_important", "p_unimportant"), [(0.3, 0.5), (1.0, 0.2)])
@pytest.mark.parametrize("family", ["textcnn", "transformer"])
def test_the_shares_are_taken_each_on_its_side(family, p_important, p_unimportant):
    classifier = small_classifier(family)
    texts = small_texts(12, seed=9)
    report = pct.evaluate(classifier, (texts, labels_for(texts)), p_important, p_unimportant)
    assert_columns_are_the_twin_s(classifier, texts, report, p_important, p_unimportant)


@pytest.mark.parametrize("changes", [
    {"saliency": "grad_x_input"}, {"saliency": "l1", "saliency_of": "probability"},
    {"saliency": "integrated_gradients", "integrated_steps": 3},
], ids=str)  # fmt: skip
def test_metrics_follow_the_saliency_of_the_settings(changes):
    classifier = small_classifier("lstm", seed=2, **changes)
    texts = small_texts(12, seed=2)
    report = pct.evaluate(classifier, (texts, labels_for(texts)))
    assert_columns_are_the_twin_s(classifier, texts, report)


def test_more_texts_than_a_block_holds_keep_their_places():
    classifier = small_classifier("textcnn", classes=2)
    texts = small_texts(300, seed=11, longest=6)
    report = pct.evaluate(classifier, (texts, labels_for(texts)))
    some = [0, 1, 127, 128, 129, 200, 298, 299]
    for i in some:
        expected = twins.metrics(classifier, texts[i].split(), i % 2, 0.1, 0.1, recomputed=False)
        actual = {name: float(report.columns[name][i]) for name in expected}
        assert actual == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_a_worked_example():
    """`good the bad superb` has log-odds 4 and saliencies 2 0 2 4: it loses superb first, or the."""
    report = pct.evaluate(Scale(), (["good the bad superb"], [1]))
    f = sigmoid(4)
    assert report.acc == 1.0
    assert report.f_x == pytest.approx(f, abs=1e-6)
    assert report.comp == pytest.approx(f - sigmoid(0), abs=1e-6)
    assert report.suff == pytest.approx(0.0, abs=1e-6)
    # superb, then good (the earlier of the tie): log-odds 0 is a tie that argmax gives to class 0
    assert report.ir == 1.0
    # the, good, bad: log-odds 4, 2, 4: never negative
    assert report.ur == 3.0
    # ranks 2 4 3 (1): after superb has gone 1 3 2, so each word moves by one
    assert report.i_var == 1.0
    assert report.i_var_aligned == 0.0
    # ranks 2 (4) 3 1, the last word gone: nothing moves
    assert report.u_var == 0.0
    assert report.u_var_aligned == 0.0
    # of four words: 1, 5, 10, 20 % are one word, 50 % two
    assert report.comp_aopc == pytest.approx((4 * (f - sigmoid(0)) + (f - sigmoid(-2))) / 5, abs=1e-6)
    assert report.suff_aopc == pytest.approx((f - sigmoid(2)) / 5, abs=1e-6)
    assert report.gaps == pytest.approx(
        {"comp-suff": report.comp - report.suff, "ur-ir": 2.0, "i_var-u_var": 1.0}, abs=1e-9
    )


def test_a_text_of_one_word_counts_for_accuracy_and_confidence_alone():
    report = pct.evaluate(Scale(), (["superb", "good bad the"], [0, 1]))
    alone = pct.evaluate(Scale(), (["good bad the"], [1]))
    assert report.columns["acc"].tolist() == [0.0, 0.0]  # a tie of the log-odds goes to class 0
    assert report.f_x == pytest.approx((sigmoid(4) + 0.5) / 2, abs=1e-6)
    for name in METRICS[2:]:
        assert math.isnan(report.columns[name][0])
        assert report.metrics[name] == alone.metrics[name]


def test_texts_of_one_word_only_have_no_gaps():
    report = pct.evaluate(Scale(), (["superb", "bad"], [1, 0]))
    assert report.acc == 1.0
    assert all(math.isnan(report.metrics[name]) for name in METRICS[2:])
    parsed = json.loads(report.to_json())
    assert parsed["metrics"]["comp"] is None
    assert parsed["metrics"]["acc"] == 1.0


def test_means_and_standard_errors_are_over_the_texts_that_have_a_value():
    texts = [*small_texts(30, seed=4), "film", "joy"]
    report = pct.evaluate(small_classifier("lstm"), (texts, labels_for(texts)))
    for name in METRICS:
        values = [float(v) for v in report.columns[name] if not math.isnan(v)]
        mean = sum(values) / len(values)
        error = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) / math.sqrt(len(values))
        assert report.metrics[name] == pytest.approx(mean, rel=1e-9)
        assert report.errors[name] == pytest.approx(error, rel=1e-9)
        assert getattr(report, name) == report.metrics[name]


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15)
@given(data=st.data())
def test_metrics_do_not_depend_on_batches_or_padding(family, data):
    """All texts in one call, in another order, or one by one: the same numbers for each text to 1e-5."""
    classifier = small_classifier(family, seed=1)
    texts = data.draw(
        st.lists(st.lists(st.sampled_from(LEXICON), min_size=1, max_size=9, unique=True), min_size=2, max_size=6)
    )
    order = data.draw(st.permutations(range(len(texts))))
    labels = labels_for(texts)
    together = pct.evaluate(classifier, (texts, labels))
    mixed = pct.evaluate(classifier, ([texts[i] for i in order], [labels[i] for i in order]))
    single = [pct.evaluate(classifier, ([text], [label])) for text, label in zip(texts, labels, strict=True)]
    for name in METRICS:
        whole = together.columns[name]
        np.testing.assert_allclose(mixed.columns[name], whole[order], atol=1e-5, err_msg=name)
        np.testing.assert_allclose([r.columns[name][0] for r in single], whole, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("order", ["static", "recomputed"])
def test_forwards_that_several_metrics_need_are_run_once(order):
    """A text of four words has itself and three reduced texts a side, whatever the number of metrics."""
    scale = Scale()
    pct.evaluate(scale, (["good the bad superb", "slow fine dreadful the"], [1, 0]), order=order)
    assert 0 < scale.rows_seen <= 2 * (1 + 2 * 3)


def test_words_beyond_the_cut_count_for_nothing():
    text = "good the bad superb"
    cut = pct.evaluate(Scale(max_length=3), ([text], [1]))
    assert cut.columns["n"].tolist() == [3]
    short = pct.evaluate(Scale(), (["good the bad"], [1]))
    assert cut.metrics == pytest.approx(short.metrics)


def test_a_dataset_may_be_columns_a_pair_or_a_split():
    from datasets import Dataset

    from pct.corpora.splits import Split

    texts, labels = ["good the bad superb", "slow dreadful"], [1, 0]
    expected = pct.evaluate(Scale(), (texts, labels)).metrics
    for dataset in (
        {"text": texts, "label": labels},
        Dataset.from_dict({"text": texts, "label": labels}),
        Split(texts, np.array(labels)),
        ([t.split() for t in texts], np.array(labels)),
    ):
        assert pct.evaluate(Scale(), dataset).metrics == expected


@pytest.mark.parametrize("order", ["static", "recomputed"])
@pytest.mark.parametrize("names", [*([name] for name in METRICS), ["comp", "ur"], ["suff_aopc", "i_var"]], ids=str)
def test_metrics_that_are_asked_for_alone_are_the_same(names, order):
    classifier, texts = small_classifier("textcnn", seed=1), [*small_texts(15, seed=21), "film"]
    whole = pct.evaluate(classifier, (texts, labels_for(texts)), order=order)
    some = pct.evaluate(classifier, (texts, labels_for(texts)), order=order, metrics=names)
    for name in names:
        np.testing.assert_allclose(some.columns[name], whole.columns[name], atol=1e-5)
        assert some.metrics[name] == pytest.approx(whole.metrics[name], abs=1e-5)


def test_what_no_metric_asks_for_is_not_run():
    texts = (["good the bad superb fine slow", "slow fine dreadful the good"], [1, 0])
    rows = []
    for names in (["acc"], ["comp"], ["comp", "suff"], METRICS):
        scale = Scale()
        pct.evaluate(scale, texts, metrics=names)
        rows.append(scale.rows_seen)
    assert rows[0] == 2
    assert rows == sorted(set(rows))


def test_an_unknown_metric_is_named_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"metric must be one of acc, f_x, macro_f1, mae, rmse, pearson, comp, .* got .compp."
    ):
        pct.evaluate(Scale(), (["good bad"], [1]), metrics=["comp", "compp"])


@pytest.mark.parametrize(("dataset", "kind", "message"), [
    (([], []), ValueError, "has no rows"),
    ((["good bad"], [2]), ValueError, r"label 2 is outside .* 0\.\.1"),
    ((["good bad"], [-1]), ValueError, "label -1 is outside"),
    ((["good bad"], [0, 1]), ValueError, "1 texts need 1 labels"),
    ((["good bad", " "], [0, 1]), ValueError, "row 2: column 'text' must be a text"),
    ((["good", None], [0, 1]), ValueError, "row 2: column 'text' must be a text with words, got None"),
    (3, ValueError, "columns text and label"),
])  # fmt: skip
def test_a_dataset_that_cannot_be_measured_is_refused_with_the_reason(dataset, kind, message):
    with pytest.raises(kind, match=message):
        pct.evaluate(Scale(), dataset)


@pytest.mark.parametrize(("classifier", "labels"), [
    (small_classifier("lstm"), labels_for(range(20))),
    (several_classifier("textcnn"), np.random.default_rng(1).random((20, 3)) < 0.4),
    (number_model("transformer"), np.random.default_rng(1).normal(size=20)),
], ids=["one class", "several labels", "a number"])  # fmt: skip
def test_texts_without_labels_have_all_metrics_that_need_none(classifier, labels, tmp_path, caplog):
    texts, scores = small_texts(20, seed=3), classifier.task.scores
    labelled = pct.evaluate(classifier, Split(texts, np.asarray(labels)))
    report = pct.evaluate(classifier, {"text": texts, "stars": [3] * 20})
    assert "has no column 'label', it has text, stars" in caplog.text
    assert report.metrics == {name: value for name, value in labelled.metrics.items() if name not in scores}
    assert report.texts == 20
    assert "the accuracy is unknown" in report.table()
    lost = labelled.columns.keys() - report.columns.keys()
    assert lost - {*scores, "label", "true_number", "true_labels", "is_true"} == set()
    for name, column in report.columns.items():
        np.testing.assert_array_equal(column, labelled.columns[name])
    assert report.confusion is None
    report.to_parquet(tmp_path / "texts.parquet", texts)
    assert scores[0] not in json.loads(report.to_json())["metrics"]
    assert "<table" in report.to_html()
    assert not {*scores} & pct.evaluate(classifier, texts, metrics=["all"]).metrics.keys()
    for name in scores:
        with pytest.raises(ValueError, match=f"metric {name} needs labels, and the texts have none: set label_column"):
            pct.evaluate(classifier, texts, metrics=["comp", name])
    with pytest.raises(ValueError, match="no column 'star', it has text, stars; set label_column"):
        pct.evaluate(classifier, {"text": texts, "stars": [3] * 20}, label_column="star")
    for metrics, problem in ((scores, "needs labels"), (["comp"], "these have no labels: set label_column")):
        with pytest.raises(ValueError, match=problem):
            pct.diff(classifier, classifier, texts, metrics=metrics)


@pytest.mark.parametrize("share", [0, 1.5, -0.1])
@pytest.mark.parametrize("name", ["p_important", "p_unimportant"])
def test_a_share_outside_zero_to_one_is_refused(name, share):
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        pct.evaluate(Scale(), (["good bad"], [1]), **{name: share})


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="order must be one of static, recomputed, beam, got 'random'"):
        pct.evaluate(Scale(), (["good bad"], [1]), order="random")


def test_an_interval_of_nothing_is_null_in_json():
    report = pct.evaluate(Scale(), (["good", "bad"], [1, 0]), metrics=["win"])
    assert json.loads(report.to_json(), parse_constant=pytest.fail)["intervals"] == {"win": [None, None]}


def test_some_unknown_labels_among_others_are_refused():
    with pytest.raises(ValueError, match="-1"):
        pct.evaluate(Scale(), Split(["good bad", "the bad"], np.array([1, -1])))


def test_a_list_of_texts_is_measured_without_a_warning(caplog):
    report = pct.evaluate(Scale(), ["good bad", "the bad"])
    assert "acc" not in report.metrics
    assert caplog.text == ""


def test_the_report_can_be_read_by_people_and_machines(tmp_path):
    import pyarrow.parquet as pq

    texts = ["good the bad superb", "slow dreadful the", "fine"]
    report = pct.evaluate(Scale(), (texts, [1, 0, 1]))
    table = report.table()
    assert all(name in table for name in (*METRICS, "comp-suff", "ur-ir", "i_var-u_var"))
    parsed = json.loads(report.to_json())
    assert parsed["texts"] == 3
    assert parsed["metrics"] == pytest.approx(report.metrics)
    assert parsed["standard_errors"]["comp"] == pytest.approx(report.errors["comp"])
    report.to_parquet(tmp_path / "texts.parquet")
    columns = pq.read_table(tmp_path / "texts.parquet").to_pydict()
    assert {k: pytest.approx(v, nan_ok=True) for k, v in columns.items()} == {
        k: v.tolist() for k, v in report.columns.items()
    }
    assert [p.name for p in tmp_path.iterdir()] == ["texts.parquet"]


def test_a_metric_that_does_not_exist_is_named_with_those_that_do():
    report = pct.evaluate(Scale(), (["good bad"], [1]))
    with pytest.raises(AttributeError, match="no metric 'compp'; there are acc, f_x"):
        _ = report.compp
