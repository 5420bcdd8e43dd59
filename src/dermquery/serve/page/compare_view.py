"""Query and case side by side: images with linked zoom, regions per level, criteria, and what is known of the case."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from dermquery.answer.words import diagnosis_title, tones
from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.serve.api.schemas import PREFIX
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Choice, Dialog, Element, button, el, fill, icon, set_attributes, set_text
from dermquery.serve.page.frame import Visit
from dermquery.serve.page.tones import toned
from dermquery.serve.service import Answer

__all__ = ["Compare"]

_ALL = "all"


class _Pair(Element, component="static/compare.js"):
    """Two images that move together."""


class Compare:
    """The dialog for one hit at a time.

    Args:
        visit: whose page it is.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._answer: Answer | None = None
        self._query: str | None = None
        self._place, self._level = 0, ""
        self.dialog = Dialog(texts.COMPARE, "compare")
        with self.dialog:
            with el("div", cls="line"):
                self._title = el("h2")
                with el("div", cls="row"):
                    self._before = button(
                        texts.COMPARE_PREVIOUS, lambda: self._step(-1), "small", id="compare-previous"
                    )
                    self._after = button(texts.COMPARE_NEXT, lambda: self._step(1), "small", id="compare-next")
                    close = el("button", cls="button small square", type="button", aria_label=texts.COMPARE_CLOSE)
                    close.on("click", self.dialog.hide, args=[])
                    with close:
                        icon("close")
            self._score = el("p", cls="hint")
            self._pair = _Pair()
            self._pair.props["texts"] = {
                "in": texts.ZOOM_IN,
                "out": texts.ZOOM_OUT,
                "whole": texts.ZOOM_RESET,
                "hint": texts.ZOOM_HINT,
                "pane": texts.ZOOM_PANE,
                "loading": texts.OVERLAY_LOADING,
                "failed": texts.OVERLAY_FAILED,
            }
            with self._pair:
                self._build_levels()
            self._facts = el("div", cls="two")

    def _build_levels(self) -> None:
        if not self._visit.site.explains:
            return
        levels = self._visit.site.service.base.manifest.levels
        options = [("", texts.OVERLAY_NONE), (_ALL, texts.OVERLAY_ALL), *((level, level) for level in levels)]
        Choice(texts.OVERLAY, options, hint=texts.OVERLAY_HINT, on_value=self._set_level).classes("beside")

    def open(self, answer: Answer, query_image: str | None, case_id: str) -> None:
        """Show one hit of an answer.

        Args:
            answer: that is shown.
            query_image: address of the query's image; None without one.
            case_id: of the hit.
        """
        self._answer, self._query = answer, query_image
        self._place = [hit.case.case_id for hit in answer.result.hits].index(case_id)
        self._show()
        self.dialog.show()

    def _step(self, by: int) -> None:
        assert self._answer is not None  # noqa: S101 - the buttons are in the open dialog
        self._place = (self._place + by) % len(self._answer.result.hits)
        self._show()

    def _set_level(self, level: str) -> None:
        self._level = level
        self._show_images()

    def _show(self) -> None:
        assert self._answer is not None  # noqa: S101
        result = self._answer.result
        hit = result.hits[self._place]
        title = f"{texts.RANK.format(rank=hit.rank)} · {diagnosis_title(hit.case.diagnosis)}"
        set_text(self._title, title)
        set_text(
            self._score,
            f"{texts.SCORE_OF_HIT} {hit.score:.3f} · {texts.LOCAL} {hit.local:.3f} · {texts.GLOBAL} {hit.global_:.3f}",
        )
        for element in (self._before, self._after):
            set_attributes(element, disabled=len(result.hits) < 2)
        self._show_images()
        with fill(self._facts):
            _criteria(result.terms, hit.case)
            _about(hit.case, {**result.base.diagnoses, hit.case.diagnosis: 0})

    def _show_images(self) -> None:
        assert self._answer is not None  # noqa: S101
        case = self._answer.result.hits[self._place].case
        name = texts.COMPARE_CASE.format(case_id=case.case_id)
        title = diagnosis_title(case.diagnosis)
        self._pair.props["panes"] = [
            {
                "name": "query",
                "title": texts.COMPARE_QUERY,
                "src": self._query,
                "alt": texts.IMAGE_ALT,
                "overlay": self._overlay("query", case.case_id) if self._query else None,
                "none": texts.COMPARE_NO_IMAGE,
            },
            {
                "name": "case",
                "title": name,
                "src": self._visit.case_image(case.case_id),
                "alt": texts.CASE_ALT.format(case_id=case.case_id, diagnosis=title),
                "overlay": self._overlay("case", case.case_id),
            },
        ]

    def _overlay(self, side: str, case_id: str) -> str | None:
        if not self._level:
            return None
        assert self._answer is not None  # noqa: S101
        asked = {"over": side} if self._level == _ALL else {"over": side, "level": self._level}
        address = f"{PREFIX}/searches/{self._answer.prepared.key}/cases/{quote(case_id, safe='')}/overlay"
        return self._visit.to(f"{address}?{urlencode(asked)}")


def _criteria(terms: Any, case: Case) -> None:
    with el("table", cls="facts criteria"):
        el("caption", texts.CRITERIA_TABLE)
        with el("thead"), el("tr"):
            for name in (texts.CRITERION, texts.COMPARE_QUERY, texts.COMPARE_OTHER, ""):
                el("th" if name else "td", name, scope="col" if name else None)
        with el("tbody"):
            for name, criterion in CRITERIA.items():
                own, other = terms.get(name), case.checklist.get(name)
                alike = None if not own or not other else own == other
                with el("tr", cls={True: "same", False: "other", None: ""}[alike]):
                    el("th", criterion.title.capitalize(), scope="row")
                    el("td", own or texts.NOT_GIVEN)
                    el("td", other or texts.NOT_RECORDED, "" if other else "hint")
                    el("td", {True: f"✓ {texts.SAME}", False: f"≠ {texts.DIFFERENT}", None: ""}[alike])


def _about(case: Case, diagnoses: Any) -> None:
    values = {name: getattr(case, name) for name in texts.FIELD_TITLES}
    values["diagnosis"] = diagnosis_title(case.diagnosis)
    values["age"] = None if case.age is None else f"{case.age:g}"
    with toned(el("table", cls="facts"), tones(diagnoses)[case.diagnosis]):
        el("caption", texts.ABOUT_CASE)
        with el("tbody"):
            for name, title in texts.FIELD_TITLES.items():
                if values[name] is not None:
                    with el("tr"):
                        el("th", title, scope="row")
                        el("td", str(values[name]))
            for name, value in case.extra.items():
                if value:
                    with el("tr"):
                        el("th", name, scope="row")
                        el("td", value)
