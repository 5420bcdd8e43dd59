"""HAM10000 (Tschandl et al. 2018) and other releases in the ISIC layout: one folder of images and one table.

The table has ``lesion_id, image_id, dx, dx_type, age, sex, localization``; images are ``<image_id>.jpg`` anywhere below
the folder. The images are CC BY-NC. Several images can show one lesion, so ``lesion_id`` is kept: without it a search
of this set finds its own query.
"""

from __future__ import annotations

import math
from pathlib import Path

from dermquery.data.case import MAX_AGE, Case
from dermquery.data.names import alike
from dermquery.data.sources.prepare import PrepareError, PrepareReport, Progress, prepare_cases, read_records

__all__ = ["prepare_ham10000", "read_ham10000"]

_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
_SITES = {
    "head neck": ("scalp", "face", "ear", "neck"),
    "upper limbs": ("upper extremity",),
    "lower limbs": ("lower extremity",),
    "acral": ("acral",),
    "genital areas": ("genital",),
    "chest": ("chest",),
    "back": ("back",),
    "abdomen": ("abdomen",),
}
_SITE_OF = {theirs: ours for ours, names in _SITES.items() for theirs in names}
_ENDINGS = {".jpg", ".jpeg", ".png"}


def prepare_ham10000(
    images: Path,
    metadata: Path,
    out: Path,
    *,
    size: int | None = None,
    crop: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Prepare a release in the ISIC layout; see :func:`~dermquery.data.sources.prepare.prepare_cases`.

    Raises:
        PrepareError: if the folder or the table is missing or has another layout.
    """
    cases = read_ham10000(images, metadata)
    return prepare_cases(cases, out, source="ham10000", size=size, crop=crop, skip_bad=skip_bad, progress=progress)


def read_ham10000(images: Path, metadata: Path) -> list[Case]:
    """Cases of the table, with :attr:`Case.image` in the folder.

    ``dx`` is both diagnosis and fine diagnosis (akiec, bcc, bkl, df, mel, nv, vasc); how it was confirmed is kept as
    ``confirmed_by`` in ``extra``. Sites are named as in Derm7pt where they plainly are the same ("trunk", "hand" and
    "foot" stay as they are).

    Raises:
        PrepareError: if the folder or the table is missing or has another layout, or a row has an impossible value.
    """
    if not images.is_dir():
        raise PrepareError(f"{images}: no such folder; give the folder of the images")
    rows = read_records(metadata, _COLUMNS, "give HAM10000_metadata.csv as it was published")
    on_disk = {alike(path.stem): path for path in images.rglob("*") if path.suffix.lower() in _ENDINGS}
    try:
        return [_case(row, on_disk.get(alike(row["image_id"]), images / f"{row['image_id']}.jpg")) for row in rows]
    except ValueError as error:
        raise PrepareError(f"{metadata}: {error}") from error


def _case(row: dict[str, str], image: Path) -> Case:
    site = row["localization"]
    age = _age(row)
    return Case(
        case_id=row["image_id"],
        image=image,
        diagnosis=row["dx"] or None,
        fine_diagnosis=row["dx"] or None,
        lesion_id=row["lesion_id"] or None,
        sex=row["sex"] if row["sex"] in ("male", "female") else None,
        age=age,
        site=None if site in ("", "unknown") else _SITE_OF.get(site, site),
        source="HAM10000",
        confirmed_by=row["dx_type"] or None,
    )


def _age(row: dict[str, str]) -> float | None:
    if not row["age"]:
        return None
    try:
        age = float(row["age"])
    except ValueError:
        age = math.nan
    if not 0 <= age <= MAX_AGE:
        raise ValueError(
            f"image_id {row['image_id']!r}: age {row['age']!r} is not a number from 0 to {MAX_AGE:.0f}; leave it empty"
        )
    return age
