"""What a word for a diagnosis finds, in bases whose cases have a label, a place in the hierarchy, or either alone.

A table that was prepared has places, one that was indexed as it is or a case entered by hand has none. So a case
without a place is looked for where the vocabulary places its words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dermquery.data.vocabulary.coded import anywhere, code_of, place_said
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.trees import below
from dermquery.store.filters import AllOf, FilterError, Missing, Not, OneOf
from dermquery.store.same_meaning import is_wider, places_like

if TYPE_CHECKING:
    from dermquery.store.where import Known

__all__ = ["DIAGNOSED", "any_of", "with_diagnosis"]

DIAGNOSED = ("diagnosis", "diagnosis_path")
"""The fields that a diagnosis is asked for by."""
_PATH = "diagnosis_path"
_WORDS = ("diagnosis", "fine_diagnosis")
_PART = 1000
"""Values of one condition."""


def with_diagnosis(field: str, written: str, known: Known) -> list[Any]:
    """Conditions of which a case satisfies one if it has the diagnosis; none if no case has it.

    A group of the shared data sets ("mel") is every label and place of it, any other word its place in the hierarchy
    and what is below. Found are the cases with this label, those whose path is meant, and those without a path whose
    label or own diagnosis the vocabulary places there. A word that it does not know is only itself. A code finds what
    is of its category ("C43": no melanoma in situ, which is D03).

    Args:
        field: ``diagnosis``, or ``diagnosis_path``, for which a label counts only where there is no path.
        written: the word.
        known: what the cases have.

    Raises:
        FilterError: a code says a place, and no case has that code.
    """
    if code := code_of(written):
        return _with_code(field, code, known)
    labels = list(known.alike("diagnosis", written)) if field == "diagnosis" else []
    group = written.casefold()
    if group in DIAGNOSES.group_names and (field == "diagnosis" or is_wider(written)):
        is_meant: Callable[[str], bool] = partial(_is_of_group, group)
        if field == "diagnosis":
            labels += [label for label in known.values("diagnosis") if is_meant(label) and label not in labels]
        by_path = _at([path for path in known.values(_PATH) if DIAGNOSES.codes(_our(path)).group == group], known)
    else:
        is_meant = partial(_is_below, DIAGNOSES.named(written))
        by_path = _one_of(_PATH, places_like(_PATH, written, known))
    return [*_one_of("diagnosis", labels), *by_path, *_unplaced(is_meant, known)]


def any_of(conditions: Sequence[Any]) -> Any:
    """The condition that one of some holds."""
    if len(conditions) == 1:
        return conditions[0]
    return Not(condition=AllOf(conditions=tuple(Not(condition=one) for one in conditions)))


def _with_code(field: str, code: str, known: Known) -> list[Any]:
    """Conditions on the cases that have a code, or one that is part of it, or a diagnosis that is meant by it."""
    if site := place_said(code):
        written = _labelled(field, code, known)
        if not written:
            raise FilterError(f"{code} is a diagnosis and a place; ask for both: diagnosis={anywhere(code)} and {site}")
        return written
    code = anywhere(code)

    def is_meant(word: str) -> bool:
        return DIAGNOSES.has_code(_our(word), code)

    by_path = _at(list(filter(is_meant, known.values(_PATH))), known)
    return [*_labelled(field, code, known), *by_path, *_unplaced(is_meant, known)]


def _labelled(field: str, code: str, known: Known) -> list[Any]:
    """Conditions on the cases whose own words are a code; of those that have a place only where words are asked for."""

    def has_it(word: str) -> bool:
        return (code_of(word) or "").startswith(code)

    if field == _PATH:
        return _unplaced(has_it, known)
    return [condition for name in _WORDS for condition in _one_of(name, list(filter(has_it, known.values(name))))]


def _unplaced(is_meant: Callable[[str], bool], known: Known) -> list[Any]:
    """Conditions on the cases without a place of which a word is meant."""
    return [
        AllOf(conditions=(Missing(field=_PATH), condition))
        for name in _WORDS
        for condition in _one_of(name, list(filter(is_meant, known.values(name))))
    ]


def _our(path: str) -> str:
    """A path as we write it; a path or a word that is not known as it is."""
    return DIAGNOSES.named(path) or path


def _is_of_group(group: str, word: str) -> bool:
    return DIAGNOSES.group(word) == group


def _is_below(place: str | None, word: str) -> bool:
    own = DIAGNOSES.named(word)
    return place is not None and own is not None and below(_PATH, (place,)).holds(own)


def _at(paths: Collection[str], known: Known) -> list[Any]:
    """Conditions on some paths, and not on what is below them that is none of them: "scc", in situ "akiec"."""
    held = below(_PATH, paths)
    others = _one_of(_PATH, [path for path in known.values(_PATH) if path not in paths and held.holds(path)])
    found = _one_of(_PATH, list(paths))
    if not found or not others:
        return list(found)
    return [AllOf(conditions=(any_of(found), *(Not(condition=one) for one in others)))]


def _one_of(field: str, values: Sequence[str]) -> list[OneOf]:
    return [OneOf(field=field, values=tuple(values[at : at + _PART])) for at in range(0, len(values), _PART)]
