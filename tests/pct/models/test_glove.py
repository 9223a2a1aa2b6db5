"""Word vectors in text form: any width, gzipped or not, with or without a header; anything else is refused."""

import gzip

import numpy as np
import pytest
import torch

from pct.models.build import make_model
from pct.models.glove import read_vectors
from pct.settings import Settings
from pct.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["joy", "film", "café", "."])


def write(folder, lines, name="vectors.txt"):
    path, content = folder / name, ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def numbers(value, width=4):
    return " ".join([str(value)] * width)


@pytest.mark.parametrize("header", [[], ["5 4"]])
@pytest.mark.parametrize("name", ["vectors.txt", "vectors.vec", "vectors.txt.gz"])
def test_the_words_of_the_vocabulary_get_their_vectors(tmp_path, header, name):
    lines = [*header, f"film {numbers(0.5)}", f". . . {numbers(2)}", f"zebra {numbers(9)}", f"cafe\u0301 {numbers(3)} "]
    vectors, known = read_vectors(write(tmp_path, lines, name), VOCABULARY)
    assert known.tolist() == [False, False, False, True, True, False]
    assert vectors[3].tolist() == [0.5] * 4
    assert vectors[4].tolist() == [3.0] * 4


def test_exact_spelling_goes_before_capitals_and_the_first_line_before_later_ones(tmp_path):
    lines = [f"Film {numbers(1)}", f"FILM {numbers(2)}", f"film {numbers(3)}", f"Joy {numbers(4)}", f"JOY {numbers(5)}"]
    vectors, known = read_vectors(write(tmp_path, lines), VOCABULARY)
    assert (vectors[3, 0], vectors[2, 0]) == (3, 4)
    assert known.sum() == 2


@pytest.mark.parametrize(("content", "message"), [
    (b"film 1 2 3\njoy 1 2\n", "line 2: 3 finite numbers were expected"),
    (b"film 1 2 3\njoy 1 x 3\n", "line 2: 3 finite numbers"), (b"film 1 nan 3\n", "line 1: 3 finite numbers"),
    (b"film\n", "line 1: a word and numbers were expected"), (b"zebra 1 2 3\n", "has none of the 6 words"),
    (b"", "has none of"), (b"\x80\x03cgensim\n\xff\xfe\x00", "cannot be read as text .*text form of the vectors"),
])  # fmt: skip
def test_a_file_that_is_no_text_of_vectors_is_refused_in_a_line(tmp_path, content, message):
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_vectors(tmp_path / "v.txt", VOCABULARY)
    assert "\n" not in str(error.value)
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=message):
        read_vectors(tmp_path / "v.txt.gz", VOCABULARY)


def test_a_file_that_does_not_exist_or_is_no_gzip_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt does not exist"):
        read_vectors(tmp_path / "nowhere.txt", VOCABULARY)
    (tmp_path / "v.gz").write_bytes(b"film 1 2 3\n")
    with pytest.raises(ValueError, match=r"v\.gz cannot be read"):
        read_vectors(tmp_path / "v.gz", VOCABULARY)


@pytest.mark.parametrize("width", [7, 300])
def test_a_model_takes_the_width_of_the_file(tmp_path, width):
    path = write(tmp_path, [f"film {numbers(0.5, width)}"])
    model, words = make_model(Settings(model="lstm", glove=str(path)), [["film", "joy"]] * 2, ["a", "b"])
    assert model.config()["width"] == width
    assert (model.embedding.weight[words.index["film"]] == 0.5).all()
    assert not (model.embedding.weight[words.index["joy"]] == 0.5).any()
    assert torch.equal(model.embedding.weight[0], torch.zeros(width))


def test_the_real_file_is_read_in_seconds_and_knows_most_words(data_dir):
    vocabulary = Vocabulary(["the", "film", "brilliant", "xyzzyqwert"])
    vectors, known = read_vectors(data_dir / "glove" / "glove.6B.100d.txt.gz", vocabulary)
    assert vectors.shape == (6, 100)
    assert known.tolist() == [False, False, True, True, True, False]
    assert np.isfinite(vectors).all()
