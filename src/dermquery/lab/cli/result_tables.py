"""Tables of a result as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dermquery.lab.evaluate.protocols import Protocol
from dermquery.lab.evaluate.strata import STRATUM_METRICS
from dermquery.lab.evaluate.tables import Cell, accuracy_table, map_table, usefulness_table
from dermquery.model.presets import PAPER_NAME

__all__ = ["comparison_files", "comparison_tables", "evaluation_tables", "row_name", "strata_tables"]


def evaluation_tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables 1 and 2 of the paper and the usefulness table, for systems of one protocol."""
    return "\n\n".join(t.markdown() for t in (map_table(results), accuracy_table(results), usefulness_table(results)))


def row_name(facts: Mapping[str, Any]) -> str:
    """What a row is called: what asked, the weights if they are not equation 9's, and how many the model knew."""
    weights = facts.get("weights", PAPER_NAME)
    known = (facts.get("trained_on") or {}).get("queries", 0)
    parts = [facts["query"], *([] if weights == PAPER_NAME else [weights]), *([f"{known} trained on"] if known else [])]
    return ", ".join(map(str, parts))


def comparison_tables(result: Mapping[str, Any], title: str) -> str:
    """All protocols of a comparison, what each system uses and costs, and where the numbers come from."""
    parts = [f"# {title}", *_protocols(result, result["reference"]), *_asked(result.get("asked", ()))]
    parts += ["## Systems", _systems(result)]
    return "\n\n".join([*parts, _origin(result["provenance"])]) + "\n"


