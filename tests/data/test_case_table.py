from __future__ import annotations

import datetime
import unicodedata
from itertools import product
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermquery.data.case import Case
from dermquery.data.case_table import COLUMNS, CaseTableError, read_cases, write_cases
from dermquery.data.checklist import CRITERIA
from dermquery.data.rows import read_rows
from tests.data.made_up import skin, write_skin


def table(folder: Path, text: str, name: str = "cases.csv", images: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Path:
    for image in images:
        write_skin(folder / image, width=32, height=32)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def message(path: Path, **options: object) -> str:
    with pytest.raises(CaseTableError) as caught:
        read_cases(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_reads_a_full_row(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "case_id,image,diagnosis,age,sex,pigment_network,streaks,scanner\n"
        "007,a.jpg,nv,45.5, female ,ATYPICAL , ,FotoFinder\n"
        f"8,{tmp_path}/b.jpg,,,,,,\n",
    )
    first, second = read_cases(path)
    assert first.case_id == "007"
    assert first.image == tmp_path / "a.jpg"
    assert first.image.is_absolute()
    assert (first.diagnosis, first.age, first.sex) == ("nv", 45.5, "female")
    assert first.checklist == {"pigment_network": "atypical"}
    assert first.extra == {"scanner": "FotoFinder"}
    assert second == Case(case_id="8", image=tmp_path / "b.jpg")


def test_only_an_empty_cell_means_missing(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,image,site,sex\nNA,a.jpg,None,nan\nnull,b.jpg,,\n")
    first, second = read_cases(path)
    assert (first.case_id, first.site, first.sex) == ("NA", "None", "nan")
    assert (second.case_id, second.site, second.sex) == ("null", None, None)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "two marks"]
)
def test_reads_what_spreadsheets_write(tmp_path: Path, encoding: str) -> None:
    """Each combination, and in each a quoted cell with every separator, and a header with commas in a name."""
    path = table(tmp_path, "")
    starts: dict[str, list[str]] = {"blank": [""], "two blank": ["", " "], "": []}
    for separator, newline, before in product(
        (",", ";", "\t", "|"), ("\n", "\r\n", "\r"), (*starts, "sep=X", '"sep=X"')
    ):
        lines = [
            ["case_id", "image", "site", "text", '"Clark level (I, II; III, IV)"'],
            ["ä", "a.jpg", "Rücken", '"x, y; ""z""\t|"', "II"],
            ["b", "b.jpg", "", "", ""],
        ]
        first = starts.get(before, [before.replace("X", separator)])
        text = newline.join([*first, *(separator.join(line) for line in lines), "", ""])
        path.write_bytes(f"\ufeff\ufeff{text}".encode() if encoding == "two marks" else text.encode(encoding))
        read, which = read_cases(path), (separator, newline, before)
        one, two = read
        assert (one.case_id, one.site, one.text) == ("ä", "Rücken", 'x, y; "z"\t|'), which
        assert one.extra == {"Clark level (I, II; III, IV)": "II"}, which
        assert two.site is None, which
        assert ("Windows-1252" in "".join(read.notes)) == (encoding == "cp1252"), which


@pytest.mark.parametrize(
    "header", ["case_id;image;Clark level (I, II, III, IV, V)", "case_id;image;a|b|c|d", "case_id\timage\ta, b, c; d"]
)
def test_a_separator_is_what_cuts_the_rows_alike(tmp_path: Path, header: str) -> None:
    separator = "\t" if "\t" in header else ";"
    (case,) = read_cases(table(tmp_path, f"{header}\n{separator.join(['x', 'a.jpg', 'II'])}\n"))
    assert list(case.extra.values()) == ["II"]


def test_a_sep_line_names_any_separator_and_counts_as_a_line(tmp_path: Path) -> None:
    path = table(tmp_path, "sep=^\ncase_id^image^age\nx^a.jpg^50\ny^a.jpg^old\n")
    assert "line 4 (case 'y'): age 'old'" in message(path)
    assert [case.case_id for case in read_cases(path, skip_bad=True)] == ["x"]


WESTERN = (
    "Nävus, größer als 5 mm²",
    "naevus d’Ota, 37,5 °C",
    "nódulo – piel señor",
    "patient’s own “words” …",
    "ça, où",
)
OTHERS = {
    "cp1251": "меланома спины",
    "cp1250": "łagodny, duże znamię",
    "cp850": "Größe des Nävus",
    "macroman": "Größe des Nävus",
    "cp1253": "μελάνωμα πλάτης",
    "shift_jis": "黒色腫",
}


@pytest.mark.parametrize("words", WESTERN)
def test_windows_1252_is_read_and_said(tmp_path: Path, words: str) -> None:
    path = table(tmp_path, "")
    path.write_bytes(f"case_id;image;text\nx;a.jpg;{words}\n".encode("cp1252"))
    read = read_cases(path)
    assert (read.cases[0].text, "".join(read.notes).startswith(f"{path} is not UTF-8")) == (words, True)


@pytest.mark.parametrize("encoding", OTHERS)
def test_text_of_another_encoding_is_refused_and_not_misread(tmp_path: Path, encoding: str) -> None:
    path = table(tmp_path, "")
    path.write_bytes(f"case_id;image;text\nx;a.jpg;{OTHERS[encoding]}\n".encode(encoding))
    assert "of no other encoding that can be told; save the table as 'CSV UTF-8'" in message(path)


_UMLAUT = ("L\u00e4sion 1.JPG", "La\u0308sion 1.JPG")
"""One name, composed and decomposed."""


@pytest.mark.parametrize("on_disk", _UMLAUT)
@pytest.mark.parametrize("written", _UMLAUT)
@pytest.mark.parametrize("spelled", ["{}", ".\\{}", "sub\\{}", "SUB/{}", "sub/../sub/{}", "{absolute}"])
def test_an_image_is_found_however_its_name_is_spelled(
    tmp_path: Path, on_disk: str, written: str, spelled: str
) -> None:
    folder = tmp_path / ("sub" if "sub" in spelled.lower() or "absolute" in spelled else "")
    image = Image.fromarray(skin(32, 32))
    folder.mkdir(exist_ok=True)
    image.save(folder / on_disk, "JPEG")
    name = spelled.format(written.lower() if "\\" in spelled else written, absolute=tmp_path / "sub" / written)
    (case,) = read_cases(table(tmp_path, f"case_id,image\na,{name}\n", images=()))
    assert case.image.samefile(folder / on_disk)


def test_an_exact_name_goes_before_a_similar_one(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,image\na,x.jpg\nb,X.jpg\n", images=("x.jpg", "X.jpg"))
    assert [case.image.name for case in read_cases(path)] == ["x.jpg", "X.jpg"]
    path = table(tmp_path, "case_id,image\na,x.JPG\n", images=())
    assert "does not exist" in message(path), "two are similar"


def test_a_decimal_comma_is_read(tmp_path: Path) -> None:
    (case,) = read_cases(table(tmp_path, "case_id;image;age\nx;a.jpg;45,5\n"))
    assert case.age == 45.5


def test_lists_every_bad_row_with_its_line_and_remedy(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "case_id,image,age,streaks,text\n"
        "a,a.jpg,50,irregular,fine\n"
        "\n"
        'b,missing.jpg,50,,"two\nlines"\n'
        "c,a.jpg,old,,\n"
        "d,a.jpg,131,wavy,\n"
        "a,b.jpg,,,\n"
        ",b.jpg,,,\n"
        "e,,,,\n"
        "f,a.jpg,,\n"
        "g,a.jpg,inf,,\n",
    )
    text = message(path)
    lines = text.splitlines()
    assert "8 of 9 rows" in lines[0]
    expected = {
        "line 4 (case 'b')": str(tmp_path / "missing.jpg"),
        "line 6 (case 'c')": "age 'old' is not a number from 0 to 130",
        "line 7 (case 'd')": "streaks 'wavy' is unknown; use one of: absent, regular, irregular",
        "line 8 (case 'a')": "also on line 2",
        "line 9:": "case_id is empty",
        "line 10 (case 'e')": "image is empty",
        "line 11 (case 'f')": "4 cells where the header has 5",
        "line 12 (case 'g')": "age 'inf'",
    }
    assert len(lines) == len(expected) + 2
    for line, (place, problem) in zip(lines[1:], expected.items(), strict=False):
        assert line.strip().startswith(place)
        assert problem in line
    assert "age '131'" in lines[3], "a row with two problems must name both"
    assert "--skip-bad" in lines[-1]

    read = read_cases(path, skip_bad=True)
    assert [case.case_id for case in read] == ["a"]
    assert [row.line for row in read.skipped] == [4, 6, 7, 8, 9, 10, 11, 12]


def test_long_lists_are_cut_after_fifty(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,image\nok,a.jpg\n" + "".join(f"c{i},none.jpg\n" for i in range(80)))
    lines = message(path).splitlines()
    assert "80 of 81" in lines[0]
    assert sum("case 'c" in line for line in lines) == 50
    assert "30 more" in lines[-2]


def test_nothing_usable_is_an_error_even_when_bad_rows_are_skipped(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,image\nx,none.jpg\n")
    assert "1 of 1" in message(path, skip_bad=True)
    assert "no rows" in message(table(tmp_path, "case_id,image\n"))


def test_missing_columns_name_the_mapping(tmp_path: Path) -> None:
    path = table(tmp_path, "isic_id,image,dx\nx,a.jpg,nv\n")
    text = message(path, need=("diagnosis",))
    assert "missing column case_id, diagnosis" in text
    assert "isic_id, image, dx" in text
    assert "--column THEIRS=case_id" in text
    (case,) = read_cases(path, need=("diagnosis",), columns={"isic_id": "case_id", "dx": "diagnosis"})
    assert (case.case_id, case.diagnosis, case.extra) == ("x", "nv", {})


def test_a_mapping_may_swap_names(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,image,diagnosis,label\nx,a.jpg,clark nevus,nv\n")
    assert "more than one column is called diagnosis" in message(path, columns={"label": "diagnosis"})
    (case,) = read_cases(path, columns={"label": "diagnosis", "diagnosis": "fine_diagnosis"})
    assert (case.diagnosis, case.fine_diagnosis) == ("nv", "clark nevus")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"dx": "diagnosis"}, "the column mapping names 'dx'"),
        ({"image": "picture"}, "map it to one of: case_id, image"),
    ],
)
def test_bad_mappings(tmp_path: Path, columns: dict[str, str], expected: str) -> None:
    assert expected in message(table(tmp_path, "case_id,image\nx,a.jpg\n"), columns=columns)


def test_a_needed_value_may_not_be_empty(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,image,diagnosis\nx,a.jpg,nv\ny,b.jpg,\n")
    assert len(read_cases(path)) == 2
    assert "line 3 (case 'y'): diagnosis is empty" in message(path, need=["diagnosis"])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("cases.csv", "case_id,image\nмеланома,a.jpg\n".encode("cp1251"), "not UTF-8 text (byte 0xec at position 14)"),
        ("cases.csv", "case_id,image\nx,a.jpg\n".encode("utf-16")[:-1], "not valid UTF-16 text"),
        ("cases.csv", b"", "empty"),
        ("cases.csv", b'case_id,image\nx,"a.jpg\n', "line 2 is not valid CSV"),
        ("cases.csv", b"case_id,image,image\nx,a.jpg,b.jpg\n", "more than one column is called image"),
        ("cases.parquet", b"PAR1 this is none", "not a readable Parquet file"),
        ("cases.xlsx", b"", "not a readable spreadsheet"),
        ("cases.docx", b"", ".parquet, .pq, .xlsx, .xlsm, .xlsb, .xls, .ods file, not '.docx'"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = table(tmp_path, "", name)
    path.write_bytes(content)
    assert expected in message(path)
    assert str(path) in message(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such case table" in message(tmp_path / "cases.csv")
    assert "is a folder" in message(tmp_path)


def test_images_are_checked_unless_told(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,image\nx,none.jpg\n")
    (case,) = read_cases(path, check_images=False)
    assert case.image == tmp_path / "none.jpg"


def test_a_nameless_index_column_is_ignored(tmp_path: Path) -> None:
    path = table(tmp_path, ",case_id,image\n0,x,a.jpg\n")
    (case,) = read_cases(path)
    assert case.extra == {}


def test_a_small_file_cannot_hold_too_many_rows_or_too_much_text(tmp_path: Path) -> None:
    many, long = tmp_path / "many.parquet", tmp_path / "long.parquet"
    pq.write_table(pa.table({"case_id": pa.array(["a"] * 3_000_000).dictionary_encode()}), many)
    assert many.stat().st_size < 60_000
    assert "3,000,000 rows, more than 2,000,000; split the table" in message(many)
    # A text of 100 KB is in the file once, and would be written out 200 times.
    pq.write_table(pa.table({"case_id": [str(i) for i in range(200)], "text": ["x" * 100_000] * 200}), long)
    assert long.stat().st_size < 200_000
    assert len(read_rows(long).numbered) == 200
    with pytest.raises(CaseTableError, match="more than 9 MiB of text; split the table into parts"):
        read_rows(long, 10_000)
    lines = tmp_path / "lines.csv"
    lines.write_text("case_id\n" + "a\n" * 11)
    assert len(read_rows(lines, 11).numbered) == 11
    with pytest.raises(CaseTableError, match="more than 10 rows; split the table into parts"):
        read_rows(lines, 10)


def test_parquet_written_by_pandas(tmp_path: Path) -> None:
    write_skin(tmp_path / "a.jpg", width=32, height=32)
    frame = pd.DataFrame(
        {
            "case_id": [7, 8],
            "image": "a.jpg",
            "lesion_id": [1.0, None],
            "age": [40.0, float("nan")],
            "site": ["back", None],
        }
    )
    frame.to_parquet(tmp_path / "cases.parquet")
    first, second = read_cases(tmp_path / "cases.parquet")
    assert (first.case_id, first.lesion_id, first.age, first.site) == ("7", "1", 40.0, "back")
    assert (second.case_id, second.lesion_id, second.age, second.site) == ("8", None, None, None)
    frame["age"] = [40.0, 200.0]
    frame.to_parquet(tmp_path / "cases.parquet")
    assert "row 2 (case '8'): age '200'" in message(tmp_path / "cases.parquet")
    frame["image"] = [b"x", b"y"]
    frame.to_parquet(tmp_path / "cases.parquet")
    assert "column 'image' holds binary" in message(tmp_path / "cases.parquet")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_a_date_that_no_calendar_holds_names_its_row(tmp_path: Path, unit: str, zone: str | None) -> None:
    path = tmp_path / "cases.parquet"
    write_skin(tmp_path / "a.jpg", width=32, height=32)
    many = {"s": 10**15, "ms": 10**16, "us": 10**18, "ns": 2**62}[unit]
    dates = pa.array(
        [many, 1_700_000_000 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]], pa.timestamp(unit, zone)
    )
    pq.write_table(pa.table({"case_id": ["1", "2"], "image": ["a.jpg"] * 2, "date": dates}), path, version="2.6")
    if unit == "ns":
        assert "lies in the future" in message(path), "what 64 bits of nanoseconds hold are years that everyone knows"
    assert "row 1 (case '1'): date '" in message(path)
    assert "row 2" not in message(path)


def test_parquet_text_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    made = pa.table({"case_id": ["1"], "XXXXX": pa.array([b"\xff\xfe"]).view(pa.string())})
    pq.write_table(made, path)
    assert "column 'XXXXX' holds text that is not UTF-8" in message(path)
    path.write_bytes(path.read_bytes().replace(b"XXXXX", b"XX\xffXX"))
    assert "a column's name is not UTF-8 text" in message(path)


def test_written_columns_stand_in_the_contracts_order(tmp_path: Path) -> None:
    image = write_skin(tmp_path / "images" / "a.jpg", width=32, height=32)
    write_cases([Case(case_id="a", image=image, age=40, extra={"zeta": "1", "alpha": "2"})], tmp_path / "cases.csv")
    header, row = (tmp_path / "cases.csv").read_text(encoding="utf-8").splitlines()
    assert header.split(",") == [*COLUMNS, "zeta", "alpha"]
    assert row.startswith("a,images/a.jpg,,,,,,40,")
    assert not list(tmp_path.glob(".*")), "a temporary file was left"


def test_images_elsewhere_are_written_absolute(tmp_path: Path) -> None:
    image = write_skin(tmp_path / "elsewhere" / "a.jpg", width=32, height=32)
    write_cases([Case(case_id="a", image=image)], tmp_path / "here" / "cases.csv")
    (case,) = read_cases(tmp_path / "here" / "cases.csv")
    assert case.image == image


def test_writing_refuses_what_cannot_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"suffix \.csv or \.parquet"):
        write_cases([], tmp_path / "cases.txt")
    with pytest.raises(ValueError, match="extra column named like a known one: site"):
        write_cases([Case(case_id="a", image=Path("a"), site="y", extra={"site": "x"})], tmp_path / "cases.csv")


def test_a_column_of_before_its_field_was_declared_is_written_as_the_field(tmp_path: Path) -> None:
    earlier = Case(case_id="a", image=tmp_path / "a", extra={"confirmed_by": "histo", "lens": "x"})
    write_cases([earlier], tmp_path / "cases.csv")
    (case,) = read_cases(tmp_path / "cases.csv", check_images=False)
    assert (case.confirmed_by, case.extra) == ("histo", {"lens": "x"})


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).map(_composed)
_WORD = _TEXT.filter(bool)
_MAYBE = st.none() | _WORD
_CHECKLIST = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(criterion.values) for name, criterion in CRITERIA.items()}
)
_EXTRA = st.dictionaries(_WORD.filter(lambda name: name not in COLUMNS), _WORD, max_size=3)


