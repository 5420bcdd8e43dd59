"""Figures: what is drawn is what the result holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dermquery.lab.evaluate.figures import (
    accuracy_figure,
    curve_figure,
    forest_figure,
    map_figure,
    precision_recall_figure,
    write_figures,
)
from dermquery.lab.evaluate.tables import CHANCE


def mean(system: str, level: float, protocol: str = "unseen") -> dict[str, Any]:
    micro = {"map": level, **{f"acc@{k}": min(1.0, level + k / 50) for k in range(1, 11)}}
    return {
        "system": system,
        "protocol": protocol,
        "micro": micro,
        "macro": {"map": level / 2},
        "chance": dict.fromkeys(micro, 0.3),
        "intervals": {"map": (level - 0.1, level + 0.1), "acc@1": (None, None), "macro_map": (0.1, 0.2)},
    }


def test_accuracy_over_k_has_every_system_and_chance() -> None:
    (axes,) = accuracy_figure([mean("composed", 0.7), mean("text only", 0.5)]).axes
    assert [line.get_label() for line in axes.lines] == [CHANCE, "composed", "text only"]
    assert np.asarray(axes.lines[1].get_ydata()).tolist() == pytest.approx([0.7 + k / 50 for k in range(1, 11)])
    assert set(np.asarray(axes.lines[0].get_ydata()).tolist()) == {0.3}
    assert axes.get_title(loc="left") == "Unseen gallery"


def test_systems_are_ordered_by_map() -> None:
    (axes,) = map_figure([mean("a", 0.5), mean("b", 0.9), mean("c", 0.7)]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "c", "b"]


def test_the_curve_runs_over_the_local_weights() -> None:
    points = [{"local_weight": w / 10, **mean("composed", 0.5 + w / 100)} for w in range(11)]
    (axes,) = curve_figure(points).axes
    assert [line.get_label() for line in axes.lines] == ["Acc@1", "mAP", "macro mAP"]
    assert np.asarray(axes.lines[1].get_xdata()).tolist() == pytest.approx([w / 10 for w in range(11)])


def paired(against: str, metric: str, difference: float, p_holm: float) -> dict[str, Any]:
    interval = [difference - 0.02, difference + 0.02]
    values = {"difference": difference, "interval": interval, "p_holm": p_holm}
    return {"protocol": "unseen", "against": against, "metric": metric, **values}


def test_the_forest_has_a_point_for_each_test_and_fills_the_significant_ones() -> None:
    tests = [paired("CRN", "map", 0.1, 0.01), paired("CRN", "acc@1", 0.02, 0.6), paired("DAHNet", "map", -0.03, 0.2)]
    (axes,) = forest_figure("unseen", tests, "ours").axes
    drawn = [(np.asarray(line.get_xdata()), line) for line in axes.lines if line.get_marker() == "o"]
    points = {float(x[0]): line for x, line in drawn if x.size}
    assert sorted(points) == pytest.approx([-0.03, 0.02, 0.1])
    assert [points[x].get_markerfacecolor() == "white" for x in sorted(points)] == [True, True, False]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["DAHNet", "CRN"]
    assert "ours" in axes.get_xlabel()


def test_precision_over_recall_has_every_system_and_the_prevalence() -> None:
    (axes,) = precision_recall_figure("seen", (0.0, 0.5, 1.0), {"ours": (0.9, 0.8, 0.5)}, 0.4).axes
    assert [line.get_label() for line in axes.lines] == [CHANCE, "ours"]
    assert np.asarray(axes.lines[1].get_ydata()).tolist() == [0.9, 0.8, 0.5]


def test_many_systems_have_lines_that_differ() -> None:
    (axes,) = accuracy_figure([mean(f"system {i}", 0.5 + i / 100) for i in range(13)]).axes
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines[1:]}
    assert len(looks) == 13


def test_files_are_written_for_each_protocol(tmp_path: Path) -> None:
    means = [mean("composed", 0.7), mean("composed", 0.8, "seen")]
    curve = [{"local_weight": w, **mean("composed", 0.7)} for w in (0.0, 1.0)]
    written = write_figures({"means": means, "curve": curve}, tmp_path / "out")
    names = ["seen-accuracy", "seen-map", "unseen-accuracy", "unseen-map", "unseen-local-weight"]
    assert [path.stem for path in written] == names
    for path in written:
        assert Image.open(path).width == 960
