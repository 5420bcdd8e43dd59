"""How results are worded and coloured, alike in every output."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dermquery.answer.language import _, day, number
from dermquery.data.case import CASE_FIELDS, NUMBERS, Case, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.data.findings import Findings, Remark
from dermquery.data.reading.lexicon import DEFAULT, languages
from dermquery.store.filters import AllOf, Equals, Missing, Not, OneOf

__all__ = [
    "IN_BRIEF",
    "NOT_RECORDED",
    "SELDOM",
    "TITLES",
    "UNITS",
    "Tone",
    "describe_case",
    "describe_condition",
    "diagnosis_title",
    "field_words",
    "reading_notes",
    "remark_question",
    "term_phrase",
    "tones",
    "upper_first",
    "value_title",
]

NOT_RECORDED = "Not recorded"
_OF_FEW_WORDS = (Kind.CHOICE, Kind.TREE, Kind.CRITERION)

TITLES: Mapping[str, str] = {
    "diagnosis": "Diagnosis",
    "fine_diagnosis": "Original diagnosis",
    "diagnosis_path": "ISIC diagnosis",
    "confirmed_by": "Confirmed by",
    "breslow_mm": "Breslow thickness",
    "sex": "Sex",
    "age": "Age",
    "skin_type": "Skin type",
    "site": "Site",
    "laterality": "Side",
    "elevation": "Elevation",
    "diameter_mm": "Diameter",
    "lesion_id": "Lesion",
    "patient_id": "Patient",
    "source": "Source",
    "date": "Taken",
    "image_type": "Image type",
    "polarisation": "Light",
    "contact": "Contact",
    "magnification": "Magnification",
    "device": "Device",
    "licence": "Licence",
    "attribution": "Attribution",
    "study_uid": "DICOM study",
    "series_uid": "DICOM series",
    "instance_uid": "DICOM instance",
    "text": "Text",
}
"""What people call the fields of :class:`~dermquery.data.case.CaseFacts`, in the order in which they see them."""
SELDOM = frozenset(
    {
        *(
            "diagnosis_path",
            "breslow_mm",
            "skin_type",
            "elevation",
            "diameter_mm",
            "image_type",
            "polarisation",
            "contact",
        ),
        *("magnification", "device", "licence", "attribution", "study_uid", "series_uid", "instance_uid"),
    }
)
"""Fields that stand folded in a form."""
UNITS: Mapping[str, str] = {"age": "y", "breslow_mm": "mm", "diameter_mm": "mm", "magnification": "×"}
"""What stands behind a number, for people."""
IN_BRIEF = ("site", "sex", "age", "confirmed_by")
"""The fields that describe a case in one line, below its image."""

_DIAGNOSES = {
    "mel": "Melanoma",
    "nv": "Nevus",
    "bkl": "Benign keratosis",
    "bcc": "Basal cell carcinoma",
    "scc": "Squamous cell carcinoma",
    "akiec": "Actinic keratosis",
    "df": "Dermatofibroma",
    "vasc": "Vascular lesion",
}
"""Names of the labels that the field's data sets share (HAM10000, ISIC, Derm7pt as grouped here)."""

VALUES = (
    *("flat", "palpable", "nodular", "acral", "buttocks", "genital areas", "head neck", "lower limbs", "upper limbs"),
    "unknown",
)
"""Values that data sets share beyond the words of the vocabularies, for the catalogues."""


@dataclass(frozen=True)
class Tone:
    """A diagnosis' colour on paper and on a dark screen; it never stands without the diagnosis' name."""

    light: str
    dark: str


_NONE = Tone("#8a949d", "#7d8892")
_KNOWN = {
    "mel": Tone("#b8332a", "#f0796b"),
    "nv": Tone("#2273a5", "#5eb0e0"),
    "bkl": Tone("#cf9a1b", "#e6bd55"),
    "bcc": Tone("#7a4aa0", "#bd93e0"),
    "scc": Tone("#a8407a", "#e58fbd"),
    "akiec": Tone("#4a8a3f", "#8cc882"),
    "df": Tone("#5d628f", "#a3a8de"),
    "vasc": Tone("#1f8a80", "#5fcabf"),
}
_SPARE = ("#5d628f", "#1f8a80", "#7a4aa0", "#4a8a3f", "#a8407a", "#87603a")


def tones(diagnoses: Iterable[str | None]) -> dict[str | None, Tone]:
    """A tone for every diagnosis: the field's labels keep theirs, others get one by their alphabetical order."""
    names = set(diagnoses)
    others = sorted(name for name in names if name is not None and name not in _KNOWN)
    spare = {name: Tone(_SPARE[i % len(_SPARE)], _SPARE[i % len(_SPARE)]) for i, name in enumerate(others)}
    return {name: _NONE if name is None else _KNOWN.get(name) or spare[name] for name in names}


