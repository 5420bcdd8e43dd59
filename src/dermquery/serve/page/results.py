"""The right side: what was found, how it was found, and what it says about the base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dermquery.answer.content import Content, report_content
from dermquery.answer.words import describe_condition
from dermquery.model.presets import default_preset
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Control, Element, button, el, fill, set_attributes, set_text
from dermquery.serve.page.frame import Visit
from dermquery.serve.page.hit_card import Card, CardActions
from dermquery.serve.page.state import TOP_K, Question
from dermquery.serve.page.takeaway import TakeAway
from dermquery.serve.page.tones import bar, toned
from dermquery.serve.prepared import Exclusions
from dermquery.serve.service import Answer

__all__ = ["ResultActions", "Results"]

_SKELETONS = 8


@dataclass(frozen=True)
class ResultActions:
    """What the results ask for: other weights, another λ or number of hits, a search by marks or without, a link."""

    weights: Callable[[str], Any]
    weight: Callable[[float], Any]
    top_k: Callable[[int], Any]
    search_marked: Callable[[dict[str, bool]], Any]
    clear_marks: Callable[[], Any]
    copy_link: Callable[[], Any]
    compare: Callable[[str], Any]
    more: Callable[[str], Any]


class Results:
    """The answer to a question.

    Attributes:
        content: what is shown, in words and numbers; None before the first answer.
    """

    def __init__(self, visit: Visit, actions: ResultActions) -> None:
        self.visit, self._actions = visit, actions
        self.content: Content | None = None
        self._cards: dict[str, Card] = {}
        self._marks: dict[str, bool] = {}
        self._about: tuple[Any, ...] | None = None
        with el("section", cls="results", aria_labelledby="results-title", id="results", tabindex="-1"):
            self._build_bar()
            self.notes = el("div", cls="notes", aria_live="polite")
            self.start = el("div", cls="start")
            self.skeletons = el("div", cls="cards", aria_hidden="true", hidden=True)
            with self.skeletons:
                for _ in range(_SKELETONS):
                    el("div", cls="skeleton")
            self.list = el("ol", cls="cards")
            self._build_marks()
            self.shares = el("section", cls="panel below", aria_labelledby="shares-title", hidden=True)

    def _build_bar(self) -> None:
        with el("div", cls="toolbar"):
            self.heading = el("h2", texts.RESULTS, id="results-title", aria_live="polite")
            self.tools = el("div", cls="settings", hidden=True)
            with self.tools:
                presets = self.visit.site.service.base.manifest.weights
                with el("label", cls="preset"):
                    el("span", texts.WEIGHTS)
                    self.preset = Control(
                        "select",
                        options=[(name, name) for name in presets],
                        value=default_preset(presets),
                        on_value=lambda name: self._actions.weights(name),
                        id="preset",
                    )
                with el("label", cls="weight"):
                    el("span", texts.LAMBDA)
                    self.weight = Control(
                        type="range", min=0, max=1, step=0.05, value="0.6", wait=60, id="local-weight",
                        aria_describedby="formula", on_value=lambda value: self._actions.weight(float(value)),
                    )  # fmt: skip
                    self.weight_value = el("output", "0.6")
                with el("label", cls="top-k"):
                    el("span", texts.TOP_K)
                    self.top_k = Control(
                        "select",
                        options=[(str(k), str(k)) for k in TOP_K],
                        value=str(Question.top_k),
                        on_value=lambda value: self._actions.top_k(int(value)),
                    )
                self.take = TakeAway(self.visit, self._actions.copy_link)
        self.formula = el("p", cls="hint", id="formula")

    def _build_marks(self) -> None:
        self.mark_bar = el("div", cls="mark-bar", hidden=True, role="group", aria_live="polite")
        with self.mark_bar:
            self.mark_count = el("strong")
            el("span", texts.MARKS_HINT, "hint")
            button(texts.MARKS_SEARCH, lambda: self._actions.search_marked(dict(self._marks)), "primary")
            button(texts.MARKS_CLEAR, self._actions.clear_marks)

    # --- states ----------------------------------------------------------------------------------------------------

    def show_busy(self) -> None:
        """An answer to another query is on its way."""
        self.start.clear()
        set_attributes(self.start, hidden=True)
        if not self._cards:
            set_attributes(self.skeletons, hidden=None)
        set_attributes(self.list, aria_busy="true")
        set_text(self.heading, texts.SEARCHING)

    def show_idle(self) -> None:
        """No answer is on its way any more."""
        set_attributes(self.skeletons, hidden=True)
        set_attributes(self.list, aria_busy=None)

    def show_failure(self, message: str) -> None:
        """There is no answer, and why."""
        self.show_idle()
        set_text(self.heading, texts.FAILED)
        with fill(self.notes):
            el("p", message, "problem", role="alert")

    def empty(self) -> None:
        """Back to the beginning."""
        self.show_idle()
        self.content, self._about, self._marks = None, None, {}
        self._remove(list(self._cards))
        self.notes.clear()
        for part in (self.tools, self.shares, self.mark_bar):
            set_attributes(part, hidden=True)
        set_attributes(self.start, hidden=None)
        set_text(self.heading, texts.RESULTS)
        set_text(self.formula, "")

    def show(self, answer: Answer, question: Question, key: str) -> None:
        """Show an answer, known by its key; cards that were there move to their new rank."""
        result = answer.result
        settings = self.visit.site.settings
        self.content = report_content(result, warnings=answer.warnings, notice=settings.notice)
        if self._about != question.what:  # marks are of the hits of one query, whatever λ and filter are
            self._about, self._marks = question.what, dict(answer.prepared.marks)
        self.show_idle()
        set_attributes(self.start, hidden=True)
        set_attributes(self.tools, hidden=None)
        set_text(self.heading, _heading(len(result.hits), result.n_candidates))
        if question.local_weight is None:  # else the control is where it is, and may be moving
            self.weight.show(f"{result.local_weight:g}")
        set_text(self.weight_value, f"{result.local_weight:g}")
        set_text(self.formula, " ".join(filter(None, (self.content.formula, self.content.scale))))
        self._show_notes(answer, question)
        self._show_cards(self.content)
        self._show_shares(self.content)
        self._show_marks()
        self.take.show(key)

    def show_settings(self, question: Question) -> None:
        """Put weights and the number of hits of a question that comes from elsewhere into their controls."""
        presets = self.visit.site.service.base.manifest.weights
        self.preset.show(question.weights if question.weights in presets else default_preset(presets))
        if question.local_weight is not None:
            self.weight.show(f"{question.local_weight:g}")
        self.top_k.show(str(question.top_k))

    # --- parts -----------------------------------------------------------------------------------------------------

    def _show_notes(self, answer: Answer, question: Question) -> None:
        with fill(self.notes):
            for warning in answer.warnings:
                with el("p", cls="warning", role="note"):
                    el("strong", f"{texts.WARNING}: ")
                    el("span", warning.message)
            if conditions := describe_condition(question.patient.where().condition):
                el("p", texts.FILTER_LINE.format(conditions="; ".join(conditions)), "hint")
            if left_out := _left_out(answer.prepared.excluded):
                el("p", texts.EXCLUDED.format(what=left_out), "hint")
            if answer.prepared.marks:
                el("p", texts.MARKS_USED.format(n=len(answer.prepared.marks)), "hint")
            if not answer.result.hits:
                el("p", texts.FOUND_NONE_HINT, "panel none")

    def _show_cards(self, content: Content) -> None:
        order = {item.hit.case.case_id: place for place, item in enumerate(content.hits)}
        self._remove([case_id for case_id in self._cards if case_id not in order])
        actions = CardActions(self._actions.compare, self._actions.more, self._mark)
        with self.list:
            for item in content.hits:
                case = item.hit.case
                if case.case_id in self._cards:
                    self._cards[case.case_id].update(item)
                else:
                    picture = self.visit.case_image(case.case_id, small=True)
                    self._cards[case.case_id] = Card(item, picture, actions)
                self._cards[case.case_id].show_mark(self._marks.get(case.case_id))
        places = {card.element.id: order[case_id] for case_id, card in self._cards.items()}
        self.list.default_slot.children.sort(key=lambda element: places[element.id])
        self.list.update()

    def _remove(self, case_ids: list[str]) -> None:
        for case_id in case_ids:
            self._cards.pop(case_id).element.delete()

    def _show_shares(self, content: Content) -> None:
        n_hits, n_cases = len(content.hits), sum(share.cases for share in content.shares)
        set_attributes(self.shares, hidden=None if content.hits else True)
        with fill(self.shares):
            el("h2", texts.SHARES, id="shares-title")
            with el("table", cls="shares"):
                with el("thead"), el("tr"):
                    el("th", texts.SHARES_DIAGNOSIS, scope="col")
                    el("th", texts.SHARES_HITS.format(n=n_hits), scope="col")
                    el("th", texts.SHARES_BASE.format(n=n_cases), scope="col")
                with el("tbody"):
                    for share in content.shares:
                        with toned(el("tr"), share.tone):
                            with el("th", scope="row"):
                                el("span", cls="swatch", aria_hidden="true")
                                el("span", share.title)
                            _share("hits", share.hits, share.hit_share)
                            _share("cases", share.cases, share.base_share)
            el("p", texts.SHARES_HINT, "hint")

    def _mark(self, case_id: str, mark: bool | None) -> None:
        if mark is None:
            self._marks.pop(case_id, None)
        else:
            self._marks[case_id] = mark
        self._show_marks()

    def _show_marks(self) -> None:
        relevant = sum(self._marks.values())
        set_attributes(self.mark_bar, hidden=None if self._marks else True)
        set_text(self.mark_count, texts.MARKS.format(relevant=relevant, irrelevant=len(self._marks) - relevant))


def _share(kind: str, count: int, share: float) -> Element:
    cell = el("td")
    with cell, el("div", cls="share"):
        bar(share, kind)
        el("span", texts.SHARE.format(n=count, percent=100 * share))
    return cell


def _heading(n_hits: int, n_candidates: int) -> str:
    if not n_hits:
        return texts.FOUND_NONE
    return (texts.FOUND_ONE if n_hits == 1 else texts.FOUND).format(n=n_hits, candidates=n_candidates)


def _left_out(excluded: Exclusions) -> str:
    parts = (
        (texts.EXCLUDED_CASE, excluded.cases),
        (texts.EXCLUDED_LESION, excluded.lesions),
        (texts.EXCLUDED_PATIENT, excluded.patients),
    )
    return ", ".join(text.format(ids=", ".join(ids)) for text, ids in parts if ids)
