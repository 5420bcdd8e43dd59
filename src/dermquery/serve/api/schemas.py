"""What the API sends and takes, as OpenAPI describes it. No answer holds a path of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from dermquery import __version__
from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.model.parts import Weights
from dermquery.model.presets import default_preset
from dermquery.serve.fields import CaseFields
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import RESEARCH_USE
from dermquery.store.protocol import ExplainingEncoder

__all__ = [
    "PREFIX",
    "CaseAnswer",
    "CasePage",
    "InfoAnswer",
    "Notice",
    "Out",
    "Problem",
    "ValueCount",
    "ValueCounts",
    "case_url",
    "search_url",
]

PREFIX = "/api/v1"


def case_url(case_id: str, root: str = "") -> str:
    """Address of a case; its id is one segment, whatever letters it has. ``root`` is the path that a proxy adds."""
    return f"{root}{PREFIX}/cases/{quote(case_id, safe='')}"


def search_url(key: str) -> str:
    """Address of a search."""
    return f"{PREFIX}/searches/{quote(key, safe='')}"


Notice = Annotated[str, Field(description="Stands with every answer that shows cases.", examples=[RESEARCH_USE])]


class Out(BaseModel):
    """Something that is sent."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, from_attributes=True)


class Problem(BaseModel):
    """What went wrong, and what to do (RFC 9457)."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "docs/api.md#filter-cannot-be-used",
                    "title": "Filter cannot be used",
                    "status": 422,
                    "detail": "unknown field 'sites' in 'sites=back'; use one of: case_id, diagnosis, …",
                    "instance": "urn:uuid:1f0c8c4e-6f5e-4f0b-8f3e-0d9d2a5a7c11",
                }
            ]
        },
    )

    type: str = Field(description="What kind of problem it is, as docs/api.md explains it.")
    title: str = Field(description="The same for every problem of the kind.")
    status: int = Field(description="The status of the answer.", ge=400, le=599)
    detail: str = Field(description="What was wrong here, and what to do.")
    instance: str = Field(description="Id of this occurrence.")


class CaseAnswer(CaseFields):
    """A case of the base."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="ignore")

    case_id: str = Field(description="Unique in the base.")
    url: str = Field(description="Address of the case.")
    image_url: str = Field(description="Address of its image, served without metadata.")
    thumbnail_url: str = Field(description="Address of a JPEG of at most 256 pixels a side.")
    sha256: str = Field(description="Of the image file that its vector was made of.")
    same_image_as: tuple[str, ...] = Field((), description="When a case is put in: others made of the same image file.")

    @classmethod
    def shown(cls, case: Case, sha256: str, root: str) -> CaseAnswer:
        """The answer for a case and the SHA-256 of its image, with addresses below a proxy's path."""
        fields: dict[str, Any] = {name: getattr(case, name) for name in CaseFields.model_fields}
        return cls.model_construct(**fields, **_links(case.case_id, root), sha256=sha256)


def _links(case_id: str, root: str) -> dict[str, Any]:
    url = case_url(case_id, root)
    return {"url": url, "image_url": f"{url}/image", "thumbnail_url": f"{url}/thumbnail"}


class CasePage(Out):
    """Some cases, by id."""

    cases: tuple[CaseAnswer, ...]
    next: str | None = Field(description="Give it as `after` for the next page; null on the last one.")
    notice: Notice = RESEARCH_USE


class CriterionAnswer(Out):
    """A criterion of the seven-point checklist."""

    name: str
    title: str
    definition: str
    values: tuple[str, ...]


class InfoAnswer(Out):
    """What answers here."""

    model_config = ConfigDict(protected_namespaces=())

    notice: Notice = RESEARCH_USE
    banner: str | None = Field(description="What the administrator says of this base, such as that it is synthetic.")
    version: str = Field(description="Of dermquery.")
    model: str
    model_hash: str = Field(description="SHA-256 of the model's artifact.")
    labels: tuple[str, ...] = Field(description="Diagnoses that the model was trained on.")
    levels: tuple[str, ...] = Field(description="Feature levels that overlays can be asked for.")
    presets: Mapping[str, Weights] = Field(description="Weights of the parts of a score, by name.")
    preset: str = Field(description="Name of those that stand where a search names none.")
    local_weight: float = Field(description="λ of those.")
    explains: bool = Field(description="Whether overlays can be asked for.")
    keeps_images: bool = Field(description="Whether the base holds the images itself.")
    count: int = Field(description="Cases in the base.")
    diagnoses: tuple[ValueCount, ...]
    checklist: tuple[CriterionAnswer, ...] = Field(description="Criteria that terms are made of.")

    @classmethod
    def of(cls, base: CaseBase, banner: str | None) -> InfoAnswer:
        """What is sent for a base and its model."""
        manifest, model = base.manifest, base.model
        counts = base.store.value_counts("diagnosis")
        preset = default_preset(manifest.weights)
        return cls(
            banner=banner,
            version=__version__,
            model=manifest.model_name,
            model_hash=manifest.model_hash,
            labels=tuple(getattr(model, "labels", ())),
            levels=manifest.levels,
            presets=manifest.weights,
            preset=preset,
            local_weight=manifest.weights[preset].local_weight,
            explains=isinstance(model, ExplainingEncoder),
            keeps_images=base.archive is not None,
            count=sum(counts.values()),
            diagnoses=ValueCount.all_of(counts),
            checklist=tuple(map(CriterionAnswer.model_validate, CRITERIA.values())),
        )


class ValueCount(Out):
    """How often a value occurs; null counts the cases without one."""

    value: str | float | None
    count: int

    @classmethod
    def all_of(cls, counts: Mapping[Any, int]) -> tuple[ValueCount, ...]:
        """The answers for some values."""
        return tuple(cls(value=value, count=n) for value, n in counts.items())


class ValueCounts(Out):
    """The values of a field, most frequent first."""

    field: str
    values: tuple[ValueCount, ...]
