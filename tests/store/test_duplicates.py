from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Case
from dermquery.data.case_table import read_cases, write_cases
from dermquery.data.image import load_image
from dermquery.data.perceptual_hash import NEAR, perceptual_hash
from dermquery.lab.synthetic import synthesize
from dermquery.store.casebase import CaseBase
from dermquery.store.duplicates import find_duplicates
from dermquery.store.ingest import Repeat
from dermquery.store.protocol import ImageStamp, StoredCase
from tests.store.encoder import ProjectionEncoder


def row(name: str, sha: str, phash: str, **fields: str) -> StoredCase:
    case = Case(case_id=name, image=Path(f"/{name}.png"), **fields)
    return StoredCase(case, np.zeros(0, np.float32), ImageStamp(sha, 1, 1, phash))


def hashed(bits: int) -> str:
    return f"{(1 << bits) - 1:064x}"


def test_groups_and_their_conflicts() -> None:
    rows = [
        row("d", "1", hashed(0), diagnosis="mel", lesion_id="l"),
        row("a", "1", hashed(0), diagnosis="nv", lesion_id="l"),
        row("b", "2", hashed(100)),
        row("c", "3", hashed(130)),
        row("e", "4", hashed(200)),
    ]
    exact, near = find_duplicates(rows)
    assert (exact.kind, [case.case_id for case in exact.cases], exact.conflicts) == (
        "exact",
        ["a", "d"],
        ("diagnosis",),
    )
    assert (near.kind, [case.case_id for case in near.cases], near.conflicts) == ("near", ["b", "c"], ())
    assert len(find_duplicates(rows, near=0)) == 1
    assert find_duplicates([]) == []
    with pytest.raises(ValueError, match="near must lie between 0 and 60 bits, got 61"):
        find_duplicates(rows, near=61)


@given(st.lists(st.integers(0, 2**24 - 1), min_size=2, max_size=25), st.integers(0, 60))
def test_linking_agrees_with_all_pairs(values: list[int], near: int) -> None:
    spread = [sum(((value >> i) & 1) * (0x3FF << 10 * i) for i in range(24)) for value in values]
    rows = [row(f"{i:02}", f"{i}", f"{value:064x}") for i, value in enumerate(spread)]
    groups = [{i} for i in range(len(values))]
    for one, other in combinations(range(len(values)), 2):
        if (spread[one] ^ spread[other]).bit_count() <= near:
            left, right = (next(group for group in groups if i in group) for i in (one, other))
            if left is not right:
                groups.remove(right)
                left |= right
    found = [{int(case.case_id) for case in group.cases} for group in find_duplicates(rows, near=near)]
    assert sorted(map(sorted, found)) == sorted(sorted(group) for group in groups if len(group) > 1)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    table = synthesize(tmp_path_factory.mktemp("rendered"), n=12, seed=3, size=(192, 128))
    return list(read_cases(table).cases)


def test_the_hash_knows_a_picture_again_and_tells_others_apart(rendered: list[Case], tmp_path: Path) -> None:
    hashes = []
    for case in rendered:
        image = load_image(case.image)
        image.save(tmp_path / "again.jpg", quality=60)
        smaller = image.resize((150, 100))
        versions = [perceptual_hash(version) for version in (image, load_image(tmp_path / "again.jpg"), smaller)]
        assert all((int(versions[0], 16) ^ int(v, 16)).bit_count() <= NEAR for v in versions[1:])
        hashes.append(int(versions[0], 16))
    apart = [(one ^ other).bit_count() for one, other in combinations(hashes, 2)]
    assert min(apart) > NEAR


def test_the_hash_is_that_of_imagehash(rendered: list[Case]) -> None:
    """For lesions, photographs, noise and stripes, long and short."""
    rng = np.random.default_rng(0)
    images = [load_image(case.image) for case in rendered]
    images += [Image.fromarray(getattr(skimage.data, name)()) for name in ("astronaut", "coffee", "camera", "page")]
    for count in range(300):
        pixels = rng.integers(0, 256, (*rng.integers(16, 90, 2), 3), dtype=np.uint8)
        images.append(Image.fromarray(pixels.repeat(1 + count % 7, axis=count % 2)))
    for image in images:
        assert perceptual_hash(image) == str(imagehash.phash(image, hash_size=16))


@pytest.mark.parametrize("colour", ["black", "white", (200, 150, 130)])
def test_the_hash_of_plain_pictures(colour: str | tuple[int, int, int]) -> None:
    """All coefficients but one are zero, not noise around it."""
    image = Image.new("RGB", (256, 256), colour)
    assert perceptual_hash(image) == str(imagehash.phash(image, hash_size=16))


def test_an_image_that_the_base_held_before_is_counted(rendered: list[Case], tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    assert base.add(rendered[:2]).repeated == 0
    again = [rendered[0].model_copy(update={"case_id": "again"}), rendered[2]]
    report = base.add(again)
    assert (report.repeated, report.repeats) == (1, (Repeat("again", rendered[0].case_id),))
    assert list(report.to_dict()["repeats"]) == [{"case_id": "again", "same_image_as": rendered[0].case_id}]
    assert base.add([*rendered[:2], *again]).repeated == 0, "nothing is new"
    held = rendered[0].model_copy(update={"site": "scalp"})
    report = base.add([rendered[0].model_copy(update={"case_id": "third"}), held])
    assert report.repeats == (Repeat("third", "again"), Repeat(held.case_id, "again"))


def test_index_names_the_first_cases_of_an_image_that_is_there(rendered: list[Case], tmp_path: Path) -> None:
    CaseBase.create(tmp_path / "base", ProjectionEncoder()).add(rendered[:1])
    again = [rendered[0].model_copy(update={"case_id": f"again-{i}"}) for i in range(7)]
    write_cases(again, tmp_path / "again.csv")
    options = ["--base", str(tmp_path / "base"), "--model", "demo", "--dry-run"]
    said = CliRunner().invoke(app, ["index", str(tmp_path / "again.csv"), *options])
    assert said.exit_code == 0, said.output
    assert "7 images occur in the base already" in said.stdout
    assert f"again-4: the image of {rendered[0].case_id}\n    and 2 more" in said.stdout
    assert "again-5" not in said.stdout


def test_from_the_command_line(rendered: list[Case], tmp_path: Path) -> None:
    copies = [rendered[0].model_copy(update={"case_id": "copy", "diagnosis": "other", "image": tmp_path / "copy.png"})]
    shutil.copy(rendered[0].image, copies[0].image)
    copies.append(rendered[1].model_copy(update={"case_id": "near", "image": tmp_path / "near.jpg"}))
    load_image(rendered[1].image).save(copies[1].image, quality=70)
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    report = base.add([*rendered, *copies])
    assert report.repeated == 1
    said = CliRunner().invoke(app, ["base", "duplicates", str(tmp_path / "base")])
    assert said.exit_code == 0, said.output
    assert "2 groups" in said.stdout
    assert f"exact copy, {rendered[0].case_id}; different diagnosis" in said.stdout
    assert f"near  near, {rendered[1].case_id}" in said.stdout
    told = CliRunner().invoke(app, ["base", "duplicates", str(tmp_path / "base"), "--near", "0", "--json"])
    groups = json.loads(told.stdout)
    assert [(group["kind"], group["conflicts"]) for group in groups] == [("exact", ["diagnosis"])]
    with Image.open(groups[0]["cases"][0]["image"]) as image:
        assert image.size == (192, 128)
