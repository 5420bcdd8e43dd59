"""Objects about a query are checked by dciodvfy and by a real archive."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from dermquery import CaseBase
from dermquery.cli.demo import _CASES
from dermquery.data.case import Case
from dermquery.data.case_table import read_cases
from dermquery.store.hits import SearchResult
from tests.dermoscopic import dermoscopic_object
from tests.orthanc import orthanc

__all__ = ["base", "cases", "complaints", "image", "orthanc", "result"]

_KNOWN = re.compile(r"Unrecognized defined term = <(99DERMQ|DMS)>|needed to build DICOMDIR")


@pytest.fixture(scope="session")
def cases() -> Sequence[Case]:
    """Rendered lesions that come along."""
    return read_cases(_CASES / "cases.csv").cases[:5]


@pytest.fixture(scope="session")
def base(cases: Sequence[Case], tmp_path_factory: pytest.TempPathFactory) -> CaseBase:
    """Four of them, encoded by the small model that comes along."""
    made = CaseBase.create(tmp_path_factory.mktemp("base") / "base", "demo")
    made.add(cases[1:])
    return made


@pytest.fixture(scope="session")
def image(cases: Sequence[Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first as the image of a query: a DICOM object whose lesion is followed."""
    path = tmp_path_factory.mktemp("query") / "query.dcm"
    with Image.open(cases[0].image) as picture:
        return dermoscopic_object(path, picture, TrackingID="lesion 7", TrackingUID="2.25.7")


@pytest.fixture(scope="session")
def result(base: CaseBase, cases: Sequence[Case]) -> SearchResult:
    """An explained answer to that query, and to findings as a term and in words."""
    checklist = {"pigment_network": "atypical"}
    return base.explain(base.search(image=cases[0].image, text="linear irregular vessels", checklist=checklist))


def complaints(path: Path) -> list[str]:
    """What dciodvfy says of a file, without terms that it cannot know, and without what is no fault of an object."""
    program = Path(sys.executable).parent / "dciodvfy"
    found = subprocess.run([program, "-new", path], capture_output=True, text=True, check=False)
    lines = (found.stdout + found.stderr).splitlines()
    return [line for line in lines if line.startswith(("Error", "Warning")) and not _KNOWN.search(line)]
