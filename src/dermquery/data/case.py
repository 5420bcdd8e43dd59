"""The two nouns of the project: a :class:`Case` that can be found, and a :class:`Query` that finds it.

A new field of a case is one line of :class:`CaseFacts` and its words in :mod:`dermquery.answer.words`. Its
:class:`Kind` says how case tables, stores, filters, API, page and reports treat it; a number's limits stand in its line
too.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic_core import ErrorDetails

from dermquery.data.checklist import CRITERIA, check_values, render_text
from dermquery.data.findings import Findings, read_findings

__all__ = [
    "CASE_FIELDS",
    "MAX_AGE",
    "NUMBERS",
    "SPACING",
    "WIDEST_PIXEL_MM",
    "Case",
    "CaseFacts",
    "CaseField",
    "Checklist",
    "Kind",
    "Query",
    "is_global",
]


class Kind(Enum):
    """What a field of a case holds."""

    ID = "names the case, its lesion or its patient; asked for as a whole"
    CHOICE = "one of few words; counted, and offered to choose from"
    WORD = "one of many words; suggested while somebody types"
    TREE = "a place in a hierarchy (:mod:`dermquery.data.vocabulary.trees`); asked for by itself or any place above"
    NUMBER = "a number that is not negative; asked for by its range"
    DAY = "a day; asked for by its range"
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
_Word = Annotated[str | None, Kind.WORD]
_Tree = Annotated[str | None, Kind.TREE]
MAX_AGE = 130.0
_BATCH = 4
"""Dimensions of an array of several images."""
SPACING = "pixel_spacing_mm"
"""The extra column that says how large the pixels of an image are; whoever resizes the image corrects it."""
WIDEST_PIXEL_MM = 0.5
"""An image of a lesion has more pixels than that; "1" is what converters write that know no scale."""
_ISIC_IMAGE = re.compile(r"(ISIC_[0-9]{7})(?:_downsampled)?")
_GLOBAL = re.compile(r"(?:IL|IP|HAM|BCN|MSK4?)_[0-9]{7}|derm7pt-[0-9]{4}")
"""Lesions and patients of the archive, and lesions of its parts as the challenge of 2019 has them; and Derm7pt's."""
_Years = Annotated[Annotated[float, Field(ge=0, le=MAX_AGE)] | None, Kind.NUMBER]
_Number = Annotated[Annotated[float, Field(ge=0, le=1000)] | None, Kind.NUMBER]


def is_global(of: str) -> bool:
    """Whether an id of a lesion or a patient is the same wherever it comes from."""
    return _GLOBAL.fullmatch(of) is not None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class CaseFacts(_Frozen):
    """What can be recorded of a case, each field with its :class:`Kind`; a field of few legal values is a ``Literal``.

    Attributes:
        diagnosis: the label that retrieval is judged by (equation 1), if known.
        fine_diagnosis: the original, ungrouped diagnosis ("clark nevus"), if known.
        lesion_id, patient_id: groups that must never be split over folds, nor retrieve themselves.
        age: years.
        site: where on the body, in the words of :mod:`dermquery.data.vocabulary`.
        elevation: Derm7pt's "flat", "palpable" or "nodular", or the user's own word.
        source: the data set or clinic that the case comes from; the ids of lesions and patients are its own.
        date: when the image was taken.
        diagnosis_path: the diagnosis in the hierarchy of the ISIC Archive, its levels joined by ":".
        confirmed_by: how the diagnosis was confirmed, in ISIC's words ("histopathology").
        image_type: what kind of photograph it is, in ISIC's words ("dermoscopic", "clinical: close-up").
        laterality: "left", "right", "bilateral" or "midline".
        skin_type: with its scale ("Fitzpatrick III", "Monk 4").
        polarisation, contact: of the light ("polarised"), of the lens with the skin ("contact", "non-contact").
        magnification: optical.
        diameter_mm, breslow_mm: of the lesion; the thickness of a melanoma.
        device: manufacturer and model of the camera.
        licence, attribution: under which the image may be used, and who has to be named.
        study_uid, series_uid, instance_uid: of DICOM, the way back to the picture archive.
        text: free text recorded with the case.
        checklist: the seven-point criteria that were recorded, each with its Derm7pt value.
        extra: every other column of the table, shown with the case and never encoded.
    """

    diagnosis: _Choice = None
    fine_diagnosis: _Word = None
    lesion_id: _Id = None
    patient_id: _Id = None
    sex: _Choice = None
    age: _Years = None
    site: _Tree = None
    elevation: _Choice = None
    source: _Choice = None
    date: Annotated[datetime.date | None, Kind.DAY] = None
    diagnosis_path: _Tree = None
    confirmed_by: _Choice = None
    image_type: _Choice = None
    laterality: _Choice = None
    skin_type: _Choice = None
    polarisation: _Choice = None
    contact: _Choice = None
    magnification: _Number = None
    diameter_mm: _Number = None
    breslow_mm: _Number = None
    device: _Word = None
    licence: _Choice = None
    attribution: _Word = None
    study_uid: _Id = None
    series_uid: _Id = None
    instance_uid: _Id = None
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
    def case_key(self) -> str:
        """What is equal for two cases of one image: an id of the ISIC Archive, else the id with the source."""
        return f"case:{archived}" if (archived := self.archive_id) else self._own("case", self.case_id) or ""

    @property
    def archive_id(self) -> str | None:
        """The id of the ISIC Archive that the case is called by; None for another id."""
        archived = _ISIC_IMAGE.fullmatch(self.case_id)
        return archived[1] if archived else None

    @property
    def lesion_key(self) -> str | None:
        """What is equal for two cases of one lesion, whose id is its source's own; None for an unknown lesion."""
        return self._own("lesion", self.lesion_id)

    @property
    def patient_key(self) -> str | None:
        """What is equal for two cases of one patient, whose id is its source's own; None for an unknown patient."""
        return self._own("patient", self.patient_id)

    @property
    def group(self) -> str:
        """What keeps the case's images together: its patient, else its lesion, else itself."""
        return self.patient_key or self.lesion_key or self.case_key

    @property
    def group_in_source(self) -> str:
        """The same without the source, as tables of one source are known by: folds, and lesions that are held out."""
        if self.patient_id:
            return f"patient:{self.patient_id}"
        return f"lesion:{self.lesion_id}" if self.lesion_id else f"case:{self.case_id}"

    @property
    def is_clinical(self) -> bool:
        """Whether its image is said to be a photograph without a dermoscope, a tile of total body photography too."""
        return (self.image_type or "").startswith(("clinical", "TBP"))

    @property
    def is_dermoscopic(self) -> bool:
        """Whether its image is dermoscopic; so is one of which nothing is said."""
        return (self.image_type or "dermoscopic") == "dermoscopic"

    @property
    def pixel_spacing_mm(self) -> float | None:
        """Millimetres of skin from pixel to pixel of the image file, if its source says so; never estimated."""
        try:
            spacing = float(self.extra.get(SPACING, ""))
        except ValueError:
            return None
        return spacing if 0 < spacing < WIDEST_PIXEL_MM else None

    def same_lesion(self, other: Case) -> bool:
        """Whether both show one lesion: the same case, or the same recorded lesion of the same source."""
        if self.case_key == other.case_key:
            return True
        return self.lesion_key is not None and self.lesion_key == other.lesion_key

    def owns(self, of: str) -> bool:
        """Whether an id of a lesion or a patient is the case's source's own, and says nothing without it.

        Those of the ISIC Archive, and those that a preparation makes of Derm7pt's numbers, are the same everywhere.
        """
        return bool(self.source) and not is_global(of)

    def _own(self, kind: str, of: str | None) -> str | None:
        if not of:
            return None
        return f"{kind} of {self.source!r}:{of}" if self.owns(of) else f"{kind}:{of}"

    def as_query(self) -> Query:
        """The composed query that this case's own image and findings make, as in the evaluation."""
        return Query(image=self.image, text=self.text, checklist=self.checklist)


