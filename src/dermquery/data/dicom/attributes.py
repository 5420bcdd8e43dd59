"""What the attributes of a DICOM object say about its case, in the words of :class:`~dermquery.data.case.CaseFacts`.

What is written in another way than the standard has it is left out, never guessed.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from dermquery.data.case import MAX_AGE, SPACING, WIDEST_PIXEL_MM
from dermquery.data.dicom.codes import site_of
from dermquery.data.dicom.values import items, number, numbers, text, texts
from dermquery.data.sources.harmless import texts_may_name
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.words import is_missing

__all__ = [
    "CONFOCAL",
    "DERMOSCOPIC",
    "PHOTOGRAPHS",
    "age_doubts",
    "age_of",
    "date_of",
    "day_of",
    "doubts_of",
    "facts_of",
    "is_secondary_capture",
    "patient_of",
]

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
CONFOCAL = "1.2.840.10008.5.1.4.1.1.77.1.8"
_CLINICAL = frozenset({"1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.4.1"})
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
PHOTOGRAPHS = frozenset({DERMOSCOPIC, CONFOCAL, *_CLINICAL, _SECONDARY, *(f"{_SECONDARY}.{n}" for n in (2, 3, 4))})
"""SOP classes of the photographs that become cases: dermoscopic, confocal, clinical, videos, and secondary captures."""

_SEXES = {"M": "male", "F": "female"}
_YEARS = {"D": 365.2425, "W": 52.1775, "M": 12.0, "Y": 1.0}
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = 64
"""Characters of a value that is no age."""
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_DATE = re.compile(r"(\d{4})([.-]?)(\d{2})\2(\d{2})")
_FIRST_YEAR = 1880
"""Of anybody who is alive; those who had to remove a date often wrote the first of all."""
_DATES = ("FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionDate", "ContentDate", "StudyDate")
"""The day of the photograph, the most exact one first."""
_SIDES = {"R": "right", "L": "left", "B": "bilateral", "7771000": "left", "24028007": "right", "51440002": "bilateral"}
_POLARISATION = {"POLARIZED": "polarised", "NON_POLARIZED": "non-polarised"}
_CONTACT = {"CONTACT": "contact", "NON_CONTACT": "non-contact"}
_MEDIA = {"ULTRASOUND_GEL", "ALCOHOL", "WATER", "MINERAL_OIL", "PLASTIC_CAP"}


def is_secondary_capture(class_uid: str) -> bool:
    """Whether a SOP class is one of the secondary captures, which may show anything, also a name."""
    return class_uid == _SECONDARY or class_uid.startswith(f"{_SECONDARY}.")


def facts_of(dataset: Dataset, class_uid: str) -> dict[str, Any]:
    """Fields of a case, and ``extra`` for what has no field; only those that are recorded.

    Args:
        dataset: the attributes, de-identified or not; of one frame, see :func:`.functional.by_frame`.
        class_uid: of the object's SOP class.
    """
    facts: dict[str, Any] = {
        "patient_id": patient_of(dataset),
        "lesion_id": _lesion(dataset),
        "sex": _SEXES.get(text(dataset, "PatientSex").upper()),
        "age": age_of(dataset),
        "date": date_of(dataset),
        "site": _site(dataset),
        "laterality": _side(dataset),
        "image_type": _kind(dataset, class_uid),
        "polarisation": _POLARISATION.get(text(dataset, "LightSourcePolarization").upper()),
        "contact": _CONTACT.get(text(dataset, "ContactMethod").upper()),
        "magnification": _magnification(dataset),
        "device": _device(dataset),
        "study_uid": text(dataset, "StudyInstanceUID"),
        "series_uid": text(dataset, "SeriesInstanceUID"),
        "instance_uid": text(dataset, "SOPInstanceUID"),
    }
    medium = text(dataset, "ImmersionMedia").upper()
    extra = {"immersion": medium.replace("_", " ").lower()} if medium in _MEDIA else {}
    if len(places := _sites(dataset)) > 1:
        extra["regions"] = "; ".join(places)
    if spacing := _spacing(dataset):
        extra[SPACING] = f"{spacing:g}"
    return {name: value for name, value in facts.items() if value not in (None, "")} | {"extra": extra}


def patient_of(dataset: Dataset) -> str:
    """The patient's number, with the place that gave it, if that is said: only there it is unique."""
    patient, issuer = text(dataset, "PatientID"), text(dataset, "IssuerOfPatientID")
    return f"{patient}@{issuer}" if patient and issuer else patient


def age_of(dataset: Dataset) -> float | None:
    """Years, as recorded or else from the dates of birth and study; None if neither is sound."""
    recorded = _recorded_age(dataset)
    if recorded is not None and recorded <= MAX_AGE:
        return recorded
    born, seen = day_of(dataset, "PatientBirthDate"), day_of(dataset, "StudyDate")
    if born is None or seen is None:
        return None
    years = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
    return float(years) if 0 <= years <= MAX_AGE else None


def _recorded_age(dataset: Dataset) -> float | None:
    match = _AGE.fullmatch(text(dataset, "PatientAge").upper())
    return None if match is None else round(int(match[1]) / _YEARS[match[2]], 2)


