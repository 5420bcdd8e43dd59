from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.data.case_table import COLUMNS, read_cases
from dermquery.data.checklist import CRITERIA
from dermquery.data.sources import prepare
from dermquery.data.sources.derm7pt import SOURCE, group_diagnosis, read_release
from dermquery.data.sources.prepare import PrepareError
from dermquery.data.sources.source import prepare_source
from tests.data.made_up import DIAGNOSES, write_release, write_skin


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release_v0")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


# Kawahara et al. 2018, table 1: the release's diagnoses and how many cases have them.
COUNTS = {
    "basal cell carcinoma": 42,
    "blue nevus": 28,
    "clark nevus": 399,
    "combined nevus": 13,
    "congenital nevus": 17,
    "dermal nevus": 33,
    "dermatofibroma": 20,
    "lentigo": 24,
    "melanoma": 1,
    "melanoma (0.76 to 1.5 mm)": 53,
    "melanoma (in situ)": 64,
    "melanoma (less than 0.76 mm)": 102,
    "melanoma (more than 1.5 mm)": 28,
    "melanoma metastasis": 4,
    "melanosis": 16,
    "miscellaneous": 8,
    "recurrent nevus": 6,
    "reed or spitz nevus": 79,
    "seborrheic keratosis": 45,
    "vascular lesion": 29,
}


def test_the_grouping_gives_the_papers_888() -> None:
    groups: Counter[str | None] = Counter()
    for diagnosis, count in COUNTS.items():
        groups[group_diagnosis(diagnosis)] += count
    assert groups == {"mel": 252, "nv": 575, "bkl": 61, None: 123}
    assert sum(groups.values()) == 1011


