"""The three families: their formulas by loops, padding, the paper's sizes, GloVe, encoders from folders."""

import inspect
import json
import pickle

import numpy as np
import pytest
import torch

from pct.models import build_model
from pct.models.build import make_model
from pct.models.encoder import Transformer
from pct.models.lstm import LSTM
from pct.models.recurrence import recur
from pct.models.textcnn import TextCNN
from pct.settings import Settings
from tests.pct.small import FAMILIES, LEXICON, small_encoder, small_model, small_words, tokenizer
from tests.pct.test_classifier import Trap


def batch(family, texts):
    tokens = small_words(family).encode(texts, 64)
    ids, words = tokens.rows(np.arange(len(texts)))
    return torch.from_numpy(ids), torch.from_numpy(words > -2)


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_do_not_depend_on_padding(family):
    model = small_model(family).double().eval()
    texts = [LEXICON[:1], LEXICON[3:5], LEXICON[5:17]]
    together = model(*batch(family, texts))
    for row, text in enumerate(texts):
        ids, mask = batch(family, [text])
        wide = torch.nn.functional.pad(ids, (0, 9)), torch.nn.functional.pad(mask, (0, 9))
        for alone in (model(ids, mask), model(*wide)):
            np.testing.assert_allclose(alone.logits[0].detach(), together.logits[row].detach(), atol=1e-9)
            np.testing.assert_allclose(
                alone.representation[0].detach(), together.representation[row].detach(), atol=1e-9
            )


@pytest.mark.parametrize("family", FAMILIES)
def test_what_stands_in_the_padding_does_not_matter(family):
    model = small_model(family).double().eval()
    ids, mask = batch(family, [LEXICON[:2], LEXICON[3:9]])
    other = torch.where(mask, ids, 5)
    for a, b in zip(model(ids, mask), model(other, mask), strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pass_in_two_parts_is_the_whole_pass(family):
    model = small_model(family).eval()
    ids, mask = batch(family, [LEXICON[:4], LEXICON[8:10]])
    whole, embedded = model(ids, mask), model.encode(model.embed(ids), mask)
    features = model.features(model.embed(ids), mask)
    assert torch.allclose(whole.logits, embedded.logits)
    assert torch.allclose(whole.logits, model.dense(features.pooled))
    assert torch.allclose(whole.representation, features.representation)


@pytest.mark.parametrize("length", [1, 2, 6])
def test_textcnn_is_the_loop_s(length):
    """Windows over the text's edge see zeros; the logits take their maximum, r(X) their mean."""
    model = small_model("textcnn").double().eval()
    ids, mask = batch("textcnn", [LEXICON[:length]])
    words = model.embed(ids)[0].tolist()
    pooled, averaged = [], []
    for convolution in model.convolutions:
        weight, bias = convolution.weight.tolist(), convolution.bias.tolist()
        k = convolution.kernel_size[0]
        for f, filter_weight in enumerate(weight):
            features = []
            for end in range(length + k - 1):
                window = [words[w] if 0 <= w < length else None for w in range(end - k + 1, end + 1)]
                total = bias[f] + sum(
                    filter_weight[d][place] * word[d]
                    for place, word in enumerate(window)
                    if word is not None
                    for d in range(len(word))
                )
                features.append(max(total, 0.0))
            pooled.append(max(features))
            averaged.append(sum(features) / len(features))
    found = model(ids, mask)
    np.testing.assert_allclose(found.representation[0].detach(), averaged, atol=1e-9)
    logits = model.dense(torch.tensor(pooled, dtype=torch.float64))
    np.testing.assert_allclose(found.logits[0].detach(), logits.detach(), atol=1e-9)


def test_lstm_represents_a_text_by_the_mean_of_its_states():
    model = small_model("lstm").double().eval()
    texts = [LEXICON[:3], LEXICON[4:9]]
    found = model(*batch("lstm", texts))
    twin = torch.nn.LSTM(
        model.forwards.input_size, model.forwards.hidden_size, batch_first=True, bidirectional=True
    ).double()
    one_way, other_way = model.forwards.state_dict(), model.backwards.state_dict()
    twin.load_state_dict({**one_way, **{f"{k}_reverse": v for k, v in other_way.items()}})
    for row, text in enumerate(texts):
        ids, _ = batch("lstm", [text])
        states, _ = twin(model.embed(ids))
        mean = sum(states[0, t] for t in range(len(text))) / len(text)
        np.testing.assert_allclose(found.representation[row].detach(), mean.detach(), atol=1e-9)
        np.testing.assert_allclose(found.logits[row].detach(), model.dense(mean).detach(), atol=1e-9)


def test_a_transformer_represents_a_text_by_its_last_hidden_state_at_cls():
    model = small_model("transformer").double().eval()
    ids, mask = batch("transformer", [LEXICON[:3], LEXICON[4:9]])
    states = model.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    found = model(ids, mask)
    np.testing.assert_allclose(found.representation.detach(), states[:, 0].detach(), atol=1e-9)
    np.testing.assert_allclose(found.logits.detach(), model.dense(states[:, 0]).detach(), atol=1e-9)


def test_the_paper_s_sizes_are_the_defaults():
    cnn, lstm = TextCNN(50, 2), LSTM(50, 2)
    assert cnn.embedding.weight.shape == lstm.embedding.weight.shape == (50, 300)
    assert [(c.kernel_size[0], c.out_channels) for c in cnn.convolutions] == [(3, 150), (4, 150), (5, 150)]
    assert (lstm.forwards.hidden_size, lstm.backwards.hidden_size, lstm.dense.in_features) == (150, 150, 300)
    assert not cnn.embedding.weight[0].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_made_again_from_its_configuration(family):
    model = small_model(family).eval()
    again = build_model(json.loads(json.dumps(model.config()))).eval()
    again.load_state_dict(model.state_dict())
    ids, mask = batch(family, [LEXICON[:5]])
    assert torch.equal(model(ids, mask).logits, again(ids, mask).logits)


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="family must be textcnn, lstm, transformer or wrapped, got 'gru'"):
        build_model({"family": "gru"})


