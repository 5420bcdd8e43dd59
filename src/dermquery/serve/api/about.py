"""The description, the health and the counters of the service."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from dermquery.serve.api.common import Reading, ScopedRoute, problems, signed
from dermquery.serve.api.schemas import PREFIX, InfoAnswer, ValueCount, ValueCounts
from dermquery.serve.audit_log import AuditError
from dermquery.serve.errors import problem
from dermquery.serve.service import SearchService
from dermquery.store.filters import FieldName

__all__ = ["health", "router"]

_INDEXING = "An index is being built; searches may be slower until it is ready"
router = APIRouter(prefix=PREFIX, tags=["about"], dependencies=signed, route_class=ScopedRoute)
health = APIRouter(tags=["health"], route_class=ScopedRoute)


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    remarks: tuple[str, ...] = ()


@router.get("/info", operation_id="info", responses=problems())
async def info(call: Reading) -> InfoAnswer:
    """The model, the base, and what can be asked."""
    return await call.read(InfoAnswer.of, call.service.base, call.request.app.state.settings.notice)


@router.get("/fields/{field}", operation_id="field", responses=problems(422))
async def field(call: Reading, field: FieldName) -> ValueCounts:
    """The values that a field has in the base, to filter by."""
    counts = await call.read(call.service.base.store.value_counts, field)
    return ValueCounts(field=field, values=ValueCount.all_of(counts))


@health.get("/healthz", operation_id="healthz")
async def healthz() -> Health:
    """Whether the process answers."""
    return Health()


@health.get("/readyz", operation_id="readyz", responses={503: problems()[503]}, response_model=Health)
async def readyz(request: Request) -> Response:
    """Whether searches can be answered: the model is loaded, the base can be read, a place is free, the log is written.

    While an index is built, searches are answered and may be slower; a remark says so.
    """
    service: SearchService = request.app.state.service

    def why() -> str | None:
        try:
            request.app.state.audit.check()
        except AuditError:
            return "The audit log cannot be written, so nothing is answered; its administrator has to mend that"
        return service.unready()

    if said := await service.probes.call(why):
        return problem(503, "Not ready", said, headers={"Retry-After": "5"})
    remarks = (_INDEXING,) if await service.probes.call(service.indexing) else ()
    return JSONResponse(Health(remarks=remarks).model_dump())


@health.get(
    "/metrics",
    operation_id="metrics",
    dependencies=signed,
    response_class=Response,
    responses={
        200: {"description": "For Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(),
    },
)
async def metrics(call: Reading) -> Response:
    """Counters for Prometheus."""
    page = await call.service.probes.call(call.service.metrics_page)
    return Response(page, media_type=CONTENT_TYPE_LATEST)
