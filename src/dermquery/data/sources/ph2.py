"""PH2 (Mendonça et al. 2013): 200 dermoscopic images with dermoscopic criteria, 41 with histology.

The table comes as ``PH2_dataset.txt``, columns between bars and a legend below, and as ``PH2_dataset.xlsx``, the legend
above and a column for each colour and diagnosis; the text is taken if both are there. Criteria are told in the words of
the seven-point checklist where those say the same: regression has no colour here, and streaks that are merely present
no kind, so these two are kept beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dermquery.data.rows import CaseTableError, read_rows
from dermquery.data.sheets import SHEET_SUFFIXES
from dermquery.data.sources.tables import Layout, NamedTable, Part, Row, TableSource
from dermquery.data.table_text import NotTextError, table_text

__all__ = ["SOURCE"]

_CLASSES = ("Common Nevus", "Atypical Nevus", "Melanoma")
_COLOURS = ("white", "red", "light brown", "dark brown", "blue gray", "black")
_CRITERIA = ("asymmetry", "pigment_network", "dots_and_globules", "streaks", "regression", "blue_whitish_veil")
_TEXT = ("case_id", "histology", "class", *_CRITERIA, "colours")
_SHEET = ("case_id", "histology", *_CLASSES, *_CRITERIA, *_COLOURS)
_NAME = re.compile(r"IMD\d+")
_KINDS = {"A": "absent", "T": "regular", "AT": "irregular"}
_PRESENT = {"A": "absent", "P": "present"}


def _refine(row: Row) -> None:
    if histology := row.get("histology"):
        row["confirmed_by"] = "histopathology"
        row["histology"] = histology.lower()
    if row.get("streaks") == "P":
        row["streaks_present"] = "yes"
        row["streaks"] = ""


@dataclass(frozen=True)
class _Ph2(TableSource):
    def find_tables(self, files: Sequence[Path]) -> list[Path]:
        named = [path for path in files if path.stem.casefold() == "ph2_dataset"]
        return sorted(path for path in named if path.suffix.lower() in (".txt", *SHEET_SUFFIXES))[:1]

    def read_table(self, path: Path) -> NamedTable:
        rows = _from_sheet(path) if path.suffix.lower() in SHEET_SUFFIXES else _from_text(path)
        if not rows:
            raise CaseTableError(f"{path}: no row begins with the name of an image, such as IMD003; is it of PH2?")
        return NamedTable(path, self.layouts[0], "line", "", rows, [])


def _from_text(path: Path) -> list[tuple[int, Row]]:
    try:
        lines = table_text(path.read_bytes()).text.splitlines()
    except NotTextError as error:
        raise CaseTableError(f"{path}: {error}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in re.split(r"\|+", line)][1:-1]
        if cells and _NAME.fullmatch(cells[0]):
            if len(cells) != len(_TEXT):
                raise CaseTableError(
                    f"{path}: line {number} has {len(cells)} columns, not {len(_TEXT)}; take it as published"
                )
            row = {name: cell for name, cell in zip(_TEXT, cells, strict=True) if cell}
            row["class"] = dict(zip("012", _CLASSES, strict=True)).get(row.get("class", ""), row.get("class", ""))
            places = [int(place) for place in re.findall(r"[1-6]", row.get("colours", ""))]
            row["colours"] = ", ".join(_COLOURS[place - 1] for place in places)
            rows.append((number, row))
    return rows


def _from_sheet(path: Path) -> list[tuple[int, Row]]:
    rows = []
    for number, cells in read_rows(path).numbered:
        if not _NAME.fullmatch(cells[0]):
            continue
        marked = dict(zip(_SHEET, cells, strict=False))
        row = {name: cell for name, cell in marked.items() if cell and name not in (*_CLASSES, *_COLOURS)}
        row["class"] = next((name for name in _CLASSES if marked.get(name)), "")
        row["colours"] = ", ".join(name for name in _COLOURS if marked.get(name))
        rows.append((number, row))
    return rows


SOURCE = _Ph2(
    name="ph2",
    title="PH2: 200 dermoscopic images with dermoscopic criteria.",
    layouts=(Layout(_TEXT),),
    words={"Common Nevus": "Nevus", "Atypical Nevus": "Nevus, Atypical"},
    constants={
        "source": "PH2", "image_type": "dermoscopic", "licence": "research and education",
        "attribution": "ADDI project: Universidade do Porto, IST Lisboa, Hospital Pedro Hispano Matosinhos",
        "magnification": "20",
    },
    values={
        "pigment_network": {"T": "typical", "AT": "atypical"},
        "dots_and_globules": _KINDS, "streaks": _KINDS, "regression": _PRESENT, "blue_whitish_veil": _PRESENT,
        "asymmetry": {"0": "none", "1": "in one axis", "2": "in both axes"},
    },
    refine=_refine,
    parts={"dataset": Part(200, {"Common Nevus": 80, "Atypical Nevus": 80, "Melanoma": 40})},
)  # fmt: skip
