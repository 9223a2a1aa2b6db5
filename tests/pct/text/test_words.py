"""Words: what a reader would call so, with places in the text as it was given; spaces; a function of one's own."""

import json
import pickle
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pct
from pct.text.words import Document, find_words, split, split_all
from tests.pct.small import small_classifier

# any code point, lone surrogates and controls too, with spaces and marks often enough to make words
ANY_TEXT = st.text(st.characters() | st.sampled_from(" \t\n\u3000aé'-.’_!ก漢\u0301\u200d🙂"), min_size=1, max_size=40)


@pytest.mark.parametrize(("text", "expected"), [
    ("Despite its slow start, the film is brilliant.",
     ["Despite", "its", "slow", "start", ",", "the", "film", "is", "brilliant", "."]),
    ("Great!", ["Great", "!"]),
    ("Wait... what?! No!!", ["Wait", "...", "what", "?", "!", "No", "!!"]),
    ("don't the film's self-aware 3.5 U.S.", ["don't", "the", "film's", "self-aware", "3.5", "U.S."]),
    ("It cost 3.50. I left.", ["It", "cost", "3.50", ".", "I", "left", "."]),
    ("in the U.S., e.g. at 9 p.m.", ["in", "the", "U.S.", ",", "e.g.", "at", "9", "p.m."]),
    ("plan B.", ["plan", "B", "."]), ("a.b.c.def", ["a.b.c.def"]), ("x.y.z", ["x.y.z"]),
    ("don’t rock‑solid co\u00adop", ["don’t", "rock‑solid", "co\u00adop"]),
    ("'tis the dogs' -day-", ["'", "tis", "the", "dogs", "'", "-", "day", "-"]),
    ("well--known rock-'n'-roll", ["well", "--", "known", "rock", "-", "'", "n", "'", "-", "roll"]),
    ("3,000 50% $5 #tag a_b __x__", ["3", ",", "000", "50", "%", "$", "5", "#", "tag", "a", "_", "b", "__", "x", "__"]),
    ("(“good”)<br />", ["(", "“", "good", "”", ")", "<", "br", "/", ">"]),
    ("naïve cafe\u0301 Ünïcödé", ["naïve", "cafe\u0301", "Ünïcödé"]),
    ("x² ½ Ⅻ ٠١", ["x²", "½", "Ⅻ", "٠١"]),
    ("この映画は良い", list("この映画は良い")), ("电影ABC很好3.5分", ["电", "影", "ABC", "很", "好", "3.5", "分"]),
    ("ดีมาก", ["ดี", "ม", "า", "ก"]), ("ກຂ ကခ", ["ກ", "ຂ", "က", "ခ"]), ("ខ្មែរ", ["ខ្", "មែ", "រ"]),
    ("한국어 영화", ["한국어", "영화"]), ("هذا فيلم رائع", ["هذا", "فيلم", "رائع"]), ("יופי!", ["יופי", "!"]),
    ("हिन्दी फ़िल्म", ["हिन्दी", "फ़िल्म"]),
    ("🙂🙂 👩‍👩‍👧 ❤️❤️ 👍🏽 🇫🇷🇩🇪", ["🙂🙂", "👩‍👩‍👧", "❤️❤️", "👍🏽", "🇫🇷", "🇩🇪"]),
    ("a\x00b \x07", ["a", "\x00", "b", "\x07"]), (" a\tb\n c ", ["a", "b", "c"]), ("a\u3000b\u00a0c", ["a", "b", "c"]),
])  # fmt: skip
def test_natural_words_are_what_a_reader_calls_so(text, expected):
    assert list(split(text)) == expected


@pytest.mark.parametrize(("text", "expected"), [
    (" a\tb\n c ", ["a", "b", "c"]), ("film, it's", ["film,", "it's"]), ("a\x00b", ["a\x00b"]),
    ("a\u3000b\u00a0c", ["a", "b", "c"]), ("这 电影", ["这", "电影"]),
])  # fmt: skip
def test_words_between_spaces(text, expected):
    assert list(split(text, "spaces")) == expected == text.split()


@given(ANY_TEXT, st.sampled_from(["natural", "spaces"]))
def test_every_character_that_is_no_space_lies_in_one_word_and_no_space_does(text, rule):
    if not text.split():
        with pytest.raises(ValueError, match="at least one word"):
            split(text, rule)
        return
    document = split(text, rule)
    assert [document.text[a:b] for a, b in document.spans] == list(document)
    inside = {i for a, b in document.spans for i in range(a, b)}
    assert len(inside) == sum(map(len, document))
    assert inside == {i for i, c in enumerate(document.text) if not c.isspace()}


def twin(text):
    """Natural words of ASCII text without abbreviations, a character at a time."""
    words = []
    for i, c in enumerate(text):
        before = text[i - 1] if i else " "
        after = text[i + 1] if i + 1 < len(text) else " "
        joins = c in "'-." and before.isalnum() and after.isalnum()
        joined = before in "'-." and i > 1 and text[i - 2].isalnum() and c.isalnum()
        if c.isspace():
            continue
        if joins or (c.isalnum() and (before.isalnum() or joined)) or (not c.isalnum() and c == before):
            words[-1] += c
        else:
            words.append(c)
    return words


