"""Asking: a question becomes an encoded query, which is kept and ranked."""

from __future__ import annotations

from dataclasses import replace

from dermquery.answer.language import _
from dermquery.data.checklist import CRITERIA
from dermquery.serve.answers import Answer
from dermquery.serve.api.searches import ranked
from dermquery.serve.prepared import ExpiredQueryError, Prepared
from dermquery.serve.uploads import ExpiredImageError, edited
from dermquery.serve.web.address import Address
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.question import Asked, Question
from dermquery.serve.web.site import Visit

__all__ = ["IMAGE_EXPIRED", "answered", "ask", "image_of", "prepare", "rank"]

IMAGE_EXPIRED = (
    "The image of this query is not kept any more: images stay in the server's memory for 30 minutes. Everything else "
    "of the query is here; choose the image once more."
)


async def answered(visit: Visit, asked: Asked, address: Address) -> tuple[Asked, Answer]:
    """Rank the hits of a question, which is encoded again if its encoding has expired."""
    service = visit.service
    try:
        prepared = service.prepared(visit.owner, asked.prepared)
    except ExpiredQueryError:
        prepared = await prepare(visit, asked.question)
        asked = visit.site.asked.put(visit.owner, replace(asked, prepared=prepared.key))
    return asked, await rank(visit, prepared, address)


async def rank(visit: Visit, prepared: Prepared, address: Address) -> Answer:
    """Rank the hits of an encoded query."""
    return await visit.read(ranked, visit, prepared, address.options())


async def prepare(visit: Visit, question: Question) -> Prepared:
    """Encode a question.

    Raises:
        AskError: it is empty, or its image is not kept any more.
        ValueError, LookupError, Busy: from the service, with messages for people.
    """
    service = visit.service
    if question.is_empty:
        raise AskError(_("Give an image, words or a criterion first."))
    if question.like:
        prepared = await visit.read(service.like, visit.owner, question.like)
    else:
        prepared = await visit.wait(service.encoders.call(_encode, visit, question))
    if question.without_patient or question.without_lesion:
        lesions, patients = ([name] if name else [] for name in (question.without_lesion, question.without_patient))
        prepared = service.without(prepared, lesions, patients)
    if question.relevant or question.irrelevant:
        marks = (question.relevant, question.irrelevant)
        prepared = await visit.wait(service.readers.call(service.marked, visit.owner, prepared.key, *marks))
    return prepared


def _encode(visit: Visit, question: Question) -> Prepared:
    image = image_of(visit, question) if question.image else None
    return visit.service.encode(visit.owner, image, *question.words())


def image_of(visit: Visit, question: Question) -> bytes:
    """The image of a question, turned and cropped; AskError if it has expired."""
    try:
        kept = visit.site.images.of(visit.owner, question.image)
    except ExpiredImageError as error:
        raise AskError(_(IMAGE_EXPIRED), 410) from error
    return edited(kept.data, question.turn, question.crop, visit.service.decode)


async def ask(visit: Visit, question: Question, known: Asked | None) -> Asked:
    """Prepare a question, unless it is the known one, and keep it."""
    if known is not None and known.question == question:
        return known
    if known is not None and known.question.same_as(question) and not (question.relevant or question.irrelevant):
        question = question.marked(known.question.relevant, known.question.irrelevant)
    prepared = await prepare(visit, question)
    return visit.site.asked.put(visit.owner, Asked(prepared.key, question, prepared.key, _title(question)))


def _title(question: Question) -> str:
    if question.like:
        return _("More like case %s") % question.like
    words = question.text.strip() or ", ".join(f"{_(CRITERIA[n].title)} {_(v)}" for n, v in question.terms.items())
    return ", ".join(filter(None, (_("Image") if question.image else "", words)))[:120]
