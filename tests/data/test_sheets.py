"""Spreadsheets as case tables."""

from __future__ import annotations

import datetime
import re
import time
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from odf.text import P

from dermquery.data.case_table import CaseTableError, read_cases
from dermquery.data.rows import read_rows
from tests.data.made_up import write_skin

HEADER = ("case_id", "image", "age", "date", "diagnosis")


def workbook(path: Path, rows: Sequence[Sequence[object]], change: Callable[[Any], object] = lambda _: None) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    change(book)
    book.save(path)
    return path


def document(path: Path, rows: Sequence[Sequence[object]], sheets: Sequence[str] = ("T",)) -> Path:
    """An OpenDocument spreadsheet as LibreOffice writes it, with a million repeated empty rows at the end."""
    book = OpenDocumentSpreadsheet()
    for name in sheets:
        table = Table(name=name)
        for cells in rows:
            row = TableRow()
            for cell in cells:
                row.addElement(_cell(cell))
            table.addElement(row)
        rest = TableRow(numberrowsrepeated="1048000")
        rest.addElement(TableCell(numbercolumnsrepeated="16384"))
        table.addElement(rest)
        book.spreadsheet.addElement(table)
    book.save(path)
    return path


def _cell(value: object) -> object:
    if value is ...:
        return CoveredTableCell()
    if isinstance(value, datetime.date):
        return TableCell(valuetype="date", datevalue=value.isoformat())
    if isinstance(value, float):
        return TableCell(valuetype="float", value=str(value), formula="of:=[.A1]")
    cell = TableCell(valuetype="string")
    cell.addElement(P(text="" if value is None else str(value)))
    return cell


def refused(path: Path, sheet: str | None = None) -> str:
    with pytest.raises(CaseTableError) as caught:
        read_rows(path, sheet=sheet)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", ["xlsx", "xlsm", "ods"])
def test_cells_become_what_the_spreadsheet_shows(tmp_path: Path, ending: str) -> None:
    write_skin(tmp_path / "a.png", width=16, height=16)
    day = datetime.date(2024, 3, 31)
    rows = (HEADER, ("Ä 1", "a.png", 45.0, day, "nv"), (None,) * 5, ("7", "a.png", 45.5, None, None))
    write = document if ending == "ods" else workbook
    cases = read_cases(write(tmp_path / f"t.{ending}", rows)).cases
    assert [(c.case_id, c.age, c.date, c.diagnosis) for c in cases] == [
        ("Ä 1", 45, day, "nv"), ("7", 45.5, None, None),
    ]  # fmt: skip


def test_blank_rows_titles_and_columns_before_the_table(tmp_path: Path) -> None:
    rows = (
        (),
        (None, "Patienten 2024"),
        (),
        (None, "case_id", "n"),
        (None, "a", 1),
        (None, None, None),
        (None, "b", 2),
    )
    path = workbook(tmp_path / "t.xlsx", rows, lambda book: book.active.merge_cells("B2:C2"))
    read = read_rows(path)
    assert read.header == ("case_id", "n")
    assert read.numbered == [(5, ["a", "1"]), (7, ["b", "2"])], "numbered as the spreadsheet numbers them"
    assert "passed over as a title: 'Patienten 2024'" in read.note


def test_a_merged_cell_holds_in_every_row_that_it_covers(tmp_path: Path) -> None:
    rows = (("case_id", "patient_id"), ("a", "P1"), ("b", None), ("c", "P2"))
    read = read_rows(workbook(tmp_path / "t.xlsx", rows, lambda book: book.active.merge_cells("B2:B3")))
    assert [cells[1] for _, cells in read.numbered] == ["P1", "P1", "P2"]
    assert "merged cells" in refused(document(tmp_path / "t.ods", (("case_id", "p"), ("a", "P1"), ("b", ...))))


GROUPS = (
    ("Patient", None, "Läsion", None, None),
    ("Nr", "Alter", "Diagnose", "Datum", "Bild"),
    (7, 41, "nv", "x", "a.jpg"),
)


