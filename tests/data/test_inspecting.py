"""``data inspect`` and ``data overlap``."""

from __future__ import annotations

import shlex
import string
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.data.case_table import read_cases
from dermquery.data.sources.inspecting import inspect_table
from dermquery.data.sources.source import load_source, prepare_source
from tests.data.made_up import write_csv, write_skin
from tests.data.releases import RELEASES


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def paste(said: str) -> Result:
    """Run the command that was proposed."""
    line = next(line for line in said.splitlines() if line.startswith("dermquery data prepare folder"))
    return run(*shlex.split(line)[2:])


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of a clinic with the table that its secretary keeps."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        write_skin(tmp_path / "bilder" / f"b {number}.jpg", seed=number, width=32, height=32)
    columns = (
        "Fall-Nr.",
        "Bilddatei",
        "Diagnose",
        "Geschlecht",
        "Alter",
        "Lokalisation",
        "Pigment Network",
        "leer",
        "Studienarm",
    )
    rows = (
        (1, "B 0.JPG", "Schnabeltier", "w", 45, "Rücken", "atypical", "", "Arm A"),
        (2, "bilder\\b 1.jpg", "Nävus", "m", "ca. 50", "Bein", "atypcal", "", "Arm B"),
        (3, "b 2.jpg", "Nävus", "m", 60, "Bein", "Netz", "", "Arm B"),
        (4, "verloren.jpg", "Melanom", "w", 61, "", "", "", "Arm A"),
    )
    write_csv(tmp_path / "faelle.csv", [dict(zip(columns, row, strict=True)) for row in rows])
    return tmp_path


def test_a_clinics_table_with_its_images(clinic: Path) -> None:
    done = run("inspect", "faelle.csv", "bilder")
    assert done.exit_code == 0, done.output
    for parts in (
        ("faelle.csv: 4 rows, 9 columns",),
        ("Fall-Nr.", "case_id", "numbers", "4"),
        ("Bilddatei", "image", "files"),
        ("Diagnose", "diagnosis", "Nävus 2"),
        ("Pigment Network", "pigment_network"),
        ("Studienarm", "(kept beside)", "Arm A 2"),
        ("leer", "(left out)", "nothing"),
        ("not to be used as age: 'ca. 50' 1",),
        ("not to be used as pigment_network: 'atypcal' 1, 'Netz' 1",),
        ("in no vocabulary of diagnosis: 'Schnabeltier' 1",),
        ("1 rows would be left out", "no image 'verloren.jpg'"),
    ):
        assert any(all(part in line for part in parts) for line in done.stdout.splitlines()), parts
    pasted = paste(done.stdout)
    assert pasted.exit_code == 0, pasted.output
    cases = read_cases(clinic / "prepared" / "cases.csv").cases
    assert [(case.case_id, case.age) for case in cases] == [("1", 45), ("2", None), ("3", 60)]
    assert [case.checklist.get("pigment_network") for case in cases] == ["atypical", "atypical", None]
    assert cases[0].extra == {"Studienarm": "Arm A", "sex_as_recorded": "w", "site_as_recorded": "Rücken"}


def test_the_map_can_be_written_and_corrected(clinic: Path) -> None:
    done = run("inspect", "faelle.csv", "bilder", "--write-map", "map.csv")
    text = (clinic / "map.csv").read_text(encoding="utf-8")
    assert text.splitlines() == [
        "column,value,becomes", "age,ca. 50,", "pigment_network,atypcal,atypical", "pigment_network,Netz,",
        "diagnosis,Schnabeltier,Schnabeltier",
    ]  # fmt: skip
    (clinic / "map.csv").write_text(
        text.replace("ca. 50,", "ca. 50,50").replace("Netz,", "Netz,typical"), encoding="utf-8"
    )
    assert paste(done.stdout).exit_code == 0
    cases = read_cases(clinic / "prepared" / "cases.csv").cases
    assert [case.age for case in cases] == [45, 50, 60]
    assert cases[2].checklist == {"pigment_network": "typical"}


def test_without_images_and_without_ids(clinic: Path) -> None:
    done = run("inspect", "faelle.csv")
    assert "folder IMAGES --table faelle.csv" in done.stdout
    write_csv(clinic / "t.csv", [{"dx": "nv", "note": "a"}, {"dx": "nv", "note": "a"}])
    seen = inspect_table(clinic / "t.csv")
    assert seen.proposal is None
    assert "no column names each row once" in seen.notes[-1]
    assert run("inspect", "t.csv").exit_code == 0
    write_csv(clinic / "t.csv", [{"file": f"b {n}.jpg", "dx": "nv"} for n in range(4)])
    done = run("inspect", "t.csv", "bilder")
    assert "--column file=case_id" in done.stdout, "the id is the image's name where there is no other"
    assert paste(done.stdout).exit_code == 0


