"""Training on pairs of texts: every method, a run from a file, finetuning, a loop of the user's own."""

import json

import numpy as np
import pytest
import torch

import pct
from pct.methods import methods
from pct.methods.base import RemovedWords, pass_originals, reduced_logits
from pct.methods.masked import mask_words
from pct.settings import Settings
from pct.text.replacement_token import mask_token_id
from pct.text.tokens import TOKEN_TYPE
from pct.text.words import split_all
from pct.training.batches import make_batch
from pct.training.finetune import finetune
from pct.training.own_loop import MethodLoss
from pct.training.runs import run
from tests.pct.models.families import TEXTS, classifier, tokenizer

NAMES = ("negative", "positive", "neither")
WORDS = " ".join(TEXTS).split()
QUICK = {"epochs": 1, "batch_size": 8, "threads": 1, "device": "cpu", "evaluate_epochs": False, "max_length": 48}


def rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    rng = np.random.default_rng(seed)

    def text() -> str:
        return " ".join(rng.choice(WORDS, 3))

    return [{"text": text(), "text_pair": text(), "label": NAMES[i % 3]} for i in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("entailment")
    classifier("BERT").save_pretrained(folder)
    tokenizer("BERT").save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("method", [name for name in methods.own if name != "rationale"])
def test_every_method_trains_on_pairs(folder, method):
    settings = Settings(corpus="", model=folder, method=method, saliency="l2", train_removal="either", **QUICK)
    trained = pct.train(settings, {"train": rows(24), "validation": rows(8, 1), "test": rows(8, 2)}, progress=False)
    assert np.isfinite(trained.predict([("a film", "of joy")])).all()
    before = pct.load(folder, "cpu").predict([("a film", "of joy")])
    assert not np.allclose(trained.predict([("a film", "of joy")]), before)


def test_a_masked_word_has_the_mask_token_of_its_own_type():
    """The reduced texts of training against the forward pass on ids with the mask token in place of the words."""
    clf = pct.wrap(classifier("BERT"), tokenizer("BERT"), max_length=48)
    documents = split_all([(row["text"], row["text_pair"]) for row in rows(5)])
    batch = make_batch(
        clf.tokens(documents), np.zeros(5, np.int64), np.arange(5), torch.device("cpu"), mask_token_id(clf.tokenizer)
    )
    assert {0, 1} <= set((batch.ids // TOKEN_TYPE).flatten().tolist())
    removed = torch.rand(5, int(batch.counts.max()), generator=torch.Generator().manual_seed(0)) < 0.5
    removed[:, 0] = True
    settings = Settings(corpus="", method="removal_margin", train_removal="mask", p_important=0.5)
    with torch.no_grad():
        projected = clf.model.project(clf.model.embed(batch.ids))
        (given,) = reduced_logits(clf.model, batch, projected, [RemovedWords(removed, np.arange(5))], settings)
        wanted = clf.model(mask_words(batch, removed), batch.word_ids > -2).logits
    torch.testing.assert_close(given.logits, wanted, atol=1e-5, rtol=1e-4)
    assert pass_originals(clf.model, batch, settings).logits.shape == (5, 3)


def test_a_run_reads_pairs_from_a_file_and_keeps_both_texts(folder, tmp_path):
    data = tmp_path / "pairs.jsonl"
    renamed = ({"premise": x["text"], "hypothesis": x["text_pair"], "label": x["label"]} for x in rows(60))
    data.write_text("".join(json.dumps(row) + "\n" for row in renamed))
    settings = Settings(
        corpus="files", train_file=str(data), text_column="premise", text_pair_column="hypothesis", model=folder,
        method="removal_margin", remove="second", **QUICK,
    )  # fmt: skip
    finished = run(settings, tmp_path / "run", progress=False)
    pairs = set(zip(finished.test.columns["text"], finished.test.columns["text_pair"], strict=True))
    assert pairs <= {(row["text"], row["text_pair"]) for row in rows(60)}
    assert finished.test.columns["n"].max() <= 6  # words of the second text alone
    (one,) = pct.explain(finished.classifier("cpu"), [("a film", "of joy")])
    assert one.words == ["of", "joy"]


def test_finetuning_compares_on_pairs(folder):
    done = finetune(pct.load(folder, "cpu"), rows(40), progress=False, method="normal", **QUICK)
    assert np.isfinite(done.change.after.metrics["comp"])


def test_a_loop_of_the_users_own_takes_pairs():
    loss = MethodLoss(classifier("BERT"), tokenizer("BERT"), method="pct", max_length=48)
    some = [{**row, "label": NAMES.index(row["label"])} for row in rows(6)]
    collated = loss.collate_rows(some)
    assert collated["token_type_ids"].max() == 1
    texts = [(row["text"], row["text_pair"]) for row in some]
    loss(loss.collate(texts, [row["label"] for row in some])).backward()
    types = loss.classifier.model.model.bert.embeddings.token_type_embeddings.weight.grad
    assert types is not None
    assert (types.abs().sum(1) > 0).all()


def test_a_word_model_refuses_to_train_on_pairs():
    with pytest.raises(ValueError, match="textcnn and lstm read one text, not a pair of texts: use an encoder, or"):
        pct.train(Settings(corpus="", **QUICK), rows(40), progress=False)
