"""Which cases may be found: the form's filters, with the values that the base holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dermquery.answer.words import TITLES, diagnosis_title
from dermquery.data.checklist import CRITERIA
from dermquery.serve.base_facts import BaseFacts
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Control, el, set_text
from dermquery.serve.page.state import CHOSEN_FIELDS, Patient

__all__ = ["PatientFields"]

_MOST_VALUES = 200


class PatientFields:
    """The fields of a :class:`Patient`.

    Args:
        facts: about the base, for the values to choose from.
        on_change: called with the field that changed.
        on_submit: called on Enter.
    """

    def __init__(self, facts: BaseFacts, on_change: Callable[..., Any], on_submit: Callable[[], Any]) -> None:
        self._on_change, self._on_submit = on_change, on_submit
        self._patient = Patient()
        self.controls: dict[str, Control] = {}
        with el("details", cls="fold"):
            with el("summary"):
                el("h2", texts.FILTERS)
                self.badge = el("span", cls="badge", aria_live="polite")
            with el("div", cls="fields"):
                for name in CHOSEN_FIELDS:
                    self._choose(facts, name, TITLES[name])
                number = {"type": "number", "min": 0, "max": 130, "step": 1, "inputmode": "numeric"}
                self._write("age_from", texts.AGE_FROM, **number)
                self._write("age_to", texts.AGE_TO, **number)
                if any(day is not None for day in facts.counts("date")):
                    self._write("date_from", texts.DATE_FROM, type="date")
                    self._write("date_to", texts.DATE_TO, type="date")
                self._write("without_patient", texts.WITHOUT_PATIENT, maxlength=200, autocomplete="off")
                self._write("without_lesion", texts.WITHOUT_LESION, maxlength=200, autocomplete="off")
            el("p", texts.WITHOUT_HINT, "hint")
            el("p", texts.MUST, "hint", id="must")
            with el("div", cls="fields", role="group", aria_labelledby="must"):
                for name, criterion in CRITERIA.items():
                    self._choose(facts, name, criterion.title.capitalize())

    def show(self, patient: Patient) -> None:
        """Put values into the fields."""
        self._patient = patient
        for name, control in self.controls.items():
            control.show(patient[name])
        self._badge()

    def _choose(self, facts: BaseFacts, name: str, label: str) -> None:
        counts = {str(value): n for value, n in facts.counts(name).items() if value is not None}
        if len(counts) < 2:
            return  # nothing to choose between
        common = sorted(counts, key=lambda value: (-counts[value], value))[:_MOST_VALUES]
        title = diagnosis_title if name == "diagnosis" else str
        options = [("", texts.FILTER_ANY)]
        options += [(v, texts.FILTER_COUNT.format(value=title(v), count=counts[v])) for v in common]
        with el("label", cls="field"):
            el("span", label)
            self.controls[name] = Control("select", options=options, on_value=lambda v: self._changed(name, v))

    def _write(self, name: str, title: str, **attributes: Any) -> None:
        with el("label", cls="field"):
            el("span", title)
            self.controls[name] = Control(
                on_value=lambda value: self._changed(name, value), on_submit=self._on_submit, **attributes
            )

    def _changed(self, name: str, value: str) -> None:
        self._patient = self._patient.changed(**{name: value})
        self._badge()
        self._on_change(**{name: value})

    def _badge(self) -> None:
        n = self._patient.n_set
        set_text(self.badge, texts.FILTERS_SET.format(n=n) if n else "")