@pytest.mark.parametrize(("name", "family"), [("textcnn", TextCNN), ("lstm", LSTM)])
def test_a_fresh_model_has_the_training_texts_words_and_the_settings_dropout(name, family):
    settings = Settings(model=name, vocabulary_size=3, dropout=0.25)
    model, words = make_model(settings, [["A", "b", "b", "c", "d"]], list("abcd"))
    assert isinstance(model, family)
    assert words.words == ["b", "a", "c"]
    assert (model.dense.out_features, model.dropout.p) == (4, 0.25)


def test_glove_with_an_encoder_is_refused():
    with pytest.raises(ValueError, match="glove is for textcnn and lstm"):
        make_model(Settings(model="bert", glove="glove.txt"), [["film"]], ["a", "b"])


def load_encoder(name, classes):
    return make_model(Settings(model=name, max_length=12), [], [str(i) for i in range(classes)])


def test_a_real_encoder_is_loaded_from_its_folder(minilm):
    model, words = load_encoder(str(minilm), 3)
    tokens = words.encode([["a", "memorable", "film"]], 64)
    found = model.eval()(torch.from_numpy(tokens.ids[None]), torch.ones(1, len(tokens.ids), dtype=torch.bool))
    assert found.logits.shape == (1, 3)
    assert found.representation.shape == (1, 384)


@pytest.mark.parametrize("name", ["no/such-encoder", "./no-such-folder"])
def test_an_encoder_that_is_nowhere_is_an_error_that_says_where_it_was_looked_for(name):
    with pytest.raises(OSError, match="neither textcnn, lstm, a folder with"):
        load_encoder(name, 2)


@pytest.mark.parametrize("how", ["pickle", "torch.save"])
def test_an_encoder_folder_with_pickled_weights_alone_is_refused_unread(tmp_path, how):
    folder, sprung = tmp_path / "encoder", tmp_path / "sprung"
    small_encoder().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    load_encoder(str(folder), 2)
    (folder / "model.safetensors").unlink()
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Trap(sprung), file) if how == "pickle" else torch.save({"weight": Trap(sprung)}, file)
    with pytest.raises(OSError, match="neither textcnn"):
        load_encoder(str(folder), 2)
    assert not sprung.exists()


@pytest.mark.parametrize("family", [TextCNN, LSTM])
def test_a_model_s_configuration_names_all_its_arguments(family):
    arguments = set(inspect.signature(family).parameters)
    assert set(family(9, 2).config()) == arguments | {"family"}


KINDS = {
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 24},
    "roberta": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24},
    "electra": {
        "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 24,
    },
    "albert": {
        "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_encoders_of_other_kinds_give_from_embeddings_what_they_give_from_ids(kind):
    """The encoder is entered at its word embeddings, so that they can be differentiated: nothing may be lost there."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    encoder = AutoModel.from_config(AutoConfig.for_model(kind, vocab_size=len(tokenizer()), **KINDS[kind]))
    model = Transformer(encoder, 3).double().eval()
    ids, mask = batch("transformer", [LEXICON[:3], LEXICON[4:12]])
    states = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, 0]
    found = model(ids, mask)
    np.testing.assert_allclose(found.representation.detach(), states.detach(), atol=1e-9)
    again = build_model(json.loads(json.dumps(model.config()))).double().eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(ids, mask).logits, found.logits)


def test_the_recurrence_s_backward_is_its_gradient():
    torch.manual_seed(0)
    drive = torch.randn(4, 2, 3, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(recur, (drive, weight))
