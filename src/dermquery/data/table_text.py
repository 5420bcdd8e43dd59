"""The text of a CSV file and what separates its columns, as spreadsheets write them.

A file says neither its encoding nor its separator. Both are found by what they make of the whole file, and what cannot
be told is refused. Windows-1252 can only be made likely, so whoever reads a table says that it was taken for that.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

__all__ = ["NotTextError", "TableText", "table_text"]

SEPARATORS = (",", ";", "\t", "|")
_RARE = (":", "^", "~", "\x1f", "§", "¦", " ")
"""Tried where none of the others cuts the header."""
_FOREIGN = (
    (re.compile(rb"PK\x03\x04"), "an Excel workbook or an archive"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "an old Excel workbook"),
    (re.compile(rb"PAR1"), "a Parquet file, whose name must end in .parquet"),
    (re.compile(rb"\s*<[!?a-zA-Z]"), "a web page or XML"),
    (re.compile(rb"\s*(?:\[\s*[\[{]|\{\s*[\"}])"), "JSON"),
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
"""Byte order marks, the longer first: one of UTF-32 begins like one of UTF-16."""
_SAMPLE = 50
"""Records by which a separator is judged."""
_DIRECTIVE = re.compile(r'"?sep=(?P<separator>\\t|[^\r\n]?)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_LETTER = "À-ÖØ-öø-ÿ"
_APOSTROPHE = re.compile(r"(?<=[A-Za-z])’(?=(?:s|t|re|ve|ll|d)\b)|(?<![A-Za-z])(?:[ldnmtsjcLDNMTSJC]|[Qq]u)’(?=\w)")
"""As English and French have it within a word."""
_WESTERN = re.compile(
    rf"(?>[\0-\x7f]|(?<![{_LETTER}])[{_LETTER}]{{1,2}}(?![{_LETTER}])|(?<![A-Za-z])’|’(?![A-Za-z])"
    r"|(?<![A-Za-z])[€°µ±“„‘«»…•–—§×½¼¾®©](?![A-Za-z])|(?<![A-Za-z])[“„‘«]|[”…»®](?![A-Za-z])|°(?=[CF]\b)"
    r"|(?<=[mc0-9])[²³]|(?<![A-Za-z])\xa0|\xa0(?![A-Za-z]))*+"
)
"""Text that Windows-1252 makes sense of. Letters stand alone or in pairs: of Cyrillic it makes long runs of them. The
seven that it keeps below 0xA0 are left out, as there Mac Roman and CP 850 have their umlauts. No character is tried
in a second way, which would take twice the time for each."""
_SUGGESTION = "save the table as 'CSV UTF-8'"


class NotTextError(ValueError):
    """The bytes are no text of an encoding that can be told; the message says what to do."""


class TableText(NamedTuple):
    """What a CSV file says.

    Attributes:
        text: from the header on, or from blank lines before it.
        lines_before: lines of the file before ``text``.
        separator: between columns.
        encoding: UTF-8, UTF-16, UTF-32 or Windows-1252.
    """

    text: str
    lines_before: int
    separator: str
    encoding: str


def table_text(data: bytes) -> TableText:
    """Decode a CSV file and find its separator.

    A first line ``sep=;``, as Excel knows it, names the separator. Without one it is the sign that cuts the most
    records into as many cells as the header, and of several the one that gives most cells.

    Raises:
        NotTextError: it is another kind of file, or the encoding cannot be told.
    """
    for begins, what in _FOREIGN:
        if begins.match(data):
            raise NotTextError(f"this is {what}, not CSV; {_SUGGESTION}")
    text, encoding = _decoded(data)
    if (at := text.find("\0")) >= 0:  # written again, a few of them would make it look like UTF-16
        raise NotTextError(f"not text: there is a zero at character {at + 1}; {_SUGGESTION}")
    text = text.lstrip("\ufeff")  # programs that add a mark to a text that has one leave two
    if (named := _DIRECTIVE.match(text)) and named["separator"]:
        return TableText(text[named.end() :], 1, named["separator"].replace("\\t", "\t"), encoding)
    best = max(SEPARATORS, key=lambda sign: _fit(text, sign))
    if _fit(text, best) == (0.0, 0):
        rare = max(_RARE, key=lambda sign: _fit(text, sign))
        best = rare if _fit(text, rare)[0] == 1 else best
    return TableText(text, 0, best, encoding)


def _decoded(data: bytes) -> tuple[str, str]:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strict(data, name), name
    if (halves := _utf16_without_mark(data)) is not None:
        return _strict(data, halves), "UTF-16"
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError as error:
        place = f"byte {data[error.start]:#04x} at position {error.start}"
    text = data.decode("cp1252", errors="replace")
    if "\ufffd" in text or not _WESTERN.fullmatch(_APOSTROPHE.sub(" ", text)):
        raise NotTextError(
            f"not UTF-8 text ({place}), and of no other encoding that can be told; {_SUGGESTION}, or convert it, for "
            "example with: iconv -f MACINTOSH -t UTF-8 (CP850 from a Windows prompt, WINDOWS-1250 in Central Europe)"
        )
    return text, "Windows-1252"


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotTextError(
            f"not valid {encoding[:6].rstrip('-')} text ({error.reason} at byte {error.start}); {_SUGGESTION}"
        ) from error


def _utf16_without_mark(data: bytes) -> str | None:
    """The byte order of UTF-16 without a mark, by where the zeros of its ASCII characters are."""
    head = data[:512]
    if b"\0" not in head or len(data) % 2:
        return None
    zeros_first, zeros_second = head[::2].count(0), head[1::2].count(0)
    if min(zeros_first, zeros_second) or 4 * head[:32].count(0) < len(head[:32]):
        return None  # a header in UTF-16 has a zero in nearly every second place, other text a stray one
    return "UTF-16-LE" if zeros_second else "UTF-16-BE"


def _fit(text: str, separator: str) -> tuple[float, int]:
    """How well a separator fits: the share of records as wide as the header, if that has several cells; its width."""
    records = list(islice(_records(text, separator), _SAMPLE))
    if not records or len(records[0]) < 2:
        return 0.0, 0
    width, rows = len(records[0]), records[1:]
    return (sum(len(row) == width for row in rows) / len(rows) if rows else 1.0), width


def _records(text: str, separator: str) -> Iterator[list[str]]:
    """The records that are not blank, as far as they can be read."""
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if any(cell.strip() for cell in cells):
                yield cells
    except csv.Error:
        return
