"""One image that two releases describe: what they say together, and where they contradict each other.

An id of the ISIC Archive names one image wherever it comes from, so a second release completes what the first one
said. What the first one filled stays, whatever order the tables are read in again: the second may be an extract that
lost what the first knew. Words of a source's own (its fine diagnosis, its own ids, free text, attribution) are no
contradictions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dermquery.data.case import CASE_FIELDS, Case, CaseField, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.data.vocabulary.trees import LEVEL, below
from dermquery.data.vocabulary.words import recorded_as

__all__ = ["ALSO_IN", "Contradictions", "completed", "contradictions"]

ALSO_IN = "also_in"
"""The extra column that names the further releases which describe an image."""
_OWN_WORDS = ("case_id", "source", "fine_diagnosis", "attribution")
_IDS = ("lesion_id", "patient_id")
_ABOUT_DIAGNOSIS = ("diagnosis", "fine_diagnosis", "diagnosis_path", "confirmed_by")
"""One statement: where two releases disagree on what it is, the second fills none of them."""
_NAMED = 3


@dataclass
class Contradictions:
    """Counts fields on which two releases contradict each other, with the first examples of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def take(self, first: Case, second: Case) -> None:
        """Count those of one image."""
        for name, (one, other) in contradictions(first, second).items():
            self.counts[name] += 1
            if len(self.examples[name]) < _NAMED:
                self.examples[name].append(f"{first.case_id}: {one!r}, {other!r}")

    def add(self, counts: Mapping[str, int], examples: Mapping[str, Sequence[str]]) -> None:
        """Count what was counted elsewhere, after these."""
        self.counts.update(counts)
        for name, said in examples.items():
            self.examples[name] = [*self.examples[name], *said][:_NAMED]

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people, a line for each field."""
        return tuple(
            f"{name}: {count:,} ({'; '.join(self.examples[name])}{'; …' if count > len(self.examples[name]) else ''})"
            for name, count in self.counts.most_common()
        )


def contradictions(first: Case, second: Case) -> dict[str, tuple[str, str]]:
    """The fields that both fill, by name, with the values of both where those cannot both be true.

    Capitals do not matter, and a place holds what is below it.
    """
    return {
        name: (_said(one), _said(other))
        for name, one, other in _both(first, second)
        if one is not None and other is not None and not _agree(CASE_FIELDS[name], one, other)
    }


def completed(first: Case, second: Case) -> Case:
    """What two releases know of one image: the first's, and the second's where the first says nothing or less.

    Nothing on the diagnosis is taken from a second that contradicts the first's. Ids of lesions and patients, which
    are their source's own, are taken where they are the archive's. The image is the first's if it is still there.
    """
    against = contradictions(first, second)
    kept = {*against, *(_ABOUT_DIAGNOSIS if {"diagnosis", "diagnosis_path"} & {*against} else ())}
    changes: dict[str, Any] = {}
    checklist = dict(first.checklist)
    for name, declared in CASE_FIELDS.items():
        one, other = declared.of(first), declared.of(second)
        if other is None or name in kept or not _fills(declared, one, other, first, second):
            continue
        if declared.kind is Kind.CRITERION:
            checklist[name] = str(other)
        else:
            changes[name] = other
    others = dict.fromkeys([*filter(None, first.extra.get(ALSO_IN, "").split("; ")), second.source or ""])
    others.pop(changes.get("source", first.source) or "", None)
    checklist = {name: checklist[name] for name in CRITERIA if name in checklist}
    extra = {**second.extra, **first.extra}
    for name in CASE_FIELDS:  # a spelling goes with the value that it is one of
        extra.pop(spelled := recorded_as(name), None)
        told_by = second if name in changes else first
        if spelled in told_by.extra:
            extra[spelled] = told_by.extra[spelled]
    if named := "; ".join(filter(None, others)):
        extra[ALSO_IN] = named
    image = first.image if first.image.is_file() else second.image
    return first.model_copy(update={**changes, "checklist": checklist, "extra": extra, "image": image})


def _said(value: object) -> str:
    """A value for people: a number without needless digits, of a path its last level."""
    return f"{value:g}" if isinstance(value, float) else str(value).rpartition(LEVEL)[2]


def _both(first: Case, second: Case) -> Iterator[tuple[str, object, object]]:
    for name, declared in CASE_FIELDS.items():
        one, other = declared.of(first), declared.of(second)
        own = name in _IDS and any(value and case.owns(str(value)) for case, value in ((first, one), (second, other)))
        if name not in _OWN_WORDS and declared.kind is not Kind.PROSE and not own:
            yield name, one, other


def _agree(declared: CaseField, one: object, other: object) -> bool:
    if declared.kind is Kind.TREE:
        return _holds(declared.name, str(one), str(other)) or _holds(declared.name, str(other), str(one))
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    return one == other


def _fills(declared: CaseField, one: object, other: object, first: Case, second: Case) -> bool:
    gets_source = first.source is None and not (first.lesion_id or first.patient_id)  # else those would be its own
    if declared.name in _IDS:
        same = gets_source or first.source == second.source
        return one is None and (same or not second.owns(str(other)))
    if declared.name == "source":
        return gets_source
    if declared.kind is Kind.TREE and one is not None:
        return one != other and _holds(declared.name, str(one), str(other))
    return one is None


def _holds(name: str, above: str, value: str) -> bool:
    return below(name, (above,)).holds(value)
