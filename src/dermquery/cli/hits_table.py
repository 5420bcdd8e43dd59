"""What a search found, as the terminal shows it: the table of hits, as wide as there is room, and words beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from dermquery.cli.counts import counted
from dermquery.cli.plain_text import Console
from dermquery.data.checklist import render_text

if TYPE_CHECKING:
    from dermquery.answer.content import Content, HitContent, Warned
    from dermquery.store.casebase import CaseBase
    from dermquery.store.hits import SearchResult

__all__ = ["print_result"]

_VALUES_SHOWN = 12
_ID_WIDTH = 16
_DIAGNOSIS_WIDTH = 9
_WORDS_WIDTH = 30
"""Characters that words need beside the numbers to be read; with fewer they stand beneath the table."""
_TRAINED = "†"
_ANY = 10_000


def print_result(result: SearchResult, case_base: CaseBase, warnings: Sequence[Warned] = ()) -> None:
    """Print the ranked table, or why there is none."""
    from dermquery.answer.content import report_content

    out = Console()
    content = report_content(result, warnings=warnings)
    if content.no_hits:
        out.print(Text("\n".join([content.no_hits, *_values_there(result, case_base)])))
    else:
        table, beside = _widest(out, content)
        out.print(table)
        for item in () if beside else content.hits:
            if said := _said(item, asked=bool(content.query.terms)):
                out.print(Text(f"{item.hit.rank}: {said}"))
        if trained := next((item.trained_on for item in content.hits if item.trained_on), None):
            out.print(Text(f"{_TRAINED} {trained}."), style="dim")
        for hit in result.hits:
            if hit.viewer:
                out.print(Text(f"{hit.rank} in the viewer: {hit.viewer}"), style="dim", soft_wrap=True)
        for origin, ranks in _origins(content).items():
            out.print(Text(f"{ranks} from {origin}"), style="dim")
    if result.query.text:
        out.print(Text(f"text read as: {render_text(result.terms) or 'no finding of the checklist'}"), style="dim")
    for said in (*content.query.notes, *content.warnings):
        out.print(Text(said), style="yellow")
    n = result.n_candidates
    found = f"{len(result.hits)} of {counted(n, 'case')} that may be found" if n else "no case may be found"
    found += f", {result.base.count} in the base"
    out.print(Text(f"{found}; model {result.base.model_name}"), style="dim")
    out.print(Text(" ".join(filter(None, (content.formula, content.scale)))), style="dim")
    out.print(Text(content.research_use), style="bold")


def _origins(content: Content) -> dict[str, str]:
    """By source, licence and attribution, the ranks of the hits that have them."""
    ranks: dict[str, list[str]] = {}
    for item in content.hits:
        if item.origin:
            ranks.setdefault(item.origin, []).append(str(item.hit.rank))
    return {origin: ", ".join(held) for origin, held in ranks.items()}


def _said(item: HitContent, *, asked: bool) -> str:
    """What a narrow table leaves out."""
    confirmed = f"confirmed by {item.hit.case.confirmed_by}" if item.hit.case.confirmed_by else ""
    shared = f"shared terms: {_shared(item)}" if asked else ""
    return "; ".join(filter(None, (_same(item), confirmed, shared)))


def _same(item: HitContent) -> str:
    return (item.same_image or "").lower()


def _shared(item: HitContent) -> str:
    """The query's criteria that a case has, and those that only its image makes likely."""
    likely = f"not recorded: {', '.join(item.likely)}" if item.likely else ""
    return "; ".join(filter(None, (", ".join(item.shared) or "none", likely)))


def _widest(out: Console, content: Content) -> tuple[Table, bool]:
    """The fullest table that fits the terminal, and whether words stand in it; numbers go last."""
    for words, numbers in ((True, True), (False, True)):
        table = _table(content, words=words, numbers=numbers)
        if Measurement.get(out, out.options.update(max_width=_ANY), table).minimum <= out.width:
            return table, words
    return _table(content, words=False, numbers=False), False


def _table(content: Content, *, words: bool, numbers: bool) -> Table:
    """The hits: with what is said in words beside the numbers, and with the numbers beside the shares, or without."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1) if words else (0, 1, 0, 0))
    longest = max((len(item.hit.case.case_id) for item in content.hits), default=0)
    table.add_column("rank", justify="right")
    table.add_column("case", overflow="fold", min_width=min(longest, _ID_WIDTH))  # it is what people copy
    table.add_column("diagnosis", min_width=_DIAGNOSIS_WIDTH)
    confirmed = words and any(item.hit.case.confirmed_by for item in content.hits)
    if confirmed:
        table.add_column("confirmed by")
    names = list(dict.fromkeys(part.name for item in content.hits for part in item.parts))
    parts = [_parts(item, numbers=numbers) for item in content.hits]
    table.add_column("score", justify="right", no_wrap=True)
    for name in names:
        wide = max(len(held.get(name, "")) for held in parts)
        table.add_column(name, justify="right", no_wrap=True, min_width=wide)
    if words:
        table.add_column("shared terms", min_width=_WORDS_WIDTH)
    for item, held in zip(content.hits, parts, strict=True):
        hit = item.hit
        cells = [_rank(item, content), hit.case.case_id, hit.case.diagnosis or item.title.lower()]
        cells += [hit.case.confirmed_by or ""] if confirmed else []
        cells += [item.score.words, *(held.get(name, "") for name in names)]
        shared = _shared(item) if content.query.terms else ""
        cells += ["; ".join(filter(None, (_same(item), shared)))] if words else []
        table.add_row(*map(Text, cells))
    return table


def _parts(item: HitContent, *, numbers: bool) -> dict[str, str]:
    return {part.name: part.brief if numbers else part.percent or part.words for part in item.parts}


def _rank(item: HitContent, content: Content) -> str:
    """The rank, with a mark where the model was trained on the image; the digits stay below one another."""
    unmarked = " " if any(other.trained_on for other in content.hits) else ""
    return f"{item.hit.rank}{_TRAINED if item.trained_on else unmarked}"


def _values_there(result: SearchResult, case_base: CaseBase) -> list[str]:
    """Which values the base has in the fields that were asked for, if no case satisfies the conditions."""
    from dermquery.store.filters import FIELDS

    lines = []
    for field in () if result.n_candidates else result.where.fields:
        if field not in FIELDS:
            continue
        lines.append(f"{field} in this base: {_there(field, case_base.store.value_counts(field))}")
    return lines


def _there(field: str, counts: Mapping[str | float | None, int]) -> str:
    """The values of a field, most frequent first; of numbers and days how far they reach."""
    from dermquery.data.case import CASE_FIELDS

    known = [value for value in counts if value is not None]
    if CASE_FIELDS[field].is_ordered and known:
        first, last = (value if isinstance(value, str) else f"{value:g}" for value in (min(known), max(known)))
        reach = first if first == last else f"from {first} to {last}"
        return reach if len(known) == len(counts) else f"{reach}, or missing"
    values = ["missing" if value is None else f"{value}" for value in counts][:_VALUES_SHOWN]
    more = f" and {len(counts) - _VALUES_SHOWN} more" if len(counts) > _VALUES_SHOWN else ""
    return f"{', '.join(values)}{more}"
