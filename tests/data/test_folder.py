from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.data.case_table import CaseTableError, read_cases
from dermquery.data.image import load_image
from dermquery.data.sources.folder import prepare_folder
from dermquery.data.sources.images import ImageFolder
from dermquery.data.sources.prepare import PrepareError
from tests.data.colour_profiles import ADOBE_RGB, rgb_profile
from tests.data.dicom.made import dermoscopic, written
from tests.data.made_up import skin, write_csv, write_skin


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for number, name in enumerate(("mel/ä 1.PNG", "mel/2.jpg", "nv/3.tif", "4.jpg")):
        write_skin(folder / name, seed=number)
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    (folder / "nv" / "._3.tif").write_bytes(b"what macOS leaves beside files")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_folder_without_a_table(images: Path, tmp_path: Path) -> None:
    report = prepare_folder(images, tmp_path / "out", size=64)
    assert [case.case_id for case in report.cases] == ["4", "mel-2", "mel-ä_1", "nv-3"]
    assert report.diagnoses == {"": 4}
    assert report.table is not None
    assert tuple(read_cases(report.table)) == report.cases


def test_folder_names_as_diagnoses(images: Path, tmp_path: Path) -> None:
    report = prepare_folder(images, tmp_path / "out", size=64, label_from_folder=True)
    assert {case.case_id: case.diagnosis for case in report.cases} == {
        "4": None,
        "mel-2": "mel",
        "mel-ä_1": "mel",
        "nv-3": "nv",
    }


def test_two_images_that_would_be_one_case(images: Path, tmp_path: Path) -> None:
    write_skin(images / "mel" / "2.png")
    with pytest.raises(PrepareError, match="would both be case 'mel-2'"):
        prepare_folder(images, tmp_path / "out")


def test_what_was_prepared_within_the_folder_is_no_source(images: Path, tmp_path: Path) -> None:
    first = prepare_folder(images, images / "out", size=64)
    again = prepare_folder(images, images / "out", size=64)
    assert (len(again.cases), again.made, again.kept) == (len(first.cases), 0, 4)


def test_ids_keep_the_letters_of_every_script(tmp_path: Path) -> None:
    names = ["Müller/1", "Möller/1", "Mu\u0308ller/2", "黒色腫/1", "меланома", "ภาพ", "a b", "a_b", "a+b", "-x"]
    for number, name in enumerate(names):
        write_skin(tmp_path / "images" / f"{name}.jpg", seed=number, width=32, height=32)
    cases = prepare_folder(tmp_path / "images", tmp_path / "out", size=32).cases
    ids = {case.case_id for case in cases}
    assert {"Müller-1", "Möller-1", "Müller-2", "黒色腫-1", "меланома", "ภาพ", "a_b", "x"} <= ids
    assert len(ids) == len(names), "where a replaced sign alone tells two apart, a hash does"
    assert tuple(read_cases(tmp_path / "out" / "cases.csv")) == cases


@pytest.mark.parametrize(
    "name",
    [
        "images\\mel\\2.jpg",
        "images/mel/2.jpg",
        r"C:\Users\Anna\images\mel\2.JPG",
        "/elsewhere/images/mel/2.jpg",
        "MEL/2.jpg",
    ],
)
def test_a_path_of_another_computer(images: Path, name: str) -> None:
    assert ImageFolder(images).find(name) == images / "mel" / "2.jpg"


@pytest.mark.parametrize("name", [r"C:\other\mel\2.jpg", "nv/2.jpg", "images/2.jpg", "x" * 5000, "a\0b"])
def test_a_path_that_ends_elsewhere_is_no_image_of_this_folder(images: Path, name: str) -> None:
    with pytest.raises(ValueError, match="correct the name, or add the image"):
        ImageFolder(images).find(name)


def test_a_table_with_paths_below_the_folder_beside_the_table_and_absolute(images: Path, tmp_path: Path) -> None:
    write_skin(tmp_path / "table" / "own.png")
    rows: list[dict[str, object]] = [
        {"ID": "a", "file": "mel/2.jpg", "dx": "mel"},
        {"ID": "b", "file": "own.png", "dx": "nv"},
        {"ID": "c", "file": str(images / "4.jpg"), "dx": "nv"},
        {"ID": "d", "file": "3", "dx": "nv"},
        {"ID": "e", "file": "Ä 1.png", "dx": "mel"},
    ]
    table = write_csv(tmp_path / "table" / "t.csv", rows)
    columns = {"ID": "case_id", "file": "image", "dx": "diagnosis"}
    report = prepare_folder(images, tmp_path / "out", table=table, columns=columns, size=64)
    assert [case.case_id for case in report.cases] == list("abcde")
    assert report.diagnoses == {"nv": 3, "mel": 2}


