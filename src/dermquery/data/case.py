"""The two nouns of the project: a :class:`Case` that can be found, and a :class:`Query` that finds it.

A new field of a case is one line of :class:`CaseFacts` and its words in :mod:`dermquery.answer.words`. Its
:class:`Kind` says how case tables, stores, filters, API, page and reports treat it. Only a second number or day takes
more: its limits in :mod:`dermquery.data.case_table`, its comparisons in :mod:`dermquery.store.filters` and the stores.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from dermquery.data.checklist import CRITERIA, check_values, render_text
from dermquery.data.findings import Findings, read_findings

__all__ = ["CASE_FIELDS", "MAX_AGE", "Case", "CaseFacts", "CaseField", "Checklist", "Kind", "Query"]


class Kind(Enum):
    """What a field of a case holds."""

    ID = "names the case, its lesion or its patient; asked for as a whole"
    CHOICE = "one of few words; counted, and offered to choose from"
    WORD = "one of many words; suggested while somebody types"
    NUMBER = "the age; asked for by its range"
    DAY = "the date; asked for by its range"
    PROSE = "sentences; shown, and never asked for"
    CRITERION = "a criterion of the seven-point checklist"


def _checklist(values: Mapping[str, str]) -> Mapping[str, str]:
    ordered = {name: values[name] for name in CRITERIA if values.get(name)}
    check_values({**values, **ordered})
    return ordered


_as_dict = PlainSerializer(dict, return_type=dict[str, str])
_legal = {
    "additionalProperties": False,
    "properties": {name: {"enum": list(criterion.values)} for name, criterion in CRITERIA.items()},
}
Checklist = Annotated[Mapping[str, str], AfterValidator(_checklist), _as_dict, Field(json_schema_extra=_legal)]
"""Criterion name to Derm7pt value, for the criteria that were recorded; see :mod:`dermquery.data.checklist`."""
_Extra = Annotated[Mapping[str, str], _as_dict]
_Id = Annotated[str | None, Kind.ID]
_Choice = Annotated[str | None, Kind.CHOICE]
MAX_AGE = 130.0
_Years = Annotated[Annotated[float, Field(ge=0, le=MAX_AGE)] | None, Kind.NUMBER]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class CaseFacts(_Frozen):
    """What can be recorded of a case, each field with its :class:`Kind`; a field of few legal values is a ``Literal``.

    Attributes:
        diagnosis: the label that retrieval is judged by (equation 1), if known.
        fine_diagnosis: the original, ungrouped diagnosis ("clark nevus"), if known.
        lesion_id, patient_id: groups that must never be split over folds, nor retrieve themselves.
        age: years.
        elevation: Derm7pt's "flat", "palpable" or "nodular", or the user's own word.
        source: the data set or clinic that the case comes from.
        date: when the image was taken.
        text: free text recorded with the case.
        checklist: the seven-point criteria that were recorded, each with its Derm7pt value.
        extra: every other column of the table, shown with the case and never encoded.
    """

    diagnosis: _Choice = None
    fine_diagnosis: Annotated[str | None, Kind.WORD] = None
    lesion_id: _Id = None
    patient_id: _Id = None
    sex: _Choice = None
    age: _Years = None
    site: _Choice = None
    elevation: _Choice = None
    source: _Choice = None
    date: Annotated[datetime.date | None, Kind.DAY] = None
    text: Annotated[str | None, Kind.PROSE] = None
    checklist: Checklist = Field(default_factory=dict)
    extra: _Extra = Field(default_factory=dict)


class _Named(_Frozen):
    case_id: Annotated[str, Field(min_length=1)]
    image: Path


class Case(CaseFacts, _Named):  # in this order, because pydantic puts the fields of the last base first
    """One dermoscopic image with what is known about it: a row of the case table.

    Attributes:
        case_id: unique within a table or a case base; ties in a ranking break by it.
        image: path of the image file.
    """

    @property
    def group(self) -> str:
        """What keeps the case's images together: its patient, else its lesion, else itself."""
        if self.patient_id:
            return f"patient:{self.patient_id}"
        return f"lesion:{self.lesion_id}" if self.lesion_id else f"case:{self.case_id}"

    def same_lesion(self, other: Case) -> bool:
        """Whether both show one lesion: the same case, or the same recorded lesion."""
        if self.case_id == other.case_id:
            return True
        return self.lesion_id is not None and self.lesion_id == other.lesion_id

    def as_query(self) -> Query:
        """The composed query that this case's own image and findings make, as in the evaluation."""
        return Query(image=self.image, text=self.text, checklist=self.checklist)


class Query(_Frozen):
    """A reference image, a text, checklist terms, or any of them together.

    Attributes:
        image: path, encoded bytes or a decoded ``PIL.Image.Image``.
        text: free text.
        checklist: criteria given as terms; rendered to text before encoding.
    """

    image: Any = None
    text: str | None = None
    checklist: Checklist = Field(default_factory=dict)

    @classmethod
    def of(cls, item: Any) -> Self:
        """A query as it is, of a text for a ``str``, of its fields for a mapping, and else of an image.

        >>> Query.of("atypical network").text
        'atypical network'
        """
        if isinstance(item, cls):
            return item
        if isinstance(item, Mapping):
            return cls(**item)
        return cls(text=item) if isinstance(item, str) else cls(image=item)

    @property
    def sentence(self) -> str | None:
        """The text that is encoded: the checklist's rendering, then the free text; None without both."""
        parts = [render_text(self.checklist), (self.text or "").strip()]
        return " ".join(part for part in parts if part) or None

    @cached_property
    def findings(self) -> Findings:
        """What the free text says, read at the first use."""
        return read_findings(self.text or "")

    @property
    def reading(self) -> Findings:
        """What the free text and the terms say together: a term overrules the text, and a contradiction is said."""
        return self.findings.with_terms(self.checklist)

    @property
    def terms(self) -> dict[str, str]:
        """Checklist criteria that the query gives: those read in its free text, overruled by those given as terms."""
        return dict(self.reading.checklist)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As Pydantic's; a copy with another text reads that one."""
        copy = super().model_copy(update=update, deep=deep)
        if update and "text" in update:
            copy.__dict__.pop("findings", None)
        return copy


@dataclass(frozen=True)
class CaseField:
    """A field by which cases are described: a column of the case table.

    Attributes:
        name: as the case table and filters write it.
        kind: what it holds.
        values: the only legal ones; none if any is.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()

    def of(self, case: Case) -> str | float | datetime.date | None:
        """Its value in a case; None if it was not recorded."""
        value: str | float | datetime.date | None = (
            case.checklist.get(self.name) if self.kind is Kind.CRITERION else getattr(case, self.name)
        )
        return value


def _declared() -> Iterator[CaseField]:
    yield CaseField("case_id", Kind.ID)
    for name, field in CaseFacts.model_fields.items():
        for kind in field.metadata:
            if isinstance(kind, Kind):
                yield CaseField(name, kind, _literals(field.annotation))
    for name, criterion in CRITERIA.items():
        yield CaseField(name, Kind.CRITERION, criterion.values)


def _literals(annotation: Any) -> tuple[str, ...]:
    """Values of the ``Literal`` in ``Literal[...] | None``; none without one."""
    return next((get_args(part) for part in get_args(annotation) if get_origin(part) is Literal), ())


CASE_FIELDS: Mapping[str, CaseField] = {field.name: field for field in _declared()}
"""By name: the case's id, its facts in the order of :class:`CaseFacts`, and the criteria of the checklist."""