def _told(fault: ErrorDetails) -> str:
    """A schema's complaint about a query in words of its user."""
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"a query has no {where!r}; use {', '.join(Query.model_fields)}"
    said = fault["msg"].removeprefix("Value error, ")
    return said if fault["type"] == "value_error" else f"{where}: {said}, got {fault['input']!r}"


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

        Raises:
            ValueError: a mapping has a field or a value that no query has.
        """
        if isinstance(item, cls):
            return item
        if isinstance(item, Mapping):
            try:
                return cls(**item)
            except ValidationError as error:
                raise ValueError("; ".join(map(_told, error.errors()))) from None
        return cls(text=item) if isinstance(item, str) else cls(image=item)

    @classmethod
    def many(cls, items: Any) -> list[Self]:
        """Queries of a sequence, as :meth:`of` makes each; of a single item, which is no sequence of queries, one.

        A text would be a sequence of its letters, a mapping of its keys, and an image as an array of its rows.

        >>> [query.text for query in Query.many("veil")]
        ['veil']
        """
        one = isinstance(items, (cls, Mapping, str, bytes, bytearray, memoryview, PathLike)) or hasattr(items, "read")
        if one or hasattr(items, "getbands") or getattr(items, "ndim", _BATCH) < _BATCH:
            return [cls.of(items)]
        return [cls.of(item) for item in items]

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
        most: of a number, the greatest that is legal; the least is 0.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    most: float = 0.0

    @property
    def is_ordered(self) -> bool:
        """Whether it is asked for by ranges."""
        return self.kind in (Kind.NUMBER, Kind.DAY)

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
                most = _most(field.annotation) if kind is Kind.NUMBER else 0.0
                yield CaseField(name, kind, _literals(field.annotation), most)
    for name, criterion in CRITERIA.items():
        yield CaseField(name, Kind.CRITERION, criterion.values)


def _literals(annotation: Any) -> tuple[str, ...]:
    """Values of the ``Literal`` in ``Literal[...] | None``; none without one."""
    return next((get_args(part) for part in get_args(annotation) if get_origin(part) is Literal), ())


def _most(annotation: Any) -> float:
    """The limit of the ``Annotated[float, Field(le=...)] | None`` of a number."""
    limits = (limit for part in get_args(annotation) for field in get_args(part)[1:] for limit in field.metadata)
    return next(float(limit.le) for limit in limits if hasattr(limit, "le"))


CASE_FIELDS: Mapping[str, CaseField] = {field.name: field for field in _declared()}
"""By name: the case's id, its facts in the order of :class:`CaseFacts`, and the criteria of the checklist."""
NUMBERS: tuple[str, ...] = tuple(name for name, field in CASE_FIELDS.items() if field.kind is Kind.NUMBER)
"""Names of the fields that hold numbers."""
