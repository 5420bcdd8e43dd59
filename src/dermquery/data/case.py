"""The two nouns of the project: a :class:`Case` that can be found, and a :class:`Query` that finds it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from dermquery.data.checklist import CRITERIA, check_values, render_text
from dermquery.data.findings import Findings, read_findings

__all__ = ["Case", "Checklist", "Query"]


def _checklist(values: Mapping[str, str]) -> Mapping[str, str]:
    ordered = {name: values[name] for name in CRITERIA if values.get(name)}
    check_values({**values, **ordered})
    return ordered


_as_dict = PlainSerializer(dict, return_type=dict[str, str])
Checklist = Annotated[Mapping[str, str], AfterValidator(_checklist), _as_dict]
"""Criterion name to Derm7pt value, for the criteria that were recorded; see :mod:`dermquery.data.checklist`."""
_Extra = Annotated[Mapping[str, str], _as_dict]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Case(_Frozen):
    """One dermoscopic image with what is known about it: a row of the case table.

    Attributes:
        case_id: unique within a table or a case base; ties in a ranking break by it.
        image: path of the image file.
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

    case_id: Annotated[str, Field(min_length=1)]
    image: Path
    diagnosis: str | None = None
    fine_diagnosis: str | None = None
    lesion_id: str | None = None
    patient_id: str | None = None
    sex: str | None = None
    age: Annotated[float, Field(ge=0, le=130)] | None = None
    site: str | None = None
    elevation: str | None = None
    source: str | None = None
    date: datetime.date | None = None
    text: str | None = None
    checklist: Checklist = Field(default_factory=dict)
    extra: _Extra = Field(default_factory=dict)

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
    def terms(self) -> dict[str, str]:
        """Checklist criteria that the query gives: those read in its free text, overruled by those given as terms."""
        found = {**self.findings.checklist, **self.checklist}
        return {name: found[name] for name in CRITERIA if name in found}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As Pydantic's; a copy with another text reads that one."""
        copy = super().model_copy(update=update, deep=deep)
        if update and "text" in update:
            copy.__dict__.pop("findings", None)
        return copy
