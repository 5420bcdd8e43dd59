"""De-identifies a DICOM object by PS3.15's basic profile, its patient's sex and age kept, its dates modified.

``dicom-anonymizer`` applies the profile's table (edition 2026c) to what :mod:`.kept` let through, with rules of our own
for what a case needs: ids become pseudonyms and UIDs other UIDs, the same for the same site key; all dates of a patient
are put back by the same number of days; an age above 89 is 90. Nobody is named by what is left, so the facts of a case
are read from it and from nothing else.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from functools import cache

from dicomanonymizer.simpledicomanonymizer import anonymize_dataset, initialize_actions
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from dermquery.data.dicom.attributes import is_secondary_capture, patient_of
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.header import Header
from dermquery.data.dicom.kept import DATES, UIDS, kept_attributes
from dermquery.data.dicom.quiet import quiet
from dermquery.data.dicom.site_key import SiteKey
from dermquery.data.dicom.values import text

__all__ = ["METHOD", "check_shown", "deidentified"]

METHOD = "PS3.15 2026c basic profile; sex and age kept, dates shifted, ids and UIDs by keyed hash"
"""At most 64 characters a value, as an attribute of the object has it; also kept with the case."""
_CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
_LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless})
_MOST_YEARS = 89
_Rule = Callable[[Dataset, tuple[int, int]], None]


def check_shown(header: Header, allowed: frozenset[str] = frozenset()) -> None:
    """Refuse an object whose pixels may name the patient, which no attribute's removal would mend.

    Args:
        header: of the object.
        allowed: what may be seen nevertheless: "burned-in", "faces".

    Raises:
        DicomError: it says that text is burned in or that a person can be recognised, or it is a secondary capture that
            does not say that no text is.
    """
    burned = text(header.dataset, "BurnedInAnnotation").upper()
    if "burned-in" not in allowed:
        if burned == "YES":
            raise DicomError("text is burned into its pixels; look at it, and allow it with --allow burned-in")
        if is_secondary_capture(header.class_uid) and burned != "NO":
            raise DicomError(
                "a secondary capture that does not say whether text is burned into its pixels; look at it, and allow "
                "it with --allow burned-in"
            )
    if "faces" not in allowed and text(header.dataset, "RecognizableVisualFeatures").upper() == "YES":
        raise DicomError("the patient can be recognised in its pixels; look at it, and allow it with --allow faces")


def deidentified(header: Header, key: SiteKey) -> Dataset:
    """The object's attributes without its patient's identity, and with what was done in group 0012.

    Args:
        header: of the object, whose functional groups were read before; it is left as it is.
        key: of the site.

    Returns:
        A new data set, with ``file_meta`` but without pixels.

    Raises:
        DicomError: its attributes are too damaged for that.
    """
    try:
        with quiet():
            return _deidentified(header, key)
    except (DicomError, MemoryError):
        raise
    except Exception as error:  # from None: the cause would quote what is being removed
        raise DicomError(f"its attributes cannot be de-identified ({type(error).__name__}); export it again") from None


def _deidentified(header: Header, key: SiteKey) -> Dataset:
    kept = kept_attributes(header.dataset, header.class_uid)
    if header.syntax in _LOSSY:  # whose copy is written without compression, and has lost what it has lost
        kept.LossyImageCompression = "01"
    patient = patient_of(header.dataset) or text(header.dataset, "StudyInstanceUID")
    rules = _rules(key, key.days(patient))
    for each in _nested(kept):
        anonymize_dataset(each, rules, base_rules_gen=_table)
    _record(kept)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(text(kept, "SOPClassUID"))
    meta.MediaStorageSOPInstanceUID = UID(text(kept, "SOPInstanceUID"))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    kept.file_meta = meta
    return kept


def _nested(dataset: Dataset) -> Iterator[Dataset]:
    """A data set and the items of its sequences at every depth; the library's rules look at one level."""
    yield dataset
    for element in dataset:
        if isinstance(element.value, Sequence):
            for item in element.value:
                yield from _nested(item)


@cache
def _profile() -> dict[tuple[int, ...], _Rule]:
    table: dict[tuple[int, ...], _Rule] = initialize_actions("dicomfields_2026c")
    return table


def _table() -> dict[tuple[int, ...], _Rule]:
    return dict(_profile())


def _rules(key: SiteKey, days: int) -> dict[tuple[int, int], _Rule]:
    """What is done instead of the profile's action, by tag."""

    def replaced(make: Callable[[str], str]) -> _Rule:
        def rule(dataset: Dataset, tag: tuple[int, int]) -> None:
            if tag in dataset and (written := str(dataset[tag].value or "")):
                dataset[tag].value = make(written)

        return rule

    rules = {_tag(name): replaced(key.uid) for name in UIDS}
    rules |= {_tag(name): replaced(lambda day: _shifted(day, days)) for name in DATES}
    rules |= {
        _tag("PatientID"): replaced(lambda number: key.pseudonym("patient", number)),
        _tag("TrackingID"): replaced(lambda named: key.pseudonym("lesion", named)),
        _tag("AccessionNumber"): replaced(lambda number: key.pseudonym("accession", number)[:16]),
        _tag("PatientAge"): replaced(_capped),
        _tag("PatientSex"): lambda _dataset, _tag: None,
    }
    return rules


def _tag(name: str) -> tuple[int, int]:
    tag = Tag(name)
    return tag.group, tag.element


def _shifted(day: str, days: int) -> str:
    moved = datetime.datetime.strptime(day, "%Y%m%d").date() - datetime.timedelta(days)  # noqa: DTZ007 - a day
    return moved.strftime("%Y%m%d")


def _capped(age: str) -> str:
    return "090Y" if age.endswith("Y") and int(age[:-1]) > _MOST_YEARS else age


def _record(kept: Dataset) -> None:
    """Say what was done, and give the attributes that an object must have and that stay empty."""
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = [part.strip()[:64] for part in f"dermquery;{METHOD}".split(";")]
    kept.DeidentificationMethodCodeSequence = Sequence([_code(*code) for code in _CODES])
    kept.LongitudinalTemporalInformationModified = "MODIFIED"
    for name in ("PatientName", "PatientBirthDate", "ReferringPhysicianName", "StudyID", "StudyTime"):
        setattr(kept, name, "")
    for name in ("PatientID", "PatientSex", "AccessionNumber", "StudyDate"):
        if name not in kept:
            setattr(kept, name, "")


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