def test_without_an_image_column_the_case_id_is_the_name(images: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", [{"case_id": "2", "diagnosis": "mel"}, {"case_id": "3", "diagnosis": "nv"}])
    report = prepare_folder(images, tmp_path / "out", table=table, size=64)
    assert [case.case_id for case in report.cases] == ["2", "3"]


def test_bad_rows_and_bad_images(images: Path, tmp_path: Path) -> None:
    write_skin(images / "nv" / "2.jpg")
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    rows: list[dict[str, object]] = [
        {"case_id": "a", "image": "4.jpg", "age": "40"},
        {"case_id": "b", "image": "none", "age": "40"},
        {"case_id": "c", "image": "2", "age": "40"},
        {"case_id": "d", "image": "3", "age": "many"},
        {"case_id": "e", "image": "broken.jpg", "age": ""},
    ]
    table = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(CaseTableError) as caught:
        prepare_folder(images, tmp_path / "out", table=table, size=64)
    for part in (
        "line 3 (case 'b'): no image 'none' below",
        "line 4 (case 'c'): 2 images are called '2'",
        "line 5 (case 'd'): age 'many'",
    ):
        assert part in str(caught.value)
    report = prepare_folder(images, tmp_path / "out", table=table, size=64, skip_bad=True)
    assert [case.case_id for case in report.cases] == ["a"]
    assert [bad.case_id for bad in report.bad] == ["b", "c", "d", "e"]


def test_ids_cannot_write_outside_nor_onto_each_other(images: Path, tmp_path: Path) -> None:
    ids = ["../../evil", "a/b", "a_b", "A_B", ".hidden", "x" * 300, "ä", "CON:"]
    rows: list[dict[str, object]] = [{"case_id": i, "image": "4.jpg"} for i in ids]
    report = prepare_folder(images, tmp_path / "out", table=write_csv(tmp_path / "t.csv", rows), size=64)
    assert [case.case_id for case in report.cases] == ids
    assert {case.image.parent for case in report.cases} == {tmp_path / "out" / "images"}
    assert len({case.image.name.lower() for case in report.cases}) == len(ids)
    assert not list(tmp_path.glob("evil*"))


def test_a_corrected_table_makes_the_image_again(images: Path, tmp_path: Path) -> None:
    """An older file under the same case id must not pass for the finished one."""
    table = write_csv(tmp_path / "t.csv", [{"case_id": "a", "image": "mel/2.jpg"}])
    first = prepare_folder(images, tmp_path / "out", table=table, size=64).cases[0].image.read_bytes()
    write_csv(table, [{"case_id": "a", "image": "4.jpg"}])
    report = prepare_folder(images, tmp_path / "out", table=table, size=64)
    assert report.made == 1
    assert report.cases[0].image.read_bytes() != first


def test_unusable_sources(images: Path, tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match="no such folder"):
        ImageFolder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PrepareError, match=r"holds no image; endings looked for: \.bmp"):
        ImageFolder(tmp_path / "empty")
    with pytest.raises(PrepareError, match="is the folder whose images are read"):
        prepare_folder(images, images / "mel" / "..")
    with pytest.raises(PrepareError, match="need a table"):
        prepare_folder(images, tmp_path / "out", columns={"dx": "diagnosis"})
    with pytest.raises(PrepareError, match="--table or --label-from-folder"):
        prepare_folder(images, tmp_path / "out", table=tmp_path / "t.csv", label_from_folder=True)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(PrepareError, match="is a file"):
        prepare_folder(images, tmp_path / "file")


def test_images_only_upright_and_square(tmp_path: Path) -> None:
    path = write_skin(tmp_path / "images" / "a.jpg", width=200, height=100)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.save(path, exif=exif)
    report = prepare_folder(path.parent, tmp_path / "out", size=48)
    with Image.open(report.cases[0].image) as image:
        assert image.size == (48, 48)
        assert not image.getexif()


