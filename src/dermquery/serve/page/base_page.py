"""The page at ``/base``: what the base holds, a map of its encodings, and images that occur twice."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui.element import Element

from dermquery.answer.content import TRAINED_ON
from dermquery.answer.words import TITLES, describe_case, diagnosis_title, tones
from dermquery.serve.page import texts
from dermquery.serve.page.dom import button, el, fill, link
from dermquery.serve.page.frame import Visit
from dermquery.serve.page.state import CHOSEN_FIELDS, Question
from dermquery.serve.page.tones import bar, toned
from dermquery.serve.service import UnknownCaseError
from dermquery.store.duplicates import DuplicateGroup
from dermquery.store.protocol import StoredCase

__all__ = ["BasePage"]

_MOST_VALUES, _MOST_GROUPS, _MOST_CASES = 12, 30, 8


class _Map(Element, component="static/map.js"):
    """A map of the cases; emits ``chosen`` with the id of a case."""


class BasePage:
    """One open overview."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        el("h1", texts.BASE, "wide")
        with el("section", cls="panel", aria_labelledby="holds"):
            el("h2", texts.BASE_COUNTS, id="holds")
            self._facts()
            for field in CHOSEN_FIELDS:
                self._counts(field, TITLES[field])
        with el("div", cls="stack"):
            with el("section", cls="panel", aria_labelledby="map"):
                el("h2", texts.MAP, id="map")
                el("p", texts.MAP_HINT, "hint")
                self._map()
                self.chosen = el("div", cls="chosen", aria_live="polite")
            with el("section", cls="panel", aria_labelledby="duplicates"):
                el("h2", texts.DUPLICATES, id="duplicates")
                self.duplicates = el("div", cls="groups", aria_live="polite")
                with self.duplicates:
                    button(texts.DUPLICATES_FIND, self.find_duplicates)

    def _facts(self) -> None:
        manifest, facts = self.visit.site.service.base.manifest, self.visit.site.facts
        rows = {
            texts.BASE_CASES: f"{facts.count:,}",
            texts.BASE_MODEL: manifest.model_name,
            texts.BASE_HASH: manifest.model_hash,
            texts.BASE_VERSION: str(manifest.version),
            texts.BASE_DESCRIBED: texts.YES if manifest.described else texts.NO,
        }
        with el("table", cls="facts"), el("tbody"):
            for name, value in rows.items():
                with el("tr"):
                    el("th", name, scope="row")
                    with el("td"):
                        el("code" if name == texts.BASE_HASH else "span", value)

    def _counts(self, field: str, title: str) -> None:
        counts = self.visit.site.facts.counts(field)
        total = max(sum(counts.values()), 1)
        if not any(value is not None for value in counts):
            return
        names = [None if value is None else str(value) for value in counts]
        palette = tones(names if field == "diagnosis" else [None])
        with el("table", cls="facts counts"):
            el("caption", title)
            with el("tbody"):
                for name, n in list(zip(names, counts.values(), strict=True))[:_MOST_VALUES]:
                    with toned(el("tr"), palette[name if field == "diagnosis" else None]):
                        shown = diagnosis_title(name) if field == "diagnosis" or name is None else name
                        el("th", shown, scope="row")
                        with el("td"):
                            bar(n / total, "hits")
                        el("td", texts.SHARE.format(n=n, percent=100 * n / total), "number")
        if len(counts) > _MOST_VALUES:
            el("p", texts.BASE_MORE_VALUES.format(n=len(counts) - _MOST_VALUES), "hint")

    def _map(self) -> None:
        names = [None if value is None else str(value) for value in self.visit.site.facts.counts("diagnosis")]
        if self.visit.site.facts.count < 2:
            el("p", texts.BASE_EMPTY, "none")
            return
        palette = tones(names)
        drawn = _Map()
        drawn.props["address"] = self.visit.to("/page/map")
        drawn.props["diagnoses"] = [
            {"name": n, "title": diagnosis_title(n), "light": palette[n].light, "dark": palette[n].dark} for n in names
        ]
        drawn.props["texts"] = {
            "loading": texts.MAP_LOADING,
            "failed": texts.MAP_FAILED,
            "label": texts.MAP_LABEL,
            "sample": texts.MAP_SAMPLE,
            "held": texts.MAP_HELD,
            "trained": texts.MAP_TRAINED,
            "untold": texts.MAP_UNTOLD,
            "on": texts.MAP_SHOWN,
            "off": texts.MAP_HIDDEN,
        }
        drawn.on("chosen", lambda event: self.show_case(event.args))

    async def show_case(self, case_id: str | None) -> None:
        """Show the case chosen on the map."""
        if not case_id:
            return
        try:
            row, seen = await self.visit.site.service.readers.call(self._read_case, str(case_id))
        except UnknownCaseError:  # deleted since the map was drawn
            self.chosen.clear()
            return
        with fill(self.chosen):
            about = describe_case(row.case)
            self._case(row.case.case_id, row.case.diagnosis, f"{about} · {TRAINED_ON}" if seen else about)

    def _read_case(self, case_id: str) -> tuple[StoredCase, bool | None]:
        row = self.visit.site.service.case(case_id)
        self._log([case_id], "case")
        return row, self.visit.site.service.base.trained_on([row.stamp.phash])[0]

    def _log(self, case_ids: Sequence[str], what: str) -> None:
        """Log who sees which cases, before they see them."""
        self.visit.site.audit.write("view", self.visit.who, cases=list(case_ids), what=what)

    def _case(self, case_id: str, name: str | None, about: str) -> None:
        with toned(el("div", cls="small-case"), tones([name])[name]):
            title = diagnosis_title(name)
            alt = texts.CASE_ALT.format(case_id=case_id, diagnosis=title)
            el("img", src=self.visit.case_image(case_id, small=True), alt=alt)
            with el("div"):
                with el("p", cls="diagnosis"):
                    el("span", cls="swatch", aria_hidden="true")
                    el("span", title)
                el("code", case_id)
                el("p", about, "hint")
                fragment = Question(like=case_id).to_fragment()
                link(texts.MORE, f"{self.visit.to('/')}#{fragment}", aria_label=texts.MORE_NAME.format(case_id=case_id))

    async def find_duplicates(self) -> None:
        """Compare the base's images and show the groups."""
        with fill(self.duplicates):
            el("p", texts.DUPLICATES_LOADING, "hint", role="status")
        groups = await self.visit.site.service.readers.call(self._read_duplicates)
        with fill(self.duplicates):
            if groups is None:
                el("p", texts.DUPLICATES_TOO_MANY, "hint")
                return
            shown = groups[:_MOST_GROUPS]
            text = texts.DUPLICATES_MANY if len(groups) > len(shown) else texts.DUPLICATES_FOUND
            el("p", text.format(n=len(groups), shown=len(shown)) if groups else texts.DUPLICATES_NONE)
            for group in shown:
                self._group(group)

    def _read_duplicates(self) -> list[DuplicateGroup] | None:
        groups = self.visit.site.facts.find_duplicates()
        if groups:
            shown = [case.case_id for group in groups[:_MOST_GROUPS] for case in group.cases[:_MOST_CASES]]
            self._log(shown, "duplicates")
        return groups

    def _group(self, group: DuplicateGroup) -> None:
        with el("div", cls="group"):
            with el("p", cls="hint"):
                el("span", texts.DUPLICATE_EXACT if group.kind == "exact" else texts.DUPLICATE_NEAR)
                if group.conflicts:
                    fields = ", ".join(TITLES[name] for name in group.conflicts)
                    el("strong", f" · {texts.DUPLICATE_CONFLICT.format(fields=fields)}")
            with el("div", cls="row"):
                for case in group.cases[:_MOST_CASES]:
                    self._case(case.case_id, case.diagnosis, describe_case(case))
