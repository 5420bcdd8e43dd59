"""A person's question on the page, and the address fragment that holds it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.serve.uploads import Crop, read_crop
from dermquery.store.filters import AllOf, Equals, Filter, FilterError, Range, iso_day
from dermquery.store.where import excluding

__all__ = ["CHOSEN_FIELDS", "LONGEST_TEXT", "TOP_K", "Crop", "Patient", "Question"]

TOP_K = (5, 10, 20, 50)
"""The choices for the number of hits."""
LONGEST_TEXT = 2000
"""Characters of free text that count; a link or a socket could send megabytes."""
CHOSEN_FIELDS = tuple(name for name, known in CASE_FIELDS.items() if known.kind is Kind.CHOICE)
"""Fields that a filter restricts to one value."""
_LONGEST_WEIGHTS = 200
_PATIENT = (
    *CHOSEN_FIELDS,
    *CRITERIA,
    "age_from",
    "age_to",
    "date_from",
    "date_to",
    "without_patient",
    "without_lesion",
)


@dataclass(frozen=True)
class Patient:
    """Which cases may be found, by the form's texts.

    Attributes:
        asked: what its controls hold, by name: :data:`CHOSEN_FIELDS`, the criteria (findings that a case must have),
            ``age_from``, ``age_to``, ``date_from``, ``date_to``, ``without_patient`` and ``without_lesion``; one that
            asks for nothing is not among them.
    """

    asked: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """What a control holds."""
        return self.asked.get(name, "")

    def where(self) -> Filter:
        """The filter.

        Raises:
            FilterError: an age or a date cannot be read; names it and the expected form.
        """
        conditions: list[Any] = [
            Equals.model_validate({"field": name, "value": value})
            for name in (*CHOSEN_FIELDS, *CRITERIA)
            if (value := self[name])
        ]
        ages = {"ge": _age(self["age_from"]), "le": _age(self["age_to"])}
        days = {"ge": _day(self["date_from"]), "le": _day(self["date_to"])}
        conditions += [Range(**ages)] if any(v is not None for v in ages.values()) else []
        conditions += [Range(field="date", **days)] if any(days.values()) else []
        where = Filter(condition=AllOf(conditions=tuple(conditions)))
        return excluding(where, None, self["without_lesion"].strip() or None, self["without_patient"].strip() or None)

    @property
    def n_set(self) -> int:
        """How many of its controls ask for something."""
        return len(self.asked)

    def changed(self, **changes: str) -> Patient:
        """The same with other texts in some controls; an empty one asks for nothing."""
        return Patient({name: text for name, text in {**self.asked, **changes}.items() if text})


@dataclass(frozen=True)
class Question:
    """A query with everything that changes its answer.

    Attributes:
        image: key of the uploaded image, if there is one (:mod:`.uploads`).
        turn: quarter turns of it, clockwise.
        crop: the part of it to search with; None for the whole.
        like: id of a case to search with, in place of image, text and terms.
        text, terms: words, and criteria given as terms.
        patient: the filter.
        weights: what counts: the name of a preset, or weights as they are written; empty for the base's default.
        local_weight: λ of equation 9, in place of that of the weights; None for theirs.
        top_k: hits to show.
        relevant, irrelevant: ids of marked cases that move the query.
    """

    image: str = ""
    turn: int = 0
    crop: Crop | None = None
    like: str = ""
    text: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)
    patient: Patient = field(default_factory=Patient)
    weights: str = ""
    local_weight: float | None = None
    top_k: int = 10
    relevant: tuple[str, ...] = ()
    irrelevant: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Cut the text: the event loop reads it as people type, and a long one would block it for everybody."""
        object.__setattr__(self, "text", self.text[:LONGEST_TEXT])

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to search with."""
        return not (self.image or self.like or self.text.strip() or self.terms)

    @property
    def what(self) -> tuple[Any, ...]:
        """Everything that the encoding depends on; other changes need no network pass."""
        own = (self.image, self.turn, self.crop) if self.image else ()
        return (self.like, own, self.text.strip(), tuple(sorted(self.terms.items())), self.relevant, self.irrelevant)

    def to_fragment(self) -> str:
        """The question as an address fragment; :meth:`from_fragment` reads it back."""
        pairs: list[tuple[str, str]] = [
            (name, str(getattr(self, name))) for name in ("image", "like", "text") if getattr(self, name)
        ]
        if self.image and self.turn:
            pairs.append(("turn", str(self.turn)))
        if self.image and self.crop:
            pairs.append(("crop", ",".join(f"{part:.4f}" for part in self.crop)))
        pairs += [("term", f"{name}:{value}") for name, value in self.terms.items()]
        pairs += [(name, value) for name in _PATIENT if (value := self.patient[name])]
        pairs += [("weights", self.weights)] if self.weights else []
        pairs += [("lambda", f"{self.local_weight:g}")] if self.local_weight is not None else []
        pairs += [("k", str(self.top_k))] if self.top_k != Question.top_k else []
        pairs += [("relevant", case_id) for case_id in self.relevant]
        pairs += [("irrelevant", case_id) for case_id in self.irrelevant]
        return urlencode(pairs)

    @classmethod
    def from_fragment(cls, fragment: str) -> Question:
        """Read a fragment, ignoring what is not valid: anybody may have edited the link."""
        whole = fragment.encode("utf-8", "replace").decode()  # a lone surrogate could go into no answer and no link
        pairs = parse_qsl(whole, max_num_fields=500)
        last = dict(pairs)
        terms = dict(pair.split(":", 1) for name, pair in pairs if name == "term" and ":" in pair)
        return cls(
            image=last.get("image", ""),
            turn=int(_number(last.get("turn"), 0)) % 4,
            crop=read_crop(last.get("crop", "")),
            like=last.get("like", ""),
            text=last.get("text", ""),
            terms={n: terms[n] for n in CRITERIA if n in terms and _is_value(n, terms[n])},
            patient=Patient(
                {n: last[n] for n in _PATIENT if n in last and (n not in CRITERIA or _is_value(n, last[n]))}
            ),
            weights=last.get("weights", "")[:_LONGEST_WEIGHTS],
            local_weight=_share(last.get("lambda")),
            top_k=k if (k := int(_number(last.get("k"), 10))) in TOP_K else Question.top_k,
            relevant=_all(pairs, "relevant"),
            irrelevant=_all(pairs, "irrelevant"),
        )

    def with_patient(self, **changes: str) -> Question:
        """The same question to other cases."""
        return replace(self, patient=self.patient.changed(**changes))


def _is_value(criterion: str, written: str) -> bool:
    return written in CRITERIA[criterion].values


def _all(pairs: Iterable[tuple[str, str]], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for key, value in pairs if key == name))


def _number(written: str | None, otherwise: float) -> float:
    try:
        number = float(written or "")
    except ValueError:
        return otherwise
    return number if math.isfinite(number) else otherwise


def _share(written: str | None) -> float | None:
    """A number brought between 0 and 1; None for none."""
    number = _number(written, math.nan)
    return None if math.isnan(number) else min(max(number, 0.0), 1.0)


def _age(written: str) -> float | None:
    if not written.strip():
        return None
    age = _number(written, math.nan)
    if not 0 <= age <= 130:
        raise FilterError(f"the age {written.strip()!r} is no number of years between 0 and 130; write for example 40")
    return age


def _day(written: str) -> datetime.date | None:
    try:
        return iso_day(written.strip()) if written.strip() else None
    except ValueError as error:
        raise FilterError(f"the date {error}") from error
