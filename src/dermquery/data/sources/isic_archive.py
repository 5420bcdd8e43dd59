"""The ISIC Archive: folders of ``isic image download`` and snapshots of collections.

The licence is that of each image. Fields that a collection lacks are missing columns; the site and the diagnosis are
told level by level (``diagnosis_1`` … ``diagnosis_5``), in older tables in one word.
"""

from __future__ import annotations

from dermquery.data.sources.tables import Layout, Row, TableSource
from dermquery.data.vocabulary.diagnoses import DIAGNOSES

__all__ = ["ARCHIVE_COLUMNS", "SOURCE", "refine_archive"]

ARCHIVE_COLUMNS = {
    "isic_id": "case_id", "copyright_license": "licence", "age_approx": "age", "diagnosis_confirm_type": "confirmed_by",
    "clin_size_long_diam_mm": "diameter_mm", "mel_thick_mm": "breslow_mm", "diagnosis": "fine_diagnosis",
}  # fmt: skip
_LEVELS = range(1, 6)
_PLACES = ("anatom_site_general", "anatom_site_special")
_LIGHT = {
    "contact polarized": ("contact", "polarised"),
    "contact non-polarized": ("contact", "non-polarised"),
    "non-contact polarized": ("non-contact", "polarised"),
}


def refine_archive(row: Row) -> None:
    """Join the levels of diagnosis and site, and take kinds of light and of skin apart."""
    if path := ":".join(level for n in _LEVELS if (level := row.pop(f"diagnosis_{n}", ""))):
        row["diagnosis_path"] = path
        row.setdefault("fine_diagnosis", path.rpartition(":")[2])
        if group := DIAGNOSES.group(path):
            row["diagnosis"] = group
    levels = [level for n in _LEVELS if (level := row.pop(f"anatom_site_{n}", ""))]
    places = [place for name in _PLACES if (place := row.pop(name, ""))]
    if (levels or places) and "site" not in row:
        row["site"] = ":".join(levels) if levels else places[0]
        row |= {"site_special": places[-1]} if len(places) > 1 else {}
    if light := _LIGHT.get(row.get("dermoscopic_type", "")):
        row["contact"], row["polarisation"] = light
        del row["dermoscopic_type"]
    if skin := row.pop("fitzpatrick_skin_type", ""):
        row["skin_type"] = f"Fitzpatrick {skin}"


SOURCE = TableSource(
    name="isic-archive",
    title="The ISIC Archive: folders of isic-cli, and snapshots of collections.",
    layouts=(Layout(("isic_id", "copyright_license"), ARCHIVE_COLUMNS),),
    constants={"source": "ISIC Archive"},
    refine=refine_archive,
)
