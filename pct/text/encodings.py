"""The encoding of text files: detection by a byte order mark, and a guess for undecodable bytes."""

from __future__ import annotations

import codecs
import re

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
UNDECODED = re.compile("[\udc80-\udcff]")  # a byte, as the error handler surrogateescape decodes it

# by encoding: the most frequent non-ASCII characters of its languages, and whether they are usually adjacent
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
    """The encoding of a text file by its first bytes: that of its byte order mark, or UTF-8."""
    return next((name for mark, name in BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8-sig")


def check_encoding(name: str) -> None:
    """Raises ValueError for a name that is no text encoding. The empty name is valid: the encoding is detected."""
    try:
        valid = not name or codecs.lookup(name)._is_text_encoding
    except LookupError:
        valid = False
    if not valid:
        raise ValueError(f"encoding must be an encoding of Python, such as utf-8, cp1252 or gb18030, got {name!r}")


def likely_encoding(content: bytes) -> str:
    """The most likely encoding of bytes that are not UTF-8; empty if none fits.

    The score of a candidate is the share of its non-ASCII characters that are frequent in its languages. It is
    multiplied by the share of adjacent ones for languages without Latin letters, and reduced by half that share for
    languages with Latin letters.

    Args:
        content: some bytes of the text. A character that is cut off at either end is harmless.
    """
    if content[:4000].count(0) > len(content[:4000]) // 8:
        return "utf-16-le" if content[1:4000:2].count(0) > content[0:4000:2].count(0) else "utf-16-be"
    scores = {name: _fit(content, name, set(letters), adjacent) for name, letters, adjacent in _FREQUENT}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] >= 0.2 else ""


def encoding_hint(content: bytes) -> str:
    """The remedy for bytes that cannot be decoded."""
    likely = likely_encoding(content)
    return f"set encoding to {likely}, which is likely" if likely else "set encoding, or save the file as UTF-8"


def _fit(content: bytes, name: str, frequent: set[str], adjacent: bool) -> float:
    text = content.decode(name, "replace")
    positions = [position for position, character in enumerate(text) if character > "\x7f"]
    if not positions:
        return 0.0
    share = sum(text[position] in frequent for position in positions) / len(positions)
    foreign_positions = set(positions)
    neighbours = sum(
        position - 1 in foreign_positions or position + 1 in foreign_positions for position in positions
    ) / len(positions)
    return share * (neighbours if adjacent else 1 - neighbours / 2)
