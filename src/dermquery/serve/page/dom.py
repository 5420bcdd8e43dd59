"""Plain HTML elements and native controls for the page, which NiceGUI keeps in step with the server.

Vue sets texts and attributes as such, never as HTML, so the page shows what a case table holds exactly as written.
Nothing here needs ``eval`` in the browser, so the policy of :mod:`.policy` can forbid it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui.element import Element

__all__ = ["Choice", "Control", "Dialog", "Element", "Wire", "button", "el", "fill", "icon", "link"]


def el(tag: str, text: str | None = None, cls: str = "", **attributes: Any) -> Element:
    """An element with a text, classes and attributes; ``aria_label`` becomes ``aria-label``, ``for_`` ``for``.

    None and False leave an attribute out; True writes the bare name.
    """
    element = Element(tag)
    if text is not None:
        element._text = text  # noqa: SLF001 - as NiceGUI's own labels do
    if cls:
        element.classes(cls)
    set_attributes(element, **attributes)
    return element


def set_attributes(element: Element, **attributes: Any) -> None:
    """Set attributes, or remove those that are None or False."""
    for name, value in attributes.items():
        key = name.rstrip("_").replace("_", "-")
        if value is None or value is False:
            element.props.pop(key, None)
        else:
            element.props[key] = "" if value is True else value


def set_text(element: Element, text: str) -> None:
    """Replace an element's text, and tell the browser only if it changed."""
    if element._text != text:  # noqa: SLF001
        element._text = text  # noqa: SLF001
        element.update()


def fill(element: Element) -> Element:
    """Empty an element and return it, to be filled in a ``with`` block."""
    element.clear()
    return element


def button(text: str, on_click: Callable[..., Any], cls: str = "", **attributes: Any) -> Element:
    """A button; ``icon_`` puts a picture before its text."""
    picture = attributes.pop("icon_", None)
    element = el("button", None if picture else text, f"button {cls}".strip(), type="button", **attributes)
    if picture:
        with element:
            icon(picture)
            el("span", text)
    element.on("click", on_click, args=[])
    return element


def link(text: str, href: str, cls: str = "", **attributes: Any) -> Element:
    """A link."""
    return el("a", text, cls, href=href, **attributes)


_ICONS = {
    "turn-left": "M4 4v5h5M4.6 9A8 8 0 1 1 4 14",
    "turn-right": "M20 4v5h-5M19.4 9A8 8 0 1 0 20 14",
    "crop": "M7 2v15h15M2 7h15v15",
    "close": "M5 5l14 14M19 5L5 19",
    "camera": "M4 8h4l2-3h4l2 3h4v11H4zM12 10.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5L21 21",
    "theme": "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
    "compare": "M4 5h7v14H4zM13 5h7v14h-7z",
    "more": "M5 12h14M12 5v14",
    "yes": "M5 12.5l4.5 4.5L19 7.5",
    "no": "M6 6l12 12M18 6L6 18",
    "file": "M6 3h8l4 4v14H6zM14 3v4h4",
}


def icon(name: str) -> Element:
    """One of the page's line drawings, hidden from screen readers: the text beside it says the same."""
    drawing = el("svg", cls="icon", viewBox="0 0 24 24", aria_hidden="true", focusable="false")
    with drawing:
        el("path", d=_ICONS[name])
    return drawing


class Control(Element, component="static/control.js"):
    """A native ``input``, ``textarea`` or ``select`` that sends its value to the server.

    Emits ``value`` with a string (a checkbox: a bool) and ``submit`` on Enter (in a textarea: Ctrl+Enter).
    """

    def __init__(
        self,
        tag: str = "input",
        *,
        value: str | bool = "",
        options: Sequence[tuple[str, str]] = (),
        wait: int = 250,
        on_value: Callable[[Any], Any] | None = None,
        on_submit: Callable[[], Any] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__()
        self.props["kind"] = tag
        self.props["given"] = value
        self.props["options"] = [list(option) for option in options]
        self.props["wait"] = wait
        set_attributes(self, **attributes)
        if on_value is not None:
            self.on("value", lambda event: on_value(event.args))
        if on_submit is not None:
            self.on("submit", on_submit, args=[])

    def show(self, value: str | bool) -> None:
        """Set the value from the server."""
        # The counter tells two settings of one value apart: the user may have typed in between.
        self.props["given"] = value
        self.props["version"] = self.props.get("version", 0) + 1


class Choice(Element, component="static/choice.js"):
    """A choice of one value by a group of native radio buttons; emits ``value`` with the chosen one."""

    def __init__(
        self,
        legend: str,
        options: Sequence[tuple[str, str]],
        *,
        value: str = "",
        hint: str | None = None,
        note: str | None = None,
        on_value: Callable[[str], Any] | None = None,
    ) -> None:
        super().__init__()
        self.props["legend"] = legend
        self.props["hint"] = hint
        self.props["note"] = note
        self.props["options"] = [list(option) for option in options]
        self.props["given"] = value
        if on_value is not None:
            self.on("value", lambda event: on_value(event.args))

    def show(self, value: str) -> None:
        """Set the value from the server."""
        self.props["given"] = value
        self.props["version"] = self.props.get("version", 0) + 1


class Dialog(Element, component="static/dialog.js"):
    """A native modal dialog: the browser keeps the focus in it and closes it on Esc."""

    def __init__(self, label: str, cls: str = "", on_close: Callable[[], Any] | None = None) -> None:
        super().__init__()
        self.classes(cls)
        self.props["aria-label"] = label
        self.props["opened"] = False
        self._on_close = on_close
        self.on("close", self._closed, args=[])

    def show(self) -> None:
        """Open it."""
        self.props["opened"] = True

    def hide(self) -> None:
        """Close it."""
        self.props["opened"] = False

    def _closed(self) -> None:
        self.props["opened"] = False
        if self._on_close is not None:
            self._on_close()


class Wire(Element, component="static/wire.js"):
    """What belongs to no element: the address' fragment, the clipboard, the focus, a download.

    Emits ``restore`` with the fragment with which the page was opened.
    """

    def __init__(self, on_restore: Callable[[str], Any]) -> None:
        super().__init__()
        self.props["fragment"] = None
        self.props["deed"] = None
        self._n_deeds = 0
        self.on("restore", lambda event: on_restore(str(event.args)))

    def set_fragment(self, fragment: str) -> None:
        """Replace the address' fragment without a new entry in the history."""
        self.props["fragment"] = fragment

    def do(self, kind: str, value: str) -> None:
        """Have the browser do something once: ``copy`` a text, ``focus`` the element that a selector names."""
        self._n_deeds += 1
        self.props["deed"] = {"n": self._n_deeds, "kind": kind, "value": value}
