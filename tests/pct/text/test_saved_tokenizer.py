"""A saved tokenizer by the tokenizers library alone gives the tokens that transformers gives."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pct.text.saved_tokenizer import load_subwords
from pct.text.subwords import SubWords
from pct.text.words import split
from tests.pct.small import LEXICON, minilm_tokenizer

ODD = [
    "\x00", "\u200b", "\ufeff", "\u00ad", "\u202e", "\ufffd", "\ue000", "[MASK]", "[UNK]", "[SEP]", "[PAD]", "##ing",
    "naïve", "e\u0301", "İ", "ß", "ﬁ", "𝒳", "日本語", "😀", "👩‍👩‍👧", "٠١", "अ", "½", "don't", "...", "x" * 300,
    "A" + "\u0300" * 40, "antidisestablishmentarianism",
]  # fmt: skip
word = st.one_of(
    st.sampled_from(ODD + LEXICON), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
)
any_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \t\n'-."), min_size=1, max_size=60)
texts = st.lists(
    st.lists(word, min_size=1, max_size=40) | any_text.filter(str.strip).map(split), min_size=1, max_size=4
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """BERT's tokenizer by transformers, and the saved one."""
    folder = tmp_path_factory.mktemp("words")
    by_transformers = SubWords(minilm_tokenizer())
    by_transformers.save(folder)
    return by_transformers, load_subwords(folder), folder


def same(first, second):
    for name in ("ids", "word_ids", "starts", "counts", "cut", "kept"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    assert (first.padding, first.unknown) == (second.padding, second.unknown)


@given(texts, st.sampled_from([3, 8, 64]))
@example([["\x00"], ["a", "\u200b"], ["\x00", "\x00", "b"]], 8)
@example([["x" * 300] * 40], 64)
def test_any_words_become_the_same_tokens(pair, lists, max_length):
    by_transformers, saved, _ = pair
    same(saved.encode(lists, max_length), by_transformers.encode(lists, max_length))


def test_no_texts_become_no_tokens(pair):
    by_transformers, saved, _ = pair
    same(saved.encode([], 8), by_transformers.encode([], 8))
    assert len(saved) == len(by_transformers)


def test_it_is_what_loading_by_transformers_gives(pair):
    _, saved, folder = pair
    lists = [ODD, LEXICON, ["film"]]
    same(saved.encode(lists, 32), SubWords.load(folder).encode(lists, 32))


def byte_level(**special):
    """A small tokenizer of GPT-2's kind: bytes, merged; a word begins with a space."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=["<pad>", "<mask>"])
    made.train_from_iterator([" ".join(LEXICON)] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


@pytest.mark.parametrize(
    "special",
    [{"pad_token": "<pad>", "mask_token": "<mask>"}, {"mask_token": "<mask>", "truncation_side": "left"}],
    ids=["right", "no padding, cut on the left"],
)
def test_a_byte_level_tokenizer_keeps_its_spaces_and_its_side(special, tmp_path):
    by_transformers = SubWords(byte_level(**special))
    by_transformers.save(tmp_path)
    lists = [ODD, LEXICON, ["film", "the"]]
    for max_length in (4, 64):
        same(load_subwords(tmp_path).encode(lists, max_length), by_transformers.encode(lists, max_length))


def test_special_tokens_of_older_files_are_read(pair, tmp_path):
    by_transformers, _, folder = pair
    config = json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text())
    old = {k: {"content": v, "lstrip": False} if k.endswith("_token") else v for k, v in config.items()}
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(old))
    (tmp_path / "tokenizer" / "tokenizer.json").write_text((folder / "tokenizer" / "tokenizer.json").read_text())
    lists = [["\x00", "film"]]
    same(load_subwords(tmp_path).encode(lists, 8), by_transformers.encode(lists, 8))


def test_threads_share_it(pair):
    _, saved, _ = pair
    lists = [[LEXICON[i % len(LEXICON)]] * (i % 9 + 1) for i in range(60)]
    alone = [saved.encode([t], 5 + i % 3) for i, t in enumerate(lists)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: saved.encode([lists[i]], 5 + i % 3), range(len(lists))))
    for first, second in zip(alone, together, strict=True):
        same(first, second)


def test_a_missing_or_damaged_tokenizer_is_named(pair, tmp_path):
    _, _, folder = pair
    (tmp_path / "tokenizer").mkdir()
    with pytest.raises(FileNotFoundError, match=r"tokenizer holds no tokenizer: tokenizer\.json is missing"):
        load_subwords(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "tokenizer" / name).write_text((folder / "tokenizer" / name).read_text()[:50])
    with pytest.raises(ValueError, match="damaged"):
        load_subwords(tmp_path)
