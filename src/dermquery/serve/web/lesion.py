"""The photographs of one lesion: how it looked at other times, and the clinical photograph beside dermoscopy."""

from __future__ import annotations

from os.path import commonprefix

from dermquery.data.case import Case
from dermquery.serve.web.site import Visit
from dermquery.store.filters import AllOf, Filter
from dermquery.store.where import of_same

__all__ = ["counterpart", "photographs"]

_MOST = 24


def photographs(visit: Visit, case: Case) -> list[Case]:
    """All photographs of a case's lesion, its own among them, by their days; none if there is no other."""
    if (same := of_same(case, "lesion_id")) is None:
        return []
    rows = visit.service.cases(Filter(condition=AllOf(conditions=(same,))), limit=_MOST)
    cases = {row.case.case_id: row.case for row in rows} | {case.case_id: case}
    found = sorted(cases.values(), key=lambda one: (str(one.date or ""), one.case_id))
    return found if len(found) > 1 else []


def counterpart(case: Case, lesion: list[Case]) -> Case | None:
    """The clinical photograph beside dermoscopy, or the dermoscopic image beside another; None if there is none.

    Of several the nearest in time, and of those the one whose id is most like the case's: releases name pairs so.
    """

    def apart(one: Case) -> tuple[float, int, str]:
        days = abs((one.date - case.date).days) if case.date and one.date else float("inf")
        alike = len(commonprefix([one.case_id, case.case_id]))  # noqa: RUF071 - letters of ids, no paths
        return days, -alike, one.case_id

    others = [one for one in lesion if (one.is_clinical if case.is_dermoscopic else one.is_dermoscopic)]
    return min(others, key=apart, default=None)
