"""The left side: image, words, criteria, filters, and the button that asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from dermquery.answer.words import term_phrase
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Choice, Control, button, el, fill, icon, set_attributes, set_text
from dermquery.serve.page.frame import Visit
from dermquery.serve.page.image_field import ImageField
from dermquery.serve.page.patient_fields import PatientFields
from dermquery.serve.page.session import Session, read_words
from dermquery.serve.page.state import LONGEST_TEXT, Question
from dermquery.serve.uploads import Crop

__all__ = ["QueryPanel"]

_EXCISION = 3


class QueryPanel:
    """The form of a session's question.

    Args:
        visit: whose page it is.
        session: whose question it changes.
        on_search: called when the person asks.
        on_change: called after every change of the question.
        on_clear: called when the person starts a new query.
    """

    def __init__(
        self,
        visit: Visit,
        session: Session,
        *,
        on_search: Callable[[], Any],
        on_change: Callable[[], Any],
        on_clear: Callable[[], Any],
    ) -> None:
        self.visit, self.session = visit, session
        self._on_search, self._on_change = on_search, on_change
        with el("section", cls="query panel", aria_labelledby="query-title"), el("div", cls="form"):
            with el("div", cls="line"):
                el("h1", texts.QUERY, id="query-title")
                button(texts.CLEAR_ALL, on_clear, "small bare")
            self._build_image()
            self._build_words()
            self._build_checklist()
            self.patient = PatientFields(visit.site.facts, lambda **changes: self._patient(**changes), on_search)
            with el("div", cls="ask"):
                self.problem = el("p", cls="problem", role="alert")
                self.search = el("button", cls="button primary", type="button", id="search")
                self.search.on("click", on_search, args=[])
                with self.search:
                    icon("search")
                    self.search_text = el("span", texts.SEARCH)

    def _build_image(self) -> None:
        self.like_note = el("p", cls="note")
        self.image = ImageField(
            upload=self.visit.to("/page/images"),
            token=self.visit.token,
            limit=self.visit.site.settings.upload_bytes,
            on_upload=self._uploaded,
            on_refused=self.show_image_problem,
            on_edit=self._edited,
            on_remove=lambda: self._set(image="", turn=0, crop=None, like="", relevant=(), irrelevant=()),
        )
        self.image_notes = el("ul", cls="warnings", aria_live="polite")

    def _build_words(self) -> None:
        el("label", texts.TEXT, "field-name", for_="text")
        self.text = Control(
            "textarea",
            on_value=lambda text: self._set(text=text),
            on_submit=self._on_search,
            id="text",
            rows=2,
            maxlength=LONGEST_TEXT,
            placeholder=texts.TEXT_PLACEHOLDER,
            aria_describedby="text-read",
            autocomplete="off",
        )
        self.read = el("p", cls="hint", id="text-read", aria_live="polite")

    def _build_checklist(self) -> None:
        with el("details", cls="fold", open=True):
            with el("summary"):
                el("h2", texts.CHECKLIST)
                self.score = el("span", cls="score-badge", aria_live="polite")
            self.score_hint = el("p", cls="hint")
            with el("div", cls="presets", role="group", aria_labelledby="presets-title"):
                el("span", texts.PRESETS, "hint", id="presets-title")
                for name, terms in texts.PRESET_TERMS.items():
                    button(name, partial(self._preset, terms), "small")
                self.clear_terms = button(texts.CHECKLIST_CLEAR, lambda: self._preset({}), "small bare")
            self.choices = {
                name: Choice(
                    criterion.title.capitalize(),
                    [("", texts.NOT_GIVEN), *((value, value) for value in criterion.values)],
                    hint=criterion.definition,
                    note=texts.MAJOR if criterion.points == 2 else texts.MINOR,
                    on_value=partial(self._term, name),
                )
                for name, criterion in CRITERIA.items()
            }

    # --- from the form ---------------------------------------------------------------------------------------------

    def _set(self, **changes: Any) -> None:
        self.session.change(**changes)
        self.show_state()
        self._on_change()

    def _uploaded(self, answer: dict[str, Any]) -> None:
        self.show_warnings([str(message) for message in answer.get("warnings", [])])
        self._set(image=str(answer["key"]), turn=0, crop=None, like="", relevant=(), irrelevant=())

    def _edited(self, turn: int, crop: Crop | None) -> None:
        self._set(turn=turn, crop=crop, relevant=(), irrelevant=())

    def _term(self, name: str, value: str) -> None:
        terms = {**self.session.question.terms, name: value}
        self._set(terms={key: terms[key] for key in CRITERIA if terms.get(key)})

    def _preset(self, terms: dict[str, str]) -> None:
        self._set(terms=dict(terms), like="")
        for name, choice in self.choices.items():
            choice.show(terms.get(name, ""))

    def _patient(self, **changes: str) -> None:
        self.session.question = self.session.question.with_patient(**changes)
        self._on_change()

    # --- to the form -----------------------------------------------------------------------------------------------

    def show(self, question: Question) -> None:
        """Put a whole question into the form, such as that of a link."""
        self.text.show(question.text)
        for name, choice in self.choices.items():
            choice.show(question.terms.get(name, ""))
        self.patient.show(question.patient)
        self.show_warnings([])
        self.show_state()

    def show_state(self) -> None:
        """Show what follows from the question: image, findings in the text, score."""
        question = self.session.question
        if question.like:
            self.image.show(self.visit.case_image(question.like), fixed=True)
        elif question.image:
            address = self.visit.to(f"/page/images/{quote(question.image, safe='')}/image?turn={question.turn}")
            self.image.show(address, question.turn, question.crop)
        else:
            self.image.show(None)
        with fill(self.like_note):
            if question.like:
                el("strong", texts.LIKE_TITLE.format(case_id=question.like))
                el("span", texts.LIKE_HINT)
                button(texts.LIKE_STOP, lambda: self._set(like="", relevant=(), irrelevant=()), "small")
        self._show_reading(question)

    def _show_reading(self, question: Question) -> None:
        reading = read_words(question)
        parts = []
        if reading.found:
            found = ", ".join(term_phrase(name, value) for name, value in reading.found.items())
            parts.append(texts.TEXT_READ.format(findings=found))
        set_text(self.read, " ".join([*parts, *reading.notes]))
        score = seven_point_score(reading.terms)
        high = score >= _EXCISION
        set_text(self.score, texts.SCORE.format(score=score) if reading.terms else texts.SCORE_NONE)
        self.score.classes(add="high" if high else None, remove=None if high else "high")
        set_text(self.score_hint, (texts.SCORE_HIGH if high else texts.SCORE_LOW) if reading.terms else "")

    def show_image_problem(self, message: str) -> None:
        """Say under the image why it was refused."""
        self.show_warnings([message], kind="problem")

    def show_warnings(self, messages: Sequence[str], kind: str = "warning") -> None:
        """Show warnings under the image."""
        with fill(self.image_notes):
            for message in messages:
                el("li", message, kind)

    def show_problem(self, message: str) -> None:
        """Say beside the button why there is no answer."""
        set_text(self.problem, message)

    def show_busy(self, busy: bool) -> None:
        """Show whether an answer is on its way."""
        set_text(self.search_text, texts.SEARCHING if busy else texts.SEARCH)
        set_attributes(self.search, aria_busy="true" if busy else None)