def _asked(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    first = rows[0]
    said = (
        f"Share of the ten best that carry the one finding asked by words: mean of {len(first['values'])} values that "
        f"ten of the {first['n_cases']} cases carry, in per cent; every case is ranked by a model that has not seen it."
    )
    lines = [
        said,
        "",
        "| System | asked-finding P@10 |",
        "|---|---:|",
        f"| chance (random order) | {100 * first['chance']:.1f} |",
    ]
    for row in rows:
        low, high = row["interval"]
        lines.append(f"| {row['system']} | {100 * row['p@10']:.1f} [{100 * low:.1f}–{100 * high:.1f}] |")
    return ["## One finding asked", "\n".join(lines)]


def comparison_files(result: Mapping[str, Any]) -> dict[str, str]:
    """The paper's Tables 1 and 2 and the usefulness table of each protocol as CSV and LaTeX: file name to text."""
    files = {}
    for protocol, rows in _by_protocol(result).items():
        made = {"accuracy": accuracy_table, "map": map_table, "usefulness": usefulness_table}
        for name, table in ((name, make(rows)) for name, make in made.items()):
            files[f"{protocol}-{name}.csv"], files[f"{protocol}-{name}.tex"] = table.csv(), table.latex()
    return files


def _by_protocol(result: Mapping[str, Any]) -> dict[Protocol, dict[str, Any]]:
    found: dict[Protocol, dict[str, Any]] = {}
    for protocol in Protocol:
        rows = {mean["system"]: mean for mean in result["means"] if mean["protocol"] == protocol}
        if rows:
            found[protocol] = rows
    return found


def _protocols(result: Mapping[str, Any], reference: str) -> list[str]:
    parts = []
    for protocol, rows in _by_protocol(result).items():
        tests, curve = _tests(result["tests"], protocol, reference), _curve(result["curve"], protocol, reference)
        leaders = _leaders(rows, reference, result.get("systems", ()))
        shown = [f"## {protocol.heading}", evaluation_tables(rows), leaders, tests, curve]
        parts += [part for part in shown if part]
    return parts


def _leaders(rows: Mapping[str, Any], reference: str, systems: Sequence[Mapping[str, Any]]) -> str:
    """Name the best row; and the best of those that do not read the gallery's diagnoses, where some do."""
    readers = {system["system"] for system in systems if "diagnosis" in system["gallery"]}
    others = {system: row for system, row in rows.items() if system not in readers}
    if len(others) in (0, len(rows)):
        return f"First on {_first(rows, reference)}."
    return (
        f"Of all rows, first on {_first(rows, reference)}.\n\n"
        f"Of the rows that do not read the gallery's diagnoses, first on {_first(others, reference)}."
    )


def _first(rows: Mapping[str, Any], reference: str) -> str:
    """Name the best row on each metric, also where it is not the reference."""
    said = []
    for section, metric, name in (("micro", "map", "mAP"), ("macro", "map", "macro mAP"), ("micro", "acc@1", "Acc@1")):
        best = max(rows, key=lambda system: rows[system][section][metric])
        value = {system: 100 * row[section][metric] for system, row in rows.items()}
        behind = f"; {reference} has {value[reference]:.1f}" if reference in value and best != reference else ""
        said.append(f"{name}: {best} ({value[best]:.1f}{behind})")
    return ", on ".join(said)


def _systems(result: Mapping[str, Any]) -> str:
    uses = {system["system"]: system for system in result["systems"]}
    lines = [
        "| System | asks with | gallery holds | training, s a fold | s a query | bytes a case |",
        "|---|---|---|---:|---:|---:|",
    ]
    for cost in result["costs"]:
        own = uses[cost["system"]]
        lines.append(
            f"| {cost['system']} | {own['asks']} | {own['gallery']} | {cost['train_seconds']:.0f} "
            f"| {cost['seconds_per_query']:.4f} | {cost['bytes_per_case']:.0f} |"
        )
    machines = "; ".join(sorted({machine for cost in result["costs"] for machine in cost["machines"]}))
    return (
        "\n".join(lines) + f"\n\nTimes on {machines}; a query is encoded and ranked alone, against an encoded gallery."
    )


def _origin(facts: Mapping[str, Any]) -> str:
    model, train = facts["config"]["model"], facts["config"]["train"]
    vision, machine = model["vision"], facts["machine"]
    origin = (
        f"{facts['n_cases']} cases",
        f"folds {facts['folds']} of seed {facts['folds_seed']} (sha256 `{facts['folds_sha256'][:12]}`)",
        f"training seed {facts['seed']}",
        f"{vision['backbone']} at {vision['image_size']} px",
        *([f"started from `{facts['started_from']['name']}`"] if facts.get("started_from") else []),
        f"{train['epochs']} epochs{'' if train['refit'] else ' at most'}",
        f"configuration `{facts['config_sha256'][:12]}`",
        f"commit `{facts['commit']}`",
        f"{machine['processor']}, {machine['threads']} threads",
    )
    return ", ".join(origin) + "."


def strata_tables(parted: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """One table for each column that the queries were broken down by; empty without any."""
    shown = [_stratum(name, rows) for name, rows in parted.items()]
    return "".join(f"\n\n{table}" for table in shown)


def _stratum(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"By {name}, in per cent with 95 % intervals.",
        "",
        f"| {name} | n | Acc@1 | mAP | checklist agreement@5 |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [
            Cell(row[metric], tuple(row["intervals"][metric])).text("interval", 100, 1) for metric in STRATUM_METRICS
        ]
        lines.append(" | ".join([f"| {row['value']}", str(row["n"]), *cells]) + " |")
    return "\n".join(lines)


def _curve(curve: list[Mapping[str, Any]], protocol: Protocol, reference: str) -> str:
    points = [point for point in curve if point["protocol"] == protocol]
    if not points:
        return ""
    lines = [
        f"{reference} over λ, from the same encodings, mean of the folds in per cent.",
        "",
        "| λ | Acc@1 | mAP | macro mAP | coverage@5 | checklist agreement@5 | fine P@5 |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for point in points:
        useful = [point["usefulness"][m] for m in ("coverage@5", "checklist_agreement@5", "fine_p@5")]
        values = [point["micro"]["acc@1"], point["micro"]["map"], point["macro"]["map"], *useful]
        shown = " | ".join("–" if value is None else f"{100 * value:.1f}" for value in values)
        lines.append(f"| {point['local_weight']:g} | {shown} |")
    return "\n".join(lines)


def _tests(tests: Sequence[Mapping[str, Any]], protocol: Protocol, reference: str) -> str:
    chosen = [t for t in tests if t["protocol"] == protocol]
    if not chosen:
        return ""
    lines = [
        f"| {reference} against | metric | difference | 95 % interval | p | p (Holm) |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for t in chosen:
        low, high = t["interval"]
        interval = "–" if low is None else f"{100 * low:+.1f} to {100 * high:+.1f}"
        lines.append(
            f"| {t['against']} | {t['metric']} | {100 * t['difference']:+.1f} | {interval} "
            f"| {t['p_value']:.4f} | {t['p_holm']:.4f} |"
        )
    return "\n".join(lines)