@pytest.mark.parametrize(
    ("days", "order", "months"),
    [
        (("03/04/2024", "05/06/2024"), "dmy", [4, 6]),
        (("03/14/2024", "05/06/2024"), None, [3, 5]),
        (("14/03/2024", "05/06/2024"), None, [3, 6]),
        (("14/03/2024", "05/16/2024"), "dmy", [3, 5]),
        (("14.03.2024", "2024-05-16"), None, [3, 5]),
    ],
)
def test_the_order_of_days_is_stated_where_no_day_settles_it(
    clinic: Path, days: tuple[str, str], order: str | None, months: list[int]
) -> None:
    write_csv(clinic / "t.csv", [{"id": n, "image": f"b {n}.jpg", "Datum": day} for n, day in enumerate(days)])
    done = run("inspect", "t.csv", "bilder")
    assert ("--date-order" in done.stdout) == (order is not None)
    assert paste(done.stdout).exit_code == 0
    found = [case.date for case in read_cases(clinic / "prepared" / "cases.csv").cases]
    assert [day.month for day in found if day] == months


def test_a_sheet_of_several(clinic: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Notizen"])
    book.create_sheet("Fälle 2024").append(["Titel"])
    for row in (["id", "Bild", "dx"], ["a", "b 0", "nv"], ["b", "b 1", "nv"]):
        book["Fälle 2024"].append(row)
    book.save(clinic / "t.xlsx")
    assert "several sheets hold something: 'Sheet', 'Fälle 2024'" in run("inspect", "t.xlsx", "bilder").stderr
    done = run("inspect", "t.xlsx", "bilder", "--sheet", "Fälle 2024")
    assert "passed over as a title: 'Titel'" in done.stdout
    pasted = paste(done.stdout)
    assert pasted.exit_code == 0, pasted.output
    assert len(read_cases(clinic / "prepared" / "cases.csv")) == 2


@pytest.mark.parametrize("name", RELEASES)
def test_tables_of_known_releases_are_recognised(name: str, tmp_path: Path) -> None:
    if name == "ph2":
        return  # a legend stands around its table, which is known by its name
    release = RELEASES[name](tmp_path / "release")
    for table in release.glob("*.csv"):
        done = run("inspect", table)
        assert done.exit_code == 0, done.output
        assert name in done.stdout.partition("for that, use: dermquery data prepare ")[2]


@pytest.mark.parametrize("content", ["", "\n\n", "PK\x03\x04"])
def test_what_cannot_be_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    done = run("inspect", tmp_path / "t.csv")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")


def test_a_header_without_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,dx\n", encoding="utf-8")
    done = run("inspect", tmp_path / "t.csv")
    assert done.exit_code == 0
    assert "0 rows, 2 columns" in done.stdout


NAMES = st.sampled_from(
    ["id", "image", "Datei", "dx", "age", "Alter", "sex", "date", "streaks", "x", "case_id", "patient", "", "x y"]
)
CELLS = st.one_of(
    st.sampled_from(
        ["", "nv", "45", "45,5", "-1", "ca. 50", "2024-03-31", "31.3.", "absent", "b 1.jpg", "b 2", "irregulr"]
    ),
    st.text(string.ascii_letters + string.digits + " ',;\"$\\=:-äß", max_size=6),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_whatever_is_proposed_works_when_pasted(clinic: Path, data: st.DataObject) -> None:
    header = data.draw(st.lists(NAMES, min_size=1, max_size=6))
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), min_size=1, max_size=5))
    quoted = ["\t".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in (header, *rows)]
    (clinic / "t.tsv").write_text("\n".join(quoted), encoding="utf-8")
    done = run("inspect", "t.tsv", "bilder")
    if done.exit_code == 0 and "dermquery data prepare folder" in done.stdout:
        pasted = paste(done.stdout)
        assert pasted.exit_code == 0, done.stdout + pasted.output
    else:
        reasons = ("note: no ", "note: more than one column is called")
        assert "error: " in done.stderr or any(reason in done.stdout for reason in reasons), done.output
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit)


