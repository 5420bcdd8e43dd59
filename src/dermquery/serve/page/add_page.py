"""The page at ``/add``: add one case by a form, or many by a table with images; both can be undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui.element import Element
from pydantic import ValidationError

from dermquery.answer.words import TITLES
from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.serve.api.schemas import PREFIX
from dermquery.serve.fields import CaseFields
from dermquery.serve.job_folder import fingerprint
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Choice, Control, button, el, fill, set_attributes, set_text
from dermquery.serve.page.failures import AskError, words_for
from dermquery.serve.page.frame import Visit
from dermquery.serve.page.image_field import ImageField
from dermquery.serve.pictures import original_bytes
from dermquery.serve.uploads import Crop, ExpiredImageError, edited
from dermquery.store.protocol import StoredCase

__all__ = ["AddPage"]

_TYPES: dict[str, dict[str, Any]] = {
    "age": {"type": "number", "min": 0, "max": 130, "step": 1, "inputmode": "numeric"},
    "date": {"type": "date"},
}


class _Bundle(Element, component="static/bundle.js"):
    """A chooser for a table with images, which it sends to the API as a job."""


@dataclass(frozen=True, eq=False)
class _Undo:
    """How to undo one added or replaced case.

    Attributes:
        before: the replaced case and its image; None if the case was new.
        mark: fingerprint of the written case; a case with another one was changed since, and stays.
    """

    case_id: str
    before: tuple[CaseFields, bytes] | None
    mark: str


class AddPage:
    """One open form."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self._values: dict[str, str] = {}
        self._terms: dict[str, str] = {}
        self._image: tuple[str, int, Crop | None] = ("", 0, None)
        self._undo: _Undo | None = None
        el("h1", texts.ADD, "wide")
        if not visit.who.may("write"):
            el("p", texts.ADD_NO_RIGHT, "problem wide", role="alert")
            return
        with el("section", cls="panel", aria_labelledby="one"):
            el("h2", texts.ADD_ONE, id="one")
            self._build_one()
        with el("section", cls="panel", aria_labelledby="many"):
            el("h2", texts.ADD_MANY, id="many")
            el("p", texts.ADD_MANY_HINT, "hint")
            self._build_many()

    def _build_one(self) -> None:
        visit = self.visit
        self.image = ImageField(
            upload=visit.to("/page/images"),
            token=visit.token,
            limit=visit.site.settings.upload_bytes,
            on_upload=self._uploaded,
            on_refused=self._problem,
            on_edit=lambda turn, crop: self._show_image(self._image[0], turn, crop),
            on_remove=lambda: self._show_image("", 0, None),
            alt=texts.ADD_IMAGE_ALT,
        )
        with el("div", cls="fields"):
            self.controls = {"case_id": self._field("case_id", texts.ADD_CASE_ID, maxlength=200)}
            for name, title in TITLES.items():
                self.controls[name] = self._field(name, title, **_TYPES.get(name, {}))
        el("p", texts.ADD_CASE_ID_HINT, "hint")
        with el("details", cls="fold"):
            with el("summary"):
                el("h3", texts.CHECKLIST)
            self.choices = {
                name: Choice(
                    criterion.title.capitalize(),
                    [("", texts.NOT_GIVEN), *((value, value) for value in criterion.values)],
                    hint=criterion.definition,
                    on_value=partial(self._terms.__setitem__, name),
                )
                for name, criterion in CRITERIA.items()
            }
        self.problem = el("p", cls="problem", role="alert")
        self.done = el("div", cls="note", role="status")
        with el("div", cls="row") as self.buttons:
            button(texts.ADD_SAVE, self.save, "primary", id="add-case")

    def _field(self, name: str, title: str, **attributes: Any) -> Control:
        field = CASE_FIELDS[name]
        if field.kind in (Kind.CHOICE, Kind.WORD):
            attributes["list"] = f"known-{name}"
            with el("datalist", id=f"known-{name}"):
                for value in field.values or list(self.visit.site.facts.counts(name))[:100]:
                    if value is not None:
                        el("option", value=str(value))
        with el("label", cls="field wide" if name == "text" else "field"):
            el("span", title)
            return Control(on_value=partial(self._values.__setitem__, name), id=f"add-{name}", **attributes)

    def _build_many(self) -> None:
        bundle = _Bundle()
        bundle.props["address"] = self.visit.to(f"{PREFIX}/jobs")
        bundle.props["token"] = self.visit.token
        bundle.props["texts"] = texts.BUNDLE
        bundle.on("changed", self.visit.site.facts.forget, args=[])

    # --- one case --------------------------------------------------------------------------------------------------

    def _uploaded(self, answer: dict[str, Any]) -> None:
        self._show_image(str(answer["key"]), 0, None)
        self._problem(" ".join(str(message) for message in answer.get("warnings", [])))

    def _show_image(self, key: str, turn: int, crop: Crop | None) -> None:
        self._image = (key, turn, crop)
        address = self.visit.to(f"/page/images/{key}/image?turn={turn}") if key else None
        self.image.show(address, turn, crop)

    def _problem(self, message: str) -> None:
        set_text(self.problem, message)

    async def save(self, replacing: str | None = None) -> None:
        """Add the case of the form; replace a case of the base only if ``replacing`` names it."""
        self._problem("")
        try:
            undo = await self.visit.site.service.writer.line.call(self._write, replacing)
        except _TakenError as taken:
            self._problem(texts.ADD_REPLACES.format(case_id=taken.case_id))
            self._offer(texts.ADD_REPLACE, partial(self.save, taken.case_id))
            return
        except ValidationError as error:
            self._problem("; ".join(_fault(fault["loc"], fault["msg"]) for fault in error.errors()))
            return
        except Exception as error:
            self._problem(words_for(error))
            return
        self.visit.site.facts.forget()
        self._offer(texts.ADD_SAVE, self.save)
        self._clear()
        self._undo = undo
        with fill(self.done):
            el("span", texts.ADD_DONE.format(case_id=undo.case_id))
            self.undo_button = button(texts.ADD_UNDO, partial(self.undo, undo), "small")

    async def undo(self, undo: _Undo) -> None:
        """Undo the last case, once."""
        if self._undo is not undo:  # a second click, before the browser disabled the button
            return
        self._undo, pressed = None, self.undo_button
        set_attributes(pressed, disabled=True)
        try:
            await self.visit.site.service.writer.line.call(self._take_back, undo)
        except Exception as error:
            self._problem(words_for(error))
            if self._undo is None:
                self._undo = undo
                set_attributes(pressed, disabled=None)
            return
        self.visit.site.facts.forget()
        if self._undo is None:  # else another case was added meanwhile, and its undo is on offer
            with fill(self.done):
                el("span", texts.ADD_UNDONE)

    def _offer(self, title: str, run_it: Callable[[], Any]) -> None:
        with fill(self.buttons):
            button(title, run_it, "primary", id="add-case")

    def _clear(self) -> None:
        self._values.clear()
        self._terms.clear()
        for control in self.controls.values():
            control.show("")
        for choice in self.choices.values():
            choice.show("")
        self._show_image("", 0, None)

    def _write(self, replacing: str | None) -> _Undo:
        service = self.visit.site.service
        key, turn, crop = self._image
        if not key:
            raise AskError(texts.ADD_IMAGE_NEEDED)
        if not self._values.get("case_id", "").strip():
            raise AskError(texts.ADD_ID_NEEDED)
        try:
            kept = self.visit.site.images.of(self.visit.owner, key)
        except ExpiredImageError as error:
            raise AskError(texts.IMAGE_EXPIRED) from error
        data = edited(kept.data, turn, crop, self.visit.site.service.decode)
        values = {name: value.strip() for name, value in self._values.items() if value.strip()}
        fields = CaseFields.model_validate({**values, "checklist": self._terms})
        held = service.base.store.get([fields.case_id], vectors=False).get(fields.case_id)
        if held is not None and fields.case_id != replacing:
            raise _TakenError(fields.case_id)
        before = None if held is None else self._before(held)
        written = service.writer.put(fields, data, update=held is not None)
        self._log("add" if written.added else "update", fields.case_id, written.row.stamp.sha256)
        return _Undo(fields.case_id, before, _mark(written.row))

    def _before(self, held: StoredCase) -> tuple[CaseFields, bytes]:
        return CaseFields.of(held.case), original_bytes(held, self.visit.site.service.base.archive)

    def _take_back(self, undo: _Undo) -> None:
        writer = self.visit.site.service.writer
        held = writer.base.store.get([undo.case_id], vectors=False).get(undo.case_id)
        if held is None or _mark(held) != undo.mark:
            raise AskError(texts.ADD_CHANGED.format(case_id=undo.case_id))
        if undo.before is None:
            writer.delete([undo.case_id])
            self._log("delete", undo.case_id)
        else:
            written = writer.put(*undo.before, update=True)
            self._log("update", undo.case_id, written.row.stamp.sha256)

    def _log(self, event: str, case_id: str, sha256: str | None = None) -> None:
        facts = {"image": sha256} if sha256 else {}
        self.visit.site.audit.write(event, self.visit.who, case=case_id, **facts)


def _mark(row: StoredCase) -> str:
    return fingerprint(row.case, row.stamp.sha256)


class _TakenError(Exception):
    """The base has a case of this id."""

    def __init__(self, case_id: str) -> None:
        super().__init__(case_id)
        self.case_id = case_id


def _fault(where: Sequence[object], said: str) -> str:
    """A fault of a field, for the person who filled it in."""
    name = str(where[0]) if where else ""
    return f"{texts.ADD_CASE_ID if name == 'case_id' else TITLES.get(name, name)}: {said}"
