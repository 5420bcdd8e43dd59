"""The address of a search: the key of its query, and how its hits are ranked. No word of what was asked is in it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from starlette.datastructures import ImmutableMultiDict

from dermquery.data.case import CASE_FIELDS, NUMBERS, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.store.filters import DAYS, FilterError
from dermquery.store.where import Written

__all__ = ["CHOSEN_FIELDS", "RANGES", "TOP_K", "Address", "clause"]

TOP_K = (10, 20, 50)
"""The choices for the number of hits."""
CHOSEN_FIELDS = tuple(name for name, known in CASE_FIELDS.items() if known.kind in (Kind.CHOICE, Kind.TREE))
"""Fields whose values are offered to choose from."""
RANGES = (*NUMBERS, *DAYS)
"""Fields that are asked for by a least and a greatest value."""
_BOUNDS = {f"{name}_{end}": f"{name}{sign}" for name in RANGES for end, sign in (("from", ">="), ("to", "<="))}
_PARTS = ("meaning", "findings", "look")
_MOST = 100


Fields = ImmutableMultiDict[str, Any]
"""What an address or a form holds."""


def clause(field: str, value: str, *, excluded: bool = False) -> str:
    """A condition on one value, as :mod:`dermquery.store.where` reads it."""
    return f'{field}{"!=" if excluded else "="}"{value.replace(chr(34), chr(34) * 2)}"'


@dataclass(frozen=True)
class Address:
    """How the hits of a query are ranked.

    Attributes:
        query: key of the query.
        where: conditions, each on one value: ``site="back"``, ``diagnosis!="nv"``, ``age>=40``.
        weights: the name of a preset, or weights as they are written; empty for the base's default.
        local_weight: λ of equation 9, in place of that of the weights; None for theirs.
        top_k: hits to show.
        compare, beside: ids of the case that is compared with the query, and of a second one.
    """

    query: str = ""
    where: tuple[str, ...] = ()
    weights: str = ""
    local_weight: float | None = None
    top_k: int = TOP_K[0]
    compare: str = ""
    beside: str = ""

    @classmethod
    def of(cls, fields: Fields) -> Address:
        """Read an address, ignoring what is not valid: anybody may have edited the link."""
        k = _number(fields.get("k"))
        return cls(
            query=str(fields.get("query") or "")[:100],
            where=tuple(dict.fromkeys(map(str, fields.getlist("where"))))[:_MOST],
            weights=str(fields.get("weights") or "")[:200],
            local_weight=_number(fields.get("lambda"), most=1),
            top_k=int(k) if k in TOP_K else TOP_K[0],
            compare=str(fields.get("compare") or "")[:2000],
            beside=str(fields.get("beside") or "")[:2000],
        )

    @classmethod
    def of_form(cls, form: Fields) -> Address:
        """The address for a form, in which every control of the weights stands; ``rerank`` names the one that moved."""
        given = {start: str(form.get(name) or "").strip() for name, start in _BOUNDS.items()}
        found, moved = cls.of(form), form.get("rerank")
        where = (*found.where, *(f"{start}{value}" for start, value in given.items() if value))
        weights, local = str(form.get("weights.now") or "")[:200], _number(form.get("lambda.now"), most=1)
        if moved == "preset":
            weights, local = found.weights, None
        elif moved == "parts":
            weights = ",".join(f"{name}={_number(form.get(name)) or 0:g}" for name in _PARTS)
        elif moved == "lambda":
            local = found.local_weight
        return replace(found, where=where[:_MOST], weights=weights, local_weight=local)

    def pairs(self, **changes: Any) -> list[tuple[str, str]]:
        """Names and values, without those that are the defaults; ``changes`` replace some."""
        held = {**vars(self), **changes}
        pairs = [("query", held["query"])] if held["query"] else []
        pairs += [("where", condition) for condition in held["where"]]
        pairs += [("weights", held["weights"])] if held["weights"] else []
        pairs += [("lambda", f"{held['local_weight']:g}")] if held["local_weight"] is not None else []
        pairs += [("k", str(held["top_k"]))] if held["top_k"] != TOP_K[0] else []
        return pairs + [(name, held[name]) for name in ("compare", "beside") if held[name]]

    def path(self, **changes: Any) -> str:
        """The address of the page; ``changes`` replace parts of it."""
        pairs = self.pairs(**changes)
        return f"/?{urlencode(pairs, quote_via=quote, safe='')}" if pairs else "/"

    def clauses(self, without: str = "") -> tuple[str, ...]:
        """The conditions for the store: several values of a field are alternatives; ``without`` leaves a field out."""
        wanted: dict[str, list[str]] = {}
        others = []
        for condition in self.where:
            field, equals, value = condition.partition("=")
            if equals and field in (*CHOSEN_FIELDS, *CRITERIA):
                wanted.setdefault(field, []).append(value)
            else:
                others.append(condition)
        clauses = [f"{field}={','.join(values)}" for field, values in wanted.items()] + others
        return tuple(made for made in clauses if not (without and made.startswith((f"{without}=", f"{without}!="))))

    def bound(self, name: str) -> str:
        """What a field of the form for a bound holds, such as ``age_from``."""
        return next((c.removeprefix(_BOUNDS[name]) for c in self.where if c.startswith(_BOUNDS[name])), "")

    def others(self, shown: Collection[str]) -> tuple[str, ...]:
        """The conditions that are neither bounds nor among those that are shown."""
        bounds = tuple(_BOUNDS.values())
        return tuple(made for made in self.where if made not in shown and not made.startswith(bounds))

    def options(self) -> dict[str, Any]:
        """Arguments of :meth:`SearchService.search`.

        Raises:
            FilterError: a condition cannot be read.
        """
        for name in NUMBERS:
            for asked in (self.bound(f"{name}_from"), self.bound(f"{name}_to")):
                if asked and not _is_within(asked, CASE_FIELDS[name].most):
                    raise FilterError(f"{name} {asked!r} is no number between 0 and {CASE_FIELDS[name].most:g}")
        return {
            "where": Written(self.clauses()),
            "weights": self.weights or None,
            "local_weight": self.local_weight,
            "top_k": self.top_k,
        }

    def report(self) -> str:
        """The same as parameters of the API, for a report."""
        pairs: list[tuple[str, str]] = [("where", made) for made in self.clauses()]
        pairs += [("weights", self.weights)] if self.weights else []
        pairs += [("local_weight", f"{self.local_weight:g}")] if self.local_weight is not None else []
        return urlencode([*pairs, ("top_k", str(self.top_k))])


def _is_within(written: str, most: float) -> bool:
    try:
        return 0 <= float(written) <= most
    except ValueError:
        return False


def _number(written: Any, most: float = 100) -> float | None:
    try:
        number = float(written or "")
    except (TypeError, ValueError):
        return None
    return min(max(number, 0.0), most) if math.isfinite(number) else None