def test_a_header_in_two_rows(tmp_path: Path) -> None:
    def merge(book: Any) -> None:
        book.active.merge_cells("A1:B1")
        book.active.merge_cells("C1:E1")

    for change in (merge, lambda _: None):
        read = read_rows(workbook(tmp_path / "t.xlsx", GROUPS, change))
        assert read.header == ("Nr", "Alter", "Diagnose", "Datum", "Bild")
        assert read.numbered == [(3, ["7", "41", "nv", "x", "a.jpg"])]
        assert "row 1 was passed over as titles of groups: 'Patient', 'Läsion'" in read.note
    lines = [";".join("" if cell is None else str(cell) for cell in row) for row in GROUPS]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    assert read_rows(tmp_path / "t.csv").header == ("Nr", "Alter", "Diagnose", "Datum", "Bild")


def test_names_that_two_groups_have_and_a_name_over_both_rows(tmp_path: Path) -> None:
    rows = (
        ("Nr", "Patient", None, "Bild", None), (None, "Name", "Datum", "Datei", "Datum"),
        (1, "x", "2024-03-01", "a.jpg", "2024-03-02"),
    )  # fmt: skip

    def merge(book: Any) -> None:
        for cells in ("A1:A2", "B1:C1", "D1:E1"):
            book.active.merge_cells(cells)

    read = read_rows(workbook(tmp_path / "t.xlsx", rows, merge))
    assert read.header == ("Nr", "Name", "Patient Datum", "Datei", "Bild Datum")


@pytest.mark.parametrize(
    "rows",
    [
        (("case_id", "", "image"), ("x", "y", "a.jpg"), ("x2", "y", "b.jpg")),
        (("case_id", "image", ""), ("one", "two", ""), ("x2", "b.jpg", "")),
        (("case_id", "image", "text"), ("eins", "bild", "wort"), ("x2", "b.jpg", "z")),
        (("", "", ""), ("case_id", "image", "n"), ("a", "a.jpg", "1")),
    ],
)  # fmt: skip
def test_a_header_in_one_row_stays(tmp_path: Path, rows: Sequence[Sequence[str]]) -> None:
    (tmp_path / "t.csv").write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    first = next(row for row in rows if any(row))
    assert read_rows(tmp_path / "t.csv").header == tuple(first)


def test_numbers_that_are_shown_with_leading_zeros_and_what_is_hidden(tmp_path: Path) -> None:
    def change(book: Any) -> None:
        sheet = book.active
        for row in (2, 3, 4):
            sheet.cell(row, 1).number_format = "00000"
            sheet.cell(row, 2).number_format = "0.00"
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["C"].hidden = True

    rows = (
        ("patient_id", "n", "diagnosis", "lesion_id"),
        (43, 1, "nv", "00043"),
        (44, 2, "nv", "7"),
        ("x", 3, "nv", "8"),
    )
    read = read_rows(workbook(tmp_path / "t.xlsx", rows, change))
    assert [cells[0] for _, cells in read.numbered] == ["00043", "00044", "x"]
    assert [cells[1] for _, cells in read.numbered] == ["1", "2", "3"]
    assert read.numbered[0][1][3] == "00043", "text stays as it is"
    assert "1 hidden rows (3) and hidden columns (C) are read like the others" in read.note


@pytest.mark.parametrize("written", ["1.23E+11", "1,23E+11", "4E+12", "1.23457e+15", "1,2E12"])
@pytest.mark.parametrize("column", ["patient_id", "lesion_id", "case_id"])
def test_an_id_that_a_spreadsheet_shortened_is_named(tmp_path: Path, column: str, written: str) -> None:
    row = {"case_id": "a", "image": "a.png", "patient_id": "p", "lesion_id": "l", column: written}
    write_skin(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text(";".join(row) + "\n" + ";".join(row.values()) + "\nb;a.png;q;m")
    said = rf"{column} '{re.escape(written)}' was shortened by a spreadsheet"
    with pytest.raises(CaseTableError, match=said) as caught:
        read_cases(tmp_path / "t.csv")
    assert "--skip-bad" not in str(caught.value), "it would leave out what the spreadsheet has, and nobody misses"


@pytest.mark.parametrize("ending", ["xlsx", "ods", "parquet"])
@pytest.mark.parametrize("column", ["case_id", "patient_id", "lesion_id"])
def test_a_number_of_more_digits_than_its_table_keeps_is_no_id(tmp_path: Path, ending: str, column: str) -> None:
    write_skin(tmp_path / "a.png")
    values = {"case_id": "a", "image": "a.png", "patient_id": "p", "lesion_id": "l"} | {column: 12345678901234567.0}
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({name: [value] for name, value in values.items()}), path)
    else:
        (document if ending == "ods" else workbook)(path, (tuple(values), tuple(values.values())))
    with pytest.raises(CaseTableError, match=rf"row \d.*{column} '1.23456789012346E\+16' was shortened") as caught:
        read_cases(path)
    assert "make that column text" in str(caught.value)


