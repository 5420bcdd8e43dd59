from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from dermquery.cli.data import app
from dermquery.data.case_table import read_cases
from dermquery.data.sources.ham10000 import prepare_ham10000, read_ham10000
from dermquery.data.sources.prepare import PrepareError
from tests.data.made_up import write_csv, write_skin

COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
ROWS: list[dict[str, object]] = [
    dict(zip(COLUMNS, values, strict=True))
    for values in (
        ("HAM_1", "ISIC_1", "bkl", "histo", "80.0", "male", "scalp"),
        ("HAM_1", "ISIC_2", "bkl", "histo", "80.0", "male", "scalp"),
        ("HAM_2", "ISIC_3", "df", "consensus", "", "unknown", "unknown"),
        ("HAM_3", "ISIC_4", "nv", "follow_up", "5", "female", "trunk"),
        ("HAM_4", "ISIC_5", "mel", "histo", "0.0", "female", "lower extremity"),
    )
]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """In two parts, as the release comes."""
    for i in range(1, 6):
        write_skin(tmp_path / "images" / f"part_{1 + i // 3}" / f"ISIC_{i}.jpg", seed=i)
    return tmp_path / "images"


def test_prepare(images: Path, tmp_path: Path) -> None:
    report = prepare_ham10000(images, write_csv(tmp_path / "meta.csv", ROWS), tmp_path / "out", size=64)
    assert report.diagnoses == {"bkl": 2, "df": 1, "nv": 1, "mel": 1}
    cases = list(read_cases(tmp_path / "out" / "cases.csv"))
    assert [c.lesion_id for c in cases] == ["HAM_1", "HAM_1", "HAM_2", "HAM_3", "HAM_4"]
    assert [c.site for c in cases] == ["head neck", "head neck", None, "trunk", "lower limbs"]
    assert [c.age for c in cases] == [80, 80, None, 5, 0]
    assert [c.sex for c in cases] == ["male", "male", None, "female", "female"]
    assert all(c.diagnosis == c.fine_diagnosis for c in cases)
    assert (cases[2].confirmed_by, cases[2].extra) == ("consensus", {})
    with Image.open(cases[4].image) as image:
        assert image.size == (64, 64)


def test_missing_images_are_reported(images: Path, tmp_path: Path) -> None:
    (images / "part_2" / "ISIC_4.jpg").unlink()
    report = prepare_ham10000(images, write_csv(tmp_path / "meta.csv", ROWS), tmp_path / "out", size=64)
    assert [(bad.case_id, "no such image" in bad.reason) for bad in report.bad] == [("ISIC_4", True)]
    assert report.table is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"age": "old"}, "image_id 'ISIC_1': age 'old' is not a number"),
        ({"age": "200"}, "image_id 'ISIC_1': age '200' is not a number from 0 to 130"),
        ({"image_id": "ISIC_2"}, "case ids occur more than once: ISIC_2"),
    ],
)
def test_impossible_rows(images: Path, tmp_path: Path, change: dict[str, object], expected: str) -> None:
    meta = write_csv(tmp_path / "meta.csv", [{**ROWS[0], **change}, *ROWS[1:]])
    with pytest.raises(PrepareError, match=expected):
        prepare_ham10000(images, meta, tmp_path / "out", size=64)


def test_unusable_sources(images: Path, tmp_path: Path) -> None:
    meta = write_csv(tmp_path / "meta.csv", ROWS)
    with pytest.raises(PrepareError, match="no such folder"):
        read_ham10000(tmp_path / "none", meta)
    with pytest.raises(PrepareError, match="no such file"):
        read_ham10000(images, tmp_path / "none.csv")
    with pytest.raises(PrepareError, match="missing columns lesion_id, dx; it has image_id"):
        read_ham10000(
            images, write_csv(tmp_path / "x.csv", [{k: v for k, v in ROWS[0].items() if k not in ("lesion_id", "dx")}])
        )
    (tmp_path / "bad.csv").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(PrepareError, match="not a readable table"):
        read_ham10000(images, tmp_path / "bad.csv")


def test_command(images: Path, tmp_path: Path) -> None:
    meta = write_csv(tmp_path / "meta.csv", ROWS)
    done = CliRunner().invoke(
        app, ["prepare", "ham10000", str(images), str(meta), "--out", str(tmp_path / "out"), "--size", "64"]
    )
    assert done.exit_code == 0, done.output
    assert "5 images made" in done.stdout
