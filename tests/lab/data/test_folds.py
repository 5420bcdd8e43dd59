from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.lab.data.folds import _PUBLISHED, Folds, FoldsError, make_folds, published_folds, table_sha256

GOLDEN = Path(__file__).parent / "golden_folds.json"


def case(case_id: str, diagnosis: str | None = "nv", lesion: str | None = None, patient: str | None = None) -> Case:
    return Case(case_id=case_id, image=Path("x.jpg"), diagnosis=diagnosis, lesion_id=lesion, patient_id=patient)


def derm7pt_like(n: int = 200) -> list[Case]:
    kinds = ["nv"] * 13 + ["mel"] * 6 + ["bkl"]
    return [case(f"c{i:04d}", kinds[i % 20]) for i in range(n)]


def small() -> list[Case]:
    return [case(f"c{i:02d}", "mel" if i % 3 == 0 else "nv", lesion=f"l{i // 2}") for i in range(24)]


def test_stratified_in_every_part() -> None:
    cases = derm7pt_like(400)
    folds = make_folds(cases)
    label = {c.case_id: c.diagnosis for c in cases}
    for fold in folds.folds:
        assert len(fold.test) == 80
        assert len(fold.validation) == pytest.approx(0.15 * 320, abs=3)
        for part in (fold.test, fold.train, fold.validation):
            count = Counter(label[i] for i in part)
            assert count["nv"] / len(part) == pytest.approx(0.65, abs=0.04)
            assert count["mel"] / len(part) == pytest.approx(0.30, abs=0.04)
            assert count["bkl"] >= 1


def test_same_seed_same_folds_whatever_the_order() -> None:
    cases = derm7pt_like()
    assert make_folds(cases, seed=3) == make_folds(cases[::-1], seed=3)
    assert make_folds(cases, seed=3).sha256 == make_folds(cases, seed=3).sha256
    assert make_folds(cases, seed=3) != make_folds(cases, seed=4)


def test_golden() -> None:
    """The committed file is what this seed gave when it was written; see the module's note on versions."""
    folds = make_folds(small(), n_splits=3, seed=1, validation_share=0.25)
    assert Folds.load(GOLDEN, small()) == folds
    assert folds.sha256 == Folds.load(GOLDEN).sha256


def test_sha256_by_hand() -> None:
    """The hash is of the file's own content: sorted keys, no blanks."""
    import hashlib

    text = json.dumps(json.loads(GOLDEN.read_text(encoding="utf-8")), sort_keys=True, separators=(",", ":"))
    assert Folds.load(GOLDEN).sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_table_hash_depends_on_label_and_group_only() -> None:
    cases = small()
    same = [c.model_copy(update={"site": "back", "image": Path("other.jpg")}) for c in cases[::-1]]
    assert table_sha256(cases) == table_sha256(same)
    assert table_sha256(cases) != table_sha256([cases[0].model_copy(update={"diagnosis": "nv"}), *cases[1:]])
    assert table_sha256(cases) != table_sha256([cases[0].model_copy(update={"lesion_id": "l9"}), *cases[1:]])


def test_a_lesion_whose_patient_is_known_for_some_images_stays_together() -> None:
    linked = [case("a0", lesion="L"), case("a1", lesion="L", patient="P"), case("a2", lesion="M", patient="P")]
    cases = linked + [case(f"b{i}") for i in range(20)]
    for seed in range(8):
        for fold in make_folds(cases, n_splits=4, seed=seed).folds:
            for part in (fold.test, fold.train, fold.validation):
                assert len({"a0", "a1", "a2"} & set(part)) in (0, 3)


@st.composite
def _tables(draw: st.DrawFn) -> list[Case]:
    n = draw(st.integers(30, 70))
    lesions = draw(st.lists(st.integers(0, 40), min_size=n, max_size=n))
    patients = draw(st.lists(st.none() | st.integers(0, 60), min_size=n, max_size=n))
    return [
        # The id decides the diagnosis of a share of cases on its own, so that both always have enough groups.
        case(
            f"c{i}",
            "mel" if i % 2 else "nv",
            lesion=None if i < 24 else f"l{lesions[i]}",
            patient=None if i < 24 or patients[i] is None else f"p{patients[i]}",
        )
        for i in range(n)
    ]


