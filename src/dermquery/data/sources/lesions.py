"""Lesions that a clinic numbers for each patient anew: lesion 1 of two patients is two lesions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from dermquery.data.case import Case, is_global

__all__ = ["within_patients"]

_NAMED = 3


def within_patients(cases: Iterable[Case]) -> tuple[list[Case], list[str]]:
    """Cases whose lesions have their patients before them, as ``p1/2``, where one number is of several patients.

    As one lesion it would show one patient's photographs as another's, and hide both from searches. Of a source that
    numbers so, every lesion of a known patient is named in this way, for its other numbers are no more than that.

    Returns:
        The cases, and what there is to tell.
    """
    cases = list(cases)
    patients: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        if _is_number(case):
            patients[case.lesion_key or ""].add(case.patient_key or "")
    several = [case for case in cases if len(patients.get(case.lesion_key or "", ())) > 1]
    if not several:
        return cases, []
    numbered = {case.source for case in several}
    shared = dict.fromkeys(case.lesion_id for case in several)
    first, *others = [repr(name) for name in shared][:_NAMED]
    named = ", ".join([first, *others]) + (", …" if len(shared) > _NAMED else "")
    said = f"several patients have a lesion {named}, so lesions are numbered for each and named with it: PATIENT/LESION"
    return [_named(case) if case.source in numbered else case for case in cases], [said]


def _named(case: Case) -> Case:
    return case.model_copy(update={"lesion_id": f"{case.patient_id}/{case.lesion_id}"}) if _is_number(case) else case


def _is_number(case: Case) -> bool:
    return bool(case.lesion_id and case.patient_id) and not is_global(case.lesion_id or "")
