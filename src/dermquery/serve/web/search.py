"""The page at ``/``: a question on the left, the cases that answer it on the right."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastapi.responses import RedirectResponse
from starlette.responses import Response

from dermquery.answer.content import Content, report_content
from dermquery.answer.language import _
from dermquery.answer.words import describe_condition
from dermquery.data.checklist import seven_point_score
from dermquery.serve.answers import Answer
from dermquery.serve.web.address import Address, Fields
from dermquery.serve.web.asking import answered, ask
from dermquery.serve.web.facets import facets_of
from dermquery.serve.web.failures import AskError, words_for
from dermquery.serve.web.question import Asked, Question
from dermquery.serve.web.site import Reading, Visit, pages, spoken

__all__ = ["Shown", "router", "shown"]

_EXPIRED = (
    "This query is not kept any more, or was asked in another browser: queries stay in the server's memory for some "
    "hours, and only for who asked them. Ask again."
)

router = pages()


@dataclass(frozen=True)
class Shown:
    """An answer as the page shows it.

    Attributes:
        marks: ids of marked cases, True for relevant.
        conditions: which cases might be found, each in words with the address without it.
        left_out: what is not found, so that nothing finds itself.
    """

    asked: Asked
    address: Address
    answer: Answer
    content: Content
    marks: dict[str, bool]
    conditions: tuple[tuple[str, str], ...]
    left_out: str

    @property
    def key(self) -> str:
        """Key of the search in the API."""
        return self.answer.prepared.key


def shown(visit: Visit, asked: Asked, address: Address, answer: Answer, marks: dict[str, bool] | None = None) -> Shown:
    """Put an answer into words."""
    content = report_content(answer.result, warnings=answer.warnings, notice=visit.site.settings.notice)
    conditions = []
    for condition in address.where:
        rest = replace(address, where=tuple(other for other in address.where if other != condition))
        alone = visit.service.base.filter_of([condition])
        conditions.append(("; ".join(describe_condition(alone.condition)), rest.path()))
    kinds = zip((_("case"), _("lesion"), _("patient")), answer.prepared.excluded.named(), strict=True)
    left_out = ", ".join(f"{kind} {', '.join(ids)}" for kind, ids in kinds if ids)
    marked = dict(answer.prepared.marks) if marks is None else marks
    return Shown(asked, address, answer, content, marked, tuple(conditions), left_out)


async def page(visit: Visit, address: Address) -> Response:
    """The whole page; a question that cannot be answered is there with the reason."""
    service, status, problem, view = visit.service, 200, "", None
    asked = visit.site.asked.get(visit.owner, address.query) if address.query else None
    if address.query and asked is None:
        status, problem = 410, _(_EXPIRED)
    if asked is not None:
        try:
            asked, answer = await answered(visit, asked, address)
            view = shown(visit, asked, address, answer)
        except Exception as error:
            status, problem = words_for(error)
    await visit.read(service.facts.fetch)
    if problem and view is None:
        address = Address(weights=address.weights)
    facets = await visit.read(facets_of, service, address)
    question = Question() if asked is None else asked.question
    return visit.render(
        "search.html", status, address=address, question=question, view=view, problem=problem, facets=facets,
        reading=question.reading, score=_score(question),
    )  # fmt: skip


async def part(visit: Visit, asked: Asked, address: Address, marks: dict[str, bool] | None = None) -> Response:
    """The answer alone, with the new counts of the filters."""
    asked, answer = await answered(visit, asked, address)
    view = shown(visit, asked, address, answer, marks)
    facets = await visit.read(facets_of, visit.service, address)
    return visit.render("answer_part.html", view=view, facets=facets, address=address)


def _score(question: Question) -> int | None:
    return seven_point_score(question.counted) if question.counted else None


@router.post("/searches")
@spoken()
async def searches(visit: Reading) -> Response:
    """Ask, or rank again what was asked."""
    form = await visit.form()
    address = Address.of_form(form)
    known = visit.site.asked.get(visit.owner, address.query)
    marks = _marks(form)
    rerank = str(form.get("rerank") or "")
    if rerank and known is not None:
        asked = known
        if rerank == "marks":
            wanted = [tuple(name for name, good in marks.items() if good is kind) for kind in (True, False)]
            asked = await ask(visit, known.question.marked(*wanted), known)
        elif rerank == "unmark":
            asked, marks = await ask(visit, known.question.marked((), ()), None), {}
    else:
        asked, marks = await ask(visit, Question.of(form), known), {}
    address = replace(address, query=asked.key)
    response = await part(visit, asked, address, marks or None)
    response.headers["HX-Push-Url"] = visit.to(address.path())
    return response


@router.post("/weigh")
@spoken()
async def weigh(visit: Reading) -> Response:
    """Rank again while a slider moves: the hits alone, so that the hand stays on it."""
    form = await visit.form()
    address = Address.of_form(form)
    asked, answer = await answered(visit, _kept(visit, address), address)
    view = shown(visit, asked, address, answer, _marks(form))
    response = visit.render("hits_part.html", view=view, address=address)
    response.headers["HX-Replace-Url"] = visit.to(address.path())
    return response


@spoken()
async def _again(visit: Visit, address: Address) -> Response:
    return await part(visit, _kept(visit, address), address)


def _kept(visit: Visit, address: Address) -> Asked:
    if (asked := visit.site.asked.get(visit.owner, address.query)) is None:
        raise AskError(_(_EXPIRED), 410)
    return asked


def _marks(form: Fields) -> dict[str, bool]:
    return {str(case_id): name == "relevant" for name in ("relevant", "irrelevant") for case_id in form.getlist(name)}


@router.post("/read")
@spoken("#reading-problem")
async def read(visit: Reading) -> Response:
    """What is read in the words."""
    question = Question.of(await visit.form())
    return visit.render("reading.html", question=question, reading=question.reading, score=_score(question))


@router.get("/")
async def search(visit: Reading) -> Response:
    """The page, or the part of it that an address changes."""
    parameters = visit.request.query_params
    address = Address.of(parameters)
    if like := parameters.get("like"):
        question = Question(like=like[:2000], back=str(parameters.get("back") or "")[:100])
        try:
            asked = await ask(visit, question, None)
        except Exception as error:
            return visit.failed(error)
        return RedirectResponse(visit.to(Address(query=asked.key, weights=address.weights).path()), 303)
    return await (_again(visit=visit, address=address) if visit.is_part else page(visit, address))


@router.post("/history/forget")
async def forget(visit: Reading) -> Response:
    """Erase the last searches."""
    visit.site.asked.forget(visit.owner)
    return visit.render("history.html", last=[])


@router.get("/history")
async def history(visit: Reading) -> Response:
    """The last searches."""
    return visit.render("history.html", last=visit.site.asked.last(visit.owner, visit.site.settings.history))