@settings(max_examples=25)
@given(cases=_tables(), seed=st.integers(0, 99), n_splits=st.integers(2, 5), share=st.sampled_from([0.0, 0.15, 0.3]))
def test_parts_share_no_case_lesion_or_patient(cases: list[Case], seed: int, n_splits: int, share: float) -> None:
    folds = make_folds(cases, n_splits, seed, share)
    everyone = {c.case_id for c in cases}
    assert sorted(i for fold in folds.folds for i in fold.test) == sorted(everyone)
    for number in range(n_splits):
        parts = folds.split(cases, number)
        assert sum(map(len, parts)) == len(everyone)
        assert bool(parts.validation) == (share > 0)
        for name in ("case_id", "lesion_id", "patient_id"):
            train, validation, test = ({getattr(c, name) for c in part} - {None} for part in parts)
            assert not (train & validation) | (train & test) | (validation & test), name


def test_save_and_load(tmp_path: Path) -> None:
    folds = make_folds(derm7pt_like())
    folds.save(tmp_path / "deep" / "folds.json")
    assert Folds.load(tmp_path / "deep" / "folds.json", derm7pt_like()) == folds


def _refused(cases: list[Case], expected: str, **options: object) -> None:
    with pytest.raises(FoldsError, match=expected):
        make_folds(cases, **options)  # type: ignore[arg-type]


def test_cases_that_cannot_be_split() -> None:
    cases = derm7pt_like(40)
    _refused([], "there are no cases")
    _refused([*cases, case("x", None)], r"1 cases have no diagnosis \(x\)")
    _refused([*cases, cases[0]], "more than once: c0000")
    _refused(cases, r"5 folds need at least 5 .* but bkl has 2")
    _refused([case(f"c{i}", lesion="one") for i in range(30)], "nv has 1")
    _refused(cases, "n_splits is 1", n_splits=1)
    _refused(cases, r"validation_share is 1\.0", n_splits=2, validation_share=1.0)
    _refused(cases, "only 1 lesion", n_splits=2)
    assert not make_folds(cases, n_splits=2, validation_share=0).folds[0].validation


def test_folds_of_another_table_name_the_difference() -> None:
    cases = derm7pt_like(200)
    folds = make_folds(cases)
    with pytest.raises(
        FoldsError, match=r"1 cases are only in the table \(new\) and 2 only in the folds \(c0000, c0001\)"
    ):
        folds.check([*cases[2:], case("new")])
    with pytest.raises(FoldsError, match="a diagnosis, lesion_id or patient_id has changed"):
        folds.check([cases[0].model_copy(update={"diagnosis": "mel"}), *cases[1:]])
    test, train = folds.folds[0].test[0], folds.folds[0].train[0]
    one = [c.model_copy(update={"lesion_id": "same"}) if c.case_id in (test, train) else c for c in cases]
    with pytest.raises(FoldsError, match="fold 0 splits lesion:same"):
        folds.check(one)
    with pytest.raises(FoldsError, match="no fold 5; choose one from 0 to 4"):
        folds.split(cases, 5)


def _edited(tmp_path: Path, change: object) -> Path:
    data = json.loads(GOLDEN.read_text(encoding="utf-8"))
    change(data)  # type: ignore[operator]
    path = tmp_path / "folds.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["folds"][0]["train"].append(d["folds"][0]["test"][0]), "more than one part"),
        (lambda d: d["folds"][0]["train"].pop(), "fold 0 and the test parts differ"),
        (lambda d: d["folds"].pop(), "n_splits is 3 but there are 2 folds"),
        (lambda d: d.update(format_version=2), "format_version"),
        (lambda d: d.update(surprise=1), "surprise"),
        (lambda d: d.pop("seed"), "seed"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, change: object, expected: str) -> None:
    path = _edited(tmp_path, change)
    with pytest.raises(FoldsError, match=expected) as caught:
        Folds.load(path)
    assert str(path) in str(caught.value)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(FoldsError, match="dermquery data folds TABLE"):
        Folds.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(FoldsError, match="not a valid fold file"):
        Folds.load(tmp_path / "bad.json")


def test_published_folds_are_found_by_the_table_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = derm7pt_like()
    with pytest.raises(FoldsError, match="folds of: derm7pt-888"):
        published_folds(cases)
    made = make_folds(cases)
    made.save(tmp_path / "ours.json")
    monkeypatch.setattr("dermquery.lab.data.folds._PUBLISHED", tmp_path)
    assert published_folds(cases) == made
    with pytest.raises(FoldsError, match="no published folds"):
        published_folds(cases[:-1])


def test_the_published_folds_of_derm7pt_hold_888_cases_in_five_parts() -> None:
    folds = Folds.load(_PUBLISHED / "derm7pt-888.json")
    assert (folds.n_splits, folds.seed, len(folds.case_ids)) == (5, 0, 888)
    assert folds.sha256.startswith("19b0c57a955f")  # quoted in docs/results
