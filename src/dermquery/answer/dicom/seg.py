"""Where the query is alike its hits, as a segmentation that viewers lay over the image.

A segment is what the overlay of the same name shows at half its brightness or more: one of all levels together, and one
of each feature level. It says where the model looked, and outlines no lesion.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from dermquery.answer.dicom.source import MAKER, finished, own_code, source_image, tracking
from dermquery.answer.overlay import ALL_LEVELS, brightness, query_evidence
from dermquery.data.dicom.quiet import quiet
from dermquery.data.files import replacing
from dermquery.store.hits import SearchResult

__all__ = ["regions", "write_seg"]

_HALF = 0.5


def regions(result: SearchResult, image: Dataset) -> Segmentation:
    """The segmentation.

    Args:
        result: explained (``CaseBase.explain``), of a query with an image.
        image: attributes of that image.

    Raises:
        ValueError: nothing was explained, or the image cannot be referred to.
    """
    source, found = source_image(image), query_evidence(result)
    if found is None:
        raise ValueError("there are no regions: the answer has no hit, or the model cannot explain it")
    maps, box = found
    size = (int(source.Columns), int(source.Rows))
    masks = {ALL_LEVELS: brightness(maps, box, size) >= _HALF}
    for name, level in zip(result.base.levels, maps, strict=True):
        masks[name] = brightness([level], box, size) >= _HALF
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    if not masks:
        raise ValueError("there are no regions: no part of the image speaks for a hit")
    uid, tracked = tracking(source)
    algorithm = AlgorithmIdentificationSequence(
        name="dermquery",
        family=codes.DCM.ArtificialIntelligence,
        version=str(MAKER["software_versions"]),
        source="dermquery",
        parameters={"model": result.base.model_name, "artifact": result.base.model_hash},
    )
    made = Segmentation(
        source_images=[source],
        pixel_array=_stacked(list(masks.values())),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            SegmentDescription(
                segment_number=number,
                segment_label=f"alike, {name} level{'s' if name == ALL_LEVELS else ''}"[:64],
                segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
                segmented_property_type=own_code("ALIKE", "Region that makes a case similar"),
                algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
                tracking_uid=uid,
                tracking_id=tracked,
            )
            for number, name in enumerate(masks, 1)
        ],
        series_instance_uid=generate_uid(prefix=None),
        series_number=1,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        content_label="ALIKE",
        content_description="Where a query is alike its hits",
        **MAKER,
    )
    made.PatientOrientation = None  # type 2C: unknown, as of the photograph
    return finished(made, "Similar regions")


def write_seg(result: SearchResult, image: Dataset, path: Path) -> Path:
    """Write :func:`regions`, whole or not at all."""
    with quiet(), replacing(path) as part:
        regions(result, image).save_as(part)
    return path


def _stacked(masks: list[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Masks (rows, columns) as one frame (1, rows, columns, segments)."""
    return np.stack(masks, axis=-1)[np.newaxis].astype(np.uint8)
