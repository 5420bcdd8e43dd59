"""One person's search on the page: the question, its encoded query and its answer. No markup here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dermquery.answer.words import reading_notes
from dermquery.data.case import Query
from dermquery.serve.api.common import owner_of
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.page import texts
from dermquery.serve.page.failures import AskError
from dermquery.serve.page.state import Question
from dermquery.serve.security.identity import Principal
from dermquery.serve.service import Answer, ExpiredQueryError, Prepared, SearchService
from dermquery.serve.uploads import ExpiredImageError, KeptImages, edited
from dermquery.store.filters import Filter

__all__ = ["Reading", "Session", "read_words"]


@dataclass(frozen=True)
class Reading:
    """The findings of a text and terms.

    Attributes:
        terms: criteria with values, from terms or text.
        found: those from the text only.
        notes: say what of the text was not read, and ask for what is missing.
    """

    terms: dict[str, str]
    found: dict[str, str]
    notes: tuple[str, ...]


def read_words(question: Question) -> Reading:
    """Read the words of a question without encoding it, for the score that changes as people type."""
    query = Query(text=question.text or None, checklist=question.terms)
    found = {name: value for name, value in query.terms.items() if name not in question.terms}
    return Reading(query.terms, found, reading_notes(query.reading))


class Session:
    """The search of one open page, one question at a time.

    Attributes:
        question: the form's current one.
        answer: the last one.
        answered: the question that it answers.
    """

    def __init__(self, service: SearchService, images: KeptImages, audit: AuditLog, who: Principal) -> None:
        self.service, self.images, self.owner = service, images, owner_of(who)
        self._audit, self._who = audit, who
        self.question = Question()
        self.answer: Answer | None = None
        self.answered: Question | None = None
        self._encoded: tuple[tuple[Any, ...], Prepared] | None = None

    def change(self, **changes: Any) -> None:
        """Change parts of the question."""
        self.question = replace(self.question, **changes)

    async def ask(self) -> Answer:
        """Answer the question, encoding it only if it changed.

        Raises:
            AskError: the question is empty, or its image is not kept any more.
            ValueError, LookupError, Busy: from the service, with messages for people.
        """
        question = self.question
        if question.is_empty:
            raise AskError(texts.EMPTY_QUERY)
        where = question.patient.where()
        prepared = await self._prepared(question)
        answer = await self.service.readers.call(self._rank, prepared, where, question)
        self.answer, self.answered = answer, question
        return answer

    def _rank(self, prepared: Prepared, where: Filter, question: Question) -> Answer:
        """Rank, and log who saw which cases, as the API does: no text, and only the hash of an image."""
        answer = self.service.search(
            prepared, where, question.top_k, weights=question.weights or None, local_weight=question.local_weight
        )
        self._audit.write(
            "search",
            self._who,
            search=prepared.key,
            image=prepared.sha256,
            like=prepared.like,
            terms=len(prepared.encoded.terms),
            hits=[hit.case.case_id for hit in answer.result.hits],
        )
        return answer

    async def _prepared(self, question: Question) -> Prepared:
        """The encoded question; if its encoding has expired, it is encoded again."""
        if self._encoded is not None and self._encoded[0] == question.what:
            try:
                return self.service.prepared(self.owner, self._encoded[1].key)
            except ExpiredQueryError:
                self._encoded = None
        if question.like:
            prepared = await self.service.readers.call(self.service.like, self.owner, question.like)
        else:
            prepared = await self.service.encoders.call(self._encode, question)
        if question.relevant or question.irrelevant:
            marks = (question.relevant, question.irrelevant)
            prepared = await self.service.readers.call(self.service.marked, self.owner, prepared.key, *marks)
        self._encoded = (question.what, prepared)
        return prepared

    def _encode(self, question: Question) -> Prepared:
        image = None
        if question.image:
            try:
                kept = self.images.of(self.owner, question.image)
            except ExpiredImageError as error:
                raise AskError(texts.IMAGE_EXPIRED) from error
            image = edited(kept.data, question.turn, question.crop, self.service.decode)
        return self.service.encode(self.owner, image, question.text.strip() or None, dict(question.terms))