def test_images_stay_as_they_came(tmp_path: Path) -> None:
    """The pixels of a JPEG to the last bit, without its metadata, and everything in its own proportions."""
    folder, exif = tmp_path / "images", Image.Exif()
    for name in ("a.jpg", "b.png", "turned.jpg"):
        write_skin(folder / name, width=200, height=100)
    exif[0x010E] = "Anna M., left arm"
    with Image.open(folder / "a.jpg") as image:
        image.save(folder / "a.jpg", exif=exif, quality=80)
    exif[0x0112] = 6
    with Image.open(folder / "turned.jpg") as image:
        image.save(folder / "turned.jpg", exif=exif, icc_profile=rgb_profile(ADOBE_RGB))
    report = prepare_folder(folder, tmp_path / "out")
    prepared = {case.case_id: case.image for case in report.cases}
    assert load_image(prepared["a"]).tobytes() == load_image(folder / "a.jpg").tobytes()
    for name, path in prepared.items():
        assert b"Anna" not in path.read_bytes()
        with Image.open(path) as image:
            assert image.size == ((100, 200) if name == "turned" else (200, 100))
            assert not image.getexif()
            assert "icc_profile" not in image.info
        original = next(folder.glob(f"{name}.*"))
        difference = np.asarray(load_image(path), float) - np.asarray(load_image(original), float)
        assert np.abs(difference).mean() < 2
    again = prepare_folder(folder, tmp_path / "out")
    assert (again.made, again.kept) == (0, 3)


def test_borders_are_cropped_where_asked(tmp_path: Path) -> None:
    framed = Image.new("RGB", (300, 200), "black")
    framed.paste(Image.fromarray(skin(200, 120)), (50, 40))
    (tmp_path / "images").mkdir()
    framed.save(tmp_path / "images" / "a.png")
    sizes = {}
    for number, (crop, size) in enumerate(((False, None), (True, None), (False, 64))):
        case = prepare_folder(tmp_path / "images", tmp_path / str(number), crop=crop, size=size).cases[0]
        with Image.open(case.image) as image:
            sizes[number] = image.size
    assert sizes[0] == (300, 200)
    assert abs(sizes[1][0] - 200) < 15
    assert abs(sizes[1][1] - 120) < 15
    assert sizes[2] == (64, 64)


