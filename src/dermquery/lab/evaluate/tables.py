"""Tables of results: rows are systems, columns are metrics, as Markdown, CSV or LaTeX.

A table is made from one result per system, an :class:`EvaluationBlock` or what
:func:`dermquery.lab.evaluate.combine.combine_folds` returns, all of one protocol and the same queries. Its first row is
the random order in closed form. Formatting is deterministic, so a table can be compared byte for byte.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dermquery.lab.evaluate.protocols import Protocol
from dermquery.lab.evaluate.result_block import EvaluationBlock

__all__ = ["CHANCE", "Cell", "Table", "accuracy_table", "make_table", "map_table", "usefulness_table"]

Spread = Literal["interval", "sd", "none"]
Result = EvaluationBlock | Mapping[str, Any]
CHANCE = "chance (random order)"
_MISSING = "–"
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


@dataclass(frozen=True)
class Cell:
    """A value in [0, 1] with its interval and its deviation over folds, each None where it is not defined."""

    value: float | None
    interval: tuple[float | None, float | None] = (None, None)
    sd: float | None = None

    def text(self, spread: Spread, scale: float, digits: int, dash: str = "–") -> str:
        """Write as "79.3 [76.5–82.0]", "79.3 ± 1.2" or "79.3"; a missing value is a dash."""
        if self.value is None:
            return _MISSING
        shown = f"{self.value * scale:.{digits}f}"
        low, high = self.interval
        if spread == "interval" and low is not None and high is not None:
            return f"{shown} [{low * scale:.{digits}f}{dash}{high * scale:.{digits}f}]"
        if spread == "sd" and self.sd is not None:
            return f"{shown} ± {self.sd * scale:.{digits}f}"
        return shown


@dataclass(frozen=True)
class Table:
    """A finished table.

    Attributes:
        caption: protocol, number of queries, and what stands in the cells.
        columns: headings without the first, which is "System".
        rows: system name and one cell per column.
        spread: what is written beside each value.
        scale: 100 for per cent.
        digits: after the point.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    spread: Spread = "interval"
    scale: float = 100.0
    digits: int = 1

    def markdown(self) -> str:
        """A GitHub-flavoured pipe table below its caption."""

        def line(first: str, rest: Sequence[str]) -> str:
            return "| " + " | ".join(text.replace("|", "\\|") for text in (first, *rest)) + " |"

        rows = [line(name, [c.text(self.spread, self.scale, self.digits) for c in cells]) for name, cells in self.rows]
        rule = "|---|" + "---:|" * len(self.columns)
        return "\n".join([self.caption, "", line("System", self.columns), rule, *rows]) + "\n"

    def csv(self) -> str:
        """Unrounded to six digits and unscaled, with low, high and sd of each column beside it; empty if undefined."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        parts = ("", " low", " high", " sd")
        writer.writerow(["System", *(column + part for column in self.columns for part in parts)])
        for name, cells in self.rows:
            numbers = [number for c in cells for number in (c.value, *c.interval, c.sd)]
            writer.writerow([name, *("" if number is None else f"{number:.6f}" for number in numbers)])
        return out.getvalue()

    def latex(self) -> str:
        """A ``table`` environment with the rules of LaTeX's booktabs package, which the document must load."""

        def line(first: str, rest: Sequence[str]) -> str:
            return " & ".join((first, *rest)) + r" \\"

        def cell(c: Cell) -> str:
            text = c.text(self.spread, self.scale, self.digits, dash="--")
            return text.replace(" ± ", r" $\pm$ ").replace(_MISSING, "--")

        caption = self.caption.replace("95 %", "95~%").translate(_LATEX | {ord("~"): "~"})
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{caption}}}",
                rf"\begin{{tabular}}{{l{'r' * len(self.columns)}}}",
                r"\toprule",
                line("System", [column.translate(_LATEX) for column in self.columns]),
                r"\midrule",
                *(line(name.translate(_LATEX), [cell(c) for c in cells]) for name, cells in self.rows),
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


@dataclass(frozen=True)
class _Column:
    """Where a column's numbers stand in a result: ``path`` of the value, of its chance value, and its interval."""

    heading: str
    path: tuple[str, ...]
    chance: tuple[str, ...]
    interval: str


def _plain(result: Result) -> Mapping[str, Any]:
    return result.model_dump() if isinstance(result, EvaluationBlock) else result


def _find(result: Any, path: Sequence[str]) -> float | None:
    for key in path:
        result = result.get(key) if isinstance(result, Mapping) else None
    return None if result is None else float(result)


def _cell(result: Mapping[str, Any], column: _Column) -> Cell:
    low, high = result["intervals"].get(column.interval, (None, None))
    return Cell(_find(result, column.path), (low, high), _find(result.get("sd", {}), column.path))


