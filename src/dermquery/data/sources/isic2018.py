"""ISIC 2018, task 3: the images of HAM10000 for training, and two further parts; classes in one-hot columns."""

from __future__ import annotations

from dermquery.data.sources.ham10000 import CLASSES, TERMS
from dermquery.data.sources.tables import Layout, Part, TableSource

__all__ = ["SOURCE"]

_COLUMNS = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")

SOURCE = TableSource(
    name="isic2018",
    title="ISIC 2018 task 3: 10,015 + 193 + 1,512 dermoscopic images, seven classes.",
    layouts=(
        Layout(("image", *_COLUMNS), {"image": "case_id"}, classes=_COLUMNS),
        Layout(
            ("image", "lesion_id", "diagnosis_confirm_type"),
            {"image": "case_id", "diagnosis_confirm_type": "confirmed_by"},
            needed=False,
        ),
    ),
    constants={"source": "ISIC 2018", "image_type": "dermoscopic", **TERMS},
    parts={
        "training": Part(10_015, {name.upper(): count for name, count in CLASSES.items()}),
        "validation": Part(193),
        "test": Part(1_512),
    },
)