def test_prepare(release: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = prepare_source(
        SOURCE, release.parent, tmp_path / "out", size=64, progress=lambda *step: steps.append(step)
    )
    assert report.diagnoses == {"nv": 4, "mel": 3, "bkl": 2}
    assert report.notes[0] == "9 lesions, of 888 published ones"
    assert (report.made, report.kept, report.bad) == (9, 0, ())
    assert steps == [(i, 9) for i in range(1, 10)]

    cases = list(read_cases(tmp_path / "out" / "cases.csv", need=["diagnosis"]))
    assert tuple(cases) == report.cases
    first = cases[0]
    assert (first.case_id, first.lesion_id) == ("derm7pt-0001", "derm7pt-0001")
    assert (first.diagnosis, first.fine_diagnosis) == ("mel", "melanoma (in situ)")
    assert first.diagnosis_path == "Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma in situ"
    assert (first.sex, first.site, first.elevation, first.text) == ("female", "back", "flat", None)
    assert list(first.checklist) == list(CRITERIA)
    assert first.extra == {"difficulty": "low", "official_split": "train"}
    assert [c.extra["official_split"] for c in cases[:4]] == ["train", "valid", "test", "train"]
    header = (tmp_path / "out" / "cases.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header == [*COLUMNS, "difficulty", "official_split"], "management would leak the diagnosis"
    for case in cases:
        with Image.open(case.image) as image:
            assert (image.size, image.mode, image.format) == ((64, 64), "RGB", "JPEG")
            assert np.asarray(image).max(axis=2).min() > 40, "the black frame is gone"


def test_all_diagnoses(release: Path, tmp_path: Path) -> None:
    report = prepare_source(SOURCE, release, tmp_path / "out", size=64, flags=["all"])
    assert report.diagnoses == dict(Counter(DIAGNOSES).most_common())
    assert all(case.diagnosis == case.fine_diagnosis for case in report.cases)


def test_an_interrupted_run_is_continued(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    begun, stopped, make = itertools.count(1), threading.Event(), prepare._prepare_image

    def held(job: Any) -> bool | str:
        """Threads run ahead of the report; the last images wait until it was interrupted."""
        if next(begun) > 5:
            stopped.wait(60)
        return make(job)

    def stop(done: int, _: int) -> None:
        if done == 4:
            stopped.set()
            raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "_prepare_image", held)
    monkeypatch.setattr(prepare, "_WORKERS", 2)

    with pytest.raises(KeyboardInterrupt):
        prepare_source(SOURCE, release, out, size=64, progress=stop)
    assert not (out / "cases.csv").exists()
    finished = {path: path.stat().st_mtime_ns for path in (out / "images").glob("*.jpg")}
    assert 4 <= len(finished) < 9
    assert not list(out.rglob(".*")), "no half-written file is left"

    report = prepare_source(SOURCE, release, out, size=64)
    assert (report.made, report.kept) == (9 - len(finished), len(finished))
    assert all(path.stat().st_mtime_ns == before for path, before in finished.items())
    again = prepare_source(SOURCE, release, out, size=64, flags=["all"])
    assert (again.made, again.kept) == (3, 9), "the choice of cases does not change their images"


def test_a_replaced_or_damaged_image_is_made_again(release: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_source(SOURCE, release, out, size=64)
    write_skin(release / "images" / "Nel" / "nel001.jpg", seed=99)
    (out / "images" / "derm7pt-0002.jpg").write_bytes(b"damaged")
    report = prepare_source(SOURCE, release, out, size=64)
    assert (report.made, report.kept) == (2, 7)


def test_images_of_two_kinds_never_mix(release: Path, tmp_path: Path) -> None:
    prepare_source(SOURCE, release, tmp_path / "out", size=64)
    with pytest.raises(PrepareError, match="size was 64 and is now 96"):
        prepare_source(SOURCE, release, tmp_path / "out", size=96)
    (tmp_path / "out" / "prepare.json").write_text("{", encoding="utf-8")
    with pytest.raises(PrepareError, match="damaged"):
        prepare_source(SOURCE, release, tmp_path / "out", size=64)
    (tmp_path / "out" / "prepare.json").unlink()
    with pytest.raises(PrepareError, match=r"no prepare\.json"):
        prepare_source(SOURCE, release, tmp_path / "out", size=64)
    with pytest.raises(PrepareError, match="size is 8"):
        prepare_source(SOURCE, release, tmp_path / "other", size=8)


def test_bad_images_stop_the_table_and_not_the_batch(release: Path, tmp_path: Path) -> None:
    images = release / "images" / "Nel"
    (images / "nel002.jpg").unlink()
    data = (images / "nel004.jpg").read_bytes()
    (images / "nel004.jpg").write_bytes(data[: len(data) // 2])
    (images / "nel005.jpg").write_bytes(b"")

    report = prepare_source(SOURCE, release, tmp_path / "out", size=64)
    assert [bad.case_id for bad in report.bad] == ["derm7pt-0002", "derm7pt-0004", "derm7pt-0005"]
    for bad, reason in zip(report.bad, ("no such image", "truncated", "empty"), strict=True):
        assert reason in bad.reason
        assert "el00" in bad.reason
    assert report.table is None
    assert not (tmp_path / "out" / "cases.csv").exists()

    report = prepare_source(SOURCE, release, tmp_path / "out", size=64, skip_bad=True)
    assert (report.made, report.kept, len(report.bad)) == (0, 6, 3)
    assert len(read_cases(tmp_path / "out" / "cases.csv")) == 6


def test_the_score_is_checked_against_the_releases(release: Path) -> None:
    meta = pd.read_csv(release / "meta" / "meta.csv", dtype=str, keep_default_na=False)
    meta.loc[10, "seven_point_score"] = "11"
    meta.to_csv(release / "meta" / "meta.csv", index=False)
    with pytest.raises(PrepareError, match="case_num 11: seven_point_score is 11, but the checklist gives"):
        read_release(release)
    meta.loc[10, "streaks"] = "wavy"
    meta.to_csv(release / "meta" / "meta.csv", index=False)
    with pytest.raises(PrepareError, match="case_num 11: unknown value 'wavy' for streaks"):
        read_release(release)


def test_what_is_no_release(release: Path, tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match=r"no such folder\. .*http://derm\.cs\.sfu\.ca"):
        read_release(tmp_path / "none")
    with pytest.raises(PrepareError, match=r"not a Derm7pt release: looked for meta/meta\.csv"):
        read_release(release / "images")
    (release / "meta" / "meta.csv").write_text("case_num,diagnosis\n1,nevus\n", encoding="utf-8")
    with pytest.raises(PrepareError, match="missing columns seven_point_score, pigment_network"):
        read_release(release)
    shutil.copy(release / "images" / "Nel" / "nel001.jpg", release / "meta" / "meta.csv")
    with pytest.raises(PrepareError, match="not a readable table"):
        read_release(release)


def test_splits_out_of_range_are_refused(release: Path) -> None:
    (release / "meta" / "test_indexes.csv").write_text("indexes\n12\n", encoding="utf-8")
    with pytest.raises(PrepareError, match="row '12' is out of range"):
        read_release(release)


def test_images_of_one_lesion_share_its_id(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release_v0", ["basal cell carcinoma"] * 36)
    cases = read_release(release, all_diagnoses=True)
    assert cases[35].lesion_id == cases[31].lesion_id == "derm7pt-0032"
    assert len({case.lesion_id for case in cases}) == 35


def test_clinical_photographs_are_pairs_of_the_dermoscopic_ones(release: Path, tmp_path: Path) -> None:
    meta = pd.read_csv(release / "meta" / "meta.csv", dtype=str, keep_default_na=False)
    for row in range(11):
        write_skin(release / "images" / "Nac" / f"nac{row}.jpg", seed=row)
        meta.loc[row, "clinic"] = f"NAC/Nac{row}.JPG"
    meta.loc[2, "clinic"] = "NEL/Nel003.JPG"  # one file for both, as in nine rows of the release
    meta.to_csv(release / "meta" / "meta.csv", index=False)
    report = prepare_source(SOURCE, release, tmp_path / "out", flags=["clinical"], size=64)
    assert len(report.cases) == 9 + 8
    kinds: dict[str | None, set[str | None]] = {}
    for case in report.cases:
        kinds.setdefault(case.image_type, set()).add(case.lesion_id)
        assert case.licence == "academic research"
        assert bool(case.checklist) == (case.image_type == "dermoscopic"), "the criteria are those of dermoscopy"
    assert kinds["clinical: close-up"] < kinds["dermoscopic"]
    with pytest.raises(PrepareError, match=r"leave .+ out"):
        prepare_source(SOURCE, release, tmp_path / "other", [release / "meta" / "meta.csv"])


def test_command(release: Path, tmp_path: Path) -> None:
    done = run("prepare", "derm7pt", release, "--out", tmp_path / "out", "--size", 64)
    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines == [
        "9 cases",
        "4 nv",
        "3 mel",
        "2 bkl",
        "9 images made, 0 kept from before, 0 bad",
        str(tmp_path / "out" / "cases.csv"),
    ]
    assert json.loads((tmp_path / "out" / "prepare.json").read_text(encoding="utf-8"))["size"] == 64
    done = run("prepare", "derm7pt", release, "--out", tmp_path / "out", "--size", 64, "--all")
    assert "12 cases" in done.stdout
    assert "3 images made, 9 kept" in done.stdout


def test_command_with_bad_images(release: Path, tmp_path: Path) -> None:
    (release / "images" / "Nel" / "nel002.jpg").write_bytes(b"no image")
    command = ("prepare", "derm7pt", release, "--out", tmp_path / "out", "--size", 64)
    done = run(*command)
    assert done.exit_code == 1
    assert "bad: derm7pt-0002" in done.stderr
    assert "--skip-bad" in done.stderr
    done = run(*command, "--skip-bad")
    assert done.exit_code == 0
    assert "8 cases" in done.stdout
    assert "1 bad" in done.stdout


def test_command_on_no_release(tmp_path: Path) -> None:
    done = run("prepare", "derm7pt", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "not a Derm7pt release" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()
