"""What is known of a case, as people send it and get it: all of :class:`~dermquery.data.case.Case` but its image."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dermquery.data.case import Case, Checklist
from dermquery.data.case_table import COLUMNS
from dermquery.data.checklist import CRITERIA

__all__ = ["CaseDescription", "CaseFields", "CaseId"]

_MOST_EXTRA = 100


def _addressable(case_id: str) -> str:
    if case_id in (".", "..") or case_id != case_id.strip():
        raise ValueError("must not be one dot or two, nor have blanks around it: a URL could not carry it")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in case_id):
        raise ValueError("must hold no control character")
    return case_id


def _or_none(value: object) -> object:
    return None if value == "" else value


def _free(extra: Mapping[str, str]) -> Mapping[str, str]:
    if taken := sorted(set(extra) & set(COLUMNS)):
        raise ValueError(f"{taken[0]!r} is a field of its own; give it there")
    return extra


CaseId = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_addressable)]
_Word = Annotated[Annotated[str, Field(max_length=500)] | None, BeforeValidator(_or_none)]
_Text = Annotated[Annotated[str, Field(max_length=10_000)] | None, BeforeValidator(_or_none)]
_Extra = Annotated[Mapping[str, Annotated[str, Field(max_length=4000)]], Field(max_length=_MOST_EXTRA)]


class CaseDescription(BaseModel):
    """What is known of a case.

    Attributes:
        diagnosis: the label that a search shows.
        fine_diagnosis: the original, ungrouped diagnosis.
        lesion_id, patient_id: pseudonyms; images of one lesion or patient have the same.
        age: years.
        date: when the image was taken.
        text: free text.
        checklist: the seven-point criteria that were recorded, each with its value.
        extra: anything else, shown with the case and never encoded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    diagnosis: _Word = None
    fine_diagnosis: _Word = None
    lesion_id: _Word = None
    patient_id: _Word = None
    sex: _Word = None
    age: Annotated[float, Field(ge=0, le=130, allow_inf_nan=False)] | None = None
    site: _Word = None
    elevation: _Word = None
    source: _Word = None
    date: datetime.date | None = None
    text: _Text = None
    checklist: Annotated[
        Checklist,
        Field(
            json_schema_extra={
                "additionalProperties": False,
                "properties": {name: {"enum": list(criterion.values)} for name, criterion in CRITERIA.items()},
            }
        ),
    ] = Field(default_factory=dict)
    extra: Annotated[_Extra, AfterValidator(_free)] = Field(default_factory=dict)


class CaseFields(CaseDescription):
    """A case by its id, unique in the base, with what is known of it."""

    case_id: CaseId

    def case(self, image: Path) -> Case:
        """The case with its image file."""
        return Case(image=image, **dict(self))

    @classmethod
    def of(cls, case: Case) -> CaseFields:
        """What is known of a case; nothing is checked again, because a base may hold what would be refused now."""
        return cls.model_construct(**{name: getattr(case, name) for name in cls.model_fields})
