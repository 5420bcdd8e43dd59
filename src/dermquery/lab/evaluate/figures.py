"""Figures of the results of `crossval`, `compare` and `ablate`: over k, over recall, over λ, and paired differences.

Every figure names its protocol; those of one metric show its chance level, in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermquery.data.files import replacing
from dermquery.lab.evaluate.protocols import Protocol
from dermquery.lab.evaluate.tables import CHANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "accuracy_figure",
    "curve_figure",
    "forest_figure",
    "map_figure",
    "precision_recall_figure",
    "write_figures",
]

_COLOURS = ("#0b6aa2", "#d1603d", "#3a8f5c", "#8a6fb0", "#b08d2e", "#5b6770", "#b5477d", "#4aa3a2")
"""Distinct in lightness too, for print and for the colour-blind."""
_MARKERS = "os^Dvphx"
_SOFT, _KS = "#58646e", range(1, 11)


def accuracy_figure(means: Sequence[Mapping[str, Any]]) -> Figure:
    """Acc@k over k = 1 … 10, a line for each system of one protocol, and the random order."""
    figure, axes = _axes(means[0]["protocol"], "k", "Acc@k")
    axes.plot(_KS, [means[0]["chance"][f"acc@{k}"] for k in _KS], "--", color=_SOFT, label=CHANCE)
    for i, mean in enumerate(means):
        axes.plot(_KS, [mean["micro"][f"acc@{k}"] for k in _KS], label=mean["system"], **_line(i))
    axes.set_xticks(list(_KS))
    _legend(figure, axes, len(means))
    return figure


def precision_recall_figure(
    protocol: str, recalls: Sequence[float], lines: Mapping[str, Sequence[float]], chance: float | None
) -> Figure:
    """Interpolated precision over recall, a line for each system of one protocol; ``chance`` is the random order's."""
    figure, axes = _axes(protocol, "recall", "interpolated precision, mean over queries")
    if chance is not None:
        axes.axhline(chance, color=_SOFT, linestyle="--", label=CHANCE)
    for i, (system, values) in enumerate(lines.items()):
        axes.plot(recalls, values, label=system, **_line(i))
    axes.set_ylim(0, 1)
    _legend(figure, axes, len(lines))
    return figure


def forest_figure(protocol: str, tests: Sequence[Mapping[str, Any]], reference: str) -> Figure:
    """Paired difference of the reference to every other system, mAP and Acc@1, with 95 % intervals.

    A full point stays significant (p < .05) after Holm's correction over all tests of the comparison.
    """
    metrics = [("map", "mAP", _COLOURS[0], 0.14), ("acc@1", "Acc@1", _COLOURS[1], -0.14)]
    systems = list(dict.fromkeys(test["against"] for test in tests))[::-1]
    figure, axes = _axes(protocol, f"difference: {reference} − the other, with 95 % interval", "")
    figure.set_figheight(1.6 + 0.32 * len(systems))
    axes.axvline(0, color=_SOFT, linewidth=1)
    for metric, label, colour, shift in metrics:
        for test in (t for t in tests if t["metric"] == metric):
            row = systems.index(test["against"]) + shift
            axes.plot(test["interval"], [row, row], color=colour, linewidth=2)
            face = colour if test["p_holm"] < 0.05 else "white"
            axes.plot(test["difference"], row, "o", color=colour, markerfacecolor=face, markersize=6)
        axes.plot([], [], "o-", color=colour, label=label)
    axes.set_yticks(range(len(systems)), systems)
    axes.legend(frameon=False, fontsize=8, loc="best")
    return figure


def map_figure(means: Sequence[Mapping[str, Any]]) -> Figure:
    """MAP of each system of one protocol with its 95 % interval, best first, and the random order as a line."""
    ordered = sorted(means, key=lambda mean: mean["micro"]["map"])
    figure, axes = _axes(means[0]["protocol"], "mAP over queries, with 95 % bootstrap interval", "")
    axes.axvline(means[0]["chance"]["map"], color=_SOFT, linestyle="--", label=CHANCE)
    for row, mean in enumerate(ordered):
        low, high = mean["intervals"]["map"]
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=_COLOURS[0], linewidth=2)
        axes.plot(mean["micro"]["map"], row, "o", color=_COLOURS[0])
    axes.set_yticks(range(len(ordered)), [mean["system"] for mean in ordered])
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def curve_figure(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Acc@1, mAP and macro mAP of the composed query over λ, of one protocol."""
    figure, axes = _axes(points[0]["protocol"], "λ (0: global only, 1: local only)", "")
    weights = [point["local_weight"] for point in points]
    for i, (section, metric, label) in enumerate(
        (("micro", "acc@1", "Acc@1"), ("micro", "map", "mAP"), ("macro", "map", "macro mAP"))
    ):
        values = [point[section][metric] for point in points]
        axes.plot(weights, values, color=_COLOURS[i], marker=_MARKERS[i], markersize=4, label=label)
        name = f"macro_{metric}" if section == "macro" else metric
        low, high = zip(*(point["intervals"][name] for point in points), strict=True)
        if None not in (*low, *high):
            axes.fill_between(weights, low, high, color=_COLOURS[i], alpha=0.12, linewidth=0)
    axes.set_ylim(top=1)
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=3)
    return figure


def write_figures(result: Mapping[str, Any], out: Path) -> list[Path]:
    """Write all figures of a comparison's result as PNG into a folder; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for protocol in Protocol:
        for name, figure in _figures(result, protocol).items():
            path = out / f"{protocol}-{name}.png"
            with replacing(path) as part:
                figure.savefig(part, format="png", dpi=150, metadata={"Software": "dermquery"})
            written.append(path)
    return written


def _figures(result: Mapping[str, Any], protocol: Protocol) -> dict[str, Figure]:
    means = [mean for mean in result["means"] if mean["protocol"] == protocol]
    points = [point for point in result["curve"] if point["protocol"] == protocol]
    lines = [line for line in result.get("precision_recall", ()) if line["protocol"] == protocol]
    tests = [test for test in result.get("tests", ()) if test["protocol"] == protocol]
    made: dict[str, Figure] = {}
    if means:
        made |= {"accuracy": accuracy_figure(means), "map": map_figure(means)}
    if points:
        made["local-weight"] = curve_figure(points)
    if lines:
        by_system = {line["system"]: line["precision"] for line in lines}
        chance = means[0]["chance"]["acc@1"]  # in random order, the precision at every rank is that at the first
        made["precision-recall"] = precision_recall_figure(protocol, result["recalls"], by_system, chance)
    if tests:
        made["forest"] = forest_figure(protocol, tests, result.get("reference", "composed"))
    return made


def _line(i: int) -> dict[str, Any]:
    """The look of the i-th line: colours come again after eight, with another stroke."""
    style = ("-", ":")[i // 8 % 2]
    return {"color": _COLOURS[i % 8], "marker": _MARKERS[i % 8], "markersize": 4, "linewidth": 1.3, "linestyle": style}


def _legend(figure: Figure, axes: Axes, n: int) -> None:
    """Inside for a few lines, beside the plot for many."""
    if n <= 6:
        axes.legend(frameon=False, fontsize=8)
    else:
        figure.set_figwidth(8.6)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _axes(protocol: str, x: str, y: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(Protocol(protocol).heading, fontsize=10, loc="left")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e3e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
