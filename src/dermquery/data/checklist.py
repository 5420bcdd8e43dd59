"""The seven-point checklist: criteria, Derm7pt's values, rendering and score.

Sources: Argenziano et al. 1998 (the checklist), Kawahara et al. 2018 (Derm7pt's values). Other words for them stand in
``reading/languages/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dermquery.data.meant import did_you_mean

__all__ = [
    "ABSENT",
    "CRITERIA",
    "Criterion",
    "agreement",
    "check_values",
    "render_text",
    "seven_point_score",
]

ABSENT = "absent"


@dataclass(frozen=True)
class Criterion:
    """One criterion of the checklist.

    Attributes:
        name: column name in the case table.
        title: how it is written in a sentence.
        values: Derm7pt's values, ``absent`` first.
        points: what a suspicious value adds to the score: 2 for a major criterion, 1 for a minor one.
        suspicious: the values that earn the points.
        definition: one line that helps a person to choose.
    """

    name: str
    title: str
    values: tuple[str, ...]
    points: int
    suspicious: frozenset[str]
    definition: str


_ALL = (
    Criterion(
        name="pigment_network",
        title="pigment network",
        values=(ABSENT, "typical", "atypical"),
        points=2,
        suspicious=frozenset({"atypical"}),
        definition="Grid of brown lines over a lighter background; atypical if uneven in colour, width or mesh.",
    ),
    Criterion(
        name="streaks",
        title="streaks",
        values=(ABSENT, "regular", "irregular"),
        points=1,
        suspicious=frozenset({"irregular"}),
        definition="Linear or bulbous projections at the border; irregular if unevenly spread round the lesion.",
    ),
    Criterion(
        name="pigmentation",
        title="pigmentation",
        values=(ABSENT, "diffuse regular", "localized regular", "diffuse irregular", "localized irregular"),
        points=1,
        suspicious=frozenset({"diffuse irregular", "localized irregular"}),
        definition="Structureless brown to black areas (blotches); irregular if eccentric, uneven or several.",
    ),
    Criterion(
        name="regression_structures",
        title="regression structures",
        values=(ABSENT, "blue areas", "white areas", "combinations"),
        points=1,
        suspicious=frozenset({"blue areas", "white areas", "combinations"}),
        definition="White scar-like areas and blue-grey peppering where pigment has regressed.",
    ),
    Criterion(
        name="dots_and_globules",
        title="dots and globules",
        values=(ABSENT, "regular", "irregular"),
        points=1,
        suspicious=frozenset({"irregular"}),
        definition="Round brown to black structures; irregular if they differ in size, colour or spacing.",
    ),
    Criterion(
        name="blue_whitish_veil",
        title="blue-whitish veil",
        values=(ABSENT, "present"),
        points=2,
        suspicious=frozenset({"present"}),
        definition="Confluent blue pigmentation under a white ground-glass haze, over a part of the lesion.",
    ),
    Criterion(
        name="vascular_structures",
        title="vascular structures",
        values=(ABSENT, "arborizing", "comma", "hairpin", "within regression", "wreath", "dotted", "linear irregular"),
        points=2,
        suspicious=frozenset({"dotted", "linear irregular"}),
        definition="Visible vessels; dotted and linear irregular ones count as an atypical vascular pattern.",
    ),
)
CRITERIA: Mapping[str, Criterion] = {criterion.name: criterion for criterion in _ALL}
"""The seven criteria by column name, in the order of Derm7pt's table."""


def check_values(checklist: Mapping[str, str]) -> None:
    """Raise ValueError for an unknown criterion or value; the message names it and the legal ones."""
    for name, value in checklist.items():
        if name not in CRITERIA:
            raise ValueError(
                f"unknown checklist criterion {name!r}; use one of: {', '.join(CRITERIA)}{did_you_mean(name, CRITERIA)}"
            )
        if value and value not in CRITERIA[name].values:
            legal = CRITERIA[name].values
            raise ValueError(
                f"unknown value {value!r} for {name}; use one of: {', '.join(legal)}{did_you_mean(value, legal)}"
            )


def render_text(checklist: Mapping[str, str]) -> str:
    """Write the recorded criteria as the sentences that are encoded ("Pigment network: atypical. ...").

    Criteria come in the checklist's order whatever the mapping's; those without a value are left out.
    """
    given = ((CRITERIA[name].title, checklist[name]) for name in CRITERIA if checklist.get(name))
    return " ".join(f"{title.capitalize()}: {value}." for title, value in given)


def seven_point_score(checklist: Mapping[str, str]) -> int:
    """Seven-point score, 0 to 10: each suspicious major criterion adds 2, each minor one 1.

    Criteria that were not recorded add nothing. Three or more is the usual threshold for excision.
    Source: Argenziano et al., Arch Dermatol 1998;134:1563-1570.
    """
    check_values(checklist)
    return sum(c.points for c in _ALL if checklist.get(c.name) in c.suspicious)


def agreement(first: Mapping[str, str], second: Mapping[str, str]) -> float:
    """Share of the criteria recorded on both sides that have the same value; 0 if none is recorded on both."""
    both = [name for name in CRITERIA if first.get(name) and second.get(name)]
    return sum(first[name] == second[name] for name in both) / len(both) if both else 0.0
