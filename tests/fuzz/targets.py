"""All targets by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.clinic import DICOM
from tests.fuzz.pictures import IMAGE
from tests.fuzz.service import MULTIPART
from tests.fuzz.stored import ARCHIVE, ARTIFACT, SNAPSHOT
from tests.fuzz.target import Target
from tests.fuzz.written import FILTER, LINK, TABLE, TEXT

__all__ = ["TARGETS"]

TARGETS: Mapping[str, Target] = {
    "image": IMAGE,
    "dicom": DICOM,
    "table": TABLE,
    "archive": ARCHIVE,
    "filter": FILTER,
    "text": TEXT,
    "artifact": ARTIFACT,
    "snapshot": SNAPSHOT,
    "multipart": MULTIPART,
    "link": LINK,
}
