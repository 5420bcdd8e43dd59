"""MILK10k: 5,240 lesions, each with a dermoscopic image and a clinical close-up, and 479 for tests.

Classes are told for each lesion, the full diagnosis for each image. The challenge's tables and the archive's merged one
are both read. ``skin_tone_class`` is a scale of its own, 0 very dark to 5 very light, the reverse of Fitzpatrick's.
The ``MONET_`` columns were made by a model and are kept beside the case, never encoded.
"""

from __future__ import annotations

from dermquery.data.sources.isic_archive import ARCHIVE_COLUMNS, refine_archive
from dermquery.data.sources.tables import Layout, Part, Row, TableSource

__all__ = ["SOURCE"]

_LESIONS = {
    "BCC": 2522, "NV": 746, "BKL": 544, "SCCKA": 473, "MEL": 450, "AKIEC": 303, "DF": 52, "INF": 50, "VASC": 47,
    "BEN_OTH": 44, "MAL_OTH": 9,
}  # fmt: skip
_COLUMNS = tuple(sorted(_LESIONS))


def _refine(row: Row) -> None:
    if tone := row.pop("skin_tone_class", ""):
        row["skin_type"] = f"MILK10k {tone}"
    klass = row.get("diagnosis")
    refine_archive(row)
    if klass:
        row["diagnosis"] = klass


SOURCE = TableSource(
    name="milk10k",
    title="MILK10k: 5,240 + 479 pairs of a dermoscopic and a clinical image, eleven classes.",
    layouts=(
        Layout(("isic_id", "lesion_id", "image_type", "skin_tone_class"), ARCHIVE_COLUMNS),
        Layout(("lesion_id", *_COLUMNS), classes=_COLUMNS, key="lesion_id", needed=False),
        Layout(("isic_id", "diagnosis_full"), {**ARCHIVE_COLUMNS, "diagnosis_full": "fine_diagnosis"}, needed=False),
    ),
    constants={"source": "MILK10k"},
    refine=_refine,
    parts={
        "training": Part(10_480, {name: 2 * count for name, count in _LESIONS.items()}),
        "test": Part(958),
    },
)  # fmt: skip
