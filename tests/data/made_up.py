"""Small made-up images and data sets with the real folder trees."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermquery.data.checklist import CRITERIA, seven_point_score

SKIN = (214, 170, 140)
Pixels = NDArray[np.uint8]


def skin(width: int = 192, height: int = 128, seed: int = 0) -> Pixels:
    """Textured skin with an irregular dark lesion in the middle, (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - height / 2, x - width / 2)
    edge = 0.22 * height * (1 + 0.2 * np.sin(3 * angle + seed) + 0.1 * np.sin(7 * angle))
    inside = np.hypot(y - height / 2, x - width / 2) < edge
    pixels = np.where(inside[..., None], (96, 58, 44), SKIN) + rng.normal(0, 6, (height, width, 1))
    return pixels.clip(0, 255).astype(np.uint8)


def write_skin(path: Path, seed: int = 0, width: int = 192, height: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(skin(width, height, seed)).save(path)
    return path


DIAGNOSES = (
    "melanoma (in situ)",
    "melanoma metastasis",
    "melanoma",
    "clark nevus",
    "reed or spitz nevus",
    "blue nevus",
    "clark nevus",
    "seborrheic keratosis",
    "melanosis",
    "basal cell carcinoma",
    "lentigo",
    "vascular lesion",
)


def write_release(root: Path, diagnoses: Sequence[str] = DIAGNOSES) -> Path:
    """A Derm7pt ``release_v0`` with made-up images: framed in black, named in another case than the table says."""
    meta = root / "meta"
    meta.mkdir(parents=True)
    rng = np.random.default_rng(5)
    rows: list[dict[str, object]] = []
    for number, diagnosis in enumerate(diagnoses, start=1):
        checklist = {name: str(rng.choice(criterion.values)) for name, criterion in CRITERIA.items()}
        pixels = np.zeros((128, 192, 3), np.uint8)
        pixels[8:-8, 12:-12] = skin(168, 112, seed=number)
        image = root / "images" / "Nel" / f"nel{number:03d}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(image, quality=95)
        rows.append(
            {
                "case_num": number,
                "diagnosis": diagnosis,
                "seven_point_score": seven_point_score(checklist),
                **checklist,
                "level_of_diagnostic_difficulty": "low",
                "elevation": "flat",
                "location": "back",
                "sex": "female" if number % 2 else "male",
                "management": "excision",
                "clinic": "",
                "derm": f"NEL/Nel{number:03d}.JPG",
                "case_id": "",
                "notes": "",
            }
        )
    write_csv(meta / "meta.csv", rows)
    for offset, split in enumerate(("train", "valid", "test")):
        write_csv(meta / f"{split}_indexes.csv", [{"indexes": i} for i in range(offset, len(rows), 3)])
    return root


def write_csv(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
