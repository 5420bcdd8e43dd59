"""HAM10000 (Tschandl et al. 2018): 10,015 images of 7,470 lesions, as Harvard's Dataverse and Kaggle have them.

Several images can show one lesion, so ``lesion_id`` is kept: without it a search of this set finds its own query.
"""

from __future__ import annotations

from dermquery.data.sources.tables import Layout, Part, TableSource

__all__ = ["CLASSES", "SOURCE", "TERMS"]

CLASSES = {"nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115}
TERMS = {
    "licence": "CC-BY-NC",
    "attribution": "ViDIR Group, Department of Dermatology, Medical University of Vienna",
}

SOURCE = TableSource(
    name="ham10000",
    title="HAM10000: 10,015 dermoscopic images, seven classes.",
    layouts=(
        Layout(
            ("lesion_id", "image_id", "dx", "dx_type"),
            {"image_id": "case_id", "dx": "class", "dx_type": "confirmed_by", "localization": "site", "dataset": ""},
        ),
    ),
    constants={"source": "HAM10000", "image_type": "dermoscopic", **TERMS},
    parts={"metadata": Part(10_015, CLASSES)},
)  # fmt: skip
