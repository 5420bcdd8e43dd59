"""Draw what a synthetic case shows, before rendering: its diagnosis, findings, person and look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.synthetic.frequencies import GROUPS, JOINED, JOINT, Profile

__all__ = ["SKIN_TYPES", "CasePlan", "draw_plans", "skin_type"]

SKIN_TYPES: Mapping[str, tuple[float, float, float]] = {
    "I": (0.16, 56.0, 70.0),
    "II": (0.34, 42.0, 56.0),
    "III": (0.26, 29.0, 42.0),
    "IV": (0.12, 10.0, 29.0),
    "V": (0.08, -28.0, 10.0),
    "VI": (0.04, -50.0, -28.0),
}
"""Fitzpatrick type to (share of persons, lowest, highest individual typology angle in degrees).

The limits of the angle follow Del Bino and Bernerd, Br J Dermatol 2013;169(s3):33-40. The shares are ours: Derm7pt
does not record skin type; light skin prevails in it.
"""

SECOND_VIEW = 0.03
"""Chance that a case is another image of the lesion before it."""
SECOND_LESION = 0.10
"""Chance that a new lesion belongs to the person of the lesion before it."""
AGES: Mapping[str, tuple[float, float]] = {"mel": (58.0, 15.0), "nv": (38.0, 13.0), "bkl": (63.0, 11.0)}
"""Mean and deviation of the age in years by group, ours: Derm7pt records none."""


@dataclass(frozen=True)
class CasePlan:
    """Everything about a case that is decided before rendering.

    Attributes:
        case_id: unique for a seed and an index.
        index: number of the case, from 0; seeds what belongs to the photograph.
        scene: index of the first case of the same lesion; seeds what belongs to the lesion and the skin.
        diagnosis: group label, "mel", "nv" or "bkl".
        fine_diagnosis: one of Derm7pt's diagnoses.
        lesion_id, patient_id: shared by the images of one lesion, the lesions of one person.
        sex, age, site, elevation: as in the case table; age in whole years.
        skin_angle: individual typology angle of the person's skin, degrees; high is light.
        checklist: all seven criteria with Derm7pt's values.
    """

    case_id: str
    index: int
    scene: int
    diagnosis: str
    fine_diagnosis: str
    lesion_id: str
    patient_id: str
    sex: str
    age: int
    site: str
    elevation: str
    skin_angle: float
    checklist: Mapping[str, str]

    @property
    def is_second_view(self) -> bool:
        """Whether an earlier case shows the same lesion."""
        return self.scene != self.index

    def as_case(self, image: Path) -> Case:
        """The row of the case table."""
        return Case(
            case_id=self.case_id,
            image=image,
            diagnosis=self.diagnosis,
            fine_diagnosis=self.fine_diagnosis,
            lesion_id=self.lesion_id,
            patient_id=self.patient_id,
            sex=self.sex,
            age=self.age,
            site=self.site,
            elevation=self.elevation,
            checklist=self.checklist,
            source="synthetic",
            skin_type=f"Fitzpatrick {skin_type(self.skin_angle)}",
        )


def skin_type(angle: float) -> str:
    """Fitzpatrick type ("I" to "VI") of an individual typology angle in degrees."""
    return next((name for name, (_, low, _high) in SKIN_TYPES.items() if angle >= low), "VI")


def draw_plans(n: int, seed: int) -> list[CasePlan]:
    """Draw n cases whose statistics follow :data:`~.frequencies.GROUPS`.

    Case i depends on the seed and on the cases before it only, so a longer draw begins with the shorter one.

    Args:
        n: number of cases, at least 1.
        seed: non-negative integer.

    Raises:
        ValueError: if n or seed is out of range.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}; it is the number of cases to draw")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}; use any integer from 0")
    plans: list[CasePlan] = []
    persons = dict[str, int]()
    for index in range(n):
        rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
        before = plans[-1] if plans else None
        links = rng.random(2)
        plan = _draw_plan(rng, index, seed)
        if before is not None and links[0] < SECOND_VIEW and not before.is_second_view:
            plan = replace(before, case_id=plan.case_id, index=index)
        else:
            if before is not None and links[1] < SECOND_LESION and persons[before.patient_id] < 2:
                person = {"patient_id": before.patient_id, "sex": before.sex, "age": before.age}
                plan = replace(plan, skin_angle=before.skin_angle, **person)  # type: ignore[arg-type]
            persons[plan.patient_id] = persons.get(plan.patient_id, 0) + 1
        plans.append(plan)
    return plans


def _draw_plan(rng: np.random.Generator, index: int, seed: int) -> CasePlan:
    """One case of a new lesion of a new person."""
    name = f"syn{seed}-{index:05d}"
    diagnosis = _pick(rng, {group: facts.cases for group, facts in GROUPS.items()})
    group = GROUPS[diagnosis]
    profile = group.profiles[int(_pick(rng, {str(k): p.weight for k, p in enumerate(group.profiles)}))]
    values = _draw_values(rng, profile)
    mean, deviation = AGES[diagnosis]
    _, low, high = SKIN_TYPES[_pick(rng, {key: share for key, (share, _, _) in SKIN_TYPES.items()})]
    return CasePlan(
        case_id=name,
        index=index,
        scene=index,
        diagnosis=diagnosis,
        fine_diagnosis=values["fine_diagnosis"],
        lesion_id=f"{name}-lesion",
        patient_id=f"{name}-patient",
        sex=_pick(rng, group.sexes),
        age=int(np.clip(rng.normal(mean, deviation), 18, 92)),
        site=values["site"],
        elevation=values["elevation"],
        skin_angle=float(rng.uniform(low, high)),
        checklist={criterion: values[criterion] for criterion in CRITERIA},
    )


def _draw_values(rng: np.random.Generator, profile: Profile) -> dict[str, str]:
    """One value per variable of the profile, the joint variable taken apart again."""
    values = {name: _pick(rng, chances) for name, chances in profile.chances.items()}
    values.update(zip(JOINED, values.pop(JOINT).split(" + "), strict=True))
    return values


def _pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """A key with a chance in proportion to its weight."""
    total = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(total, rng.random() * total[-1], side="right"))]
