"""PAD-UFES-20 (Pacheco et al. 2020): 2,298 clinical photographs by smartphones, 58 % confirmed by biopsy."""

from __future__ import annotations

import math

from dermquery.data.sources.tables import Layout, Part, Row, TableSource

__all__ = ["SOURCE"]

_CONFIRMED_BY = {"true": "histopathology", "false": "single image expert consensus"}
_ELEVATION = {"true": "elevated", "false": "flat"}


def _number(cell: str) -> float:
    """A word counts as greatest, so that it is taken and named as no number."""
    try:
        return float(cell)
    except ValueError:
        return math.inf


def _refine(row: Row) -> None:
    row["image"] = row["case_id"]
    row["case_id"] = row["case_id"].removesuffix(".png")
    for name in [name for name, word in row.items() if word == "UNK"]:
        del row[name]
    if skin := row.pop("fitspatrick", ""):
        row["skin_type"] = f"Fitzpatrick {skin}"
    if widths := [row[name] for name in ("diameter_1", "diameter_2") if row.get(name, "0") not in ("0", "0.0")]:
        row["diameter_mm"] = max(widths, key=_number)
    if biopsy := _CONFIRMED_BY.get(row.pop("biopsed", "").lower()):
        row["confirmed_by"] = biopsy
    if elevation := _ELEVATION.get(row.pop("elevation", "").lower()):
        row["elevation"] = elevation


SOURCE = TableSource(
    name="pad-ufes-20",
    title="PAD-UFES-20: 2,298 clinical photographs by smartphones, six classes.",
    layouts=(
        Layout(
            ("img_id", "patient_id", "lesion_id", "diagnostic", "biopsed"),
            {"img_id": "case_id", "diagnostic": "class", "gender": "sex", "region": "site"},
        ),
    ),
    constants={
        "source": "PAD-UFES-20", "image_type": "clinical: close-up", "licence": "CC-BY",
        "attribution": "Pacheco et al., Federal University of Espírito Santo (doi 10.17632/zr7vgbcyr2)",
    },
    refine=_refine,
    parts={"metadata": Part(2_298, {"ACK": 730, "BCC": 845, "MEL": 52, "NEV": 244, "SCC": 192, "SEK": 235})},
)  # fmt: skip
