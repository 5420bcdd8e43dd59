"""A base of prepared images knows the very files that were prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dermquery.data.case_table import read_cases
from dermquery.data.image import load_image
from dermquery.data.sources.folder import prepare_folder
from dermquery.store.casebase import CaseBase
from tests.data.colour_profiles import rgb_profile
from tests.store.conftest import draw_lesion
from tests.store.encoder import ProjectionEncoder

ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PHOTOGRAPHS = ("plain.jpg", "camera.jpg", "turned.jpg", "profile.jpg", "screen.png", "scan.tif", "grey.jpg")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[CaseBase, Path]:
    folder = tmp_path_factory.mktemp("photographs")
    exif = Image.Exif()
    exif[0x010F] = "Some camera"
    turned = Image.Exif()
    turned[0x0112] = 6
    more: dict[str, dict[str, Any]] = {
        "camera.jpg": {"exif": exif},
        "turned.jpg": {"exif": turned},
        "profile.jpg": {"icc_profile": rgb_profile(ADOBE)},
    }
    (folder / "in").mkdir()
    for number, name in enumerate(PHOTOGRAPHS):
        with Image.open(draw_lesion(folder / "drawn.png", number)) as image:
            picture = image.convert("L" if name == "grey.jpg" else "RGB")
        picture.save(folder / "in" / name, **more.get(name, {}))
    prepare_folder(folder / "in", folder / "out")
    made = CaseBase.create(folder / "base", ProjectionEncoder(), reference="0")
    made.add(read_cases(folder / "out" / "cases.csv"))
    return made, folder


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_file_that_was_prepared_is_known(base: tuple[CaseBase, Path], name: str) -> None:
    made, folder = base
    source, own = folder / "in" / name, (Path(name).stem,)
    assert made.encode(source).same == made.encode(source.read_bytes()).same == own
    assert made.encode(load_image(source), file=source.read_bytes()).same == own
    assert made.encode(folder / "out" / "images" / f"{own[0]}.jpg").same == own, "and so is what it became"
    hits = made.search(image=source, top_k=3).hits
    assert [hit.case.case_id for hit in hits if hit.same_image] == [*own]


def test_another_file_of_the_picture_is_another(base: tuple[CaseBase, Path]) -> None:
    made, folder = base
    with Image.open(folder / "in" / "plain.jpg") as image:
        image.save(folder / "again.jpg", quality=60)
    assert made.encode(folder / "again.jpg").same == ()
    assert made.encode(load_image(folder / "in" / "plain.jpg")).same == (), "of decoded pixels nobody knows the file"


def test_many_searches_know_jpegs_that_stay_as_they_were_encoded(base: tuple[CaseBase, Path]) -> None:
    made, folder = base
    names = ("plain.jpg", "camera.jpg", "grey.jpg")
    assert [one.same for one in made.encode_many([folder / "in" / name for name in names])] == [
        (Path(name).stem,) for name in names
    ]
