from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dermquery.data.case_table import read_cases
from dermquery.data.checklist import ABSENT, CRITERIA, seven_point_score
from dermquery.lab.synthetic import CasePlan, Rendered, draw_plans, render_case, synthesize
from dermquery.lab.synthetic.fit_frequencies import VARIABLES, fit_profiles, group_of
from dermquery.lab.synthetic.frequencies import GROUPS, JOINED, JOINT
from dermquery.lab.synthetic.lesion import STYLES
from dermquery.lab.synthetic.plan import SKIN_TYPES, skin_type
from dermquery.lab.synthetic.render import LESION

SEED = 5
SMALL = (128, 128)
# Counts of the release itself, from a cross table of its meta.csv and not from the fitted profiles.
RELEASE = {
    ("mel", "pigment_network"): {"absent": 81, "atypical": 138, "typical": 33},
    ("nv", "pigment_network"): {"absent": 195, "atypical": 78, "typical": 302},
    ("bkl", "pigment_network"): {"absent": 46, "atypical": 6, "typical": 9},
    ("mel", "streaks"): {"absent": 94, "irregular": 152, "regular": 6},
    ("nv", "streaks"): {"absent": 400, "irregular": 85, "regular": 90},
    ("mel", "regression_structures"): {"absent": 142, "blue areas": 35, "combinations": 60, "white areas": 15},
    ("nv", "dots_and_globules"): {"absent": 113, "irregular": 171, "regular": 291},
    ("mel", "blue_whitish_veil"): {"absent": 132, "present": 120},
    ("nv", "blue_whitish_veil"): {"absent": 512, "present": 63},
    ("bkl", "vascular_structures"): {
        "absent": 47,
        "arborizing": 2,
        "comma": 2,
        "dotted": 2,
        "hairpin": 7,
        "within regression": 1,
    },
    ("nv", "pigmentation"): {
        "absent": 376,
        "diffuse irregular": 100,
        "diffuse regular": 77,
        "localized irregular": 20,
        "localized regular": 2,
    },
}
MEAN_SCORE = {"mel": 4.889, "nv": 1.421, "bkl": 1.180}


@pytest.fixture(scope="module")
def plans() -> list[CasePlan]:
    return draw_plans(2000, SEED)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("synthetic"), n=6, seed=SEED, size=SMALL).parent


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def with_values(plan: CasePlan, **values: str) -> CasePlan:
    return replace(plan, checklist={**dict.fromkeys(CRITERIA, ABSENT), **values})


def bare_plan(fine_diagnosis: str = "clark nevus", index: int = 0) -> CasePlan:
    plan = next(p for p in draw_plans(20, SEED) if not p.is_second_view)
    return with_values(replace(plan, index=index, scene=index, fine_diagnosis=fine_diagnosis, skin_angle=45.0))


# --- the drawn plans -------------------------------------------------------------------------------------------------


def test_plan_statistics_match_the_release(plans: list[CasePlan]) -> None:
    for (group, criterion), counts in RELEASE.items():
        drawn = Counter(p.checklist[criterion] for p in plans if p.diagnosis == group)
        for value, count in counts.items():
            expected, n = count / sum(counts.values()), drawn.total()
            # Four standard errors, and half a percent for the rounding of the table.
            assert abs(drawn[value] / n - expected) < 4 * (expected / n) ** 0.5 + 0.005, (group, criterion, value)


def test_groups_occur_as_often_as_in_the_release(plans: list[CasePlan]) -> None:
    share = Counter(p.diagnosis for p in plans)
    for group, count in {"mel": 252, "nv": 575, "bkl": 61}.items():
        assert share[group] / len(plans) == pytest.approx(count / 888, abs=0.04)
    assert all(group_of(p.fine_diagnosis) == p.diagnosis for p in plans)


def test_seven_point_score_tells_melanoma_from_the_others(plans: list[CasePlan]) -> None:
    mean = {g: np.mean([seven_point_score(p.checklist) for p in plans if p.diagnosis == g]) for g in GROUPS}
    assert mean["mel"] > mean["nv"] + 2
    assert mean["mel"] > mean["bkl"] + 2
    for group, expected in MEAN_SCORE.items():
        assert mean[group] == pytest.approx(expected, abs=0.45)


def test_vessels_within_regression_need_a_regression(plans: list[CasePlan]) -> None:
    within = [p for p in plans if p.checklist["vascular_structures"] == "within regression"]
    assert within
    assert all(p.checklist["regression_structures"] != ABSENT for p in within)