def test_words_are_mapped_and_columns_ignored(images: Path, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"case_id": "2", "diagnosis": "Basaliom", "age": "k.A.", "sex": "w", "internal": "x"},
        {"case_id": "3", "diagnosis": "BASALIOM", "age": "40", "sex": "m=f", "internal": "y"},
        {"case_id": "4", "diagnosis": "Nävus", "age": "40", "sex": "m", "internal": "z"},
    ]
    table = write_csv(tmp_path / "t.csv", rows)
    maps = write_csv(
        tmp_path / "maps.csv",
        [
            {"value": "Basaliom", "column": "diagnosis", "becomes": "?"},
            {"value": "k.A.", "column": "age", "becomes": ""},
        ],
    )
    done = run(
        "prepare", "folder", images, "--out", tmp_path / "out", "--table", table, "--ignore", "internal",
        "--map-file", maps, "--map", "diagnosis:Basaliom=bcc",
        "--map", "diagnosis: Na\u0308vus =nv", "--map", "sex:m=f=other",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    cases = read_cases(tmp_path / "out" / "cases.csv").cases
    assert [case.diagnosis for case in cases] == ["bcc", "bcc", "nv"], "the option overrules the file"
    assert [case.age for case in cases] == [None, 40, 40]
    assert cases[1].sex == "other", "the last = counts"
    assert all("internal" not in case.extra for case in cases)
    assert "1 images are in no row of t.csv (ä 1.PNG, …)" in done.stderr.replace("a\u0308", "ä")


def test_words_are_mapped_by_the_tables_own_name_of_a_column(images: Path, tmp_path: Path) -> None:
    words = ("SSM", "ssm", "Melanosis", "mel")
    names = ("2", "3", "4", "ä 1")
    rows: list[dict[str, object]] = [{"Nr": n, "Diagnose": word} for n, word in zip(names, words, strict=True)]
    table = write_csv(tmp_path / "t.csv", rows)
    file = write_csv(tmp_path / "m.csv", [{"column": "Diagnose", "value": "Melanosis", "becomes": "bkl"}])
    columns = ("--column", "Nr=case_id", "--column", "Diagnose=diagnosis")
    tried: list[tuple[list[object], str, str]] = [
        (
            ["--map", "Diagnose:SSM=mel"],
            "mel mel Melanosis mel",
            "'mel' stands for 'SSM' (1), 'ssm' (1), 'mel' (1)",
        ),
        (["--map", "diagnosis:SSM=nv", "--map", "Diagnose:Melanosis=bkl"], "nv nv bkl mel", ""),
        (["--map", "diagnosis:SSM=x", "--map", "diagnosis:ssm=y"], "x y Melanosis mel", ""),
        (["--map", "Diagnose:SSN=mel"], "SSM ssm Melanosis mel", "no row has 'SSN' in diagnosis, so mapping it"),
        (["--map-file", file], "SSM ssm bkl mel", ""),
        (["--map-file", file, "--map", "diagnosis:Melanosis=nv"], "SSM ssm nv mel", f"overrules 'bkl' of {file}"),
        (["--map", "Diagnose:SSM=", "--map", "Diagnose:mel="], "None None Melanosis None", ""),
    ]
    for place, (maps, diagnoses, said) in enumerate(tried):
        done = run("prepare", "folder", images, "--table", table, *columns, *maps, "--out", tmp_path / f"out{place}")
        assert done.exit_code == 0, done.output
        cases = read_cases(tmp_path / f"out{place}" / "cases.csv").cases
        assert " ".join(str(case.diagnosis) for case in cases) == diagnoses
        notes = [line for line in done.stderr.splitlines() if re.search("stands for|no row|overrules", line)]
        assert len(notes) == bool(said)
        assert said in "".join(notes)


@pytest.mark.parametrize("name", ["1.jpg", "IMG.PNG", "scan.tif"])
@pytest.mark.parametrize("with_table", [True, False])
def test_a_dicom_object_is_known_by_what_it_holds(tmp_path: Path, name: str, with_table: bool) -> None:
    folder = tmp_path / "images"
    write_skin(folder / "real.jpg")
    for made in (name, "object.dcm"):
        (folder / made).write_bytes(written(dermoscopic()))
    rows: list[dict[str, object]] = [{"case_id": n, "image": n} for n in ("real.jpg", name, "object.dcm")]
    table = write_csv(tmp_path / "t.csv", rows) if with_table else None
    report = prepare_folder(folder, tmp_path / "out", table=table, skip_bad=True)
    assert [case.image.name[:4] for case in report.cases] == ["real"]
    assert len(report.bad) == 1 + with_table
    assert all("dermquery data prepare dicom" in bad.reason for bad in report.bad)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--map", "diagnosis:a=b", "--map", "diagnosis:a=c"], "--map makes 'a' of diagnosis 'b' and 'c'; give one"),
        (["--column", "diagnosis=site", "--column", "diagnosis=sex"], "'diagnosis' is site and sex; give one"),
        (["--column", "diagnosis=site", "--ignore", "diagnosis"], "is both mapped to 'site' and ignored"),
        (
            ["--column", "diagnosis=fine_diagnosis", "--map", "diagnosis:a=b", "--map", "fine_diagnosis:a=c"],
            "'a' of fine_diagnosis is mapped to 'b' and to 'c'; keep one",
        ),
        (["--map", "Basaliom=bcc"], "write COLUMN:THEIRS=OURS"),
        (["--map", "diagnosis:Basaliom"], "write COLUMN:THEIRS=OURS"),
        (["--map", "dx:Basaliom=bcc"], "values of 'dx' are mapped, but the table has no such column"),
        (["--ignore", "dx"], "the list of columns to ignore names 'dx', but the table has: case_id, diagnosis"),
        (["--sheet", "A"], "has no sheets; leave --sheet out"),
        (["--map-file", "wrong.csv"], "a map has the columns column, value, becomes"),
        (["--map-file", "twice.csv"], "line 3 makes 'a' of diagnosis 'c', an earlier one 'b'; keep one"),
    ],
)
def test_maps_that_cannot_be_used(images: Path, tmp_path: Path, options: list[str], said: str) -> None:
    table = write_csv(tmp_path / "t.csv", [{"case_id": "2", "diagnosis": "Basaliom"}])
    write_csv(tmp_path / "wrong.csv", [{"from": "a", "to": "b"}])
    line = {"column": "diagnosis", "value": "a"}
    write_csv(tmp_path / "twice.csv", [{**line, "becomes": "b"}, {**line, "becomes": "c"}])
    options = [str(tmp_path / word) if word.endswith(".csv") else word for word in options]
    done = run("prepare", "folder", images, "--out", tmp_path / "out", "--table", table, *options)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_no_image_is_counted_and_named(images: Path, tmp_path: Path) -> None:
    for name in ("scan1.dcm", "scan2.DCM", "film.mp4", ".DS_Store", "nv/export.xml", "nv/IM0001"):
        (images / name).write_bytes(b"")
    done = run("prepare", "folder", images, "--out", tmp_path / "out")
    assert done.exit_code == 0
    note = next(line for line in done.stderr.splitlines() if "left aside" in line)
    for part in (
        "2 .dcm (scan1.dcm, scan2.DCM)", "1 .mp4 (film.mp4)", "2 hidden (.DS_Store, nv/._3.tif)",
        "1 .xml (nv/export.xml)", "1 without ending (nv/IM0001)", "1 .txt (notes.txt)",
    ):  # fmt: skip
        assert part in note
    for path in images.rglob("*"):
        if path.suffix.lower() in (".jpg", ".png", ".tif"):
            path.unlink()
    assert "there are 2 .dcm" in run("prepare", "folder", images, "--out", tmp_path / "out2").stderr


