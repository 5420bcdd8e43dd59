"""Diagnoses in colour, as on the result sheet, and never without their name."""

from __future__ import annotations

from dermquery.answer.words import Tone, diagnosis_title
from dermquery.serve.page.dom import Element, el

__all__ = ["bar", "diagnosis", "toned"]


def toned(element: Element, tone: Tone) -> Element:
    """Give an element the tone of a diagnosis; the style sheet chooses light or dark."""
    return element.classes("toned").style(f"--tone-light: {tone.light}; --tone-dark: {tone.dark}")


def diagnosis(name: str | None, tag: str = "span") -> Element:
    """A swatch and the name of a diagnosis, for a toned element."""
    element = el(tag, cls="diagnosis")
    with element:
        el("span", cls="swatch", aria_hidden="true")
        el("span", diagnosis_title(name))
    return element


def bar(share: float, kind: str) -> Element:
    """A bar that is filled to a share between 0 and 1, hidden from screen readers: the number stands beside it."""
    drawing = el("svg", cls="bar", viewBox="0 0 100 1", preserveAspectRatio="none", aria_hidden="true")
    with drawing:
        el("rect", cls="ground", width="100", height="1")
        el("rect", cls=kind, width=length(share), height="1")
    return drawing


def length(share: float) -> str:
    """A bar's length in per cent."""
    return f"{100 * share:.1f}"