def test_overlap(tmp_path: Path) -> None:
    for name in ("ham10000", "isic2019", "pad-ufes-20"):
        prepare_source(load_source(name), RELEASES[name](tmp_path / name), tmp_path / f"{name}-out")
    tables = [tmp_path / f"{name}-out" / "cases.csv" for name in ("ham10000", "isic2019", "pad-ufes-20")]
    done = run("overlap", *tables)
    assert done.exit_code == 0, done.output
    first, second, third = (line for line in done.stdout.splitlines() if line.startswith(str(tmp_path)))
    assert "5 images have one id (ISIC_0000001, ISIC_0000002, ISIC_0000003, …)" in first
    assert "content" not in first, "what the ids tell already is not told twice"
    assert second.endswith("no image in common")
    assert third.endswith("no image in common")
    assert run("overlap", tables[0]).exit_code == 2
    assert "given twice" in run("overlap", tables[0], tables[0]).stderr


def test_one_content_under_two_ids(tmp_path: Path) -> None:
    """A prepared copy, or the file itself, is known by the file that it was made of."""
    for clinic in ("a", "b"):
        write_skin(tmp_path / clinic / f"{clinic}.png", seed=1)
        write_csv(tmp_path / f"{clinic}.csv", [{"case_id": f"{clinic}1", "image": f"{clinic}/{clinic}.png"}])
    assert run("prepare", "folder", tmp_path / "a", "--out", tmp_path / "out").exit_code == 0
    for first in (tmp_path / "out" / "cases.csv", tmp_path / "a.csv"):
        assert "1 images have one content and other ids (a" in run("overlap", first, tmp_path / "b.csv").stdout


def test_two_tables_that_contradict_each_other_on_one_image(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"case_id": f"ISIC_000000{i}", "image": "a.jpg", "diagnosis": "nv", "age": 40, "site": "back"} for i in range(5)
    ]
    first = write_csv(tmp_path / "a.csv", rows)
    second = write_csv(tmp_path / "b.csv", [{**row, "diagnosis": "mel", "age": "", "site": "trunk"} for row in rows])
    done = run("overlap", first, second)
    examples = "; ".join(f"ISIC_000000{i}: 'nv', 'mel'" for i in range(3))
    assert done.stdout.splitlines()[1:] == ["they contradict each other on", f"  diagnosis: 5 ({examples}; …)"]


def test_years_of_two_digits_are_told(clinic: Path) -> None:
    (clinic / "kurz.csv").write_text("Bild;Datum\n" + "".join(f"{n}.jpg;1.{n}.21\n" for n in (1, 2)), encoding="utf-8")
    for name in ("1.jpg", "2.jpg"):
        write_skin(clinic / "kurz" / name)
    done = run("inspect", "kurz.csv", "kurz")
    assert "years of two digits were read as 1970 to 2069 in 2 dates (1.1.21, …)" in done.stdout


def test_two_columns_of_one_name_are_said_and_none_is_dropped(clinic: Path) -> None:
    header = "case_id,image,{0},{0}\n"
    rows = "1,b 0.jpg,mel,nv\n2,b 1.jpg,nv,nv\n"
    for name in ("diagnosis", "Diagnose", "case_id"):
        (clinic / "t.csv").write_text(header.format(name) + rows, encoding="utf-8")
        done = run("inspect", "t.csv", "bilder")
        assert f"note: more than one column is called '{name}'; rename one" in done.stdout
        assert "another column has this name" in done.stdout
        assert "dermquery data prepare" not in done.stdout
    (clinic / "t.csv").write_text(header.format("diagnosis") + rows, encoding="utf-8")
    refused = run("prepare", "folder", "bilder", "--table", "t.csv", "--out", "out")
    assert refused.exit_code == 2
    assert "more than one column is called diagnosis" in refused.stderr
    told = run("prepare", "folder", "bilder", "--table", "t.csv", "--ignore", "diagnosis", "--out", "out")
    assert "2 columns are called 'diagnosis'; none is read" in told.stderr
    (clinic / "t.csv").write_text(header.format("remark") + rows, encoding="utf-8")
    done = run("inspect", "t.csv", "bilder")
    assert "more than one column is called 'remark'" in done.stdout
    assert paste(done.stdout).exit_code == 0, "columns that are none of ours may be left out, as is said"


