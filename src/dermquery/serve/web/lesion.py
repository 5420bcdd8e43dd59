"""The photographs of one lesion: how it looked at other times, and the clinical photograph beside dermoscopy."""

from __future__ import annotations

from dataclasses import dataclass
from os.path import commonprefix

from dermquery.answer.content import image_alt
from dermquery.answer.language import _, day
from dermquery.answer.words import upper_first
from dermquery.data.case import Case
from dermquery.serve.web.site import Visit
from dermquery.store.filters import AllOf, Filter
from dermquery.store.where import of_same

__all__ = ["Photograph", "counterpart", "photographs"]

_MOST = 24


@dataclass(frozen=True)
class Photograph:
    """One image of a lesion.

    Attributes:
        case: its case.
        kind: what kind of photograph it is, in words; empty if nobody said so.
        taken: its day in words; empty if it is not known.
        alt: describes it to those who cannot see it.
    """

    case: Case
    kind: str
    taken: str
    alt: str

    @classmethod
    def of(cls, case: Case) -> Photograph:
        """The photograph of a case."""
        kind = upper_first(_(case.image_type)) if case.image_type else ""
        return cls(case, kind, day(case.date) if case.date else "", image_alt(case))


def photographs(visit: Visit, case: Case) -> list[Photograph]:
    """All photographs of a case's lesion, its own among them, by their days; none if there is no other."""
    if (same := of_same(case, "lesion_id")) is None:
        return []
    rows = visit.service.cases(Filter(condition=AllOf(conditions=(same,))), limit=_MOST)
    cases = {row.case.case_id: row.case for row in rows} | {case.case_id: case}
    found = sorted(cases.values(), key=lambda one: (str(one.date or ""), one.case_id))
    return [Photograph.of(one) for one in found] if len(found) > 1 else []


def counterpart(case: Case, lesion: list[Photograph]) -> Photograph | None:
    """The clinical photograph beside dermoscopy, or the dermoscopic image beside another; None if there is none.

    Of several the nearest in time, and of those the one whose id is most like the case's: releases name pairs so.
    """

    def apart(one: Photograph) -> tuple[float, int, str]:
        days = abs((one.case.date - case.date).days) if case.date and one.case.date else float("inf")
        alike = len(commonprefix([one.case.case_id, case.case_id]))  # noqa: RUF071 - letters of ids, no paths
        return days, -alike, one.case.case_id

    others = [one for one in lesion if (one.case.is_clinical if case.is_dermoscopic else one.case.is_dermoscopic)]
    return min(others, key=apart, default=None)
