"""Texts that were spaced for machines, as people type them."""

import pytest

from pct.text.detokenize import detokenize


@pytest.mark.parametrize(("spaced", "typed"), [
    ("despite its slow start , the film is brilliant .", "Despite its slow start, the film is brilliant."),
    ("is it ? i don't think so ; he's wrong !", "Is it? I don't think so; he's wrong!"),
    ('the new " conan " ( and more ) .', 'The new "conan" (and more).'),
    ("it costs $ 10 . a bargain", "It costs $10. A bargain"),
    ("Despite its slow start, the film is brilliant.", "Despite its slow start, the film is brilliant."),
    ("", ""),
])  # fmt: skip
def test_marks_stand_at_their_words_and_sentences_begin_with_capitals(spaced, typed):
    assert detokenize(spaced) == typed
