"""The area beside the form before the first search: an introduction, and cases of the base to try."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dermquery.answer.words import diagnosis_title, tones
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Element, el, fill
from dermquery.serve.page.frame import Visit
from dermquery.serve.page.tones import diagnosis, toned

__all__ = ["build_start"]


def build_start(visit: Visit, place: Element, on_example: Callable[[str], Awaitable[None]]) -> None:
    """Fill the area; calls ``on_example`` with the id of a chosen case."""
    counts = visit.site.facts.counts("diagnosis")
    palette = tones(None if name is None else str(name) for name in counts)
    with fill(place):
        el("h3", texts.START_TITLE)
        el("p", texts.START)
        el("p", texts.START_KEYS, "hint keys")
        if visit.site.facts.examples:
            el("h4", texts.EXAMPLES, id="examples-title")
            with el("ul", cls="examples", aria_labelledby="examples-title"):
                for case_id, name in visit.site.facts.examples:
                    with toned(el("li"), palette[name]):
                        title = texts.EXAMPLE.format(case_id=case_id, diagnosis=diagnosis_title(name))
                        choose = el("button", cls="example", type="button", aria_label=title)
                        choose.on("click", lambda case_id=case_id: on_example(case_id), args=[])
                        with choose:
                            el("img", src=visit.case_image(case_id, small=True), alt="", loading="lazy")
                            diagnosis(name)
