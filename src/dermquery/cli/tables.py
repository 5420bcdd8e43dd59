"""Result JSON to the Markdown that is printed and kept beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dermquery.evaluate.protocols import Protocol
from dermquery.evaluate.strata import STRATUM_METRICS
from dermquery.evaluate.tables import Cell, accuracy_table, map_table, usefulness_table

__all__ = ["crossval_tables", "evaluation_tables", "strata_tables"]


def evaluation_tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables 1 and 2 of the paper and the usefulness table, for systems of one protocol."""
    return "\n\n".join(t.markdown() for t in (map_table(results), accuracy_table(results), usefulness_table(results)))


def crossval_tables(result: Mapping[str, Any]) -> str:
    """All protocols of a cross-validation, the paired tests, and where the numbers come from."""
    facts = result["provenance"]
    parts = ["# Cross-validation"]
    for protocol in Protocol:
        rows = {mean["system"]: mean for mean in result["means"] if mean["protocol"] == protocol}
        if rows:
            parts += [f"## {protocol.heading}", evaluation_tables(rows), _tests(result["tests"], protocol)]
            parts += [_curve(result["curve"], protocol)]
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
    parts.append(", ".join(origin) + ".")
    return "\n\n".join(parts) + "\n"


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


def _curve(curve: list[Mapping[str, Any]], protocol: Protocol) -> str:
    lines = [
        "Composed query over λ, from the same encodings, mean of the folds in per cent.",
        "",
        "| λ | Acc@1 | mAP | macro mAP | coverage@5 | checklist agreement@5 | fine P@5 |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for point in (p for p in curve if p["protocol"] == protocol):
        useful = [point["usefulness"][m] for m in ("coverage@5", "checklist_agreement@5", "fine_p@5")]
        values = [point["micro"]["acc@1"], point["micro"]["map"], point["macro"]["map"], *useful]
        shown = " | ".join("–" if value is None else f"{100 * value:.1f}" for value in values)
        lines.append(f"| {point['local_weight']:g} | {shown} |")
    return "\n".join(lines)


def _tests(tests: list[Mapping[str, Any]], protocol: Protocol) -> str:
    chosen = [t for t in tests if t["protocol"] == protocol]
    if not chosen:
        return ""
    lines = [
        "| composed against | metric | difference | 95 % interval | p | p (Holm) |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for t in chosen:
        low, high = t["interval"]
        lines.append(
            f"| {t['against']} | {t['metric']} | {100 * t['difference']:+.1f} | {100 * low:+.1f} to {100 * high:+.1f} "
            f"| {t['p_value']:.4f} | {t['p_holm']:.4f} |"
        )
    return "\n".join(lines)
