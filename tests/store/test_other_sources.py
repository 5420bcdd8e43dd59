"""Ids of cases belong to their source, and images of the ISIC Archive to all."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from dermquery.cli.index import index
from dermquery.data.case import Case
from dermquery.data.case_table import write_cases
from dermquery.data.merging import ALSO_IN
from dermquery.store.casebase import CaseBase
from tests.store.conftest import draw_lesion
from tests.store.encoder import ProjectionEncoder
from tests.store.loading import load_by

app = typer.Typer()
app.command()(index)


@pytest.fixture(autouse=True)
def _models(monkeypatch: pytest.MonkeyPatch) -> None:
    load_by(monkeypatch, lambda name: (ProjectionEncoder(seed=int(str(name))), str(name)))
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def base(tmp_path: Path) -> CaseBase:
    return CaseBase.create(tmp_path / "base", ProjectionEncoder(), reference="0")


def case(folder: Path, case_id: str, source: str | None, seed: int, **facts: object) -> Case:
    image = draw_lesion(folder / f"{source}-{case_id}-{seed}.png", seed)
    return Case(case_id=case_id, image=image, source=source, **facts)


def held(base: CaseBase) -> dict[str, Case]:
    return {name: row.case for name, row in base.store.get(base.store.ids()).items()}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# --- ids of cases -------------------------------------------------------------------------------------------------


def test_an_id_that_is_the_same_everywhere_is_no_leave_to_write_another_image(base: CaseBase, tmp_path: Path) -> None:
    base.add([first := case(tmp_path, "derm7pt-0043", "Derm7pt", 1)])
    with pytest.raises(ValueError, match="holds 'derm7pt-0043' of source 'Derm7pt'"):
        base.add([case(tmp_path, "derm7pt-0043", "Clinic", 2)])
    base.add([first.model_copy(update={"source": "A copy of it"})])
    assert held(base)["derm7pt-0043"].source == "A copy of it", "the same image is the same case"


def test_a_case_of_another_source_is_not_written_over(base: CaseBase, tmp_path: Path) -> None:
    first = [case(tmp_path, f"a{i}", "A", i) for i in range(4)]
    base.add(first)
    second = [case(tmp_path, "b9", "B", 9), case(tmp_path, "a3", "B", 8)]
    with pytest.raises(ValueError, match=r"holds 'a3' of source 'A', which the cases of these ids of source 'B' would"):
        base.add(second)
    assert held(base) == {each.case_id: each for each in first}, "nothing was written"
    again = first[3].model_copy(update={"diagnosis": "mel"})
    assert base.add([again]).updated == 1, "of its own source it is"
    assert base.add(second, replacing=True).updated == 1, "somebody who says so may"


@pytest.mark.parametrize(("before", "since"), [(None, "A"), ("A", None)])
def test_a_source_that_was_added_to_the_table_makes_no_other_case(
    base: CaseBase, tmp_path: Path, before: str | None, since: str | None
) -> None:
    first = case(tmp_path, "a1", before, 1)
    base.add([first])
    moved = draw_lesion(tmp_path / "moved.png", 1)
    for image in (first.image, moved):
        base.add([first.model_copy(update={"source": since, "image": image})])
        assert held(base)["a1"].source == since
        base.add([first], replacing=True)
    with pytest.raises(ValueError, match="would write over; nothing was written"):
        base.add([case(tmp_path, "a1", since, 2)])


def test_derm7pts_own_ids_are_the_same_everywhere(base: CaseBase, tmp_path: Path) -> None:
    base.add([case(tmp_path, "derm7pt-0001", "Derm7pt", 1)])
    assert base.add([case(tmp_path, "derm7pt-0001", "ours", 1)]).updated == 1


def test_the_command_refuses_and_knows_the_way_out(base: CaseBase, tmp_path: Path) -> None:
    base.add([case(tmp_path, "a3", "A", 1), case(tmp_path, "ISIC_0000001", "A", 2)])
    write_cases([case(tmp_path, "a3", "B", 3), case(tmp_path, "ISIC_0000001", "B", 2)], tmp_path / "b.csv")
    command = (tmp_path / "b.csv", "--base", base.uri, "--model", 0)
    for more in ((), ("--dry-run",)):
        done = run(*command, *more)
        assert done.exit_code == 2
        assert "with --prefix B-" in done.stderr
    for expected in ("1 added, 1 updated", "0 added, 0 updated, 2 unchanged"):
        assert expected in run(*command, "--prefix", "B-").stdout
    assert set(held(base)) == {"a3", "B-a3", "ISIC_0000001"}


def test_another_image_under_an_id_without_a_source_is_said(base: CaseBase, tmp_path: Path) -> None:
    base.add([case(tmp_path, "a1", None, 1), case(tmp_path, "a2", None, 2)])
    write_cases([case(tmp_path, "a1", None, 3), case(tmp_path, "a2", None, 2, sex="male")], tmp_path / "b.csv")
    done = run(tmp_path / "b.csv", "--base", base.uri, "--model", 0)
    assert done.exit_code == 0
    assert "1 case had another image before (a1); if these are other cases, use --prefix" in done.stdout


def test_two_clinics_without_a_source_are_kept_apart_by_their_images(base: CaseBase, tmp_path: Path) -> None:
    tables = []
    for number, clinic in enumerate("ab"):
        (folder := tmp_path / clinic).mkdir()
        cases = [case(folder, f"p{i}", None, 10 * number + i) for i in range(3)]
        write_cases(cases, table := folder / "cases.csv")
        tables.append((table, cases))
    (first, cases), (second, _) = tables
    command = ("--base", base.uri, "--model", 0)
    assert run(first, *command).exit_code == 0
    for more in ((), ("--dry-run",)):
        done = run(second, *command, *more)
        assert done.exit_code == 2
        assert "holds 'p0' of no source, 'p1' of no source, 'p2' of no source" in done.stderr
        assert "--prefix B-" in done.stderr
        assert "--replace" in done.stderr
    assert held(base) == {each.case_id: each for each in cases}, "nothing was written"
    assert "3 added" in run(second, *command, "--prefix", "B-").stdout
    # The table itself, edited or moved with its images, goes on as before.
    write_cases([each.model_copy(update={"sex": "male"}) for each in cases], first)
    assert "0 added, 3 updated" in run(first, *command).stdout
    draw_lesion(cases[0].image, 77)
    assert "1 case had another image before (p0)" in run(first, *command).stdout
    moved = shutil.copytree(tmp_path / "a", tmp_path / "moved")
    assert "0 added" in (done := run(moved / "cases.csv", *command)).stdout, done.stderr
    assert "0 added, 3 updated" in run(second, *command, "--replace").stdout


# --- images of the archive ----------------------------------------------------------------------------------------


def test_a_second_release_completes_an_image_and_contradictions_are_named(base: CaseBase, tmp_path: Path) -> None:
    ids = [f"ISIC_000000{i}" for i in range(5)]
    ham = [
        case(tmp_path, name, "HAM10000", i, confirmed_by="histopathology", diagnosis="nv") for i, name in enumerate(ids)
    ]
    later = [
        case(tmp_path, name, "ISIC 2019", 90 + i, diagnosis="nv" if i else "mel", age=40) for i, name in enumerate(ids)
    ]
    base.add(ham)
    vectors = {name: row.vector.tolist() for name, row in base.store.get(ids).items()}
    write_cases(later, tmp_path / "later.csv")
    report = tmp_path / "report.json"
    for expected in ("0 added, 5 updated", "0 added, 0 updated, 5 unchanged"):
        done = run(tmp_path / "later.csv", "--base", base.uri, "--model", 0, "--report", report)
        assert done.exit_code == 0, done.output
        assert expected in done.stdout
        assert "5 cases are images of the ISIC Archive that another source brought" in done.stdout
        assert "diagnosis: 1 (ISIC_0000000: 'nv', 'mel')" in done.stdout
        said = json.loads(report.read_text(encoding="utf-8"))
        assert (said["completed"], said["contradictions"]) == (5, {"diagnosis": 1})
    cases = held(CaseBase.open(base.uri, ProjectionEncoder()))
    assert {each.confirmed_by for each in cases.values()} == {"histopathology"}
    assert {each.age for each in cases.values()} == {40}
    assert {each.extra[ALSO_IN] for each in cases.values()} == {"ISIC 2019"}
    assert [cases[name].image for name in ids] == [each.image for each in ham]
    assert {name: row.vector.tolist() for name, row in base.store.get(ids).items()} == vectors


def test_the_first_releases_own_table_again_loses_nothing_and_may_correct(base: CaseBase, tmp_path: Path) -> None:
    ham = case(tmp_path, "ISIC_0000001", "HAM10000", 1, diagnosis="nv")
    base.add([ham])
    base.add([case(tmp_path, "ISIC_0000001", "ISIC 2019", 1, age=40)])
    assert base.add([ham]).unchanged == 1
    base.add([ham.model_copy(update={"diagnosis": "mel"})])
    assert (held(base)["ISIC_0000001"].diagnosis, held(base)["ISIC_0000001"].age) == ("mel", 40)


def test_within_one_source_an_archives_image_is_replaced(base: CaseBase, tmp_path: Path) -> None:
    base.add([case(tmp_path, "ISIC_0000001", "ours", 1, sex="male", diagnosis="nv")])
    report = base.add([case(tmp_path, "ISIC_0000001", "ours", 1, sex="female")])
    assert (report.updated, report.completed) == (1, 0)
    assert (held(base)["ISIC_0000001"].sex, held(base)["ISIC_0000001"].diagnosis) == ("female", None)


def test_an_exported_base_is_indexed_to_an_equal_one(base: CaseBase, tmp_path: Path) -> None:
    base.add([case(tmp_path, "ISIC_0000001", "HAM10000", 1)])
    base.add([case(tmp_path, "ISIC_0000001", "ISIC 2019", 1, age=40)])
    other = CaseBase.create(tmp_path / "other", ProjectionEncoder())
    other.add(held(base).values())
    assert held(other) == held(base)
    assert other.add(held(base).values()).unchanged == 1


# --- newer releases ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kept", "new", "gone"),
    [
        ("A", ["a 0", "a1"], ["n0"], ["a2", "a3", "a4"]),
        ("A", ["a 0"], [], ["a1", "a2", "a3", "a4"]),
        ("A", ["a 0", "a1", "a2", "a3", "a4"], ["n0"], []),
        ("A", [], ["n0"], []),  # a further part of the source
        ("B", ["b0"], [], []),
        ("B", [], ["n0"], []),
        (None, ["c0"], [], []),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_what_a_newer_release_has_no_more_is_told_and_stays(
    base: CaseBase, tmp_path: Path, source: str | None, kept: list[str], new: list[str], gone: list[str], dry: bool
) -> None:
    first = [case(tmp_path, name, "A", i) for i, name in enumerate(["a 0", "a1", "a2", "a3", "a4"])]
    first += [case(tmp_path, "b0", "B", 7), case(tmp_path, "c0", None, 8), case(tmp_path, "c1", None, 9)]
    base.add(first)
    table, report = tmp_path / "new.csv", tmp_path / "report.json"
    release = [each for each in first if each.case_id in kept]
    write_cases([*release, *(case(tmp_path, name, source, 20) for name in new)], table)
    done = run(table, "--base", base.uri, "--report", report, *(["--dry-run"] if dry else []))
    assert done.exit_code == 0, done.output
    assert json.loads(report.read_text())["not_in_table"] == ({source: gone} if gone else {})
    assert ("not in this table" in done.output) == bool(gone)
    if gone:
        named = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
        assert f"{len(gone)} cases are in the base and not in this table of source 'A' ({named}); none" in done.output
        line = next(line for line in done.output.splitlines() if "to remove them" in line)
        command = shlex.split(line.partition("to remove them: ")[2])
        assert command == [
            "dermquery",
            "base",
            "delete",
            str(base.uri),
            *(p for name in gone for p in ("--case", name)),
        ]
    assert {each.case_id for each in first} <= set(CaseBase.open(base.uri).store.ids())


def test_bad_rows_and_prefixed_ids_are_in_the_table(base: CaseBase, tmp_path: Path) -> None:
    first = [case(tmp_path, f"P-{i}", "A", i) for i in range(3)]
    base.add(first)
    rows = [f"0,{first[0].image},A,50", f"1,{first[1].image},A,900"]
    (tmp_path / "t.csv").write_text("\n".join(["case_id,image,source,age", *rows]), encoding="utf-8")
    done = run(tmp_path / "t.csv", "--base", base.uri, "--prefix", "P-", "--skip-bad")
    assert "1 case is in the base and not in this table of source 'A' (P-2)" in done.output, done.output