def age_doubts(dataset: Dataset, *, quoted: bool = False) -> tuple[str, ...]:
    """That a recorded age is nobody's, or none: asked of the object as it came, for de-identified it has none.

    Args:
        dataset: the attributes.
        quoted: whether what is no age is quoted as it stands; otherwise without numbers and what may be a name.
    """
    written, recorded = text(dataset, "PatientAge"), _recorded_age(dataset)
    if is_missing(written) or (recorded is not None and recorded <= MAX_AGE):
        return ()
    if recorded is not None:
        what = f"a PatientAge above {MAX_AGE:.0f} years is nobody's"
    else:
        shown = repr(written[:_QUOTED]) if quoted else _known_words(written)
        what = f"a PatientAge{shown and f' ({shown})'} is not written as the standard has it, such as 045Y"
    instead = "the dates of birth and study say it" if age_of(dataset) is not None else "it is not recorded"
    return (f"{what}, so {instead}; correct it in the table",)


def _known_words(written: str) -> str:
    """The words of a value, with an ellipsis for each that may be a name; empty without words."""
    words = [("…" if texts_may_name(Counter([word])) else word) for word in _WORD.findall(written)]
    return repr(" ".join(words)) if words else ""


def date_of(dataset: Dataset) -> datetime.date | None:
    """The day of the photograph, or the next best day that is recorded."""
    return next((day for name in _DATES if (day := day_of(dataset, name))), None)


def day_of(dataset: Dataset, name: str) -> datetime.date | None:
    """The day in an attribute of a date or a moment; None if there is none, or one that stands for none."""
    match = _DATE.match(text(dataset, name))
    try:
        day = datetime.date(int(match[1]), int(match[3]), int(match[4])) if match else None
    except ValueError:
        return None
    return day if day and day.year >= _FIRST_YEAR else None


def _lesion(dataset: Dataset) -> str:
    """The lesion over time: its UID, or its name together with the patient, for whom alone it is a name."""
    if uid := text(dataset, "TrackingUID"):
        return uid
    named, patient = text(dataset, "TrackingID"), patient_of(dataset)
    return f"{patient}/{named}" if named and patient else ""


def _regions(dataset: Dataset) -> Iterator[Dataset]:
    yield from items(dataset, "AnatomicRegionSequence")


def _sites(dataset: Dataset) -> list[str]:
    """The places that an object names, each once; one that holds another of them is left out, as that says more."""
    found = [
        site
        for region in _regions(dataset)
        if (
            site := site_of(
                text(region, "CodeValue"), text(region, "CodingSchemeDesignator"), text(region, "CodeMeaning")
            )
        )
    ]
    part = text(dataset, "BodyPartExamined")
    if not found and part and (site := site_of("", "", part)):
        found = [site]
    places = list(dict.fromkeys(found))
    return [one for one in places if not any(one in SITES.lineage(other)[:-1] for other in places)]


def _site(dataset: Dataset) -> str | None:
    """The one place; None of several, of which none is more the lesion's than another."""
    places = _sites(dataset)
    return places[0] if len(places) == 1 else None


def _sides(dataset: Dataset) -> dict[str, str]:
    """By attribute, the side that it says; the nearest last: that of the frame, of the image, of the series."""
    names = ("FrameLaterality", "ImageLaterality", "Laterality")
    said = [(name, _SIDES.get(text(dataset, name).upper())) for name in names]
    for region in _regions(dataset):
        modifiers = items(region, "AnatomicRegionModifierSequence")
        said += [("a region's modifier", _SIDES.get(text(modifier, "CodeValue"))) for modifier in modifiers]
    for written in (*(text(region, "CodeMeaning") for region in _regions(dataset)), text(dataset, "BodyPartExamined")):
        place = SITES.read(written)
        said.append(("a region's name", None if place is None else place.side))
    return {name: side for name, side in reversed(said) if side}


def _side(dataset: Dataset) -> str | None:
    return next(reversed(_sides(dataset).values()), None)


def doubts_of(dataset: Dataset) -> tuple[str, ...]:
    """Where an object contradicts itself, and what was taken."""
    places, sides = _sites(dataset), _sides(dataset)
    doubts = []
    if len(places) > 1:
        doubts.append(f"{' and '.join(places)} are regions of one object, so its site is not recorded")
    if len(set(sides.values())) > 1:
        said = ", ".join(f"{name} says {side}" for name, side in reversed(sides.items()))
        doubts.append(f"{said}; the first is taken")
    return tuple(doubts)


def _kind(dataset: Dataset, class_uid: str) -> str | None:
    """The kind of photograph; older dermoscopes say it by their contact with the skin, not by their class."""
    if class_uid == CONFOCAL:
        return "confocal"
    if class_uid == DERMOSCOPIC or text(dataset, "Modality").upper() == "DMS" or texts(dataset, "ContactMethod"):
        return "dermoscopic"
    return "clinical" if class_uid in _CLINICAL else None


def _magnification(dataset: Dataset) -> float | None:
    factor = number(dataset, "OpticalMagnificationFactor")
    return factor if factor is not None and 0 < factor <= 1000 else None


def _spacing(dataset: Dataset) -> float | None:
    """Millimetres from pixel to pixel; None unless they are said, credible, and the same in both directions."""
    found = numbers(dataset, "PixelSpacing")
    if len(found) != 2 or not all(0 < each < WIDEST_PIXEL_MM for each in found):
        return None
    return found[0] if math.isclose(*found, rel_tol=0.01) else None


def _device(dataset: Dataset) -> str:
    maker, model = text(dataset, "Manufacturer"), text(dataset, "ManufacturerModelName")
    return model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
