"""The label that a ranking is judged by: the diagnosis of the table, or its place at a level of the hierarchy.

The paper's three classes are the labels of the table. ``diagnosis_path:1`` asks whether malignant finds malignant,
``diagnosis_path:2`` whether the kind of proliferation agrees, and so on down to the last name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dermquery.data.case import Case
from dermquery.data.vocabulary.trees import TREES

__all__ = ["Regrouped", "place_at", "regrouped", "split_level"]

_LABELS = ("diagnosis", "fine_diagnosis")


class Regrouped(NamedTuple):
    """Cases whose ``diagnosis`` is the label to judge by, and how many have none and are left out."""

    cases: list[Case]
    left_out: int


def split_level(written: str) -> tuple[str, int | None]:
    """A field and the level behind its colon, from 1; None for the whole path.

    >>> split_level("diagnosis_path:2"), split_level("site"), split_level("my:column")
    (('diagnosis_path', 2), ('site', None), ('my:column', None))

    Raises:
        ValueError: a level of a hierarchy that is no number from 1.
    """
    field, colon, level = written.rpartition(":")
    if not colon or field not in TREES:
        return written, None
    if not level.isdecimal() or int(level) < 1:
        raise ValueError(f"{level!r} is no level of {field}; write for example {field}:1")
    return field, int(level)


def place_at(case: Case, field: str, level: int | None) -> str | None:
    """Where a case stands at a level of a hierarchy; at a level deeper than its place, its place; None for nowhere."""
    value = getattr(case, field)
    return TREES[field].lineage(value)[:level][-1] if value else None


def regrouped(cases: Iterable[Case], by: str) -> Regrouped:
    """The cases with the label ``by`` as their diagnosis.

    Args:
        cases: what is to be judged.
        by: ``diagnosis``, ``fine_diagnosis``, or a hierarchy with a level or none, ``diagnosis_path:2``.

    Raises:
        ValueError: another field, or no case has the label.
    """
    field, level = split_level(by)
    if field not in (*_LABELS, *TREES):
        raise ValueError(
            f"cannot group by {by!r}; use one of: {', '.join((*_LABELS, *(f'{name}:1' for name in TREES)))}"
        )
    listed = list(cases)
    labels = [place_at(case, field, level) if field in TREES else getattr(case, field) for case in listed]
    found = [case.model_copy(update={"diagnosis": label}) for case, label in zip(listed, labels, strict=True) if label]
    if not found:
        raise ValueError(
            f"no case has a {field}; prepare the table again (`dermquery data prepare`), or group otherwise"
        )
    return Regrouped(found, len(listed) - len(found))