def test_numbers_that_a_table_keeps_stay(tmp_path: Path) -> None:
    rows = (("case_id", "n"), ("a", 123456789012345), ("b", 0.1 + 0.2), ("c", -7.0))
    read = read_rows(workbook(tmp_path / "t.xlsx", rows))
    assert [cells[1] for _, cells in read.numbered] == ["123456789012345", "0.3", "-7"]
    pq.write_table(pa.table({"n": [float(2**53 - 1), 2.0**60]}), tmp_path / "t.parquet")
    read = read_rows(tmp_path / "t.parquet")
    assert [cells[0] for _, cells in read.numbered] == ["9007199254740991", "1.15292150460685E+18"]


@pytest.mark.parametrize(
    "made", ["2024-01-02", "02. Jan", "2-Jan", "Jan 02", "1/2/2024", "02.01.2024", "Mrz 04", "02-mai", "03. Jän"]
)
def test_ids_and_words_that_a_spreadsheet_made_days_are_refused(tmp_path: Path, made: str) -> None:
    write_skin(tmp_path / "a.png")
    lines = {"lesion_id": ["1-45", made], "patient_id": ["7a", made], "diagnosis": ["nv", made], "site": ["back", made]}
    for column, (first, second) in lines.items():
        table = tmp_path / f"{column}.csv"
        table.write_text(f"case_id;image;{column}\na;a.png;{first}\nb;a.png;{second}\n", encoding="utf-8")
        with pytest.raises(CaseTableError, match=rf"line 3 .*{column} '{re.escape(made)}' (was made|is) a day"):
            read_cases(table)