@given(st.text("ab3 '-.,!_ ", max_size=25).filter(lambda t: "a." not in t and "b." not in t and t.strip()))
def test_natural_words_of_ascii_are_those_of_a_loop_over_characters(text):
    assert list(split(text)) == twin(text)


@given(ANY_TEXT.filter(str.strip))
def test_ascii_is_split_as_it_would_be_beside_other_scripts(text):
    """The quick path of ASCII agrees with the general one."""
    plain = text.encode("ascii", "ignore").decode()
    if plain.strip():
        assert list(split(plain)) == list(split(plain + " é"))[:-1]


def test_a_combining_mark_never_begins_a_word_of_its_own_behind_a_letter():
    for mark in ("\u0301", "\u20dd", "\u0903", "\ufe0f", "\U000e0100"):
        assert unicodedata.category(mark) in ("Mn", "Me", "Mc")
        assert list(split(f"a{mark}b !{mark} c")) == [f"a{mark}b", f"!{mark}", "c"]


@pytest.mark.parametrize(("text", "expected"), [
    ("\ud800 b", ["\ufffd", "b"]), (["x\udfff"], ["x\ufffd"]), ("\ud83d\ude42", ["\U0001f642"]),
])  # fmt: skip
def test_a_lone_surrogate_becomes_the_replacement_character(text, expected):
    assert list(split(text)) == expected


def test_words_that_are_given_stay_and_the_text_has_spaces_between_them():
    document = split(["don't", " ", "Great!"])
    assert list(document) == ["don't", "Great!"]
    assert (document.text, document.spans) == ("don't Great!", [(0, 5), (6, 12)])
    assert list(split(("x",))) == ["x"]
    assert split(document, "spaces") is document


@pytest.mark.parametrize("words", [["a b", "c"], ("a man", "is", "fed"), ["a", "b\tc"], ["x", "y "], ["\u00a0z"]])
def test_a_word_with_white_space_in_it_is_refused(words):
    with pytest.raises(ValueError, match="give a text as one string, and a pair of texts as a tuple of two"):
        split(words)


def test_a_document_is_a_sequence_of_its_words_that_can_be_sent_to_another_process():
    document = split("Great film!")
    again = pickle.loads(pickle.dumps(document))  # noqa: S301  what a process pool does
    assert (again, again.text, again.spans) == (document, document.text, document.spans)
    assert document[:2] == ("Great", "film")
    assert isinstance(document, Document)


@pytest.mark.parametrize("text", ["", "  \n", [], [" "]])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(ValueError, match="a text needs at least one word"):
        split(text)


@pytest.mark.parametrize("text", [None, 3, b"bytes", ["a", 3], {"a": 1}, [["a"]]])
def test_what_is_not_a_text_is_refused(text):
    with pytest.raises(TypeError, match="a text must be a string or a list of words"):
        split(text)


def test_the_place_of_a_bad_text_is_named():
    with pytest.raises(ValueError, match="text 2: "):
        split_all(["a", "b", ""])
    with pytest.raises(TypeError, match=r"write \[text\]"):
        split_all("a b")


# --- a function of the user's own ---


def halves(text):
    return [(0, len(text) // 2), (len(text) // 2, len(text))]


def backwards(text):
    return [(1, 2), (0, 1)]


def test_a_function_of_ones_own_gives_the_words():
    assert list(split("abcd", f"{__name__}:halves")) == ["ab", "cd"]


@pytest.mark.parametrize(("rule", "message"), [
    ("letters", "words must be natural, spaces, or a function"), ("a b:c", "words must be natural"),
    ("nowhere:f", "cannot be imported"), (f"{__name__}:nothing", "cannot be imported"),
    ("subprocess:getoutput", "functions of the standard library"), ("os:system", "functions of the standard library"),
])  # fmt: skip
def test_a_rule_that_cannot_be_had_is_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        find_words(rule)


def test_spans_that_are_none_are_refused_with_the_rule():
    with pytest.raises(ValueError, match=r"backwards: spans must be .* got \(0, 1\) after 2 in 3 characters"):
        split("abc", f"{__name__}:backwards")
    assert __name__ in sys.modules


def test_a_function_that_only_a_model_s_folder_names_is_not_run(tmp_path, monkeypatch):
    folder = small_classifier("textcnn").save(tmp_path / "model")
    about = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
    about["settings"]["words"] = "stranger:run"
    (folder / "classifier.json").write_text(json.dumps(about), encoding="utf-8")
    (tmp_path / "stranger.py").write_text("raise RuntimeError('a stranger ran')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"splits texts by the function stranger:run.*set PCT_WORDS=stranger:run"):
        pct.load(folder)
    monkeypatch.setenv("PCT_WORDS", "stranger:run")
    classifier = pct.load(folder)
    (tmp_path / "stranger.py").write_text("def run(text):\n    return [(0, len(text))]")
    assert len(classifier.saliency(["the film is a work"])[0]) == 1
