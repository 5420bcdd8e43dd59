"""The query's checklist as a structured report, TID 1500 in a Comprehensive 3D SR, to be stored beside the image.

The criteria are what somebody saw, as terms or in words; the program only wrote them down. So the report is partial,
unverified and preliminary, names the program as the device that observed, and claims no region: nobody drew one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from dermquery.answer.dicom.source import MAKER, finished, own_code, source_image, tracking
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.data.dicom.quiet import quiet
from dermquery.data.files import replacing
from dermquery.store.hits import SearchResult

__all__ = ["checklist_report", "write_sr"]

_CODES = {
    "pigment_network": "NETWORK",
    "streaks": "STREAKS",
    "pigmentation": "PIGMENTATION",
    "regression_structures": "REGRESSION",
    "dots_and_globules": "GLOBULES",
    "blue_whitish_veil": "VEIL",
    "vascular_structures": "VESSELS",
}
"""Codes of the criteria; those of their values are ``<criterion's>.<place>``, from 0, in Derm7pt's order."""


def checklist_report(image: Dataset, terms: Mapping[str, str]) -> Comprehensive3DSR:
    """The report.

    Args:
        image: attributes of the query's image.
        terms: the criteria, at least one, each with its value.

    Raises:
        ValueError: there are no terms, or the image cannot be referred to.
    """
    if not terms:
        raise ValueError("a report needs findings; give at least one by --term or --text")
    source = source_image(image)
    uid, name = tracking(source)
    device = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(prefix=None), name="dermquery", manufacturer_name="dermquery", model_name="dermquery"
    )
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=uid, identifier=name),
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
        measurements=[
            Measurement(
                name=own_code("SCORE", "Seven-point score of the criteria given"),
                value=seven_point_score(terms),
                unit=codes.UCUM.NoUnits,
            )
        ],
        qualitative_evaluations=[QualitativeEvaluation(*_evaluation(name, value)) for name, value in terms.items()],
    )
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=codes.SCT.DermoscopicPhotography,
        imaging_measurements=[group],
    )
    made = Comprehensive3DSR(
        evidence=[source],
        content=report[0],
        series_instance_uid=generate_uid(prefix=None),
        series_number=1,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        is_complete=False,
        is_final=False,
        is_verified=False,
        **MAKER,
    )
    return finished(made, "Seven-point checklist")


def write_sr(result: SearchResult, image: Dataset, path: Path) -> Path:
    """Write :func:`checklist_report` of an answer's query, whole or not at all."""
    with quiet(), replacing(path) as part:
        checklist_report(image, result.terms).save_as(part)
    return path


def _evaluation(name: str, value: str) -> tuple[CodedConcept, CodedConcept]:
    criterion, code = CRITERIA[name], _CODES[name]
    place = criterion.values.index(value)
    return (
        CodedConcept.from_code(own_code(code, criterion.title.capitalize())),
        CodedConcept.from_code(own_code(f"{code}.{place}", value.capitalize())),
    )
