"""One hit: image, diagnosis, score with its parts, what it shares with the query, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dermquery.answer.content import HitContent
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Element, button, el, fill, icon, set_attributes, set_text
from dermquery.serve.page.tones import bar, toned

__all__ = ["Card", "CardActions"]


@dataclass(frozen=True)
class CardActions:
    """What a card's buttons do, each called with the case's id; ``mark`` also with True, False or None (no mark)."""

    compare: Callable[[str], Any]
    more: Callable[[str], Any]
    mark: Callable[[str, bool | None], Any]


class Card:
    """A card that stays while its rank and score move.

    Args:
        content: of the hit.
        picture: address of its thumbnail.
        actions: of its buttons.
    """

    def __init__(self, content: HitContent, picture: str, actions: CardActions) -> None:
        case = content.hit.case
        self.case_id, self._actions = case.case_id, actions
        self._shown: HitContent | None = None
        self.mark: bool | None = None
        self.element = toned(el("li", cls="card"), content.tone)
        with self.element:
            with el("button", cls="frame open", type="button") as self._open:
                el("img", src=picture, alt=content.alt)
                self._rank = el("span", cls="rank", aria_hidden="true")
            self._open.on("click", lambda: actions.compare(self.case_id), args=[])
            self._build_title(content)
            self._build_score(content)
            self._chips = el("ul", cls="chips")
            self._build_about(content)
            self._build_buttons()
        self.update(content)

    def _build_title(self, content: HitContent) -> None:
        with el("div", cls="title"):
            with el("h3", cls="diagnosis"):
                el("span", cls="swatch", aria_hidden="true")
                with el("span", content.title):
                    if content.label:
                        el("small", f" {content.label}")
            if content.fine:
                el("p", content.fine, "fine")

    def _build_score(self, content: HitContent) -> None:
        with el("div", cls="score"):
            with el("p"):
                el("span", texts.SCORE_OF_HIT, "unseen")
                self._score = el("strong")
            self._numbers = el("div", cls="parts")

    def _build_about(self, content: HitContent) -> None:
        with el("p", cls="about"):
            el("code", self.case_id)
            if content.about:
                el("span", content.about)
            if content.seven_point:
                el("span", content.seven_point)

    def _build_buttons(self) -> None:
        with el("div", cls="actions"):
            self._compare = button(texts.COMPARE_HIT, lambda: self._actions.compare(self.case_id), "small")
            button(
                texts.MORE,
                lambda: self._actions.more(self.case_id),
                "small",
                aria_label=texts.MORE_NAME.format(case_id=self.case_id),
            )
            with el("div", cls="marks", role="group", aria_label=texts.MARK_NAME.format(case_id=self.case_id)):
                el("span", texts.MARK)
                self._yes = self._mark_button("yes", texts.RELEVANT, texts.RELEVANT_NAME, value=True)
                self._no = self._mark_button("no", texts.IRRELEVANT, texts.IRRELEVANT_NAME, value=False)

    def _mark_button(self, picture: str, title: str, name: str, *, value: bool) -> Element:
        element = el("button", cls=f"button small square mark-{picture}", type="button", title=title)
        set_attributes(element, aria_label=name.format(case_id=self.case_id), aria_pressed="false")
        element.on("click", lambda: self._toggle(value=value), args=[])
        with element:
            icon(picture)
        return element

    def _toggle(self, *, value: bool) -> None:
        self.show_mark(None if self.mark is value else value)
        self._actions.mark(self.case_id, self.mark)

    def show_mark(self, mark: bool | None) -> None:
        """Show a case as relevant, as not, or as neither."""
        self.mark = mark
        set_attributes(self._yes, aria_pressed="true" if mark is True else "false")
        set_attributes(self._no, aria_pressed="true" if mark is False else "false")

    def update(self, content: HitContent) -> None:
        """Show another rank, score or agreement of the same case."""
        hit, shown = content.hit, self._shown
        set_text(self._rank, str(hit.rank))
        name = texts.COMPARE_NAME.format(case_id=self.case_id, rank=hit.rank, diagnosis=content.title)
        set_attributes(self._open, aria_label=name, data_rank=str(hit.rank))
        set_attributes(self._compare, aria_label=name)
        set_text(self._score, content.score.words)
        if shown is None or shown.parts != content.parts:
            self._show_parts(content)
        if shown is None or _chips(shown) != _chips(content):
            self._show_chips(content)
        self._shown = content

    def _show_parts(self, content: HitContent) -> None:
        with fill(self._numbers):
            for part in content.parts:
                with el("div", cls="part"):
                    el("span", part.name)
                    bar(part.bar, part.name)
                    el("span", part.brief)

    def _show_chips(self, content: HitContent) -> None:
        with fill(self._chips):
            if content.same_image:
                el("li", content.same_image, "same")
            if content.trained_on:
                el("li", content.trained_on, "other")
            for phrase in content.shared:
                with el("li", cls="same"):
                    el("span", f"{texts.SHARED}: ", "unseen")
                    el("span", f"✓ {phrase}")
            for phrase, percent in content.likely:
                el("li", texts.LIKELY.format(phrase=phrase, percent=percent), "other", title=texts.LIKELY_HINT)
            for phrase, asked in content.differing:
                with el("li", cls="other", title=texts.ASKED.format(value=asked)):
                    el("span", f"{texts.DIFFERING}: ", "unseen")
                    el("span", f"≠ {phrase}")


def _chips(content: HitContent) -> tuple[Any, ...]:
    return content.same_image, content.trained_on, content.shared, content.likely, content.differing