def test_an_id_that_is_there_twice_is_said(clinic: Path) -> None:
    (clinic / "t.csv").write_text("case_id,image,dx\na,b 0.jpg,nv\na,b 1.jpg,mel\nc,b 2.jpg,mel\n", encoding="utf-8")
    done = run("inspect", "t.csv", "bilder")
    assert "note: 'case_id' is not taken for the case id: 'a' is in 2 rows; give each row its own" in done.stdout
    (clinic / "t.csv").write_text("Fall-Nr,image,dx\na,b 0.jpg,nv\n,b 1.jpg,mel\nc,b 2.jpg,mel\n", encoding="utf-8")
    assert "'Fall-Nr' is not taken for the case id: 1 rows have none" in run("inspect", "t.csv", "bilder").stdout
    (clinic / "t.csv").write_text("case_id,image,dx\na,b 0.jpg,nv\nb,b 1.jpg,mel\n", encoding="utf-8")
    assert "not taken" not in run("inspect", "t.csv", "bilder").stdout


@pytest.mark.parametrize("column", ["case_id", "patient_id"])
def test_an_id_that_a_spreadsheet_shortened_is_said_and_not_mapped(clinic: Path, column: str) -> None:
    rows = [{"case_id": n, "image": f"b {n}.jpg", "patient_id": f"p{n}", "dx": "nv"} for n in range(2)]
    write_csv(clinic / "t.csv", [rows[0], rows[1] | {column: "1.23E+11"}])
    for images in ((), ("bilder",)):
        done = run("inspect", "t.csv", *images)
        assert f"note: {column} '1.23E+11' was shortened by a spreadsheet" in done.stdout
        assert "--map" not in done.stdout
    assert "1 rows would be left out, the first: " + column in done.stdout
    assert "is empty" not in done.stdout


def test_ids_that_a_spreadsheet_made_one_are_said(clinic: Path) -> None:
    write_csv(clinic / "t.csv", [{"case_id": "1.23E+11", "image": f"b {n}.jpg", "dx": "nv"} for n in range(2)])
    assert "case id: case_id '1.23E+11' was shortened by a spreadsheet" in run("inspect", "t.csv", "bilder").stdout


def test_a_column_of_images_counts_though_the_ids_name_files_too(clinic: Path) -> None:
    rows: list[dict[str, object]] = [{"case_id": f"b {n}", "image": f"b {3 - n}.jpg", "dx": "nv"} for n in range(4)]
    write_csv(clinic / "t.csv", rows)
    done = run("inspect", "t.csv", "bilder")
    assert "--ignore" not in done.stdout
    assert paste(done.stdout).exit_code == 0
    (first, *_) = read_cases(clinic / "prepared" / "cases.csv").cases
    assert (first.image.read_bytes()[-100:]) == (clinic / "bilder" / "b 3.jpg").read_bytes()[-100:]


def test_a_table_of_which_no_row_can_be_used_is_shown_all_the_same(clinic: Path) -> None:
    rows = [{"Nr": n, "Bild": f"b {n}.jpg", "MRN": f"1.2{n}E+11", "dx": "nv"} for n in range(2)]
    write_csv(clinic / "t.csv", rows)
    done = run("inspect", "t.csv", "bilder")
    assert "MRN" in done.stdout
    assert "no row can be used as it is; line 2 (case '0'): patient_id of 'MRN' '1.20E+11' was shortened" in done.stdout


def test_rows_that_do_not_fit_the_header_are_not_looked_at(clinic: Path) -> None:
    (clinic / "t.csv").write_text(
        "Nr,Bild,Diagnose,Familienanamnese,Adresse\n1,b 0.jpg,nv,none,12 Main Street\n"
        "2,b 1.jpg,BCC, nodular,none,14 Main Street\n3,b 2.jpg,nv,melanoma,16 Main Street\n",
        encoding="utf-8",
    )
    done = run("inspect", "t.csv", "bilder")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "(kept beside)" in lines["Familienanamnese"]
    assert "address" in lines["Adresse"]
    assert "1 rows would be left out, the first: 6 cells where the header has 5" in done.stdout


def test_a_word_that_became_a_day_is_said_once(clinic: Path) -> None:
    rows = [{"Nr": n, "Bild": f"b {n}.jpg", "Diagnose": word} for n, word in enumerate(["nv", "2024-05-01"])]
    write_csv(clinic / "t.csv", rows)
    done = run("inspect", "t.csv", "bilder")
    assert "note: diagnosis '2024-05-01' is a day, which spreadsheets make of words" in done.stdout
    assert "in no vocabulary of diagnosis" not in done.stdout
