from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from dermquery.cli.data import app as data_app
from dermquery.cli.index import index
from dermquery.cli.search import search
from dermquery.data.case import Case
from dermquery.data.case_table import read_cases, write_cases
from dermquery.store.casebase import CaseBase
from tests.store.conftest import draw_lesion, make_cases
from tests.store.encoder import ProjectionEncoder
from tests.store.loading import load_by

app = typer.Typer()
app.command()(index)
app.command()(search)


@pytest.fixture(autouse=True)
def _models(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--model N` gives the projection encoder with seed N."""
    load_by(monkeypatch, lambda name: (ProjectionEncoder(seed=int(str(name))), str(name)))
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, cases: Sequence[Case]) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "base"
    CaseBase.create(folder, ProjectionEncoder(), reference="0").add(cases)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


GERMAN = """Fall;Bild;Diagnose;Quelle;Laesion;Geschlecht;Alter;Region;Seite;Sicherung;Breslow;Aufnahme
1;1.png;Melanom;Klinik A;12;weiblich;085Y;Rücken;links;Histologie;1,2;03.04.2024
2;2.png;Basaliom;Klinik A;13;M;65,5;Gesicht;re;histo;;25.12.2023
3;3.png;Nävus;Klinik B;12;männlich;85+;Bauch;;Verlaufskontrolle;;01.02.2024
4;4.png;Rötung;Klinik B;14;?;;Zehsp;;;;
"""
COLUMNS = (
    "Fall=case_id", "Bild=image", "Diagnose=diagnosis", "Quelle=source", "Laesion=lesion_id", "Geschlecht=sex",
    "Alter=age", "Region=site", "Seite=laterality", "Sicherung=confirmed_by", "Breslow=breslow_mm", "Aufnahme=date",
)  # fmt: skip


def test_a_clinics_table_from_its_own_words_to_hits(tmp_path: Path) -> None:
    for i in range(1, 5):
        draw_lesion(tmp_path / "images" / f"{i}.png", i)
    (tmp_path / "t.csv").write_text(GERMAN, encoding="utf-8")
    columns = [part for pair in COLUMNS for part in ("--column", pair)]
    made = CliRunner().invoke(
        data_app,
        [
            "prepare",
            "folder",
            f"{tmp_path}/images",
            "--out",
            f"{tmp_path}/out",
            "--table",
            f"{tmp_path}/t.csv",
            *columns,
        ],
    )
    assert made.exit_code == 0, made.output
    assert "note: site: 'Zehsp' (1) kept as written" in made.stderr
    assert "note: diagnosis: 'Rötung' (1) without a place in the hierarchy of diagnoses" in made.stderr
    first, *_ = cases = read_cases(tmp_path / "out" / "cases.csv").cases
    assert (first.sex, first.age, first.site, first.laterality) == ("female", 85, "back", "left")
    assert (first.confirmed_by, first.breslow_mm, f"{first.date}") == ("histopathology", 1.2, "2024-04-03")
    assert first.extra["site_as_recorded"] == "Rücken"
    assert first.diagnosis == "Melanom", "labels stay as they are"
    assert not first.same_lesion(cases[2]), "lesion 12 of A and 12 of B"

    base = tmp_path / "base"
    assert run("index", tmp_path / "out" / "cases.csv", "--base", base, "--model", 0).exit_code == 0
    for clauses, expected in {
        ("diagnosis=Malignant",): "1 2",
        ("diagnosis=malignant,Nävus",): "1 2 3",
        ("diagnosis!=Malignant",): "3 4",
        ("diagnosis=Melanom",): "1",
        ("diagnosis=melanoma",): "1",
        ("diagnosis_path=Basal cell carcinoma",): "2",
        ("site=trunk",): "1 3",
        ("site=Rumpf", "sex=male"): "3",
        ("site!=trunk",): "2 4",
        ("site=zehsp",): "4",
        ("confirmed_by=histopathology",): "1 2",
        ("breslow_mm>1",): "1",
        ("breslow_mm=missing",): "2 3 4",
        ("laterality=right",): "2",
    }.items():
        where = [part for clause in clauses for part in ("--where", clause)]
        found = run("search", "--base", base, "--image", tmp_path / "images" / "1.png", *where, "--json", "-")
        assert found.exit_code == 0, found.output
        hits = json.loads(found.stdout)["hits"]
        assert " ".join(sorted(hit["case_id"] for hit in hits)) == expected, clauses
    told = run("search", "--base", base, "--image", tmp_path / "images" / "1.png", "--csv", tmp_path / "hits.csv")
    assert "histopathology" in told.stdout
    row = next(csv.DictReader((tmp_path / "hits.csv").open(encoding="utf-8-sig")))
    assert (row["confirmed_by"], row["breslow_mm"], row["site"]) == ("histopathology", "1.2", "back")
    refused = run("search", "--base", base, "--image", tmp_path / "images" / "1.png", "--where", "site=knee")
    assert "no case has the site 'knee'; there are:" in plain(refused.stderr)


def plain(text: str) -> str:
    """Output without colours and frames, its white space evened out, so that wrapping does not matter."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


def test_index_then_search(tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "own", 10)
    write_cases(cases, tmp_path / "own" / "cases.csv")
    first = run("index", tmp_path / "own" / "cases.csv", "--base", tmp_path / "base", "--model", 0, "--batch-size", 4)
    assert first.exit_code == 0, first.output
    assert "10 added, 0 updated, 0 unchanged, 0 with a bad image" in plain(first.stdout)
    assert "it now holds 10 cases" in plain(first.stdout)
    again = run("index", tmp_path / "own" / "cases.csv", "--base", tmp_path / "base", "--model", 0)
    assert "0 added, 0 updated, 10 unchanged" in plain(again.stdout)
    other = run("index", tmp_path / "own" / "cases.csv", "--base", tmp_path / "base", "--model", 1)
    assert other.exit_code != 0
    assert "cannot be compared" in plain(other.output)
    known = run("index", tmp_path / "own" / "cases.csv", "--base", tmp_path / "base")
    assert known.exit_code == 0, known.output
    assert "10 unchanged" in plain(known.stdout), "the base knows its model"
    new = run("index", tmp_path / "own" / "cases.csv", "--base", tmp_path / "new")
    assert new.exit_code != 0
    assert "is no case base yet; name the model of a new one with --model" in plain(new.output)
    assert not (tmp_path / "new").exists()

    found = run("search", "--base", tmp_path / "base", "--image", cases[3].image, "--top-k", 3)
    assert found.exit_code == 0, found.output
    words = plain(found.stdout)
    assert words.startswith("rank case diagnosis score meaning shared terms 1 case-003")
    assert "1.000" in words
    assert "3 of 10 cases that may be found, 10 in the base" in words
    assert words.endswith("Research use only. Not a medical device.")


def test_index_reports_bad_images_and_fails_unless_told(tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "own", 4)
    write_cases(cases, tmp_path / "own" / "cases.csv")
    data = cases[2].image.read_bytes()
    cases[2].image.write_bytes(data[: len(data) // 2])
    table, options = tmp_path / "own" / "cases.csv", ("--base", tmp_path / "base", "--model", 0)
    strict = run("index", table, *options)
    assert strict.exit_code != 0
    assert "002.png" in plain(strict.output).replace(" ", "")
    lenient = run("index", table, *options, "--skip-bad")
    assert lenient.exit_code == 0, lenient.output
    assert CaseBase.open(tmp_path / "base").count() == 3


def test_every_option_reaches_the_search(indexed: Path, cases: Sequence[Case]) -> None:
    found = run(
        *("search", "--base", indexed, "--image", cases[1].image, "--text", "raised border"),
        *("--term", "pigment_network=atypical", "--term", "streaks = irregular"),
        *("--where", "site=back,chest", "--where", "age>=21", "--top-k", 4, "--local-weight", 0.25),
        *("--exclude-case", "case-001", "--exclude-lesion", "lesion-4", "--exclude-patient", "patient-5"),
        *("--json", "-", "--model", 0),
    )
    assert found.exit_code == 0, found.output
    written = json.loads(found.stdout)
    assert "too small" in {warning["kind"] for warning in written.pop("warnings")}, "48 pixels"
    expected = CaseBase.open(indexed, ProjectionEncoder()).search(
        image=cases[1].image,
        text="raised border",
        checklist={"pigment_network": "atypical", "streaks": "irregular"},
        where=["site=back,chest", "age>=21"],
        top_k=4,
        local_weight=0.25,
        exclude_case="case-001",
        exclude_lesion="lesion-4",
        exclude_patient="patient-5",
    )
    plain_values = expected.to_dict()
    for hit in plain_values["hits"]:
        hit["case"]["image"] = Path(
            hit["case"]["image"]
        ).name  # a file for others says nothing of this machine's folders
    assert written == json.loads(json.dumps(plain_values))
    assert len(written["hits"]) == 4


def test_files_are_written(indexed: Path, cases: Sequence[Case], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    found = run(
        *("search", "--base", indexed, "--image", cases[1].image, "--notice", "These cases are synthetic."),
        *("--json", out / "r.json", "--html", out / "r.html", "--png", out / "r.png"),
        *("--csv", out / "r.csv", "--pdf", out / "r.pdf"),
    )
    assert found.exit_code == 0, found.output
    assert "case-001" in found.stdout
    assert json.loads((out / "r.json").read_text())["hits"][0]["case_id"] == "case-001"
    assert "These cases are synthetic." in (out / "r.html").read_text()
    assert "too few for fine structures" in plain(found.stdout)
    assert "too few for fine structures" in (out / "r.html").read_text()
    assert (out / "r.csv").read_text(encoding="utf-8-sig").splitlines()[1].startswith("1,case-001,mel,")
    assert (out / "r.pdf").read_bytes().startswith(b"%PDF-")
    with Image.open(out / "r.png") as picture:
        assert picture.format == "PNG"


def test_shared_terms_are_shown(indexed: Path) -> None:
    words = plain(run("search", "--base", indexed, "--term", "pigment_network=atypical", "--top-k", 24).stdout)
    assert words.count("pigment network: atypical") == 6
    assert words.count("none") == 18


def test_a_search_for_a_case_of_the_base_says_so(indexed: Path, cases: Sequence[Case]) -> None:
    words = plain(run("search", "--base", indexed, "--image", cases[3].image).stdout)
    assert "The base holds this very image, byte-identical: it is case case-003." in words


@pytest.mark.parametrize("option", ["--html", "--pdf", "--png", "--csv", "--json"])
def test_no_folder_is_made_for_a_file(indexed: Path, tmp_path: Path, option: str) -> None:
    done = run("search", "--base", indexed, "--text", "no streaks", option, tmp_path / "nodir" / "x")
    assert done.exit_code == 2
    assert f"there is no folder {tmp_path / 'nodir'}" in plain(done.stderr)
    assert not (tmp_path / "nodir").exists()


def test_no_hit_says_what_there_is(indexed: Path) -> None:
    words = plain(run("search", "--base", indexed, "--text", "x", "--where", "site=back", "--where", "age>129").stdout)
    assert "No case satisfies the conditions." in words
    assert "site in this base: missing, back, chest, upper limbs" in words


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give an image, a text or checklist terms"),
        (("--text", "x", "--where", "colour=red"), "unknown field 'colour'"),
        (("--text", "x", "--where", "site=bakc"), "no case has the site 'bakc'; there are: back, chest, upper limbs"),
        (("--text", "x", "--must", "site=back"), "cannot demand 'site=back'"),
        (("--term", "pigment_network"), "cannot read the term 'pigment_network'"),
        (("--term", "streaks=odd"), "unknown value 'odd' for streaks"),
        (("--term", "streak=irregular"), "Did you mean 'streaks'?"),
        (("--term", "streaks=iregular"), "Did you mean 'irregular'?"),
        (("--term", "streaks=absent", "--term", "streaks=regular"), "two values for streaks"),
        (("--text", "x", "--local-weight", "1.5"), "local weight must lie between 0"),
        (("--text", "x", "--top-k", "0"), "top_k must be at least 1"),
        (("--image", "/no/where.png"), "no such image file"),
        (("--text", "x", "--model", "1"), "cannot be compared"),
    ],
)
def test_errors_are_one_message_and_no_traceback(indexed: Path, options: tuple[str, ...], said: str) -> None:
    failed = run("search", "--base", indexed, *options)
    assert failed.exit_code != 0
    assert said in plain(failed.output)
    assert "Traceback" not in failed.output
    assert failed.exception is None or isinstance(failed.exception, SystemExit)


def test_markup_in_data_is_shown_as_it_is(tmp_path: Path) -> None:
    case = make_cases(tmp_path / "own", 1)[0].model_copy(update={"case_id": "[red]x[/red]", "diagnosis": "[bold]"})
    CaseBase.create(tmp_path / "base", ProjectionEncoder(), reference="0").add([case])
    words = plain(run("search", "--base", tmp_path / "base", "--text", "x").stdout)
    assert "[red]x[/red] [bold]" in words


def test_no_base(tmp_path: Path) -> None:
    failed = run("search", "--base", tmp_path / "none", "--text", "x")
    assert failed.exit_code != 0
    assert "is no case base" in plain(failed.output)


def test_a_ranking_is_read_on_with_an_offset(indexed: Path, cases: Sequence[Case]) -> None:
    asked = ("search", "--base", indexed, "--image", cases[0].image, "--exact", "--json", "-")
    whole = json.loads(run(*asked, "--top-k", 6).stdout)["hits"]
    rest = json.loads(run(*asked, "--top-k", 3, "--offset", 3).stdout)["hits"]
    assert [(hit["rank"], hit["case_id"]) for hit in rest] == [(hit["rank"], hit["case_id"]) for hit in whole[3:]]
    assert "offset must be" in plain(run(*asked, "--offset", -1).output)
    beyond = plain(run("search", "--base", indexed, "--text", "x", "--offset", 24).stdout)
    assert "The ranking ends at 24: 24 cases satisfy the conditions" in beyond
    assert "No case satisfies" not in beyond
