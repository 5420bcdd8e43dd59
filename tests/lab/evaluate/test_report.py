"""The block of results, its folds' mean, and the comparison of two systems."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from dermquery.lab.evaluate import (
    EvaluationBlock,
    Protocol,
    combine_folds,
    compare_coverage,
    compare_systems,
    evaluate_ranking,
    rank,
)
from dermquery.lab.evaluate.per_query import LABEL_METRICS
from dermquery.lab.evaluate.ranking import Ranking
from tests.lab.evaluate.strategies import make_case, random_problem


def _block(ranking: Ranking, seed: int = 0) -> EvaluationBlock:
    return evaluate_ranking(ranking, protocol=Protocol.UNSEEN, n_boot=200, seed=seed)


def _by_hand() -> EvaluationBlock:
    """Four queries: AP 1, 1/2, 1/3 for two nevi and a melanoma, and a bkl that has no counterpart."""
    queries = [make_case("q1"), make_case("q2"), make_case("q3", "melanoma"), make_case("q4", "bkl")]
    gallery = [make_case("a"), make_case("b", "melanoma"), make_case("c", "melanoma"), make_case("d", "other")]
    scores = [[4, 3, 2, 1], [2, 4, 1, 0], [4, 1, 2, 3], [1, 2, 3, 4]]
    return _block(rank(scores, queries, gallery))


def test_by_hand() -> None:
    block = _by_hand()
    third = (1 / 3 + 2 / 4) / 2
    assert (block.protocol, block.n, block.n_without_relevant, block.n_gallery) == ("unseen", 4, 1, 4)
    assert block.micro["map"] == pytest.approx((1 + 0.5 + third) / 3)
    assert block.micro["acc@1"] == pytest.approx(1 / 3)
    assert block.micro["acc@3"] == 1.0
    assert block.micro["acc_mean"] == pytest.approx((1 / 3 + 2 / 3 + 8) / 10)
    assert block.per_class["nevus"]["map"] == 0.75
    assert block.per_class["bkl"] == {"n": 1, "n_without_relevant": 1, **dict.fromkeys(LABEL_METRICS)}
    assert block.macro["map"] == pytest.approx((0.75 + third) / 2), "a class without any value is left out"
    assert block.chance["acc@1"] == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)
    fourth_harmonic = 25 / 12
    by_class = [fourth_harmonic / 4, ((4 - fourth_harmonic) / 3 + fourth_harmonic) / 4]
    assert block.chance_macro["map"] == pytest.approx(np.mean(by_class))
    assert block.chance_macro["acc@1"] == pytest.approx((1 / 4 + 2 / 4) / 2)
    assert block.usefulness["checklist_agreement@5"] is None
    assert block.usefulness_n == {"checklist_agreement@5": 0, "fine_p@5": 0, "ndcg@10": 3}
    rows = {row["case_id"]: row for row in block.per_query}
    assert [rows[q]["first_relevant_rank"] for q in ("q1", "q2", "q3", "q4")] == [1, 2, 3, None]
    assert rows["q4"]["ap"] is None
    assert rows["q3"]["n_relevant"] == 2


def test_json_has_the_promised_keys_and_comes_back() -> None:
    block = _by_hand()
    text = block.model_dump_json()
    plain = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert {"protocol", "n", "n_without_relevant", "n_gallery", "micro", "macro", "per_class"} <= plain.keys()
    assert {"chance", "usefulness", "intervals", "per_query"} <= plain.keys()
    wanted = {*(f"acc@{k}" for k in range(1, 11)), "acc_mean", "map", *(f"{m}@{k}" for m in "pr" for k in (1, 5, 10))}
    for part in ("micro", "macro", "chance", "chance_macro"):
        assert plain[part].keys() == wanted
    assert EvaluationBlock.model_validate_json(text) == block


def test_intervals_hold_their_values_and_repeat() -> None:
    problem = random_problem(2, 30, 60)
    block = _block(problem.rank())
    assert block == _block(problem.rank())
    assert block.intervals != _block(problem.rank(), seed=1).intervals
    for name, value in {**block.micro, **block.usefulness}.items():
        if name not in ("coverage@5", "largest_occurrence@5"):
            low, high = block.intervals[name]
            assert value is not None
            assert low is not None
            assert high is not None
            assert low - 1e-12 <= value <= high + 1e-12
    low, high = block.intervals["macro_map"]
    assert low is not None
    assert high is not None
    assert low < (block.macro["map"] or 0) < high
    assert block.intervals["map[nevus]"][0] is not None


def test_one_group_gets_no_interval() -> None:
    ranking = rank([[1.0, 0.0]], [make_case("q")], [make_case("a"), make_case("b", "bkl")])
    assert set(_block(ranking).intervals.values()) == {(None, None)}


def test_results_do_not_depend_on_the_size_of_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    ranking = random_problem(8, 25, 40).rank()
    whole = _block(ranking)
    original = Ranking.blocks
    monkeypatch.setattr(Ranking, "blocks", lambda self: original(self, 4))
    assert _block(ranking) == whole


def test_refused_rankings() -> None:
    good, unlabelled = make_case("a"), make_case("u", None)
    with pytest.raises(ValueError, match="1 cases of the gallery have no diagnosis, the first is 'u'"):
        _block(rank([[1.0, 2.0]], [make_case("q")], [good, unlabelled]))
    with pytest.raises(ValueError, match="1 cases of the queries have no diagnosis"):
        _block(rank([[1.0]], [unlabelled], [good]))
    with pytest.raises(ValueError, match="0 queries and 1 gallery cases"):
        _block(rank(np.zeros((0, 1)), [], [good]))
    with pytest.raises(ValueError, match="'honest' is not a valid Protocol"):
        evaluate_ranking(rank([[1.0]], [make_case("q")], [good]), protocol="honest")


def _folds(quality: float, n_folds: int = 3) -> list[EvaluationBlock]:
    """A system whose scores are noise plus `quality` for the right label, on the same queries for every quality."""
    blocks = []
    for fold in range(n_folds):
        rng = np.random.default_rng(fold)
        labels = rng.choice(["nevus", "melanoma"], 30)
        cases = [make_case(f"{fold}-{i:02d}", str(label)) for i, label in enumerate(labels)]
        scores = rng.normal(size=(30, 30)) + quality * (labels[:, None] == labels[None, :])
        blocks.append(_block(rank(scores, cases, cases)))
    return blocks


def test_combine_folds() -> None:
    blocks = _folds(0.5)
    combined = combine_folds(blocks, n_boot=500)
    maps = np.array([block.micro["map"] for block in blocks], float)
    assert combined["micro"]["map"] == pytest.approx(maps.mean())
    assert combined["sd"]["micro"]["map"] == pytest.approx(maps.std(ddof=1))
    assert combined["sd"]["usefulness"]["largest_occurrence@5"] > 0
    assert (combined["protocol"], combined["n_folds"], combined["n"]) == ("unseen", 3, 90)
    assert combined["per_class"]["nevus"]["n"] == sum(int(b.per_class["nevus"]["n"] or 0) for b in blocks)
    low, high = combined["intervals"]["map"]
    assert low < maps.mean() < high
    widths = [block.intervals["map"][1] - block.intervals["map"][0] for block in blocks]  # type: ignore[operator]
    assert high - low == pytest.approx(np.mean(widths) / np.sqrt(3), rel=0.35), "three folds know more than one"
    json.dumps(combined, allow_nan=False)
    assert combined == combine_folds(blocks, n_boot=500)


def test_folds_are_resampled_independently() -> None:
    """Three folds with equal values: resampling them in step would give an interval as wide as that of one fold."""
    first = _folds(0.5, 1)[0]
    twins = []
    for number in range(3):
        rows = [
            {**row, "case_id": f"{number} {row['case_id']}", "group": f"{number}{i}"}
            for i, row in enumerate(first.per_query)
        ]
        twins.append(first.model_copy(update={"per_query": rows}))
    low, high = combine_folds(twins, n_boot=2000)["intervals"]["map"]
    one_low, one_high = combine_folds(twins[:1], n_boot=2000)["intervals"]["map"]
    assert high - low == pytest.approx((one_high - one_low) / np.sqrt(3), rel=0.15)


def test_combine_folds_with_a_class_that_one_fold_lacks() -> None:
    blocks = _folds(0.5, 2)
    rare = [make_case("x1", "bkl"), make_case("x2", "bkl"), make_case("x3")]
    blocks.append(_block(rank(np.zeros((3, 3)), rare, rare)))
    combined = combine_folds(blocks, n_boot=100)
    assert combined["per_class"]["bkl"]["n"] == 2
    assert combined["sd"]["per_class"]["bkl"]["map"] is None
    assert combined["per_class"]["bkl"]["map"] == blocks[-1].per_class["bkl"]["map"]


def test_refused_combinations() -> None:
    blocks = _folds(0.5, 2)
    with pytest.raises(ValueError, match="no blocks"):
        combine_folds([])
    with pytest.raises(ValueError, match="different protocols: seen, unseen"):
        combine_folds([blocks[0], blocks[1].model_copy(update={"protocol": "seen"})])
    with pytest.raises(ValueError, match="folds share queries of case:0-00"):
        combine_folds([blocks[0], blocks[0]])
    with pytest.raises(ValueError, match="keep_per_query=True"):
        combine_folds([blocks[0].model_copy(update={"per_query": []})])


def test_compare_systems() -> None:
    weak, strong = _folds(0.3), _folds(1.0)
    test = compare_systems(strong, weak, "map", n_permutations=999)
    assert test.p_value == pytest.approx(0.001)
    assert test.n == 90
    expected = np.mean([[r["ap"] for r in b.per_query] for b in strong]) - np.mean(
        [[r["ap"] for r in b.per_query] for b in weak]
    )
    assert test.difference == pytest.approx(expected)
    shuffled = [block.model_copy(update={"per_query": block.per_query[::-1]}) for block in weak[::-1]]
    assert compare_systems(strong, shuffled, "map", n_permutations=999) == test, "rows are paired by case id"
    with pytest.raises(ValueError, match="no per-query metric 'coverage@5'"):
        compare_systems(strong, weak, "coverage@5")
    with pytest.raises(ValueError, match="answered different queries"):
        compare_systems(strong, weak[:2])
    with pytest.raises(ValueError, match="different protocols"):
        compare_systems(strong, [block.model_copy(update={"protocol": "seen"}) for block in weak])


def _answers(shown: list[list[int]], n_gallery: int) -> Ranking:
    """A ranking whose query i shows the cases of ``shown[i]`` first."""
    scores = np.zeros((len(shown), n_gallery))
    for row, places in enumerate(shown):
        scores[row, places] = 1.0
    return rank(scores, [make_case(f"q{i}") for i in range(len(shown))], [make_case(f"g{i}") for i in range(n_gallery)])


def test_coverage_is_tested_by_exchanging_whole_answers() -> None:
    """Every exchange of six answers, by hand, against the drawn ones."""
    hub, varied = [[0, 1]] * 6, [[0, 1], [1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    test = compare_coverage([_answers(varied, 12)], [_answers(hub, 12)], k=2, n_permutations=4000)
    assert test.difference == pytest.approx((11 - 2) / 12)
    assert (test.n, test.n_groups) == (6, 6)
    assert np.isnan(test.interval).all()
    differences = []
    for sides in itertools.product([True, False], repeat=6):
        one = {case for side, v, h in zip(sides, varied, hub, strict=True) for case in (v if side else h)}
        other = {case for side, v, h in zip(sides, varied, hub, strict=True) for case in (h if side else v)}
        differences.append((len(one) - len(other)) / 12)
    exact = np.mean([abs(d) >= test.difference - 1e-12 for d in differences])
    assert test.p_value == pytest.approx(exact, abs=0.02)
    same = compare_coverage([_answers(varied, 12)], [_answers(varied, 12)], k=2, n_permutations=99)
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_coverage_is_the_mean_over_folds() -> None:
    first, second = ([_answers(shown, n) for shown, n in zip(folds, (12, 6), strict=True)] for folds in (
        ([[0, 1], [2, 3]], [[0, 1], [2, 3], [4, 5]]), ([[0, 1], [0, 1]], [[0, 1], [0, 1], [0, 1]]),
    ))  # fmt: skip
    test = compare_coverage(first, second, k=2, n_permutations=99)
    assert test.difference == pytest.approx(((4 - 2) / 12 + (6 - 2) / 6) / 2)
    with pytest.raises(ValueError, match="different queries"):
        compare_coverage(first, second[::-1], k=2)


def test_a_macro_mean_is_tested_with_every_class_weighing_the_same() -> None:
    weak, strong = _folds(0.3), _folds(1.0)
    test = compare_systems(strong, weak, "macro_map", n_permutations=999)
    kept: dict[str, list[float]] = {}
    for one, other in zip(strong, weak, strict=True):
        for a, b in zip(one.per_query, other.per_query, strict=True):
            if a["ap"] is not None:
                kept.setdefault(str(a["diagnosis"]), []).append(float(a["ap"]) - float(b["ap"] or 0))
    assert len(kept) > 1
    assert test.difference == pytest.approx(np.mean([np.mean(values) for values in kept.values()]))
    assert test.interval.low < test.difference < test.interval.high
    assert test.p_value == pytest.approx(0.001)
