"""What only the parts of a workbook (.xlsx) say of a sheet: how numbers are shown, and what is hidden."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator

__all__ = ["hidden_parts", "leading_zeros", "sheet_xml"]

_PADDED = re.compile(rb"0{2,}")
_FORMAT = re.compile(rb'<numFmt\b(?=[^>]*\bnumFmtId="(\d+)")(?=[^>]*\bformatCode="([^"]*)")')
_STYLES = re.compile(rb"<cellXfs\b.*?</cellXfs>", re.DOTALL)
_STYLE = re.compile(rb'<xf\b[^>]*?\bnumFmtId="(\d+)"')
_CELL = re.compile(rb'<c\b(?=[^>]*\br="([A-Z]+)([0-9]+)")(?=[^>]*\bs="(\d+)")(?![^>]*\bt="[^n])')
_HIDDEN_ROW = re.compile(rb'<row\b(?=[^>]*\bhidden="(?:1|true)")[^>]*?\br="(\d+)"[^>/]*>')
_HIDDEN_COLUMN = re.compile(rb'<col\b(?=[^>]*\bhidden="(?:1|true)")(?=[^>]*\bmin="(\d+)")(?=[^>]*\bmax="(\d+)")[^>]*>')
_LISTED = 3


def sheet_xml(parts: zipfile.ZipFile, sheet: int) -> bytes:
    """The XML of the sheet of this number; empty for a binary workbook, or one whose parts are named in another way."""
    try:
        book = parts.read("xl/workbook.xml")
        targets = dict(_relations(parts.read("xl/_rels/workbook.xml.rels")))
        ids = [found for tag in re.findall(rb"<sheet\b[^>]*>", book) for found in re.findall(rb'\br:id="([^"]+)"', tag)]
        target = targets[ids[sheet]].decode()
        return parts.read(target.lstrip("/") if target.startswith("/") else f"xl/{target}")
    except (KeyError, IndexError):
        return b""


def leading_zeros(parts: zipfile.ZipFile, xml: bytes) -> dict[tuple[int, int], int]:
    """Digits that a number is shown with, by row and column from 0, where its format is "00000"."""
    try:
        styles = parts.read("xl/styles.xml")
    except KeyError:
        return {}
    padded = {number: len(code) for number, code in _FORMAT.findall(styles) if _PADDED.fullmatch(code)}
    if not padded or (block := _STYLES.search(styles)) is None:
        return {}
    width = {str(at).encode(): padded.get(number, 0) for at, number in enumerate(_STYLE.findall(block[0]))}
    cells = ((int(row) - 1, _column(name), width.get(style, 0)) for name, row, style in _CELL.findall(xml))
    return {(row, column): digits for row, column, digits in cells if digits}


def hidden_parts(xml: bytes) -> str:
    """What there is to tell of hidden rows and columns, which are read: a filter hides rows for a moment only."""
    rows = [int(row) for row in _HIDDEN_ROW.findall(xml)]
    spans = [(int(first), int(last)) for first, last in _HIDDEN_COLUMN.findall(xml)]
    columns = [_letters(first) if first == last else f"{_letters(first)} to {_letters(last)}" for first, last in spans]
    found = []
    if rows:
        found.append(f"{len(rows)} hidden rows ({', '.join(map(str, rows[:_LISTED]))}{_more(rows)})")
    if columns:
        found.append(f"hidden columns ({', '.join(columns[:_LISTED])}{_more(columns)})")
    return f"{' and '.join(found)} are read like the others" if found else ""


def _relations(xml: bytes) -> Iterator[tuple[bytes, bytes]]:
    for tag in re.findall(rb"<Relationship\b[^>]*>", xml):
        found = dict(re.findall(rb'\b(Id|Target)="([^"]*)"', tag))
        if len(found) == 2:
            yield found[b"Id"], found[b"Target"]


def _more(listed: list[int] | list[str]) -> str:
    return ", …" if len(listed) > _LISTED else ""


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1


def _letters(number: int) -> str:
    """The name of a column, from 1."""
    name = ""
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
