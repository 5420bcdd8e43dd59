"""What is known of a case, as people send it and get it: all of :class:`~dermquery.data.case.Case` but its image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from dermquery.data.case import CASE_FIELDS, Case, CaseFacts, Kind
from dermquery.data.case_table import COLUMNS

__all__ = ["CaseDescription", "CaseFields", "CaseId"]

_MOST_EXTRA = 100


def _addressable(case_id: str) -> str:
    if case_id in (".", "..") or case_id != case_id.strip():
        raise ValueError("must not be one dot or two, nor have blanks around it: a URL could not carry it")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in case_id):
        raise ValueError("must hold no control character")
    return case_id


def _free(extra: Mapping[str, str]) -> Mapping[str, str]:
    if taken := sorted(set(extra) & set(COLUMNS)):
        raise ValueError(f"{taken[0]!r} is a field of its own; give it there")
    return extra


CaseId = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_addressable)]
_Extra = Annotated[Mapping[str, Annotated[str, Field(max_length=4000)]], Field(max_length=_MOST_EXTRA)]
_LONGEST = {
    name: 10_000 if CASE_FIELDS[name].kind is Kind.PROSE else 500
    for name in CaseFacts.model_fields
    if name in CASE_FIELDS and CASE_FIELDS[name].kind in (Kind.ID, Kind.CHOICE, Kind.WORD, Kind.TREE, Kind.PROSE)
}
"""Characters that a text may have. Only what is sent is bounded: a table on the disk may hold longer ones."""


def _say_longest(schema: dict[str, Any]) -> None:
    """Add to a JSON schema what :class:`CaseDescription` checks beyond :class:`CaseFacts`."""
    for name, longest in _LONGEST.items():
        schema["properties"][name]["anyOf"][0]["maxLength"] = longest


class CaseDescription(CaseFacts):
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

    model_config = ConfigDict(json_schema_extra=_say_longest)

    extra: Annotated[_Extra, AfterValidator(_free)] = Field(default_factory=dict)

    @field_validator(*_LONGEST, mode="before")
    @classmethod
    def _bounded(cls, value: object, info: ValidationInfo) -> object:
        longest = _LONGEST[str(info.field_name)]
        if isinstance(value, str) and len(value) > longest:
            raise PydanticKnownError("string_too_long", {"max_length": longest})
        return None if value == "" else value


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
