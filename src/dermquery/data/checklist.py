"""The seven-point checklist: criteria, Derm7pt's values, the field's synonyms, rendering and score.

Sources: Argenziano et al. 1998 (the checklist), Kawahara et al. 2018 (Derm7pt's values), Kittler et al. 2016
(the terminology that the synonyms come from).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
        synonyms: other words for the criterion itself.
        terms: whole phrases that name criterion and value at once, by value.
        definition: one line that helps a person to choose.
    """

    name: str
    title: str
    values: tuple[str, ...]
    points: int
    suspicious: frozenset[str]
    definition: str
    synonyms: tuple[str, ...] = ()
    terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_ALL = (
    Criterion(
        name="pigment_network",
        title="pigment network",
        values=(ABSENT, "typical", "atypical"),
        points=2,
        suspicious=frozenset({"atypical"}),
        definition="Grid of brown lines over a lighter background; atypical if uneven in colour, width or mesh.",
        synonyms=("network", "reticulation", "reticular pattern", "reticular network", "pigmented network"),
        terms={
            "typical": ("regular network", "regular pigment network", "regular reticulation", "delicate network"),
            "atypical": (
                "irregular network",
                "irregular pigment network",
                "irregular reticulation",
                "broadened network",
                "prominent network",
            ),
        },
    ),
    Criterion(
        name="streaks",
        title="streaks",
        values=(ABSENT, "regular", "irregular"),
        points=1,
        suspicious=frozenset({"irregular"}),
        definition="Linear or bulbous projections at the border; irregular if unevenly spread round the lesion.",
        synonyms=("pseudopods", "radial streaming", "streaming", "radial streaks", "branched streaks", "starburst"),
        terms={
            "regular": ("starburst pattern", "symmetric streaks", "circumferential streaks", "regular pseudopods"),
            "irregular": (
                "segmental radial streaming",
                "asymmetric streaks",
                "segmental streaks",
                "irregular pseudopods",
            ),
        },
    ),
    Criterion(
        name="pigmentation",
        title="pigmentation",
        values=(ABSENT, "diffuse regular", "localized regular", "diffuse irregular", "localized irregular"),
        points=1,
        suspicious=frozenset({"diffuse irregular", "localized irregular"}),
        definition="Structureless brown to black areas (blotches); irregular if eccentric, uneven or several.",
        synonyms=("blotches", "blotch", "structureless areas", "structureless area", "structureless pigmentation"),
        terms={
            "diffuse regular": ("regular diffuse pigmentation", "central blotch", "regular blotch"),
            "localized regular": ("regular localized pigmentation",),
            "diffuse irregular": ("irregular diffuse pigmentation", "irregular blotches", "multiple blotches"),
            "localized irregular": ("irregular localized pigmentation", "eccentric blotch", "irregular blotch"),
        },
    ),
    Criterion(
        name="regression_structures",
        title="regression structures",
        values=(ABSENT, "blue areas", "white areas", "combinations"),
        points=1,
        suspicious=frozenset({"blue areas", "white areas", "combinations"}),
        definition="White scar-like areas and blue-grey peppering where pigment has regressed.",
        synonyms=("regression", "regression areas"),
        terms={
            "blue areas": ("peppering", "granularity", "grey dots of regression", "blue-grey regression"),
            "white areas": (
                "scar-like depigmentation",
                "white regression",
                "scar-like areas",
                "scar-like white areas",
                "white scar-like area",
                "white scar-like areas",
            ),
            "combinations": ("white and blue regression", "combined regression", "scar-like areas and peppering"),
        },
    ),
    Criterion(
        name="dots_and_globules",
        title="dots and globules",
        values=(ABSENT, "regular", "irregular"),
        points=1,
        suspicious=frozenset({"irregular"}),
        definition="Round brown to black structures; irregular if they differ in size, colour or spacing.",
        synonyms=("dots", "globules", "clods", "dots/globules", "globular pattern"),
        terms={
            "regular": ("cobblestone pattern", "regular clods", "regular dots", "regular globules"),
            "irregular": ("irregular clods", "irregular dots", "irregular globules", "eccentric dots"),
        },
    ),
    Criterion(
        name="blue_whitish_veil",
        title="blue-whitish veil",
        values=(ABSENT, "present"),
        points=2,
        suspicious=frozenset({"present"}),
        definition="Confluent blue pigmentation under a white ground-glass haze, over a part of the lesion.",
        synonyms=(
            "blue-white veil",
            "blue whitish veil",
            "blue white veil",
            "blue-whitish structures",
            "bwv",
            "blue veil",
            "veil",
        ),
        terms={"present": ("blue-white structureless area", "ground-glass haze")},
    ),
    Criterion(
        name="vascular_structures",
        title="vascular structures",
        values=(ABSENT, "arborizing", "comma", "hairpin", "within regression", "wreath", "dotted", "linear irregular"),
        points=2,
        suspicious=frozenset({"dotted", "linear irregular"}),
        definition="Visible vessels; dotted and linear irregular ones count as an atypical vascular pattern.",
        synonyms=("vessels", "vascular pattern", "vascularity", "blood vessels", "vasculature"),
        terms={
            ABSENT: ("avascular",),
            "arborizing": ("branching vessels", "telangiectasia", "arborising vessels"),
            "comma": ("comma-like vessels", "curved vessels"),
            "hairpin": ("looped vessels", "hairpin-like vessels"),
            "within regression": ("vessels in regression", "vessels within regression structures"),
            "wreath": ("crown vessels", "wreath-like vessels"),
            "dotted": ("dot vessels", "pinpoint vessels", "dotted vessels"),
            "linear irregular": ("serpentine vessels", "irregular linear vessels", "polymorphous vessels"),
        },
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
