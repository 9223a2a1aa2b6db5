"""One model, many threads: each call has what it has alone, for every kind of predictor."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import pct
from pct.explaining.function_predictor import FunctionPredictor
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import LEXICON, small_classifier, small_texts

THREADS, PARTS, EACH, ROUNDS = 4, 9, 6, 2


@pytest.fixture(autouse=True)
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def shares(texts: list[str]) -> np.ndarray:
    """A function whose answer is that of the very text: its letters counted."""
    ones = np.array([(sum(map(ord, t)) % 97 + 1) / 99 for t in texts])
    return np.stack([ones, 1 - ones], 1)


def wrapped(family: str, **settings: Any) -> Any:
    return pct.wrap(classifier(family), tokenizer(family), family, **settings)


PREDICTORS: dict[str, Callable[[], Any]] = {
    "textcnn": lambda: small_classifier("textcnn"),
    "lstm": lambda: small_classifier("lstm"),
    "transformer": lambda: small_classifier("transformer"),
    "transformer, integrated": lambda: small_classifier(
        "transformer", saliency="integrated_gradients", integrated_steps=3
    ),
    "transformer, bf16": lambda: small_classifier("transformer", precision="bf16"),
    **{name: (lambda name=name: wrapped(name)) for name in ("BERT", "RoBERTa", "GPT-2", "XLNet", "BART", "DeBERTa-v2")},
    "BERT, left alone in training": lambda: pct.wrap(classifier("BERT").train(), tokenizer("BERT")),
    "BERT, bf16": lambda: wrapped("BERT", precision="bf16"),
    "BERT, frozen": lambda: wrapped("BERT", saliency="frozen_grad_x_input"),
    "transformer, gim": lambda: small_classifier("transformer", saliency="gim"),
    "function": lambda: pct.predictor_from(shares, ["a", "b"]),
}  # fmt: skip


def asked(model: Any, kind: int, texts: list[str]) -> list[np.ndarray]:
    """One of the public calls, as arrays."""
    if kind == 0:
        return [model.predict(texts)]
    if kind == 1:
        return model.saliency(texts)
    explained = pct.explain(model, texts)
    return [np.array([*e.saliency, e.confidence, e.comp, e.suff, *e.important.confidences]) for e in explained]


@pytest.mark.parametrize("name", PREDICTORS)
def test_threads_get_what_a_call_alone_gets(name):
    model = PREDICTORS[name]()
    parts = [small_texts(EACH, seed=i, longest=4 + 2 * (i % 4)) for i in range(PARTS)]
    wanted = [asked(model, i % 3, part) for i, part in enumerate(parts)]
    fresh = PREDICTORS[name]()  # a growing table is empty again

    def ask(thread: int) -> None:
        for turn in range(ROUNDS):
            for i in range(thread % 3, PARTS, 1 + turn % 2):
                for ours, theirs in zip(asked(fresh, i % 3, parts[i]), wanted[i], strict=True):
                    np.testing.assert_allclose(ours, theirs, atol=1e-5, equal_nan=True)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(ask, k) for k in range(THREADS)]:
            done.result()


def test_a_table_of_words_that_threads_fill_gives_each_word_one_id():
    model = FunctionPredictor(shares, ["a", "b"])
    words = [f"w{i}" for i in range(3000)]

    def ids(_: int) -> list[int]:
        return [int(model.tokens([[word]]).ids[0]) for word in words]

    with ThreadPoolExecutor(8) as pool:
        each = list(pool.map(ids, range(8)))
    assert all(one == each[0] for one in each)
    assert len(set(each[0])) == len(words)
    assert [model._spaced_words[i].word for i in each[0]] == words


def test_one_exported_model_serves_threads(tmp_path):
    pytest.importorskip("onnxruntime")
    from pct.onnx.export import export
    from pct.onnx.predictor import OnnxPredictor

    export(small_classifier("textcnn"), tmp_path / "exported")
    model = OnnxPredictor.load(tmp_path / "exported", threads=1)
    texts = [[LEXICON[i % len(LEXICON)] + " film"] * 2 for i in range(40)]
    wanted = [(model.predict(t), model.saliency(t)) for t in texts]
    with ThreadPoolExecutor(THREADS) as pool:
        actual = list(pool.map(lambda t: (model.predict(t), model.saliency(t)), texts * 3))
    for (ours, s), (theirs, w) in zip(actual, wanted * 3, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(np.stack(s), np.stack(w))
