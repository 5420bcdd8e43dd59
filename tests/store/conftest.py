from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase
from tests.store.encoder import ProjectionEncoder

_DIAGNOSES = ("nv", "mel", "bkl", None)
_SITES = ("back", "chest", "upper limbs", None)
_NETWORKS = ("typical", "atypical", "absent", None)


def draw_lesion(path: Path, seed: int, size: int = 48) -> Path:
    """A plain blob on a plain ground, different for every seed."""
    rng = np.random.default_rng(seed)
    skin, pigment = rng.integers(150, 240, 3), rng.integers(20, 140, 3)
    image = Image.new("RGB", (size, size), tuple(int(v) for v in skin))
    left, top, right, bottom = (int(v) for v in rng.integers(size // 10, size // 3, 4))
    fill = tuple(int(v) for v in pigment)
    ImageDraw.Draw(image).ellipse((left, top, size - right, size - bottom), fill=fill)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def make_cases(folder: Path, n: int) -> list[Case]:
    """Cases with every field given for some and missing for others."""
    cases = []
    for i in range(n):
        network = _NETWORKS[i % 4]
        checklist = {"streaks": "irregular" if i % 3 else "absent"} | ({"pigment_network": network} if network else {})
        cases.append(
            Case(
                case_id=f"case-{i:03d}",
                image=draw_lesion(folder / "images" / f"{i:03d}.png", i),
                diagnosis=_DIAGNOSES[i % 4],
                fine_diagnosis="clark nevus" if i % 4 == 0 else None,
                lesion_id=f"lesion-{i // 2}",
                patient_id=f"patient-{i // 4}" if i % 5 else None,
                sex=("female", "male", None)[i % 3],
                age=None if i % 6 == 0 else float(20 + i % 60),
                site=_SITES[(i // 2) % 4],
                text="raised border" if i % 2 else None,
                checklist=checklist,
                extra={"camera": f"model {i}", "note": 'quote " and \u2028 line'},
            )
        )
    return cases


@pytest.fixture
def encoder() -> ProjectionEncoder:
    return ProjectionEncoder()


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Case]:
    return make_cases(tmp_path_factory.mktemp("cases"), 24)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, cases: Sequence[Case]) -> CaseBase:
    """An indexed base that no test may change."""
    filled = CaseBase.create(tmp_path_factory.mktemp("base") / "base", ProjectionEncoder())
    filled.add(cases, batch_size=7)
    return filled