def diagnosis_title(diagnosis: str | None) -> str:
    """Name of a diagnosis for people: ``Melanoma`` for ``mel``, other labels as they were written."""
    return _(NOT_RECORDED if diagnosis is None else _DIAGNOSES.get(diagnosis, diagnosis))


def field_words(case: Case, name: str) -> str | None:
    """What a case has in a field of :data:`TITLES`, for people; None if it was not recorded."""
    value = getattr(case, name)
    if value is None or value == "":
        return None
    if name in NUMBERS:
        said = number(value, len(f"{value:g}".partition(".")[2]))
        return _("%s y") % said if name == "age" else f"{said} {UNITS.get(name, '')}".rstrip()
    return day(value) if isinstance(value, datetime.date) else value_title(name, value)


def upper_first(text: str) -> str:
    """A text as a sentence or a heading begins it; what follows keeps its letters, as German nouns must."""
    return text[:1].upper() + text[1:]


def value_title(name: str, value: object) -> str:
    """A recorded value for people: of a field of few words in their language, else as it was written."""
    if name == "diagnosis":
        return diagnosis_title(str(value))
    if name == "diagnosis_path":
        return str(value).replace(":", " › ")
    return _(str(value)) if CASE_FIELDS[name].kind in _OF_FEW_WORDS else str(value)


def describe_case(case: Case) -> str:
    """A case in one line, as far as it was recorded: ``back · female · 61 y``."""
    return " · ".join(words for name in IN_BRIEF if (words := field_words(case, name)))


def term_phrase(name: str, value: str) -> str:
    """A criterion and its value: ``pigment network: atypical``."""
    return f"{_(CRITERIA[name].title)}: {_(value)}"


def reading_notes(reading: Findings) -> tuple[str, ...]:
    """What the writer of a text has to know: what of it does not count and why, and what is asked back."""
    doubtful, against, open_ = _("Uncertain"), _("Contradictory"), _("Incomplete")
    kinds = ((doubtful, reading.uncertain), (against, reading.conflicts), (open_, reading.incomplete))
    notes = [_remark(kind, remark, reading) for kind, remarks in kinds for remark in remarks]
    if reading.unread:
        notes.append(_("No finding recognised in: %s.") % f"“{'”, “'.join(reading.unread)}”")
    if reading.language not in ("", DEFAULT):
        notes.append(_("The text was read as %s.") % _(languages()[reading.language].name))
    return tuple(notes)


def remark_question(remark: Remark) -> str:
    """What is asked back about a remark: ``streaks: regular or irregular?``."""
    title, _colon, rest = remark.question.partition(": ")
    options = rest.rstrip("?").replace(" or ", ", ").split(", ")
    *first, last = (_(option) for option in options)
    return f"{_(title)}: {_('%s or %s') % (', '.join(first), last) if first else last}?"


def _remark(kind: str, remark: Remark, reading: Findings) -> str:
    counted = reading.checklist.get(remark.criterion)
    counts = _("“%s” counts") % _(counted) if counted else _("not counted")
    question = remark_question(remark)
    return f"{kind}, {counts}: “{remark.words}”. {upper_first(question)}"


def describe_condition(node: Any) -> list[str]:
    """A condition tree in words, one line for each condition that must hold."""
    if isinstance(node, AllOf):
        return [line for child in node.conditions for line in describe_condition(child)]
    return [_words(node, negated=False)]


def _words(node: Any, *, negated: bool) -> str:
    no = f"{_('not')} " if negated else ""
    if isinstance(node, Not):
        return _words(node.condition, negated=not negated)
    if isinstance(node, AllOf):
        return no + "(" + f" {_('and')} ".join(_words(c, negated=False) for c in node.conditions) + ")"
    name = _(node.field.removeprefix("extra.").replace("_", " "))
    if isinstance(node, Missing):
        return f"{name} {_('recorded') if negated else _('not recorded')}"
    if isinstance(node, Equals):
        return f"{name} {no}{_value(node.value)}"
    if isinstance(node, OneOf):
        either = f" {_('or')} ".join(map(_value, node.values))
        return f"{name} {no}{either or _('one of none')}"
    bounds = {"≥": node.ge, ">": node.gt, "≤": node.le, "<": node.lt}
    limits = f" {_('and')} ".join(f"{sign} {_value(bound)}" for sign, bound in bounds.items() if bound is not None)
    return f"{no}{name} {limits or _('recorded')}"


def _value(value: str | float | datetime.date) -> str:
    if isinstance(value, datetime.date):
        return day(value)
    return f"{value:g}" if isinstance(value, int | float) else _(value)