@pytest.mark.parametrize("ids", [["2024-01-02", "2024-01-03"], ["2024-01-02", "2024-01-02-b"], ["MAR-01", "KLU-02"]])
def test_ids_that_are_days_on_purpose_stay(tmp_path: Path, ids: Sequence[str]) -> None:
    write_skin(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("case_id,image\n" + "".join(f"{one},a.png\n" for one in ids))
    assert [case.case_id for case in read_cases(tmp_path / "t.csv")] == ids


def test_ids_whose_last_digits_are_zeros_in_every_row(tmp_path: Path) -> None:
    write_skin(tmp_path / "a.png")
    head = "case_id,image,patient_id\n"
    (tmp_path / "t.csv").write_text(head + "".join(f"{n},a.png,12345678901234{n}00\n" for n in range(3)))
    with pytest.raises(CaseTableError, match=r"line 2 .*patient_id '12345678901234000' was shortened by a spreadsheet"):
        read_cases(tmp_path / "t.csv")
    (tmp_path / "u.csv").write_text(head + "".join(f"{n},a.png,1234567890123456{n}\n" for n in range(3)))
    assert len(read_cases(tmp_path / "u.csv")) == 3


def test_ids_with_and_without_zeros_in_front_are_told(tmp_path: Path) -> None:
    write_skin(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("case_id,image,patient_id\na,a.png,00043\nb,a.png,44\n")
    assert (
        "patient_id: ids of 5 digits have zeros in front, and '44' has none" in read_cases(tmp_path / "t.csv").notes[0]
    )


def test_formulas_and_errors(tmp_path: Path) -> None:
    rows = (("case_id", "age"), ("a", "=20+1"), ("b", "#N/A"))
    assert "formulas without a result (B2)" in refused(workbook(tmp_path / "t.xlsx", rows))
    read = read_rows(workbook(tmp_path / "u.xlsx", (rows[0], rows[2])))
    assert read.numbered == [(2, ["b", ""])]
    assert "1 cells hold an error such as #N/A and count as empty (B2)" in read.note
    with_result = (("case_id", "age"), ("a", 21.0))
    assert read_rows(document(tmp_path / "t.ods", with_result)).numbered == [(2, ["a", "21"])]


def test_the_sheet(tmp_path: Path) -> None:
    rows = (("case_id",), ("a",))

    def three(book: Any) -> None:
        book.active.title = "Fälle"
        book.create_sheet("leer")
        book.create_sheet("alt").append(["case_id"])
        book["alt"].sheet_state = "hidden"

    path = workbook(tmp_path / "t.xlsx", rows, three)
    assert read_rows(path).numbered == [(2, ["a"])], "the only visible sheet that holds anything"
    assert "there is no sheet 'Fall'; it has 'Fälle', 'leer', 'alt'" in refused(path, "Fall")
    assert read_rows(path, sheet="alt").header == ("case_id",)
    assert "the sheet is empty" in refused(path, "leer")
    two = document(tmp_path / "t.ods", rows, ("A", "B"))
    assert "several sheets hold something: 'A', 'B'; name one with --sheet" in refused(two)
    assert read_rows(two, sheet="B").numbered == [(2, ["a"])]
    (tmp_path / "t.csv").write_text("case_id\na\n", encoding="utf-8")
    assert "has no sheets" in refused(tmp_path / "t.csv", "A")


def test_a_stray_cell_in_the_last_corner_is_an_error_and_no_end_of_the_process(tmp_path: Path) -> None:
    """Laid out as a grid, the sheet would take half a terabyte."""

    def stray(book: Any) -> None:
        book.active["XFD1048576"] = "x"

    begun = time.process_time()
    assert "delete what stands far from the table" in refused(workbook(tmp_path / "t.xlsx", (("a",),), stray))
    assert time.process_time() - begun < 20


@pytest.mark.parametrize("ending", ["xlsx", "xls", "xlsb", "ods"])
@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no archive", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100, b"a,b\n"]
)
def test_files_that_are_no_spreadsheets(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"t.{ending}"
    path.write_bytes(content)
    assert "save" in refused(path)


def test_an_empty_workbook_and_a_bomb(tmp_path: Path) -> None:
    assert "no visible sheet holds anything" in refused(workbook(tmp_path / "t.xlsx", ()))
    path = workbook(tmp_path / "b.xlsx", (("case_id",), ("a",)))
    with zipfile.ZipFile(path, "a") as parts:
        parts.writestr("xl/media/x", b"x")
        parts.getinfo("xl/media/x").file_size = 3 << 30  # what the directory at the end says
    assert "once unpacked" in refused(path)


def test_a_bomb_within_the_limit_of_bytes_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = workbook(tmp_path / "b.xlsx", (("case_id",), ("a",)))
    with zipfile.ZipFile(path) as parts:
        files = {name: parts.read(name) for name in parts.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        for name, data in files.items():
            with parts.open(name, "w") as part:
                part.write(data)
                for _ in range(200 if name == sheet else 0):  # white space behind the last tag
                    part.write(b" " * (1 << 20))
    begun = time.monotonic()
    assert "once unpacked" in refused(path)
    assert time.monotonic() - begun < 20


def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", (("case_id", "n"),))
    row = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>c{0}</t></is></c><c r="B{0}"><v>{0}</v></c></row>'
    with zipfile.ZipFile(path) as parts:
        files = {name: parts.read(name) for name in parts.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    more = "".join(row.format(number) for number in range(2, 100_002)).encode()
    files[sheet] = files[sheet].replace(b"</sheetData>", more + b"</sheetData>")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        for name, data in files.items():
            parts.writestr(name, data)
    begun = time.process_time()
    read = read_rows(path)
    assert (len(read.numbered), read.numbered[-1]) == (100_000, (100_001, ["c100001", "100001"]))
    assert time.process_time() - begun < 30


def test_a_sheet_of_too_many_rows(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", (("case_id",), ("a",), ("b",), ("c",)))
    assert len(read_rows(path, max_rows=3).numbered) == 3
    with pytest.raises(CaseTableError, match="4 rows, more than 2; split the table"):
        read_rows(path, max_rows=2)


TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=8)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_a_sheet_says_what_the_csv_of_it_says(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    rows = [(a.lstrip("=#"), b.lstrip("=#")) for a, b in rows]
    path = workbook(tmp_path / "t.xlsx", (("case_id", "x"), *rows))
    filled = [list(row) for row in rows if any(row)]
    if filled:
        found = [cells for _, cells in read_rows(path).numbered]
        assert [[cell.casefold() for cell in row] for row in found] == [
            [unicodedata.normalize("NFC", c.strip()).casefold() for c in r] for r in filled
        ]
