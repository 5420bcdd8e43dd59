"""Every source on a made-up release of its layout, and the extension point."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.data.case import Case
from dermquery.data.case_table import CaseTableError, read_cases
from dermquery.data.sources.images import ImageFolder
from dermquery.data.sources.isic_archive import refine_archive
from dermquery.data.sources.layouts import Layout, read_table
from dermquery.data.sources.prepare import PrepareError, PrepareReport
from dermquery.data.sources.source import load_source, prepare_source, recognised, source_names
from dermquery.data.sources.tables import TableSource
from dermquery.data.vocabulary.sites import SITES
from tests.data.made_up import write_csv, write_skin
from tests.data.releases import RELEASES, one_hot


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def prepared(name: str, tmp_path: Path, change: Callable[[Path], object] = lambda _: None) -> PrepareReport:
    release = RELEASES[name](tmp_path / "release")
    change(release)
    return prepare_source(load_source(name), release, tmp_path / "out")


def by_id(report: PrepareReport) -> dict[str, Case]:
    return {case.case_id: case for case in report.cases}


@pytest.mark.parametrize("name", RELEASES)
def test_every_source_takes_its_layout_with_one_command(name: str, tmp_path: Path) -> None:
    release = RELEASES[name](tmp_path / "release")
    done = run("prepare", name, release, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    cases = read_cases(tmp_path / "out" / "cases.csv").cases
    assert cases
    for case in cases:
        assert case.licence, "the licence is kept for each image"
        assert case.attribution
        assert case.source
        assert case.image_type or name in ("isic-archive", "bcn20000")
    assert "bad" not in done.stderr


def test_ham10000(tmp_path: Path) -> None:
    report = prepared("ham10000", tmp_path)
    assert report.diagnoses == {"bkl": 2, "df": 1, "nv": 1, "mel": 1}
    cases = report.cases
    assert [c.lesion_id for c in cases] == ["HAM_1", "HAM_1", "HAM_2", "HAM_3", "HAM_4"]
    assert [c.age for c in cases] == [80, 80, None, 5, 0]
    assert [c.sex for c in cases] == ["male", "male", None, "female", "female"]
    assert [c.site for c in cases] == ["scalp", "scalp", None, "trunk", "lower extremity"]
    assert [c.confirmed_by for c in cases[2:]] == [
        "single image expert consensus",
        "serial imaging showing no change",
        "confocal microscopy with consensus dermoscopy",
    ]
    assert "HAM10000_metadata.csv: 5 of 10,015 published images of the metadata part" in report.notes


def test_ham10000_as_the_dataverse_has_it(tmp_path: Path) -> None:
    """Tab-separated with quotation marks, or without an ending."""

    def as_tab(release: Path) -> None:
        table = release / "HAM10000_metadata.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        with (release / "HAM10000_metadata").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows(rows)
        table.unlink()

    assert len(prepared("ham10000", tmp_path, as_tab).cases) == 5


def test_a_copy_of_the_same_images_beside_them_is_no_other_image(tmp_path: Path) -> None:
    """Kaggle has the images of HAM10000 twice, in folders of other capitals."""

    def copy(release: Path) -> None:
        shutil.copytree(release / "HAM10000_images_part_1", release / "ham10000_images_part_1 (1)")

    assert len(prepared("ham10000", tmp_path, copy).cases) == 5
    other = ImageFolder(tmp_path / "release")
    write_skin(tmp_path / "release" / "ham10000_images_part_1 (1)" / "ISIC_0000001.jpg", seed=99)
    with pytest.raises(ValueError, match="2 images are called"):
        other.find("ISIC_0000001")


def test_isic2018(tmp_path: Path) -> None:
    cases = prepared("isic2018", tmp_path).cases
    assert [case.diagnosis for case in cases] == ["mel", "nv", "nv", "akiec", "vasc"]
    assert [case.lesion_id for case in cases] == ["HAM_0", "HAM_0", "HAM_1", "HAM_1", "HAM_2"]
    assert {case.confirmed_by for case in cases} == {"histopathology"}
    assert (tmp_path / "out" / "ATTRIBUTION.txt").read_text(encoding="utf-8") == "HAM10000"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"MEL": "0.0"}, "here none does"),
        ({"NV": "1.0"}, "here MEL 1, NV 1 does"),
        ({"MEL": "0.7"}, "here MEL 0.7 does"),
        ({"MEL": "yes"}, "'yes' stands where a class has 0 or 1"),
        ({"MEL": "nan"}, "here MEL nan does"),
        ({"MEL": "1", "NV": "0", "BCC": ""}, ""),
    ],
)
def test_rows_without_exactly_one_class_are_named(tmp_path: Path, cells: dict[str, str], said: str) -> None:
    def broken(release: Path) -> None:
        table = release / "ISIC2018_Task3_Training_GroundTruth.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows: list[dict[str, object]] = [dict(row) for row in csv.DictReader(file)]
        write_csv(table, [{**rows[0], **cells}, *rows[1:]])

    if not said:
        assert len(prepared("isic2018", tmp_path, broken).cases) == 5
        return
    with pytest.raises(CaseTableError) as caught:
        prepared("isic2018", tmp_path, broken)
    assert "line 2 (ISIC_0000001): " in str(caught.value)
    assert said in str(caught.value)
    done = run("prepare", "isic2018", tmp_path / "release", "--out", tmp_path / "out", "--skip-bad")
    assert done.exit_code == 0
    assert "4 cases" in done.stdout
    assert "bad: ISIC_0000001: " in done.stderr


@given(st.lists(st.sampled_from(["0", "1", "0.0", "1.0", "", "0.5", "x"]), min_size=3, max_size=3))
def test_a_class_is_taken_only_from_a_true_one_hot_row(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    table = tmp_path_factory.mktemp("hot") / "t.csv"
    write_csv(table, [{"image": "a", **dict(zip("ABC", cells, strict=True))}])
    read = read_table(table, [Layout(("image",), {"image": "case_id"}, classes=("A", "B", "C"))])
    good = cells.count("1") + cells.count("1.0") == 1 and not {"0.5", "x"} & set(cells)
    assert bool(read.rows) == good
    assert bool(read.bad) != good


def test_isic2019(tmp_path: Path) -> None:
    cases = by_id(prepared("isic2019", tmp_path))
    assert list(cases) == [f"ISIC_000000{n}" for n in range(1, 6)], "an id of the archive is one image everywhere"
    assert [case.diagnosis for case in cases.values()] == ["mel", "nv", "akiec", "scc", None]
    assert cases["ISIC_0000004"].attribution == "Department of Dermatology, Hospital Clínic de Barcelona"
    assert cases["ISIC_0000003"].attribution == "ViDIR Group, Department of Dermatology, Medical University of Vienna"


def test_a_broken_row_of_a_joined_table_leaves_its_images_out(tmp_path: Path) -> None:
    def broken(release: Path) -> None:
        classes = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
        write_csv(
            release / "MILK10k_Training_GroundTruth.csv", one_hot("lesion_id", {"IL_1": "?", "IL_2": "NV"}, classes)
        )

    with pytest.raises(CaseTableError, match=r"GroundTruth.csv, line 2 \(IL_1\): exactly one class"):
        prepared("milk10k", tmp_path, broken)
    report = prepare_source(load_source("milk10k"), tmp_path / "release", tmp_path / "out", skip_bad=True)
    assert {case.lesion_id for case in report.cases} == {"IL_2"}
    assert [bad.case_id for bad in report.bad] == ["IL_1"]


def test_isic2020(tmp_path: Path) -> None:
    report = prepared("isic2020", tmp_path)
    cases = by_id(report)
    assert "ISIC_0000004" not in cases, "it is listed as a duplicate of ISIC_0000003"
    assert "ISIC_0000005" in cases, "what it is a duplicate of is not in the table"
    assert any("1 images are listed as duplicates" in note for note in report.notes)
    unknown = cases["ISIC_0000002"]
    assert (unknown.diagnosis, unknown.fine_diagnosis, unknown.diagnosis_path) == (None, None, "Benign")
    assert cases["ISIC_0000005"].diagnosis == "melanotic"
    assert cases["ISIC_0000005"].fine_diagnosis == "lentigo NOS"


def test_isic_archive(tmp_path: Path) -> None:
    report = prepared("isic-archive", tmp_path)
    first, second = report.cases
    assert first.diagnosis == "mel"
    assert first.fine_diagnosis == "Melanoma in situ"
    assert first.diagnosis_path == "Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma in situ"
    assert (first.contact, first.polarisation, first.skin_type) == ("contact", "non-polarised", "Fitzpatrick III")
    assert (first.diameter_mm, first.breslow_mm, first.patient_id) == (4.2, 0.4, "IP_1")
    assert [case.licence for case in report.cases] == ["CC-0", "CC-BY"]
    assert second.diagnosis is None
    assert second.diagnosis_path == "Benign"
    assert sorted(path.name for path in (tmp_path / "out" / "licenses").iterdir()) == ["CC-0.txt", "CC-BY.txt"]
    assert any("3 images are in no row" in note for note in report.notes)
    assert not any("left aside" in note for note in report.notes), "terms are no strange files"


def test_milk10k(tmp_path: Path) -> None:
    cases = prepared("milk10k", tmp_path).cases
    assert [(c.lesion_id, c.image_type, c.diagnosis, c.fine_diagnosis) for c in cases] == [
        ("IL_1", "clinical: close-up", "bcc", "Basal cell carcinoma"),
        ("IL_1", "dermoscopic", "bcc", "Basal cell carcinoma"),
        ("IL_2", "clinical: close-up", "mel", "Melanoma in situ"),
        ("IL_2", "dermoscopic", "mel", "Melanoma in situ"),
    ]
    assert {c.skin_type for c in cases} == {"MILK10k 1"}, "no other scale is guessed from it"
    assert {c.confirmed_by for c in cases} == {"histopathology"}
    assert cases[2].diagnosis_path == "Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma in situ"
    assert cases[0].extra["MONET_hair"] == "0.25"


def test_pad_ufes_20(tmp_path: Path) -> None:
    first, second = prepared("pad-ufes-20", tmp_path).cases
    assert (first.case_id, first.diagnosis, first.skin_type) == ("PAT_1_10_1", "bcc", "Fitzpatrick III")
    assert (first.diameter_mm, first.elevation, first.confirmed_by) == (13, "elevated", "histopathology")
    assert (second.sex, second.elevation, second.diameter_mm, second.skin_type) == (None, None, None, None)
    assert second.confirmed_by == "single image expert consensus"
    assert "itch" not in second.extra
    assert first.site == "face"


def test_ph2(tmp_path: Path) -> None:
    report = prepared("ph2", tmp_path)
    atypical, common, melanoma = report.cases
    assert [case.diagnosis for case in report.cases] == ["nv", "nv", "mel"]
    assert atypical.checklist == {
        "pigment_network": "atypical", "streaks": "regular", "dots_and_globules": "irregular",
        "blue_whitish_veil": "absent",
    }  # fmt: skip
    assert atypical.extra["regression"] == "present"
    assert common.checklist["streaks"] == "absent"
    assert "streaks" not in melanoma.checklist, "present streaks are not known to be regular or not"
    assert melanoma.extra["streaks_present"] == "yes"
    assert melanoma.extra["colours"] == "white, light brown, blue gray"
    assert [case.confirmed_by for case in report.cases] == [None, None, "histopathology"]
    assert any("3 images are in no row" in note for note in report.notes), "the masks of the lesions"


def test_ph2_as_a_workbook(tmp_path: Path) -> None:
    def as_workbook(release: Path) -> None:
        book = openpyxl.Workbook()
        for row in (["PH2 Dataset"], [], ["Legend", "A - Absent"], ["Image Name", "Histological\nDiagnosis"]):
            book.active.append(row)
        x = [None] * 3
        book.active.append(["IMD002", None, *x[:1], "X", None, 1, "AT", "AT", "T", "P", "A", None, None, "X", "X"])
        book.active.append(["IMD003", None, "X", None, None, 0, "T", "A", "A", "A", "A", None, None, None, "X"])
        book.active.append(["IMD405", "Melanoma", *x[:2], "X", 2, "AT", "T", "P", "A", "P", "X", None, "X", None, "X"])
        book.save(release / "PH2_dataset.xlsx")
        (release / "PH2_dataset.txt").rename(release / "text.bak")

    sheet = prepared("ph2", tmp_path, as_workbook)
    text = prepared("ph2", tmp_path / "text")
    for one, other in zip(sheet.cases, text.cases, strict=True):
        assert one.model_dump(exclude={"image"}) == other.model_dump(exclude={"image"})


# --- what differs from a release --------------------------------------------------------------------------------


def test_a_part_of_the_images_is_a_note(tmp_path: Path) -> None:
    def without_two(release: Path) -> None:
        (release / "HAM10000_images_part_2" / "ISIC_0000004.jpg").unlink()
        (release / "HAM10000_images_part_1" / "ISIC_0000001.jpg").unlink()
        (release / "scan.dcm").write_bytes(b"DICM")

    report = prepared("ham10000", tmp_path, without_two)
    assert len(report.cases) == 3
    assert "3 of 5 rows have their image here; the others are left out (ISIC_0000001, ISIC_0000004 …)" in report.notes
    assert any("1 .dcm (scan.dcm)" in note for note in report.notes)


def test_no_image_at_all(tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match="no image of ham10000 is left"):
        prepared(
            "ham10000", tmp_path, lambda release: [p.rename(p.with_stem(f"x{p.stem}")) for p in release.rglob("*.jpg")]
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"age": "old"}, "line 2 (case 'ISIC_0000001'): age 'old' is not a number"),
        ({"age": "200"}, "age '200' is not a number from 0 to 130"),
        ({"image_id": "ISIC_0000002"}, "case_id 'ISIC_0000002' is also on line 2"),
        ({"image_id": ""}, "case_id is empty"),
    ],
)
def test_impossible_rows(tmp_path: Path, change: dict[str, object], said: str) -> None:
    def changed(release: Path) -> None:
        table = release / "HAM10000_metadata.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows: list[dict[str, object]] = [dict(row) for row in csv.DictReader(file)]
        write_csv(table, [{**rows[0], **change}, *rows[1:]])

    with pytest.raises(CaseTableError) as caught:
        prepared("ham10000", tmp_path, changed)
    assert said in str(caught.value)


@pytest.mark.parametrize("content", ["", "lesion_id,image_id,dx,dx_type,age,sex,localization\n", "a,b\n1,2\n"])
def test_tables_without_rows_or_of_another_kind(tmp_path: Path, content: str) -> None:
    release = RELEASES["ham10000"](tmp_path / "release")
    (release / "HAM10000_metadata.csv").write_text(content, encoding="utf-8")
    done = run("prepare", "ham10000", release, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "error: " in done.stderr
    done = run("prepare", "ham10000", release, release / "HAM10000_metadata.csv", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    release = RELEASES["isic2019"](tmp_path / "release")
    (release / "ISIC_2019_Training_Metadata.csv").unlink()
    with pytest.raises(PrepareError, match="columns image, age_approx, anatom_site_general is missing; there are ISIC"):
        prepare_source(load_source("isic2019"), release, tmp_path / "out")


def test_two_versions_of_one_table(tmp_path: Path) -> None:
    release = RELEASES["ham10000"](tmp_path / "release")
    shutil.copy(release / "HAM10000_metadata.csv", release / "HAM10000_metadata_old.csv")
    source = load_source("ham10000")
    with pytest.raises(PrepareError, match=r"ISIC_0000001 is in .* and in .*; give the tables that count"):
        prepare_source(source, release, tmp_path / "out")
    assert len(prepare_source(source, release, tmp_path / "out", [release / "HAM10000_metadata.csv"]).cases) == 5


def test_published_counts(tmp_path: Path) -> None:
    """A whole table is compared class by class."""
    table = tmp_path / "MILK10k_Training_Metadata.csv"
    rows: list[dict[str, object]] = [
        {"isic_id": f"ISIC_{n:07d}", "lesion_id": f"IL_{n}", "image_type": "dermoscopic", "skin_tone_class": 3}
        for n in range(10_480)
    ]
    write_csv(table, rows)
    source = load_source("milk10k")
    assert isinstance(source, TableSource)
    (note,) = source.read_tables([table], Path).notes
    assert note.startswith(
        f"{table.name}: 10,480 rows as published, but not their classes: BCC 0 (5,044), NV 0 (1,492)"
    )


# --- the extension point -----------------------------------------------------------------------------------------


def test_the_help_lists_every_source() -> None:
    done = run("prepare", "--help")
    assert {*RELEASES, "derm7pt"} == set(source_names())
    for name in source_names():
        assert name in done.stdout
        assert run("prepare", name, "--help").exit_code == 0
        assert load_source(name).name == name
    assert "--clinical" in run("prepare", "derm7pt", "--help").stdout
    assert run("prepare", "isic1999").exit_code == 2


def test_a_package_of_its_own_adds_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution is a module, and a folder with its entry points."""
    site = tmp_path / "site"
    (site / "clinic-1.dist-info").mkdir(parents=True)
    (site / "clinic-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: clinic\nVersion: 1\n")
    points = site / "clinic-1.dist-info" / "entry_points.txt"
    points.write_text("[dermquery.sources]\nour-clinic = our_clinic:SOURCE\n")
    (site / "our_clinic.py").write_text(
        "from dermquery.data.sources.tables import Layout, TableSource\n"
        "SOURCE = TableSource(name='our-clinic', title='Our clinic.', flags={'old': 'Old ones too.'},\n"
        "    layouts=(Layout(('nr', 'dx'), {'nr': 'case_id', 'dx': 'class'}),),\n"
        "    constants={'source': 'clinic'}, values={'diagnosis': {'Basaliom': 'bcc'}})\n"
    )
    monkeypatch.syspath_prepend(site)
    try:
        write_skin(tmp_path / "images" / "7.png")
        write_csv(tmp_path / "images" / "t.csv", [{"nr": 7, "dx": "Basaliom"}])
        done = run("prepare", "our-clinic", tmp_path / "images", "--out", tmp_path / "out", "--old")
        assert done.exit_code == 0, done.output
        case = read_cases(tmp_path / "out" / "cases.csv").cases[0]
        assert (case.case_id, case.diagnosis, case.fine_diagnosis) == ("7", "bcc", "Basaliom")
        points.write_text("[dermquery.sources]\nham10000 = our_clinic:SOURCE\n")
        assert load_source("ham10000").name == "ham10000", "nobody takes a name of ours"
        assert source_names().count("ham10000") == 1
        points.write_text("[dermquery.sources]\nbroken = no_such_module:SOURCE\n")
        done = run("prepare", "--help")
        assert "the source 'broken' of the package clinic 1 is broken (ModuleNotFoundError" in done.stderr
        assert "ham10000" in done.stdout
        assert recognised(["image_name_1", "image_name_2"]) == ["isic2020"]
    finally:
        sys.modules.pop("our_clinic", None)


def test_tables_are_recognised_by_their_columns() -> None:
    assert recognised(["lesion_id", "image_id", "dx", "dx_type", "age"]) == ["ham10000"]
    assert recognised(["image_name_1", "image_name_2"]) == ["isic2020"]
    assert recognised(["id", "file"]) == []


def test_the_archives_places_are_the_nearest_that_the_vocabulary_has() -> None:
    levels = ("Trunk", "Anterior trunk", "Anterior chest", "Upper anterior chest")
    row = {f"anatom_site_{n}": level for n, level in enumerate(levels, 1)}
    refine_archive(row)
    assert row == {"site": ":".join(levels)}
    assert SITES.named(row["site"]) == "chest"