def test_command(images: Path, tmp_path: Path) -> None:
    table = write_csv(
        tmp_path / "t.csv", [{"id": "a", "file": "4", "dx": "nv"}, {"id": "b", "file": "none", "dx": "nv"}]
    )
    command = ["prepare", "folder", images, "--out", tmp_path / "out", "--size", 64, "--table", table]
    command += ["--column", "id=case_id", "--column", "file=image", "--column", "dx=diagnosis"]
    done = run(*command)
    assert done.exit_code == 2
    assert "line 3 (case 'b'): no image 'none'" in done.stderr
    done = run(*command, "--skip-bad")
    assert done.exit_code == 0, done.output
    assert "1 case\n" in done.stdout
    assert "1 bad" in done.stdout
    assert "bad: b: " in done.stderr
    done = run("prepare", "folder", images, "--out", tmp_path / "out2", "--size", 64, "--label-from-folder")
    assert done.exit_code == 0
    assert "2 mel" in done.stdout


def test_command_with_a_malformed_column(images: Path, tmp_path: Path) -> None:
    done = run("prepare", "folder", images, "--out", tmp_path / "out", "--table", tmp_path / "t.csv", "--column", "dx")
    assert done.exit_code == 2
    assert "write THEIRS=OURS" in done.stderr


def test_nothing_left_is_an_error(images: Path, tmp_path: Path) -> None:
    for path in images.rglob("*"):
        if path.is_file():
            path.write_bytes(b"broken")
    done = run("prepare", "folder", images, "--out", tmp_path / "out", "--skip-bad")
    assert done.exit_code == 1
    assert "no table was written" in done.stderr
    shutil.rmtree(images)


def test_files_without_an_ending_are_what_they_hold(tmp_path: Path) -> None:
    images = tmp_path / "in"
    for number, name in enumerate(("a.jpg", "IM.0001", "IM.0002")):
        write_skin(images / f"{name}.jpg", seed=number, width=32, height=32)
        (images / f"{name}.jpg").rename(images / name)
    Image.open(images / "a.jpg").save(images / "scan", "TIFF")
    Image.open(images / "a.jpg").save(images / "1.2.840.5", "PNG")
    (images / "IM0007").write_bytes(bytes(128) + b"DICM" + bytes(200))
    (images / "README").write_text("II is no image", encoding="utf-8")
    (images / ".a").write_bytes((images / "a.jpg").read_bytes())
    done = run("prepare", "folder", images, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    ids = {case.case_id for case in read_cases(tmp_path / "out" / "cases.csv")}
    assert ids == {"a", "IM.0001", "IM.0002", "scan", "1.2.840.5"}
    said = " ".join(done.stderr.split())
    for part in ("1 DICOM (IM0007)", "1 without ending (README)", "1 hidden (.a)", "dermquery data prepare dicom"):
        assert part in said
    write_csv(tmp_path / "t.csv", [{"case_id": "x", "image": "IM.0002"}, {"case_id": "y", "image": "scan"}])
    done = run("prepare", "folder", images, "--table", tmp_path / "t.csv", "--out", tmp_path / "out2")
    assert done.exit_code == 0, done.output
