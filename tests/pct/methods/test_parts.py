"""Reduced texts in parts, some of them, or in some batches: the same loss and gradients, in less memory or time."""

import numpy as np
import pytest
import torch

from pct.methods.base import make_method, pass_originals, reduced_features, reduced_texts
from pct.methods.losses import contrastive_loss
from pct.settings import METHODS, Settings
from tests.pct.methods.one_text import MIXED, batch_of, gradients
from tests.pct.small import FAMILIES, method_for, small_model


def loss_and_gradients(model, settings, batch):
    torch.manual_seed(3)
    step = make_method(settings)(model, batch)
    return float(step.loss.detach()), gradients(model, step.loss)


def assert_same(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1].keys() == expected[1].keys()
    scale = max(float(g.abs().max()) for g in expected[1].values())
    for name, gradient in expected[1].items():
        np.testing.assert_allclose(found[1][name], gradient, rtol=1e-5, atol=1e-5 * scale, err_msg=name)


@pytest.mark.parametrize("step_tokens", [1, 30, 90])
@pytest.mark.parametrize("method", ["pct", "entropy", "removal_margin", "unirex"])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_parts_loss_and_gradients_are_those_of_the_whole(family, method, step_tokens):
    model = small_model(family, dropout=0.0).train()
    settings = Settings(method=method, alpha=0.6, temperature=0.4, entropy_weight=0.5, p_important=0.4)
    whole, parts = (
        loss_and_gradients(model, settings.replace(step_tokens=n), batch_of(family, MIXED)) for n in (0, step_tokens)
    )
    assert_same(parts, whole)


def test_dropout_is_the_same_when_a_part_runs_again(monkeypatch):
    """Against the same parts, each with its graph at once."""
    model = small_model("transformer").train()
    settings = Settings(method="pct", alpha=0.6, temperature=0.4, p_important=0.4, step_tokens=40)
    cached = loss_and_gradients(model, settings, batch_of("transformer", MIXED))
    monkeypatch.setattr("pct.methods.base.checkpoint", lambda run, *args, use_reentrant: run(*args))
    plain = loss_and_gradients(model, settings, batch_of("transformer", MIXED))
    assert_same(cached, plain)
    torch.manual_seed(4)
    other = make_method(settings)(model, batch_of("transformer", MIXED))
    assert float(other.loss.detach()) != pytest.approx(cached[0], rel=1e-3)  # there is dropout


def test_no_more_tokens_than_the_bound_are_kept_at_once():
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", MIXED)
    settings = Settings(method="pct", p_important=0.4)
    seen = []
    recombine = model.recombine

    def noted(projected, source, mask):
        seen.append((source.numel(), torch.is_grad_enabled()))
        return recombine(projected, source, mask)

    originals = pass_originals(model, batch, settings)
    source, mask, _ = reduced_texts(batch, originals.saliency, settings, True)
    model.recombine = noted
    reduced_features(model, originals.projected, source, mask, 0)
    assert [size for size, _ in seen] == [source[:, : mask.sum(1).max()].numel()]  # without a bound, all at once
    seen.clear()
    features = reduced_features(model, originals.projected, source, mask, 30)
    assert len(features.representation) == len(source)
    assert len(seen) > 2
    assert max(size for size, _ in seen) <= 30
    before = len(seen)
    features.representation.sum().backward()
    assert len(seen) == 2 * before - 1  # each part but the last runs once more


def test_the_last_step_alone_is_the_text_without_all_its_words_to_be_removed():
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", MIXED)
    settings = Settings(method="pct", p_important=0.4)
    saliency = pass_originals(model, batch, settings).saliency
    all_steps, last = (
        reduced_texts(batch, saliency, settings.replace(contrast_steps=steps), True) for steps in ("all", "last")
    )
    final = {int(text): row for row, text in enumerate(all_steps.text)}  # the last row of each text stays
    assert last.text.tolist() == list(final)
    assert last.text.tolist() == [i for i, text in enumerate(MIXED) if len(text) > 1]
    rows = list(final.values())
    assert torch.equal(last.source, all_steps.source[rows])
    assert torch.equal(last.mask, all_steps.mask[rows])


def test_with_the_last_step_alone_a_set_holds_two_texts_or_one():
    model, batch = small_model("lstm", dropout=0.0).double().train(), batch_of("lstm", MIXED)
    settings = Settings(method="pct", p_important=0.4, p_unimportant=0.4, contrast_steps="last", temperature=0.4)
    originals = pass_originals(model, batch, settings)
    positives, negatives = (
        reduced_texts(batch, originals.saliency, settings, important) for important in (False, True)
    )
    rows, sets = [originals.representation], list(range(len(MIXED)))
    for side, offset in ((positives, 0), (negatives, len(MIXED))):
        rows.append(model.recombine(originals.projected, side.source, side.mask).representation)
        sets += (side.text + offset).tolist()
    expected = contrastive_loss(torch.cat(rows), torch.tensor(sets), 0.4)
    found = make_method(settings)(model, batch).parts["contrastive"]
    assert float(found) == pytest.approx(float(expected.detach()), rel=1e-6)


@pytest.mark.parametrize("method", ["pct", "removal_margin", "unirex"])
def test_the_method_s_own_loss_is_in_every_nth_batch_and_the_others_are_normal(method):
    model, batch = small_model("textcnn", dropout=0.0).train(), batch_of("textcnn", MIXED)
    own, normal = (make_method(Settings(method=m, contrast_every=3)) for m in (method, "normal"))
    for number in range(7):
        step = own(model, batch._replace(number=number))
        assert (len(step.parts) > 1) == (number % 3 == 0)
        if number % 3:
            assert float(step.loss.detach()) == float(normal(model, batch).loss.detach())


@pytest.mark.parametrize("method", METHODS)
def test_classes_weigh_in_the_supervised_loss_of_every_method(method):
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", MIXED)
    weights = torch.tensor([0.2, 1.0, 3.0])
    step = method_for(model, Settings(method=method), "lstm")
    torch.manual_seed(0)
    plain = step(model, batch).parts["cross_entropy"]
    torch.manual_seed(0)
    weighted = step(model, batch._replace(class_weights=weights)).parts["cross_entropy"]
    assert float(weighted) != pytest.approx(float(plain), rel=1e-3)
    if method not in ("masked", "vmask"):
        each = -model(batch.ids, batch.word_ids > -2).logits.log_softmax(-1)[torch.arange(len(MIXED)), batch.labels]
        share = weights[batch.labels] / weights[batch.labels].sum()
        assert float(weighted) == pytest.approx(float((share * each).sum().detach()), rel=1e-5)


@pytest.mark.parametrize("method", ["entropy", "pct", "saliency_guided", "removal_margin", "unirex"])
def test_the_supervised_loss_of_an_encoder_has_the_dropout_of_normal_training(method):
    """Under one seed it is normal training's number, though saliency, which has none, was taken before."""
    model, batch = small_model("transformer").train(), batch_of("transformer", MIXED)
    found = {}
    for name in ("normal", method):
        torch.manual_seed(11)
        found[name] = float(make_method(Settings(method=name))(model, batch).parts["cross_entropy"])
    assert found[method] == pytest.approx(found["normal"], rel=1e-5)
    assert found["normal"] != float(make_method(Settings(method="normal"))(model, batch).parts["cross_entropy"])