@st.composite
def _cases(draw: st.DrawFn) -> list[Case]:
    ids = draw(st.lists(_WORD, min_size=1, max_size=4, unique=True))
    names = ("diagnosis", "fine_diagnosis", "lesion_id", "patient_id", "sex", "site", "elevation", "source", "text")
    return [
        Case(
            case_id=case_id,
            image=Path(f"/data/images/{number}.jpg"),
            age=draw(st.none() | st.floats(0, 130)),
            date=draw(st.none() | st.dates(datetime.date(1900, 1, 2), datetime.date(2026, 1, 1))),
            checklist=draw(_CHECKLIST),
            extra=draw(_EXTRA),
            **{name: draw(_MAYBE) for name in names},
        )
        for number, case_id in enumerate(ids)
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(max_examples=60)
@given(cases=_cases())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, cases: list[Case]) -> None:
    path = tmp_path_factory.mktemp("round") / f"cases{suffix}"
    write_cases(cases, path)
    assert list(read_cases(path, check_images=False)) == cases


@pytest.mark.parametrize("written", ["2024-03-31", "2024-03-31 00:00:00", "2024-03-31T14:05"])
def test_a_date_is_a_day(tmp_path: Path, written: str) -> None:
    (tmp_path / "cases.csv").write_text(f"case_id,image,date,source\na,a.png,{written},clinic A\n")
    (case,) = read_cases(tmp_path / "cases.csv", check_images=False)
    assert (case.date, case.source) == (datetime.date(2024, 3, 31), "clinic A")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("2099-01-01", "lies in the future"), ("31.12.9999", "lies in the future"),
        ("9999-12-31", "lies in the future"),
        ("1. Januar 2099", "lies in the future"), ("1900-01-01", "stands for none"), ("30.12.1899", "stands for none"),
        ("0001-01-01", "stands for none"),
    ],
)  # fmt: skip
def test_a_date_on_which_nobody_took_a_picture_is_named(tmp_path: Path, written: str, why: str) -> None:
    (tmp_path / "cases.csv").write_text(f"case_id,image,date\na,a.png,{written}\nb,b.png,1962-05-04\n")
    assert f"date '{written}' {why}; correct it, leave it empty" in message(tmp_path / "cases.csv", check_images=False)
    (case,) = read_cases(tmp_path / "cases.csv", check_images=False, skip_bad=True)
    assert case.date == datetime.date(1962, 5, 4)


