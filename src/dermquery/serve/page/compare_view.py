"""Query and case side by side: images with linked zoom, regions per level, criteria, and what is known of the case."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from dermquery.answer.content import HitContent, report_content
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
        self._hits: tuple[HitContent, ...] = ()
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
        self._hits = report_content(answer.result).hits
        self._place = [item.hit.case.case_id for item in self._hits].index(case_id)
        self._show()
        self.dialog.show()

    def _step(self, by: int) -> None:
        self._place = (self._place + by) % len(self._hits)
        self._show()

    def _set_level(self, level: str) -> None:
        self._level = level
        self._show_images()

    def _show(self) -> None:
        item = self._hits[self._place]
        set_text(self._title, f"{texts.RANK.format(rank=item.hit.rank)} · {item.title}")
        parts = " · ".join(f"{part.name} {part.brief}" for part in item.parts)
        known = filter(None, (item.same_image, item.trained_on))
        set_text(self._score, " · ".join([f"{texts.SCORE_OF_HIT} {item.score.words}", parts, *known]))
        for element in (self._before, self._after):
            set_attributes(element, disabled=len(self._hits) < 2)
        self._show_images()
        with fill(self._facts):
            _criteria(item)
            _about(item)

    def _show_images(self) -> None:
        item = self._hits[self._place]
        case = item.hit.case
        name = texts.COMPARE_CASE.format(case_id=case.case_id)
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
                "alt": item.alt,
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


def _criteria(item: HitContent) -> None:
    with el("table", cls="facts criteria"):
        el("caption", texts.CRITERIA_TABLE)
        with el("thead"), el("tr"):
            for name in (texts.CRITERION, texts.COMPARE_QUERY, texts.COMPARE_OTHER, ""):
                el("th" if name else "td", name, scope="col" if name else None)
        with el("tbody"):
            for row in item.criteria:
                with el("tr", cls={True: "same", False: "other", None: ""}[row.same]):
                    el("th", row.title.capitalize(), scope="row")
                    el("td", row.asked or texts.NOT_GIVEN)
                    el("td", row.held or texts.NOT_RECORDED, "" if row.held else "hint")
                    el("td", {True: f"✓ {texts.SAME}", False: f"≠ {texts.DIFFERENT}", None: ""}[row.same])


def _about(item: HitContent) -> None:
    facts = [(fact.title, fact.words) for fact in item.facts]
    with toned(el("table", cls="facts"), item.tone):
        el("caption", texts.ABOUT_CASE)
        with el("tbody"):
            for title, words in (*facts, *item.hit.case.extra.items()):
                if words:
                    with el("tr"):
                        el("th", title, scope="row")
                        el("td", words)
