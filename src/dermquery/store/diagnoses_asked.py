"""What a word for a diagnosis finds, in bases whose cases have a label, a place in the hierarchy, or either alone.

A table that was prepared has places, one that was indexed as it is or a case entered by hand has none. So a case
without a place is looked for where the vocabulary places its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.trees import below
from dermquery.store.filters import AllOf, Missing, Not, OneOf
from dermquery.store.same_meaning import is_wider, places_like

if TYPE_CHECKING:
    from dermquery.store.where import Known

__all__ = ["DIAGNOSED", "any_of", "with_diagnosis"]

DIAGNOSED = ("diagnosis", "diagnosis_path")
"""The fields that a diagnosis is asked for by."""
_PATH = "diagnosis_path"
_PART = 1000
"""Values of one condition."""


def with_diagnosis(field: str, written: str, known: Known) -> list[Any]:
    """Conditions of which a case satisfies one if it has the diagnosis; none if no case has it.

    A group of the shared data sets ("mel") is every label and place of it, any other word its place in the hierarchy
    and what is below. Found are the cases with this label, those whose path is meant, and those without a path whose
    label or own diagnosis the vocabulary places there. A word that it does not know is only itself.

    Args:
        field: ``diagnosis``, or ``diagnosis_path``, for which a label counts only where there is no path.
        written: the word.
        known: what the cases have.
    """
    labels = list(known.alike("diagnosis", written)) if field == "diagnosis" else []
    group = written.casefold()
    if group in DIAGNOSES.group_names and (field == "diagnosis" or is_wider(written)):
        is_meant: Callable[[str], bool] = partial(_is_of_group, group)
        if field == "diagnosis":
            labels += [label for label in known.values("diagnosis") if is_meant(label) and label not in labels]
        by_path = _paths_of_group(group, known)
    else:
        is_meant = partial(_is_below, DIAGNOSES.named(written))
        by_path = _one_of(_PATH, places_like(_PATH, written, known))
    unplaced = [
        AllOf(conditions=(Missing(field=_PATH), condition))
        for name in ("diagnosis", "fine_diagnosis")
        for condition in _one_of(name, [word for word in known.values(name) if is_meant(word)])
    ]
    return [*_one_of("diagnosis", labels), *by_path, *unplaced]


def any_of(conditions: Sequence[Any]) -> Any:
    """The condition that one of some holds."""
    if len(conditions) == 1:
        return conditions[0]
    return Not(condition=AllOf(conditions=tuple(Not(condition=one) for one in conditions)))


def _is_of_group(group: str, word: str) -> bool:
    return DIAGNOSES.group(word) == group


def _is_below(place: str | None, word: str) -> bool:
    own = DIAGNOSES.named(word)
    return place is not None and own is not None and below(_PATH, (place,)).holds(own)


def _paths_of_group(group: str, known: Known) -> list[Any]:
    """Conditions on the paths of a group; what is below one of them may be of another: "scc", in situ "akiec"."""
    groups = {path: DIAGNOSES.codes(DIAGNOSES.named(path) or path).group for path in known.values(_PATH)}
    own = [path for path, other in groups.items() if other == group]
    held = below(_PATH, own)
    others = _one_of(_PATH, [path for path, other in groups.items() if other != group and held.holds(path)])
    found = _one_of(_PATH, own)
    if not found or not others:
        return found
    return [AllOf(conditions=(any_of(found), *(Not(condition=one) for one in others)))]


def _one_of(field: str, values: Sequence[str]) -> list[OneOf]:
    return [OneOf(field=field, values=tuple(values[at : at + _PART])) for at in range(0, len(values), _PART)]