def test_today_and_every_zones_tomorrow_are_days(tmp_path: Path) -> None:
    days = [datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days) for days in (0, 1)]
    lines = [f"{number},a.png,{day}" for number, day in enumerate(days)]
    (tmp_path / "cases.csv").write_text("\n".join(["case_id,image,date", *lines]) + "\n")
    assert [case.date for case in read_cases(tmp_path / "cases.csv", check_images=False)] == days


@pytest.mark.parametrize("word", ["unbekannt", "unknown", "k.A.", "n/a", "?", "-", "–", "NULL", "onbekend", "inconnu"])
def test_a_word_for_nothing_known_is_no_number_and_no_day(tmp_path: Path, word: str) -> None:
    path = tmp_path / "cases.csv"
    path.write_text(f"case_id,image,age,date,breslow_mm,diameter_mm\na,a.png,{word},{word},{word},{word}\n", "utf-8")
    (case,) = read_cases(path, check_images=False)
    assert (case.age, case.date, case.breslow_mm, case.diameter_mm, case.extra) == (None, None, None, None, {})


def test_a_date_in_another_form_is_named(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("case_id,image,date\na,a.png,in March 2024\n")
    with pytest.raises(CaseTableError, match="date 'in March 2024' names no day; write one such as 2024-03-31"):
        read_cases(tmp_path / "cases.csv", check_images=False)


def test_dates_are_read_in_the_order_that_the_column_settles_or_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case_id,image,age,date\na,a.png,045Y,03/04/2024\nb,b.png,85+,25/12/2023\n")
    first, second = read_cases(path, check_images=False)
    assert (first.date, second.date) == (datetime.date(2024, 4, 3), datetime.date(2023, 12, 25))
    assert (first.age, second.age) == (45, 85)
    assert first.extra == {"age_as_recorded": "045Y", "date_as_recorded": "03/04/2024"}
    path.write_text("case_id,image,date\na,a.png,03/04/2024\n")
    with pytest.raises(CaseTableError, match=r"say which with --date-order dmy or mdy"):
        read_cases(path, check_images=False)
    (case,) = read_cases(path, check_images=False, date_order="mdy")
    assert case.date == datetime.date(2024, 3, 4)
    path.write_text("case_id,image,date\na,a.png,13/04/2024\nb,b.png,04/13/2024\n")
    with pytest.raises(CaseTableError, match=r"'13/04/2024' has the day first and '04/13/2024' the month"):
        read_cases(path, check_images=False)


@pytest.mark.parametrize("separator", [":", "^", "~", "\x1f", "§", "¦", " "])
def test_rare_separators_are_found_where_no_other_cuts_the_header(tmp_path: Path, separator: str) -> None:
    lines = (["case_id", "image", "site"], ["1", "a.jpg", "back"])
    (case,) = read_cases(table(tmp_path, "\n".join(map(separator.join, lines))))
    assert (case.case_id, case.site) == ("1", "back")


def test_a_tab_can_be_named_by_its_escape(tmp_path: Path) -> None:
    (case,) = read_cases(table(tmp_path, "sep=\\t\ncase_id\timage\n1\ta.jpg\n"))
    assert case.case_id == "1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\3\4" + bytes(90), "an Excel workbook or an archive"),
        (b"\xd0\xcf\x11\xe0" + bytes(90), "an old Excel workbook"),
        (b"PAR1", "a Parquet file"),
        (b"\n<table><tr><td>case_id</td></tr></table>", "a web page or XML"),
        (b'[\n {"case_id": "1"}]', "JSON"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(content)
    assert f"cases.csv: this is {said}" in message(path)


def test_a_column_in_another_writing_is_proposed(tmp_path: Path) -> None:
    assert "with --column 'Case ID'=case_id (in" in message(table(tmp_path, "Case ID,image\n1,a.jpg\n"))
    assert "with --column THEIRS=case_id (in" in message(table(tmp_path, "number,image\n1,a.jpg\n"))


@pytest.mark.parametrize("cell", ["2\0", "2\0\0"])
def test_a_stray_nul_names_its_row_and_makes_no_utf16(tmp_path: Path, cell: str) -> None:
    said = message(table(tmp_path, f"case_id,image\n1,a.jpg\n{cell},b.jpg\n"))
    assert "line 3 (case" in said
    assert "case_id holds a NUL character; remove it" in said
