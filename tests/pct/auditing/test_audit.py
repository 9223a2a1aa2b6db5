"""An audit of real models: its numbers are those of `pct.evaluate`, it goes on where it was stopped, it is kept."""

import json
from dataclasses import replace

import numpy as np
import pytest

import pct
from pct.auditing import audit as audits
from pct.auditing.audit import audit
from pct.auditing.measure import TEXTS_A_BLOCK, measure
from pct.auditing.plan import CONTROL, make_plan
from pct.auditing.result import Audit
from pct.corpora.splits import Split
from pct.metrics import RATIONALE, SHORTCUT
from pct.metrics.bootstrap import intervals_of
from pct.metrics.rationale import metrics_of_marks
from pct.saliency import saliencies
from tests.pct.models.families import classifier, tokenizer
from tests.pct.several import several_classifier
from tests.pct.small import small_classifier, small_corpus, small_texts
from tests.pct.toy import Scale

QUICK = ("l2", "grad_x_input")
TEXTS = small_texts(3 * TEXTS_A_BLOCK + 10)
DATA = (TEXTS, [i % 2 for i in range(len(TEXTS))])


@pytest.fixture(scope="module")
def model():
    return small_classifier("textcnn", classes=2)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A classifier of the transformers library that was saved by it."""
    folder = tmp_path_factory.mktemp("bert")
    classifier("BERT", classes=2).save_pretrained(folder)
    tokenizer("BERT").save_pretrained(folder)
    return pct.load(folder, "cpu")


@pytest.fixture
def blocks():
    """Counts the blocks that are measured; stops after so many."""

    class Counter:
        stop = 10**9
        seen = 0

        def __call__(self, texts):
            self.seen += 1
            if self.seen >= self.stop:
                raise KeyboardInterrupt

    return Counter()


def numbers(result):
    """What has to be equal of two audits: all but the time, and the name of the job that kept its blocks."""
    kept = result.to_dict()
    del kept["about"]["job"]
    for row in kept["rows"]:
        row["milliseconds"] = 0
    return json.dumps(kept)


@pytest.mark.parametrize("removal", ["delete", "mask"])
def test_the_numbers_are_those_of_evaluate_by_the_same_saliency(bert, removal):
    texts, labels = small_texts(70, longest=8), [i % 2 for i in range(70)]
    names = ["l2", "frozen_grad_x_input", "occlusion", CONTROL]
    measured = measure(
        bert, Split(texts, np.array(labels, np.int64)), make_plan(bert, names, removals=[removal])
    ).columns  # fmt: skip
    for name in names:
        wanted = ["comp", "suff", "comp_random", "margin", "win", "ir", "ur", "tau_loo", "comp_aopc", "suff_aopc"]
        report = pct.evaluate(bert, (texts, labels), metrics=wanted, removal=removal, saliency=name)
        for metric in wanted:
            np.testing.assert_allclose(
                measured[name, removal][metric], report.columns[metric], atol=2e-5, err_msg=f"{name} {metric}"
            )
        gap = measured[name, removal]["comp-suff"]
        np.testing.assert_allclose(gap, report.columns["comp"] - report.columns["suff"], atol=4e-5)


def test_the_rows_are_the_means_of_the_texts_and_the_facts_are_the_model_s(model):
    result = audit(model, DATA, QUICK, "cheap")
    report = pct.evaluate(model, DATA, metrics=["acc", "f_x", "margin", "win"], saliency="l2")
    row = result.row("l2", "delete").metrics
    for name in ("margin", "win"):
        assert row[name].value == pytest.approx(report.metrics[name], abs=1e-5)
        assert row[name].low <= row[name].value <= row[name].high
    assert result.facts["accuracy"][0] == pytest.approx(report.acc)
    assert result.facts["confidence"][0] == pytest.approx(report.metrics["f_x"], abs=1e-5)
    assert result.facts["largest_class"] == pytest.approx(0.5, abs=0.01)
    assert result.texts == len(TEXTS)
    assert {r.saliency for r in result.rows} == {*QUICK, CONTROL}


def test_the_curves_are_the_mean_confidence_after_each_share_of_the_words(model):
    result = audit(model, DATA, ["l2"], removals=["delete"])
    most, least = result.curves["l2, delete"]
    report = pct.evaluate(model, DATA, metrics=["comp_aopc", "suff_aopc", "f_x"], saliency="l2")
    several = np.array([len(text.split()) > 1 for text in TEXTS])
    assert several.sum() < len(TEXTS)
    for curve, metric in ((most, "comp_aopc"), (least, "suff_aopc")):
        assert len(curve) == 6
        drops = np.where(several, report.columns[metric], 0.0)  # a text of one word stays whole
        assert curve[0] - np.mean(curve[1:]) == pytest.approx(np.nan_to_num(drops).mean(), abs=2e-5)


def test_an_audit_is_the_same_after_json(bert):
    first = audit(bert, (small_texts(20, longest=8), [i % 2 for i in range(20)]), name="bert")
    again = Audit.from_dict(json.loads(first.to_json()))
    assert again.to_dict() == first.to_dict()
    assert (again.best, again.summary(), again.to_html()) == (first.best, first.summary(), first.to_html())
    assert "NaN" not in first.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, "format 0"), ({"rows": 3}, "damaged"), ({"judgement": {}}, "damaged"),
        ({"about": None}, "damaged"), ({"texts": None}, ""),
    ],
)  # fmt: skip
def test_what_is_no_audit_is_refused_with_the_remedy(change, message):
    whole = audit(Scale(), (["good bad fine", "slow the"], [1, 0]), ["occlusion"], "cheap").to_dict()
    if message:
        with pytest.raises(ValueError, match=f"{message}.*audit again"):
            Audit.from_dict(whole | change)
    with pytest.raises(ValueError, match="audit again"):
        Audit.from_dict({k: v for k, v in whole.items() if k not in change})


def test_an_audit_that_was_stopped_goes_on_with_the_rest_and_ends_in_the_same_numbers(
    model, tmp_path, blocks, monkeypatch
):
    counted = []
    measure_block = audits.measure.__globals__["_measure_block"]

    def counting(*arguments):
        counted.append(len(arguments[2]))
        return measure_block(*arguments)

    monkeypatch.setitem(audits.measure.__globals__, "_measure_block", counting)
    split, plan = Split(DATA[0], np.array(DATA[1], np.int64)), make_plan(model, QUICK)
    whole = measure(model, split, plan)
    assert len(counted) == 4
    blocks.stop = 2
    with pytest.raises(KeyboardInterrupt):
        measure(model, split, plan, tmp_path, {"job": 1}, blocks)
    assert len(counted) == 6
    rest = measure(model, split, plan, tmp_path, {"job": 1})
    assert len(counted) == 8
    for cell, columns in whole.columns.items():
        for metric, column in columns.items():
            np.testing.assert_array_equal(rest.columns[cell][metric], column)
    for name in whole.facts:
        np.testing.assert_array_equal(rest.facts[name], whole.facts[name])
    # another job uses nothing of it
    measure(model, split, plan, tmp_path, {"job": 2})
    assert len(counted) == 12


def test_blocks_of_another_model_seed_or_text_are_not_used(tmp_path, model):
    few = (DATA[0][:20], DATA[1][:20])
    for other, data, options in (
        (model, few, {}),
        (small_classifier("textcnn", classes=2, seed=1), few, {}),
        (model, (few[0][::-1], few[1]), {}),
        (model, few, {"seed": 1}),
        (model, few, {"removals": ["unknown"]}),
        (small_classifier("textcnn", classes=2, saliency_of="probability"), few, {}),
    ):
        kept = audit(other, data, QUICK, "cheap", parts=tmp_path / "parts", **options)
        assert numbers(kept) == numbers(audit(other, data, QUICK, "cheap", **options))


def scoring(words):
    """A function from texts to probabilities: the more of the words, the surer."""

    def predict_proba(texts):
        positive = [1 / (1 + np.exp(-sum(words.get(word, 0.0) for word in text.split()))) for text in texts]
        return np.stack([1 - np.array(positive), np.array(positive)], 1)

    return predict_proba


def test_a_function_is_audited_by_what_needs_forward_passes_alone(tmp_path):
    rng = np.random.default_rng(0)
    lexicon = ["good", "superb", "bad", "dull", *"abcdefgh"]
    texts = [" ".join(rng.permutation(lexicon)[:8]) for _ in range(120)]
    weights = {"good": 1.0, "superb": 3.0, "bad": -1.0, "dull": -3.0}
    predictor = pct.predictor_from(scoring(weights), ["negative", "positive"])
    labels = [int(sum(weights.get(word, 0) for word in text.split()) > 0) for text in texts]
    result = audit(predictor, (texts, labels), parts=tmp_path / "parts")
    assert result.best == "occlusion"
    assert "gradient" in result.refused["l2"]
    assert result.judgement.learned
    # the same texts, another function: its blocks are its own
    other = pct.predictor_from(scoring({word: -w for word, w in weights.items()}), ["negative", "positive"])
    assert audit(other, (texts, labels), parts=tmp_path / "parts").facts["accuracy"][0] < 0.3


def test_a_budget_that_leaves_a_model_no_saliency_is_refused_with_the_remedy():
    predictor = pct.predictor_from(scoring({"good": 1.0}), ["negative", "positive"])
    with pytest.raises(ValueError, match=r"none of the saliencies of the budget cheap.*use the budget usual"):
        audit(predictor, (["a good one"], [1]), budget="cheap")


def test_a_saliency_that_knows_nothing_is_told_to_beat_nothing():
    predictor = Scale()
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.permutation(["superb", "good", "fine", "the", "slow", "bad"])) for _ in range(150)]
    result = audit(predictor, (texts, [1] * 150), [CONTROL], "cheap")
    assert result.best == ""
    assert "No saliency" in result.verdict
    assert result.rows[0].saliency == CONTROL


def test_the_seed_reaches_the_saliencies_that_draw(model):
    plan = make_plan(model, ["smooth_grad"], seed=3)
    assert {saliency.options.seed for saliency in plan.saliencies.values()} == {3}


def test_the_names_of_a_plan_are_those_that_are_measured(model):
    for budget in ("cheap", "usual", "all"):
        plan = make_plan(model, ["l2"], budget)
        split = Split(DATA[0][:12], np.array(DATA[1][:12], np.int64))
        assert {*plan.names} == {*measure(model, split, plan).columns["l2", "delete"]}


def test_the_labels_of_a_text_are_one_observation():
    model = several_classifier("textcnn", threshold=0.01)  # all three labels are assigned
    texts = [text for text in small_texts(40, seed=3) if len(text.split()) > 1][:12]
    split = Split(texts, np.zeros((12, 3), bool))
    result = audit(model, split, ["l2"])
    assert "12 texts of two words or more, fewer than 20" in result.verdict
    pairs = measure(model, split, make_plan(model, ["l2"]))
    assert len(pairs.facts["place"]) == 36
    expected = intervals_of(pairs.columns["l2", "delete"]["margin"][:, None], groups=pairs.facts["place"])[0]
    assert result.row("l2", "delete").metrics["margin"] == pytest.approx(expected)


def test_an_example_is_explained_by_the_shares_of_the_audit(model):
    wide = pct.Classifier(
        model.model, model.tokenizer, model.classes,
        model.settings.replace(measure_important=0.5, measure_unimportant=0.5),
    )  # fmt: skip
    split = Split(DATA[0][:20], np.array(DATA[1][:20], np.int64))
    result = audit(wide, split, ["l2"])
    columns = measure(wide, split, make_plan(wide, ["l2"])).columns[result.judgement.best or CONTROL, "delete"]
    order = {place: i for i, place in enumerate(measure(wide, split, make_plan(wide, ["l2"])).facts["place"].tolist())}
    assert result.examples
    for one in result.examples:
        for name in ("comp", "suff"):
            assert one["metrics"][name] == pytest.approx(columns[name][order[one["row"]]], abs=1e-6)


def test_random_numbers_alone_say_nothing_of_the_model(model):
    result = audit(model, DATA, ["random"], limit=30)
    assert "No saliency beats a random order" in result.verdict
    assert "hardly depends on the words" not in result.verdict


@pytest.mark.parametrize("given", ["a folder", print, 3])
@pytest.mark.parametrize("call", [pct.explain, pct.predict, pct.evaluate])
def test_what_is_no_model_is_refused_with_the_remedy(call, given):
    with pytest.raises(TypeError, match=r"is not a model: give pct\.load"):
        call(given, ["a film"])


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_rationale_is_compared_with_where_the_data_has_one(model, shortcut):
    split = small_corpus().splits["test"].take(np.arange(16))
    split = split if shortcut else replace(split, shortcut=None)
    wanted = {*RATIONALE, *(SHORTCUT if shortcut else ())}
    measured = audit(model, split, ["l2"]).row("l2", "delete").metrics
    assert wanted == {*RATIONALE, *SHORTCUT} & {*measured}
    assert wanted <= {*make_plan(model, ["l2"], marked=metrics_of_marks(split)).names}
    assert 0 < measured["rationale_auprc_random"].value < 1


def test_all_takes_every_saliency_of_the_registry_or_says_why_not(model):
    plan = make_plan(model, budget="all")
    assert {*plan.saliencies, *plan.refused} == set(saliencies.names())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saliencies": ["l3"]}, "l3"), ({"saliencies": ["gim"]}, "gim"), ({"budget": "free"}, "budget must be one of"),
        ({"removals": ["burn"]}, "removal must be one of delete, mask, unknown, got 'burn'"), ({"limit": -1}, "limit"),
        ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_a_wrong_option_says_what_is_wrong_before_anything_is_measured(model, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        audit(model, (DATA[0][:4], DATA[1][:4]), parts=tmp_path / "parts", **options)
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("form", ["strings", "column", "file"])
def test_texts_without_labels_are_audited_and_the_accuracy_is_unknown(model, tmp_path, form):
    data = {"strings": TEXTS[:40], "column": {"text": TEXTS[:40]}, "file": tmp_path / "texts.jsonl"}[form]
    if form == "file":
        data.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS[:40]))
    result = audit(model, data, QUICK, "cheap", ["delete"])
    labelled = audit(model, (TEXTS[:40], DATA[1][:40]), QUICK, "cheap", ["delete"])
    assert result.row("l2").metrics == labelled.row("l2").metrics
    assert (result.facts["accuracy"], result.facts["largest_class"]) == (None, None)
    assert result.verdict.startswith("The labels are unknown")
    assert all(example["gold"] is None for example in result.examples)
    assert "no column &#39;label&#39;" in result.to_html()


def test_a_column_of_labels_that_was_named_must_be_there(model):
    with pytest.raises(ValueError, match="no column 'stars'"):
        audit(model, {"text": TEXTS[:40]}, QUICK, label_column="stars")


def test_a_model_is_opened_by_the_name_of_its_folder(model, tmp_path):
    folder = model.save(tmp_path / "model")
    by_name, by_hand = (audit(x, (TEXTS[:30], DATA[1][:30]), QUICK, "cheap") for x in (str(folder), model))
    assert by_name.about["model"] == str(folder)
    assert [row.metrics["margin"] for row in by_name.rows] == [row.metrics["margin"] for row in by_hand.rows]


def test_an_empty_dataset_is_refused(model):
    with pytest.raises(ValueError, match=r"no texts|empty|no rows"):
        audit(model, ([], []))


def test_the_examples_are_the_texts_of_the_smallest_gap_explained_by_the_best(model):
    result = audit(model, DATA, QUICK, "cheap")
    name = result.best or CONTROL
    gaps = measure(model, Split(DATA[0], np.array(DATA[1], np.int64)), make_plan(model, QUICK, "cheap")).columns
    gap = gaps[name, result.judgement.removal]["comp-suff"]
    long_enough = np.array([len(text.split()) > 2 for text in TEXTS])
    rows = [one["row"] for one in result.examples]
    assert gap[rows].max() <= np.sort(gap[long_enough])[len(rows) - 1] + 1e-9
    assert [one["text"] for one in result.examples] == [TEXTS[i] for i in rows]
    assert {one["saliency_name"] for one in result.examples} == {name}
    assert [one["gold"] for one in result.examples] == [model.classes[DATA[1][i]] for i in rows]
