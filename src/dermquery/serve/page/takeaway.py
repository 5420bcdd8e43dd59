"""What can be taken away: reports, the hits as data, a link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dermquery.serve.page import texts
from dermquery.serve.page.dom import button, el, link, set_attributes
from dermquery.serve.page.frame import Visit

__all__ = ["FORMATS", "TakeAway"]

FORMATS = {"pdf": texts.TAKE_PDF, "html": texts.TAKE_HTML, "csv": texts.TAKE_CSV, "json": texts.TAKE_JSON}
"""Kinds of files by their ending."""


class TakeAway:
    """The menu of files of one answer."""

    def __init__(self, visit: Visit, on_link: Callable[[], Any]) -> None:
        self._visit = visit
        with el("details", cls="menu"):
            el("summary", texts.TAKE, "button")
            with el("ul", cls="menu-list"):
                self._links = {}
                for ending, title in FORMATS.items():
                    with el("li"):
                        self._links[ending] = link(title, "", download=True)
                with el("li"):
                    button(texts.TAKE_LINK, on_link, "bare")

    def show(self, key: str) -> None:
        """Offer the files of another answer, by its key."""
        for ending, element in self._links.items():
            set_attributes(element, href=self._visit.to(f"/page/answers/{key}/hits.{ending}"))
