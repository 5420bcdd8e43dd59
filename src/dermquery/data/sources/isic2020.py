"""ISIC 2020 (SIIM-ISIC): 33,126 training images of 2,056 patients, and 10,982 for tests.

Its list of 425 pairs that show one image is used where it lies beside the table: the second of each is left out.
Most images are only known to be benign; those have no label, and "Benign" as their place in the hierarchy.
"""

from __future__ import annotations

from dermquery.data.sources.tables import Layout, Part, Row, TableSource

__all__ = ["SOURCE"]

_COUNTS = {
    "unknown": 27_124, "nevus": 5_193, "melanoma": 584, "seborrheic keratosis": 135, "lentigo NOS": 44,
    "lichenoid keratosis": 37, "solar lentigo": 7, "cafe-au-lait macule": 1, "atypical melanocytic proliferation": 1,
}  # fmt: skip


def _refine(row: Row) -> None:
    if "fine_diagnosis" not in row:
        row["diagnosis_path"] = row.get("benign_malignant", "").capitalize()


SOURCE = TableSource(
    name="isic2020",
    title="ISIC 2020 (SIIM-ISIC): 33,126 + 10,982 dermoscopic images of 2,056 patients.",
    layouts=(
        Layout(
            ("image_name", "patient_id", "anatom_site_general_challenge"),
            {
                "image_name": "case_id", "age_approx": "age", "anatom_site_general_challenge": "site",
                "diagnosis": "class", "target": "", "width": "", "height": "", "tfrecord": "",
            },
        ),
    ),
    constants={
        "source": "ISIC 2020", "image_type": "dermoscopic", "licence": "CC-BY-NC",
        "attribution": "ISIC 2020 challenge dataset (doi 10.34970/2020-ds01), ISDIS, 2020",
    },
    refine=_refine,
    parts={"train": Part(33_126, _COUNTS), "test": Part(10_982)},
    duplicates=("image_name_1", "image_name_2"),
)  # fmt: skip