def _column(section: Literal["micro", "macro", "usefulness"], metric: str, heading: str | None = None) -> _Column:
    chance = {"micro": "chance", "macro": "chance_macro", "usefulness": "chance_usefulness"}[section]
    interval = f"macro_{metric}" if section == "macro" else metric
    return _Column(heading or _heading(metric), (section, metric), (chance, metric), interval)


def _class_column(metric: str, label: str) -> _Column:
    path = (label, metric)
    return _Column(
        f"{_heading(metric)} {label}", ("per_class", *path), ("chance_per_class", *path), f"{metric}[{label}]"
    )


def _heading(metric: str) -> str:
    names = {"acc_mean": "Acc mean@1–10", "map": "mAP", "ndcg@10": "nDCG@10", "fine_p@5": "fine P@5"}
    fallback = metric.replace("_", " ")
    if metric.startswith("acc@"):
        fallback = f"Acc@{metric.removeprefix('acc@')}"
    elif metric[:2] in ("p@", "r@"):
        fallback = metric.upper()
    return names.get(metric, fallback)


def _same_queries(results: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Any one of the results, after a check that they may stand in one table."""
    if not results:
        raise ValueError("no results for a table; give at least one system")
    first_name, first = next(iter(results.items()))
    for name, result in results.items():
        for key in ("protocol", "n", "n_without_relevant", "n_gallery", "chance"):
            if not _equal(result[key], first[key]):
                raise ValueError(
                    f"{first_name!r} and {name!r} differ in {key} ({first[key]} and {result[key]}); a table compares "
                    "systems on the same queries, gallery and protocol"
                )
    return first


def _equal(one: Any, other: Any) -> bool:
    """Equality that forgives the last bits of a sum over the same queries in another order."""
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _build(results: Mapping[str, Result], columns: Sequence[_Column], what: str, spread: Spread) -> Table:
    plain = {name: _plain(result) for name, result in results.items()}
    first = _same_queries(plain)
    by_chance = tuple(Cell(_find(first, column.chance)) for column in columns)
    rows = ((CHANCE, by_chance), *((n, tuple(_cell(r, c) for c in columns)) for n, r in plain.items()))
    asked = f"{first['n']} queries" + (f" in {first['n_folds']} folds" if "n_folds" in first else "")
    lone = f" ({first['n_without_relevant']} without a relevant case)" if first["n_without_relevant"] else ""
    beside = {"interval": ", with 95 % bootstrap intervals", "sd": " ± standard deviation over folds", "none": ""}
    heading = Protocol(first["protocol"]).heading
    caption = f"{heading}: {what} in per cent{beside[spread]}; {asked}{lone}."
    return Table(caption, tuple(c.heading for c in columns), rows, spread)


def make_table(
    results: Mapping[str, Result],
    columns: Sequence[tuple[Literal["micro", "macro", "usefulness"], str]],
    *,
    what: str = "results",
    spread: Spread = "interval",
) -> Table:
    """A table of chosen columns.

    Args:
        results: system name to its result, in the order of the rows; the chance row is added before them.
        columns: section and metric, such as ``("micro", "map")`` or ``("usefulness", "coverage@5")``.
        what: what the caption says the table shows.
        spread: ``interval`` (95 % bootstrap), ``sd`` (over folds) or ``none``.

    Raises:
        ValueError: if the results are of different protocols, queries or galleries, or a metric is unknown.
    """
    for result in results.values():
        for section, metric in columns:
            if metric not in (known := _plain(result)[section]):
                raise ValueError(f"no metric {metric!r} in {section!r}; use one of: {', '.join(known)}")
    made = [_column(s, m, f"macro {_heading(m)}" if s == "macro" else None) for s, m in columns]
    return _build(results, made, what, spread)


def accuracy_table(results: Mapping[str, Result], *, spread: Spread = "none") -> Table:
    """The paper's Table 1: Acc@1 to Acc@10 and their mean, over queries."""
    columns = [_column("micro", metric) for metric in (*(f"acc@{k}" for k in range(1, 11)), "acc_mean")]
    return _build(results, columns, "accuracy at k", spread)


def map_table(results: Mapping[str, Result], *, spread: Spread = "interval") -> Table:
    """The paper's Table 2: mAP of each diagnosis, then over queries (micro) and over diagnoses (macro)."""
    labels = sorted({label for result in results.values() for label in _plain(result)["per_class"]})
    columns = [_class_column("map", label) for label in labels]
    columns += [_column("micro", "map", "mAP (queries)"), _column("macro", "map", "mAP (diagnoses)")]
    return _build(results, columns, "mean average precision", spread)


def usefulness_table(results: Mapping[str, Result], *, spread: Spread = "none") -> Table:
    """Acc@1 and mAP beside what makes an answer useful; meant for the unseen gallery."""
    useful = ("coverage@5", "largest_occurrence@5", "checklist_agreement@5", "fine_p@5", "ndcg@10")
    columns = [_column("micro", "acc@1"), _column("micro", "map"), *(_column("usefulness", m) for m in useful)]
    return _build(results, columns, "accuracy and usefulness", spread)