def test_second_views_and_second_lesions(plans: list[CasePlan]) -> None:
    lesions, patients = Counter(p.lesion_id for p in plans), Counter[str]()
    for plan in {p.lesion_id: p for p in plans}.values():
        patients[plan.patient_id] += 1
    assert set(lesions.values()) == {1, 2}
    assert set(patients.values()) == {1, 2}
    assert sum(p.is_second_view for p in plans) / len(plans) == pytest.approx(0.03, abs=0.015)
    for plan in plans:
        if plan.is_second_view:
            other = plans[plan.scene]
            assert (plan.lesion_id, plan.patient_id, plan.checklist) == (
                other.lesion_id,
                other.patient_id,
                other.checklist,
            )
    by_patient: dict[str, set[tuple[str, int, float]]] = {}
    for plan in plans:
        by_patient.setdefault(plan.patient_id, set()).add((plan.sex, plan.age, plan.skin_angle))
    assert all(len(persons) == 1 for persons in by_patient.values())


def test_case_i_does_not_depend_on_n(plans: list[CasePlan]) -> None:
    assert draw_plans(150, SEED) == plans[:150]
    assert draw_plans(5, SEED + 1) != plans[:5]
    assert len({p.case_id for p in plans}) == len(plans)


def test_all_skin_types_occur(plans: list[CasePlan]) -> None:
    assert {skin_type(p.skin_angle) for p in plans} == set(SKIN_TYPES)
    assert skin_type(60) == "I"
    assert skin_type(-40) == "VI"


def test_table_of_frequencies_is_whole() -> None:
    for group in GROUPS.values():
        assert sum(p.weight for p in group.profiles) == pytest.approx(1000, abs=5)
        for profile in group.profiles:
            assert set(profile.chances) == set(VARIABLES)
            for name, chances in profile.chances.items():
                assert sum(chances.values()) == pytest.approx(1000, abs=10), name
                if name in CRITERIA:
                    assert set(chances) <= set(CRITERIA[name].values)
            for pair in profile.chances[JOINT]:
                for criterion, value in zip(JOINED, pair.split(" + "), strict=True):
                    assert value in CRITERIA[criterion].values
            assert set(profile.chances["fine_diagnosis"]) <= set(STYLES)


def test_fit_keeps_the_frequencies_of_every_variable() -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    latent = rng.random(400) < 0.4
    table = pd.DataFrame(
        {
            name: np.where(rng.random(400) < np.where(latent, 0.8, 0.2), "yes", "no")
            for name in ("first", "second", "third")
        }
    )
    weights, fitted = fit_profiles(table, 2, restarts=4, steps=200)
    assert weights.sum() == pytest.approx(1)
    for name, chances in fitted.items():
        assert float(weights @ chances["yes"]) == pytest.approx((table[name] == "yes").mean(), abs=1e-3)
    # The profiles must carry the dependence that independent variables would miss.
    both = float((weights * fitted["first"]["yes"] * fitted["second"]["yes"]).sum())
    assert both == pytest.approx(((table["first"] == "yes") & (table["second"] == "yes")).mean(), abs=0.02)


# --- the rendered cases ----------------------------------------------------------------------------------------------


def pixels(rendered: Rendered) -> np.ndarray:
    return np.asarray(rendered.image).astype(np.int16)


@pytest.mark.parametrize(
    ("criterion", "value"), [(c.name, value) for c in CRITERIA.values() for value in c.values if value != ABSENT]
)
def test_structure_is_drawn_where_its_mask_says(criterion: str, value: str) -> None:
    values = {criterion: value}
    without = {"regression_structures": "white areas"} if value == "within regression" else {}
    plan = bare_plan(index=3)
    drawn = render_case(with_values(plan, **without, **values), SEED, (192, 192))
    plain = render_case(with_values(plan, **without), SEED, (192, 192))
    change = np.abs(pixels(drawn) - pixels(plain)).max(axis=2)
    mask = drawn.masks[criterion]
    assert criterion not in plain.masks
    assert change[mask].mean() > 8
    # The lens blurs over the edge of a mask, and a soft structure is cut where it has faded.
    far = ~ndimage.binary_dilation(mask, iterations=4)
    assert np.percentile(change[far], 98) <= 12
    assert change[mask].mean() > 6 * change[far].mean()


def test_masks_are_there_exactly_for_what_is_present() -> None:
    for plan in draw_plans(60, 3):
        rendered = render_case(plan, 3, (96, 96))
        present = {name for name, value in plan.checklist.items() if value != ABSENT}
        assert set(rendered.masks) == present | {LESION}
        for name, mask in rendered.masks.items():
            assert mask.shape == (96, 96)
            assert mask.dtype == np.bool_
            assert mask.any(), (plan.case_id, name)
        inside = rendered.masks[LESION]
        assert 0.01 < inside.mean() < 0.95


