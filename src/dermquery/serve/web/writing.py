"""The routes that write: one case by a form, changes, deletion, merging, and undo."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from dermquery.answer.language import _, said
from dermquery.answer.words import TITLES
from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.serve.answers import CaseExistsError
from dermquery.serve.fields import CaseFields
from dermquery.serve.web import records
from dermquery.serve.web.address import Fields
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.question import Question
from dermquery.serve.web.site import Reading, Visit, Writing, pages, spoken

__all__ = ["router", "suggested"]

router = pages()
_MOST_SUGGESTED = 100


def suggested(visit: Visit) -> dict[str, list[str]]:
    """Values to suggest for the fields of a case: those of a closed list, or those that cases have."""
    facts = visit.service.facts
    return {
        name: list(field.values) or [str(v) for v in list(facts.counts(name))[:_MOST_SUGGESTED] if v is not None]
        for name in TITLES
        if (field := CASE_FIELDS[name]).kind in (Kind.CHOICE, Kind.WORD, Kind.TREE)
    }


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


@router.get("/add")
async def page(visit: Reading) -> Response:
    """The page to add cases."""
    await visit.read(visit.service.facts.fetch)
    return visit.render("add.html", question=Question(), case=None, suggested=suggested(visit))


@router.post("/add")
@spoken()
async def add(visit: Writing) -> Response:
    """Add a case."""
    form = await visit.form()
    case_id, question = str(form.get("case_id") or "").strip(), Question.of(form)
    replacing, sure = str(form.get("replacing") or ""), str(form.get("sure") or "")
    if not question.image:
        raise AskError(_("Choose the image of the case first."))
    if not case_id:
        raise AskError(_("Give the case an id; hits are named by it."))
    ids = [case_id, *(str(form.get(name) or "") for name in ("lesion_id", "patient_id"))]
    if sure != case_id and any(map(records.looks_personal, ids)):
        return visit.render("add_asks.html", case_id=case_id, asks="personal")
    try:
        fields = CaseFields.model_validate({"case_id": case_id, **_described(form)})
    except ValidationError as error:
        raise _faults(error) from error
    try:
        key = await visit.service.writer.line.call(records.add, visit, fields, question, replace=replacing == case_id)
    except CaseExistsError:
        return visit.render("add_asks.html", case_id=case_id, asks="replace")
    response = visit.render("done.html", done=_("Case %s was added.") % case_id, key=key, case_id=case_id)
    response.headers["HX-Trigger"] = "added"
    return response


@router.post("/case")
@spoken()
async def change(visit: Writing) -> Response:
    """Change what is recorded of a case."""
    form = await visit.form()
    case_id, described = str(form.get("case_id") or ""), _described(form)
    try:
        key = await visit.service.writer.line.call(records.change, visit, case_id, described)
    except ValidationError as error:
        raise _faults(error) from error
    return visit.render("done.html", done=_("Case %s was changed.") % case_id, key=key, case_id=case_id)


@router.post("/case/delete")
@spoken()
async def delete(visit: Writing) -> Response:
    """Delete a case, or keep it alone of several."""
    form = await visit.form()
    case_id, line = str(form.get("case_id") or ""), visit.service.writer.line
    others = [str(name) for name in form.getlist("other")]
    if others:
        key = await line.call(records.merge, visit, case_id, others)
        done = _("Only case %s is kept, with what the others knew.") % case_id
        return visit.render("done.html", done=done, key=key, case_id=case_id)
    key = await line.call(records.delete, visit, case_id)
    return visit.render("done.html", done=_("Case %s was deleted.") % case_id, key=key, case_id="")


@router.post("/undo")
@spoken()
async def undo(visit: Writing) -> Response:
    """Undo what was written."""
    form = await visit.form()
    ids = await visit.service.writer.line.call(records.undo, visit, str(form.get("key") or ""))
    done = _("Undone: the base is as it was before.")
    return visit.render("done.html", done=done, key="", case_id=ids[0] if records.held(visit, ids[0]) else "")
