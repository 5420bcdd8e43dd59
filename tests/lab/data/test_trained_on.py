"""Fingerprints of training images: copies count, other pictures do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from dermquery.data.case import Case
from dermquery.lab.data.trained_on import check_not_trained_on, fingerprints_of, were_trained_on
from dermquery.model.trained_on import NOTHING, joined, trained_on


def picture(path: Path, seed: int) -> Image.Image:
    """Coarse colours with a blob, as a lesion on skin."""
    rng = np.random.default_rng(seed)
    grid = Image.fromarray(rng.integers(90, 220, (9, 12, 3), dtype=np.uint8))
    coarse = grid.resize((384, 288), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(coarse)
    x, y, r = (int(rng.integers(*ends)) for ends in ((80, 300), (80, 200), (30, 70)))
    draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(v) for v in rng.integers(20, 90, 3)))
    coarse.save(path, quality=95)
    return coarse


@pytest.fixture
def known(tmp_path: Path) -> list[Case]:
    cases = [Case(case_id=f"k{i}", image=tmp_path / f"k{i}.jpg") for i in range(40)]
    for i, case in enumerate(cases):
        picture(case.image, i)
    return cases


def test_copies_count_and_other_pictures_do_not(tmp_path: Path, known: list[Case]) -> None:
    held = fingerprints_of(known)
    copies = []
    for i, case in enumerate(known[:12]):
        image = Image.open(case.image).convert("RGB")
        path = tmp_path / f"copy{i}.{'png' if i % 2 else 'jpg'}"
        if i % 4 == 0:
            image.save(path, quality=50)
        elif i % 4 == 1:
            image.resize((150, 112)).save(path)
        elif i % 4 == 2:
            framed = Image.new("RGB", (480, 384), "black")
            framed.paste(image, (48, 48))
            framed.save(path, quality=90)
        else:
            ImageEnhance.Brightness(image).enhance(1.03).save(path)
        copies.append(Case(case_id=path.name, image=path))
    assert were_trained_on(held, copies).all()
    others = [Case(case_id=f"o{i}", image=tmp_path / f"o{i}.jpg") for i in range(30)]
    for i, case in enumerate(others):
        picture(case.image, 1000 + i)
    assert not were_trained_on(held, others).any()
    assert not were_trained_on(NOTHING, others).any()


def test_near_is_a_count_of_bits() -> None:
    rng = np.random.default_rng(0)
    known = rng.integers(0, 256, (50, 32), dtype=np.uint8)
    bits = np.unpackbits(known[7])
    for flipped in (39, 40, 41):
        changed = bits.copy()
        changed[rng.choice(256, flipped, replace=False)] ^= 1
        assert trained_on(known, [np.packbits(changed).tobytes().hex()])[0] == (flipped <= 40)


def test_cases_that_were_trained_on_are_refused_by_name(known: list[Case]) -> None:
    with pytest.raises(ValueError, match=r"3 of the 5 test cases of fold 0 were trained on by 'm', 'k0' for one"):
        check_not_trained_on("m", fingerprints_of(known[:3]), known[:5], "test cases of fold 0")
    check_not_trained_on("m", fingerprints_of(known[:3]), known[3:], "test cases of fold 0")


def test_generations_are_joined(known: list[Case]) -> None:
    first, second = fingerprints_of(known[:5]), fingerprints_of(known[3:9])
    both = fingerprints_of(known[3:9], first)
    assert were_trained_on(both, known).tolist() == [i < 9 for i in range(len(known))]
    np.testing.assert_array_equal(both, joined([], first, second))
    assert len(np.unique(both, axis=0)) == len(both)