def test_pigment_makes_the_lesion_darker_than_the_skin() -> None:
    for diagnosis in ("clark nevus", "melanoma (more than 1.5 mm)", "seborrheic keratosis", "blue nevus"):
        rendered = render_case(bare_plan(diagnosis), SEED, SMALL)
        inside, grey = rendered.masks[LESION], np.asarray(rendered.image.convert("L")).astype(float)
        near = ndimage.binary_dilation(inside, iterations=15) & ~ndimage.binary_dilation(inside, iterations=5)
        assert np.median(grey[inside]) < np.median(grey[near]) - 10, diagnosis


def test_darker_skin_is_darker() -> None:
    plan = bare_plan()
    means = [
        pixels(render_case(replace(plan, skin_angle=a), SEED, SMALL)).mean() for a in (65.0, 48.0, 20.0, -10.0, -45.0)
    ]
    assert means == sorted(means, reverse=True)


def test_second_view_shows_the_same_lesion_otherwise() -> None:
    plan = bare_plan()
    again = replace(plan, index=plan.index + 1)
    one, two = render_case(plan, SEED, SMALL), render_case(again, SEED, SMALL)
    assert again.is_second_view
    assert np.abs(pixels(one) - pixels(two)).mean() > 3
    assert two.masks[LESION].sum() == pytest.approx(one.masks[LESION].sum(), rel=0.8)


def test_sizes_show_the_same_case() -> None:
    plan = next(p for p in draw_plans(40, SEED) if p.diagnosis == "mel")
    small, large = render_case(plan, SEED, (160, 160)), render_case(plan, SEED, (320, 320))
    half = np.asarray(large.image.resize((160, 160), Image.Resampling.BOX)).astype(float)
    assert np.corrcoef(half.ravel(), pixels(small).ravel())[0, 1] > 0.9
    wide = render_case(plan, SEED, (200, 128))
    assert wide.image.size == (200, 128)
    assert wide.masks[LESION].shape == (128, 200)


# --- the written folder ----------------------------------------------------------------------------------------------


def test_folder_reads_as_a_case_table(first: Path) -> None:
    cases = list(read_cases(first / "cases.csv", need=("diagnosis",)))
    plans = draw_plans(6, SEED)
    assert [c.case_id for c in cases] == [p.case_id for p in plans]
    for case, plan in zip(cases, plans, strict=True):
        assert dict(case.checklist) == dict(plan.checklist)
        assert (case.diagnosis, case.fine_diagnosis, case.site) == (plan.diagnosis, plan.fine_diagnosis, plan.site)
        assert case.image == (first / "images" / f"{case.case_id}.jpg").resolve()
        with Image.open(case.image) as image:
            assert (image.mode, image.size) == ("RGB", SMALL)
        for file in (first / "masks" / case.case_id).iterdir():
            with Image.open(file) as mask:
                assert (mask.mode, mask.size) == ("L", SMALL)
                assert set(np.unique(np.asarray(mask))) <= {0, 255}
    assert "synthetic" in (first / "ABOUT.txt").read_text(encoding="utf-8")


def test_same_bytes_again(first: Path, tmp_path: Path) -> None:
    synthesize(tmp_path, n=6, seed=SEED, size=SMALL)
    assert files(tmp_path) == files(first)


@pytest.mark.slow
def test_same_bytes_with_workers(first: Path, tmp_path: Path) -> None:
    synthesize(tmp_path, n=6, seed=SEED, size=SMALL, workers=2)
    assert files(tmp_path) == files(first)


def test_goes_on_where_it_stopped(first: Path, tmp_path: Path) -> None:
    told: list[int] = []
    synthesize(tmp_path, n=3, seed=SEED, size=SMALL, progress=told.append)
    assert told == [1, 1, 1]
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.jpg")}
    interrupted = min(kept)
    interrupted.unlink()
    told.clear()
    synthesize(tmp_path, n=6, seed=SEED, size=SMALL, progress=told.append)
    assert sum(told) == 6
    assert all(p.stat().st_mtime_ns == when for p, when in kept.items() if p != interrupted)
    assert files(tmp_path) == files(first)


def test_bad_arguments_are_named(first: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        synthesize(tmp_path, n=0)
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        synthesize(tmp_path, n=1, seed=-1)
    with pytest.raises(ValueError, match="at least 96 x 96 pixels, got 512 x 32"):
        synthesize(tmp_path, n=1, size=(512, 32))
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        synthesize(tmp_path, n=1, workers=0)
    with pytest.raises(ValueError, match="another seed"):
        synthesize(first, n=1, seed=SEED + 1, size=SMALL)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError, match="is a file; give a folder"):
        synthesize(file, n=1)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
