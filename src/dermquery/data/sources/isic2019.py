"""ISIC 2019: 25,331 training images, all of HAM10000 among them, and 8,238 for tests.

2,074 images are called ``ISIC_0000001_downsampled``: the case is ISIC_0000001, as in every other release.
"""

from __future__ import annotations

from dermquery.data.sources.ham10000 import TERMS
from dermquery.data.sources.tables import Layout, Part, Row, TableSource

__all__ = ["SOURCE"]

_COUNTS = {"MEL": 4522, "NV": 12875, "BCC": 3323, "AK": 867, "BKL": 2624, "DF": 239, "VASC": 253, "SCC": 628}
_COLUMNS = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
_OWNERS = {
    "HAM": TERMS["attribution"],
    "BCN": "Department of Dermatology, Hospital Clínic de Barcelona",
    "MSK4": "Anonymous",
}


def _refine(row: Row) -> None:
    row["image"] = row["case_id"]
    row["case_id"] = row["case_id"].removesuffix("_downsampled")
    if owner := _OWNERS.get(row.get("lesion_id", "").partition("_")[0]):
        row["attribution"] = owner


SOURCE = TableSource(
    name="isic2019",
    title="ISIC 2019: 25,331 + 8,238 dermoscopic images, eight classes.",
    layouts=(
        Layout(
            ("image", "age_approx", "anatom_site_general"),
            {"image": "case_id", "age_approx": "age", "anatom_site_general": "site", "gender": "sex"},
        ),
        Layout(
            ("image", *_COLUMNS[:-1]),
            {"image": "case_id", "score_weight": "", "validation_weight": ""},
            classes=_COLUMNS,
            needed=False,
        ),
    ),
    constants={
        "source": "ISIC 2019", "image_type": "dermoscopic", "licence": "CC-BY-NC",
        "attribution": "ISIC 2019 challenge: BCN20000, HAM10000 and MSK",
    },
    refine=_refine,
    parts={"training": Part(25_331, _COUNTS), "test": Part(8_238)},
)  # fmt: skip
