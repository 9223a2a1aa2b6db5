"""The encoding of text files: what a byte order mark says, and which one undecodable bytes are likely in."""

from __future__ import annotations

import codecs
import re

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
UNDECODED = re.compile("[\udc80-\udcff]")  # what the error handler surrogateescape makes of a byte

# Per encoding the characters that its languages use most beyond ASCII, and whether they stand beside one another.
_FREQUENT = (
    ("cp1252", "àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÉÈÖÜÄÅØ€’‘“”–—…«»°", False),
    ("cp1250", "ąćęłńóśźżčďěňřšťůýžáéíúőűŁŚŻŠČŘŽÁÉ„”–…", False),
    ("cp1254", "çğıöşüÇĞİÖŞÜ’“”", False),
    ("cp1251", "абвгдежзийклмнопрстуфхцчшщъыьэюя", True),
    ("koi8-r", "абвгдежзийклмнопрстуфхцчшщъыьэюя", True),
    ("cp1253", "αβγδεζηθικλμνξοπρςστυφχψωάέήίόύώ", True),
    ("cp1256", "ابتثجحخدذرزسشصضطظعغفقكلمنهويةىأإآئ،", True),
    ("shift_jis", "".join(map(chr, range(0x3041, 0x30FF))) + "、。日本人一大年中出国見事", True),
    ("gb18030", "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能好看很都，。", True),
    ("big5", "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能好看很都，。", True),
    ("euc_kr", "".join(map(chr, range(0xAC00, 0xD7A4))), True),
)  # fmt: skip


def marked_encoding(start: bytes) -> str:
    """The encoding of a text file by its first bytes: that of its byte order mark, else UTF-8."""
    return next((name for mark, name in BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8-sig")


def check_encoding(name: str) -> None:
    """Raises ValueError for a name that is no encoding of text; the empty name is one to be found."""
    try:
        known = not name or codecs.lookup(name)._is_text_encoding
    except LookupError:
        known = False
    if not known:
        raise ValueError(f"encoding must be one that Python knows, as utf-8, utf-16, cp1252 or gb18030, got {name!r}")


def likely_encoding(content: bytes) -> str:
    """The encoding that some bytes of a text, which are not UTF-8, are most likely in; empty where none fits.

    Each candidate is judged by the share of its characters beyond ASCII that are frequent in the languages that it is
    used for, times the share that stand beside another where these languages have no Latin letters, and less where
    they stand so and these languages have them.

    Args:
        content: some bytes of the text; a character cut off at either end does no harm.
    """
    if content[:4000].count(0) > len(content[:4000]) // 8:
        return "utf-16-le" if content[1:4000:2].count(0) > content[0:4000:2].count(0) else "utf-16-be"
    scores = {name: _fit(content, name, set(letters), beside) for name, letters, beside in _FREQUENT}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] >= 0.2 else ""


def encoding_hint(content: bytes) -> str:
    """What to do about bytes that are in another encoding than was thought."""
    likely = likely_encoding(content)
    return f"set encoding to {likely}, which they look like" if likely else "set encoding, or write it anew as UTF-8"


def _fit(content: bytes, name: str, frequent: set[str], beside: bool) -> float:
    text = content.decode(name, "replace")
    foreign = [place for place, character in enumerate(text) if character > "\x7f"]
    if not foreign:
        return 0.0
    share = sum(text[place] in frequent for place in foreign) / len(foreign)
    places = set(foreign)
    neighbours = sum(place - 1 in places or place + 1 in places for place in foreign) / len(foreign)
    return share * (neighbours if beside else 1 - neighbours / 2)
