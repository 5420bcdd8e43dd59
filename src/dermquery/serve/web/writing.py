"""The routes that write: one case by a form, changes, deletion, merging, and undo."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from dermquery.answer.language import _, said
from dermquery.answer.words import TITLES
from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.serve.answers import CaseExistsError
from dermquery.serve.api.common import Reader, ScopedRoute, Writer
from dermquery.serve.fields import CaseFields
from dermquery.serve.web.address import Fields
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.question import Question
from dermquery.serve.web.records import Records, looks_personal
from dermquery.serve.web.site import Site, Visit, form_of, spoken

__all__ = ["form_values", "router"]

_MOST_SUGGESTED = 100


def form_values(visit: Visit) -> dict[str, Any]:
    """What the form of a case needs: its fields, and values to suggest."""
    facts = visit.site.service.facts
    suggested = {
        name: list(field.values) or [str(v) for v in list(facts.counts(name))[:_MOST_SUGGESTED] if v is not None]
        for name in TITLES
        if (field := CASE_FIELDS[name]).kind in (Kind.CHOICE, Kind.WORD)
    }
    return {"titles": TITLES, "suggested": suggested, "criteria": CRITERIA}


def _described(form: Fields) -> dict[str, Any]:
    """What the form says of a case; an empty field says that nothing is known."""
    given: dict[str, Any] = {name: str(form.get(name) or "").strip() or None for name in TITLES}
    terms = {name: str(form.get(f"term.{name}") or "") for name in CRITERIA}
    return {**given, "checklist": {name: value for name, value in terms.items() if value}}


def _faults(error: ValidationError) -> AskError:
    """The faults of the fields, for the person who filled them in."""
    names = {"case_id": "Case id", **TITLES}
    faults = (f"{_(names.get(str(one['loc'][0]), ''))}: {said(one['msg'])}" for one in error.errors())
    return AskError("; ".join(faults))


@spoken()
async def _add(visit: Visit, records: Records) -> Response:
    form = await form_of(visit.request)
    case_id, question = str(form.get("case_id") or "").strip(), Question.of(form)
    replacing, sure = str(form.get("replacing") or ""), str(form.get("sure") or "")
    if not question.image:
        raise AskError(_("Choose the image of the case first."))
    if not case_id:
        raise AskError(_("Give the case an id; hits are named by it."))
    ids = [case_id, *(str(form.get(name) or "") for name in ("lesion_id", "patient_id"))]
    if sure != case_id and any(map(looks_personal, ids)):
        return visit.render("add_asks.html", case_id=case_id, asks="personal")
    try:
        fields = CaseFields.model_validate({"case_id": case_id, **_described(form)})
    except ValidationError as error:
        raise _faults(error) from error

    def work() -> str:
        return records.add(visit, fields, question, replace=replacing == case_id)

    try:
        key = await visit.site.service.writer.line.call(work)
    except CaseExistsError:
        return visit.render("add_asks.html", case_id=case_id, asks="replace")
    response = visit.render("done.html", done=_("Case %s was added.") % case_id, key=key, case_id=case_id)
    response.headers["HX-Trigger"] = "added"
    return response


@spoken()
async def _change(visit: Visit, records: Records) -> Response:
    form = await form_of(visit.request)
    case_id, described = str(form.get("case_id") or ""), _described(form)
    try:
        key = await visit.site.service.writer.line.call(records.change, visit, case_id, described)
    except ValidationError as error:
        raise _faults(error) from error
    return visit.render("done.html", done=_("Case %s was changed.") % case_id, key=key, case_id=case_id)


@spoken()
async def _delete(visit: Visit, records: Records) -> Response:
    form = await form_of(visit.request)
    case_id, line = str(form.get("case_id") or ""), visit.site.service.writer.line
    others = [str(name) for name in form.getlist("other")]
    if others:
        key = await line.call(records.merge, visit, case_id, others)
        done = _("Only case %s is kept, with what the others knew.") % case_id
        return visit.render("done.html", done=done, key=key, case_id=case_id)
    key = await line.call(records.delete, visit, [case_id])
    return visit.render("done.html", done=_("Case %s was deleted.") % case_id, key=key, case_id="")


@spoken()
async def _undo(visit: Visit, records: Records) -> Response:
    form = await form_of(visit.request)
    ids = await visit.site.service.writer.line.call(records.undo, visit, str(form.get("key") or ""))
    done = _("Undone: the base is as it was before.")
    return visit.render("done.html", done=done, key="", case_id=ids[0] if records.held(ids[0]) else "")


def router(site: Site) -> APIRouter:
    """The routes; each needs the right to write."""
    routes = APIRouter(include_in_schema=False, route_class=ScopedRoute)
    records = Records(site)

    @routes.get("/add")
    async def page(request: Request, who: Reader) -> Response:
        visit = Visit.of(site, request)
        await site.service.readers.call(site.service.facts.fetch)
        return visit.render("add.html", question=Question(), case=None, **form_values(visit))

    @routes.post("/add")
    async def add(request: Request, who: Writer) -> Response:
        return await _add(Visit.of(site, request), records)

    @routes.post("/case")
    async def change(request: Request, who: Writer) -> Response:
        return await _change(Visit.of(site, request), records)

    @routes.post("/case/delete")
    async def delete(request: Request, who: Writer) -> Response:
        return await _delete(Visit.of(site, request), records)

    @routes.post("/undo")
    async def undo(request: Request, who: Writer) -> Response:
        return await _undo(Visit.of(site, request), records)

    return routes
