"""The page at ``/``: a question on the left, its answer on the right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dermquery.serve.page import texts
from dermquery.serve.page.compare_view import Compare
from dermquery.serve.page.dom import Wire, el, set_text
from dermquery.serve.page.failures import words_for
from dermquery.serve.page.frame import Visit
from dermquery.serve.page.query_panel import QueryPanel
from dermquery.serve.page.results import ResultActions, Results
from dermquery.serve.page.session import Session
from dermquery.serve.page.start import build_start
from dermquery.serve.page.state import Question
from dermquery.serve.prepared import new_key

__all__ = ["SearchPage"]


class SearchPage:
    """One open search page."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        site = visit.site
        self.session = Session(site.service, site.images, site.audit, visit.who)
        self._wanted = self._answered = 0
        self._asking = False
        self.panel = QueryPanel(
            visit, self.session, on_search=self.search, on_change=self.changed, on_clear=self.clear
        )  # fmt: skip
        self.results = Results(
            visit,
            ResultActions(
                weights=lambda name: self.rerank(weights=name, local_weight=None),
                weight=lambda weight: self.rerank(local_weight=weight),
                top_k=lambda top_k: self.rerank(top_k=top_k),
                search_marked=self.search_marked,
                clear_marks=self.clear_marks,
                copy_link=self.copy_link,
                compare=self.compare,
                more=self.more,
            ),
        )
        self._compare = Compare(visit)
        self.said = el("p", cls="toast", role="status")
        self.wire = Wire(self.restore)
        self.panel.show_state()
        build_start(visit, self.results.start, self.more)

    # --- what people do --------------------------------------------------------------------------------------------

    async def search(self) -> None:
        """Answer the question as it stands."""
        question = self.session.question
        if question.is_empty:
            self.panel.show_problem(texts.EMPTY_QUERY)
            return
        # Marks on the hits of one question do not apply to another.
        if self.session.answered is None or replace(question, relevant=(), irrelevant=()).what != _plain(self.session):
            self.session.change(relevant=(), irrelevant=())
        await self._ask(announce=True)
        self.wire.do("show", "#results")

    async def rerank(self, **changes: Any) -> None:
        """Change weights or the number of hits: answered at once, without encoding."""
        self.session.change(**changes)
        if self.session.answered is not None:
            await self._ask()

    async def search_marked(self, marks: dict[str, bool]) -> None:
        """Search again with the marked hits."""
        relevant = tuple(case_id for case_id, good in marks.items() if good)
        self.session.change(
            relevant=relevant, irrelevant=tuple(case_id for case_id in marks if case_id not in relevant)
        )
        await self._ask(announce=True)

    async def clear_marks(self) -> None:
        """Search again without marks."""
        await self.search_marked({})

    async def more(self, case_id: str) -> None:
        """Search with a case of the base."""
        self.session.change(like=case_id, relevant=(), irrelevant=())
        self._compare.dialog.hide()
        self.panel.show_state()
        self.panel.show_warnings([])
        await self._ask(announce=True)
        self.wire.do("show", "#results")

    def compare(self, case_id: str) -> None:
        """Open a hit beside the query."""
        answer, question = self.session.answer, self.session.answered
        if answer is None or question is None:
            return
        self._compare.open(answer, self._query_image(question), case_id)

    def copy_link(self) -> None:
        """Copy the address that restores the question."""
        self.wire.do("copy", self.session.question.to_fragment())
        set_text(self.said, texts.TAKE_LINK_DONE)

    def changed(self) -> None:
        """The question changed; the shown answer stays until the next search."""
        self.panel.show_problem("")

    def clear(self) -> None:
        """Start a new query, keeping weights and the number of hits."""
        question = self.session.question
        self.session.question = Question(
            weights=question.weights, local_weight=question.local_weight, top_k=question.top_k
        )
        self.session.answer = self.session.answered = None
        self.panel.show(self.session.question)
        self.panel.show_problem("")
        self.results.empty()
        build_start(self.visit, self.results.start, self.more)
        self.wire.set_fragment("")

    async def restore(self, fragment: str) -> None:
        """Take the question from an address and answer it."""
        if not fragment:
            return
        self.session.question = Question.from_fragment(fragment)
        self.panel.show(self.session.question)
        self.results.show_settings(self.session.question)
        if not self.session.question.is_empty:
            await self._ask(announce=True)

    # --- asking ----------------------------------------------------------------------------------------------------

    async def _ask(self, *, announce: bool = False) -> None:
        """Answer the newest question, skipping those that a newer one overtook."""
        self._wanted += 1
        if announce:
            self.panel.show_problem("")
            self.panel.show_busy(True)
            self.results.show_busy()
        if self._asking:
            return
        self._asking = True
        try:
            while self._answered != self._wanted:
                self._answered = self._wanted
                await self._answer()
        finally:
            self._asking = False
            self.panel.show_busy(False)

    async def _answer(self) -> None:
        try:
            await self.session.ask()
        except Exception as error:
            self.results.show_failure(words_for(error))
        else:
            self._show()

    def _show(self) -> None:
        answer, question = self.session.answer, self.session.answered
        if answer is None or question is None or self.session.question.is_empty:  # cleared meanwhile
            return
        key = new_key()
        self.visit.site.answers.put((self.visit.owner, key), answer)
        self.results.show(answer, question, key)
        self.wire.set_fragment(question.to_fragment())

    def _query_image(self, question: Question) -> str | None:
        if question.like:
            return self.visit.case_image(question.like)
        if not question.image:
            return None
        crop = ",".join(f"{part:.4f}" for part in question.crop) if question.crop else ""
        return self.visit.to(f"/page/images/{quote(question.image, safe='')}/image?turn={question.turn}&crop={crop}")


def _plain(session: Session) -> Any:
    assert session.answered is not None  # noqa: S101
    return replace(session.answered, relevant=(), irrelevant=()).what
