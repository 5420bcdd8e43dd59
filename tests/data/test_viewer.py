from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.data.viewer import Viewer

OHIF = (
    "https://pacs.example.org/viewer?StudyInstanceUIDs={study}&initialSeriesInstanceUID={series}"
    "&initialSOPInstanceUID={instance}"
)


def case(**uids: str) -> Case:
    return Case(case_id="a", image=Path("a.png"), **uids)


def test_the_uids_stand_in_their_places() -> None:
    stone = Viewer("http://127.0.0.1:8042/stone-webviewer/index.html?study={study}")
    assert stone.address(case(study_uid="1.2.3")) == "http://127.0.0.1:8042/stone-webviewer/index.html?study=1.2.3"
    full = Viewer(OHIF).address(case(study_uid="1.2", series_uid="3.4", instance_uid="5.6"))
    assert full == (
        "https://pacs.example.org/viewer?StudyInstanceUIDs=1.2&initialSeriesInstanceUID=3.4&initialSOPInstanceUID=5.6"
    )


def test_a_case_without_one_of_the_uids_opens_nowhere() -> None:
    assert Viewer(OHIF).address(case(study_uid="1.2")) is None
    assert Viewer(OHIF).address(case()) is None


@given(st.text(min_size=1))
def test_a_uid_never_leaves_its_place(uid: str) -> None:
    link = Viewer("https://pacs.example.org/v?study={study}&x=1").address(case(study_uid=uid))
    assert link is not None
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("https", "pacs.example.org", "/v", "")
    assert parse_qs(parts.query, keep_blank_values=True)["x"] == ["1"]
    assert parse_qs(parts.query, keep_blank_values=True)["study"] == [uid]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("javascript:alert({study})", "no http or https"),
        ("ftp://pacs/{study}", "no http or https"),
        ("/viewer?study={study}", "no http or https"),
        ("https:///viewer?study={study}", "no http or https"),
        ("https://{study}.example.org/", "name of its server"),
        ("https://ann:pw@pacs/{study}", "a password"),
        ("https://pacs/{patient}/{study}", "unknown place {patient}"),
        ("https://pacs/{study.__class__}", "unknown place"),
        ("https://pacs/{study!r}", "unknown place"),
        ("https://pacs/{study:99999999}", "unknown place"),
        ("https://pacs/{}", "unknown place"),
        ("https://pacs/{study", "cannot be read"),
        ("https://pacs:port/{study}", "cannot be read"),
        ("https://[pacs/{study}", "cannot be read"),
        ("https://pacs/viewer", "lacks the place {study}"),
        ('https://pacs/"onmouseover=x/{study}', "a quote"),
        ("https://pacs/\n{study}", "a blank"),
    ],
)
def test_what_is_no_address_with_places_is_refused_with_the_remedy(template: str, said: str) -> None:
    with pytest.raises(ValueError, match="write for example https://") as error:
        Viewer(template)
    assert said in str(error.value)
