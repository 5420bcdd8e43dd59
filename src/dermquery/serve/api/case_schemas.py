"""What the API takes for cases that are put in or changed."""

from __future__ import annotations

from typing import Annotated

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, Json

from dermquery.serve.api.common import SmallJson
from dermquery.serve.fields import CaseDescription, CaseFields

__all__ = ["NewCaseForm", "ReplacedCaseForm"]

_EXAMPLE = '{"case_id": "clinic-2024-17", "diagnosis": "nv", "site": "back", "checklist": {"streaks": "absent"}}'


class NewCaseForm(BaseModel):
    """A case to be put in."""

    model_config = ConfigDict(extra="forbid")

    case: Annotated[
        Json[CaseFields], SmallJson, Field(description="What is known of it, in JSON.", examples=[_EXAMPLE])
    ]
    image: Annotated[UploadFile, Field(description="Dermoscopic image: JPEG, PNG, TIFF, …")]
    update: Annotated[bool, Field(description="Replace a case of this id, if there is one.")] = False


class ReplacedCaseForm(BaseModel):
    """What is known of a case now, and its image if that changed too."""

    model_config = ConfigDict(extra="forbid")

    case: Annotated[
        Json[CaseDescription], SmallJson, Field(description="All that is known of it, without its id, in JSON.")
    ]
    image: Annotated[UploadFile | None, Field(description="Another image; without it the old one stays.")] = None
