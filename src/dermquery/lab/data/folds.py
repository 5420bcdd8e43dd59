"""Cross-validation folds: stratified by diagnosis, never splitting a lesion or a patient, and kept in a file.

The file is what makes a result repeatable: the split depends on scikit-learn's version as well as on the seed, so
results quote the file's hash and not the seed alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sklearn.model_selection import StratifiedGroupKFold

from dermquery.data.case import Case
from dermquery.data.files import replacing

__all__ = ["Fold", "FoldCases", "Folds", "FoldsError", "make_folds", "published_folds", "table_sha256"]

_Ids = tuple[str, ...]
_PARTS = ("test", "train", "validation")
_SHOWN = 5
_PUBLISHED = Path(__file__).parent / "published"


class FoldsError(ValueError):
    """Folds cannot be made from these cases, or do not belong to them."""


class FoldCases(NamedTuple):
    """The cases of one fold's three parts."""

    train: list[Case]
    validation: list[Case]
    test: list[Case]


class Fold(BaseModel):
    """Case ids of the three parts of one fold, each sorted; no id is in two parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: _Ids
    train: _Ids
    validation: _Ids


class Folds(BaseModel):
    """A cross-validation of one case table.

    Every case is in the test part of exactly one fold, and in every fold each case is in exactly one part.

    Attributes:
        format_version: version of the file's layout.
        seed: of the shuffles.
        n_splits: number of folds.
        validation_share: share of a fold's training cases that was asked for as its validation part.
        source_sha256: :func:`table_sha256` of the cases that were split.
        folds: the parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    seed: int
    n_splits: Annotated[int, Field(ge=2)]
    validation_share: Annotated[float, Field(ge=0, lt=1)]
    source_sha256: str
    folds: tuple[Fold, ...]

    @model_validator(mode="after")
    def _partition(self) -> Self:
        if len(self.folds) != self.n_splits:
            raise ValueError(f"n_splits is {self.n_splits} but there are {len(self.folds)} folds")
        tested = [case_id for fold in self.folds for case_id in fold.test]
        for number, fold in enumerate(self.folds):
            ids = [*fold.test, *fold.train, *fold.validation]
            if len(set(ids)) != len(ids):
                raise ValueError(f"fold {number}: cases in more than one part: {_some(_repeated(ids))}")
            if set(ids) != set(tested):
                raise ValueError(f"fold {number} and the test parts differ in: {_some(set(ids) ^ set(tested))}")
        if len(set(tested)) != len(tested):
            raise ValueError(f"cases in more than one test part: {_some(_repeated(tested))}")
        return self

    @property
    def case_ids(self) -> frozenset[str]:
        """The ids of all cases."""
        return frozenset(case_id for fold in self.folds for case_id in fold.test)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the folds' canonical JSON: sorted keys, no spaces."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        with replacing(Path(path)) as part:
            part.write_text(json.dumps(self.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, cases: Iterable[Case] | None = None) -> Folds:
        """Read folds, check that they are disjoint, and that they are folds of ``cases`` if those are given.

        Raises:
            FoldsError: naming the file and what is wrong with it.
        """
        try:
            folds = cls.model_validate_json(Path(path).read_bytes())
        except FileNotFoundError as error:
            raise FoldsError(
                f"{path}: no such fold file; make one with: dermquery data folds TABLE --out {path}"
            ) from (error)
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:_SHOWN]
            )
            raise FoldsError(f"{path}: not a valid fold file ({reasons}); make it again") from error
        if cases is not None:
            try:
                folds.check(cases)
            except FoldsError as error:
                raise FoldsError(f"{path}: {error}") from error
        return folds

    def check(self, cases: Iterable[Case]) -> None:
        """Raise FoldsError, naming the difference, unless these are the cases that were split.

        A lesion or patient that reaches over two parts of a fold is named, even if the table's hash agrees.
        """
        cases = list(cases)
        ids = {case.case_id for case in cases}
        if ids != self.case_ids:
            only_table, only_folds = ids - self.case_ids, self.case_ids - ids
            raise FoldsError(
                f"these folds are of another table: {len(only_table)} cases are only in the table "
                f"({_some(only_table)}) and {len(only_folds)} only in the folds ({_some(only_folds)}); "
                "use the table that they were made from, or make new folds"
            )
        group = _groups(cases)
        for number, fold in enumerate(self.folds):
            test, train, validation = ({group[i] for i in getattr(fold, part)} for part in _PARTS)
            if shared := (test & train) | (test & validation) | (train & validation):
                raise FoldsError(f"fold {number} splits {_some(shared)} over its parts; make new folds from this table")
        if table_sha256(cases) != self.source_sha256:
            raise FoldsError(
                "these folds are of another version of the table: the case ids agree, but a diagnosis, lesion_id or "
                "patient_id has changed since; use the old table, or make new folds"
            )

    def facts(self, fold: int) -> dict[str, Any]:
        """What a provenance says of a fold, so that its test part can be known again."""
        return {"fold": fold, "folds_sha256": self.sha256, "folds_seed": self.seed}

    def split(self, cases: Iterable[Case], fold: int) -> FoldCases:
        """The cases of fold number ``fold`` (from 0), in the order of ``cases``, after :meth:`check`."""
        cases = list(cases)
        self.check(cases)
        if not 0 <= fold < self.n_splits:
            raise FoldsError(f"no fold {fold}; choose one from 0 to {self.n_splits - 1}")
        train, validation, test = (
            [case for case in cases if case.case_id in ids]
            for ids in map(frozenset, (self.folds[fold].train, self.folds[fold].validation, self.folds[fold].test))
        )
        return FoldCases(train, validation, test)


def published_folds(cases: Iterable[Case]) -> Folds:
    """The folds that ship with the package for exactly these cases.

    Raises:
        FoldsError: there are none for this table; the message names those that there are.
    """
    cases = list(cases)
    wanted = table_sha256(cases)
    for path in sorted(_PUBLISHED.glob("*.json")):
        folds = Folds.load(path)
        if folds.source_sha256 == wanted:
            folds.check(cases)
            return folds
    known = ", ".join(path.stem for path in sorted(_PUBLISHED.glob("*.json")))
    raise FoldsError(
        f"no published folds belong to this table of {len(cases)} cases (there are folds of: {known}); name a fold "
        "file with --folds, or make one with: dermquery data folds TABLE --out FILE"
    )


def table_sha256(cases: Iterable[Case]) -> str:
    """SHA-256 (hex) over the sorted (case_id, diagnosis, group) of the cases: all that a split depends on."""
    cases = list(cases)
    group = _groups(cases)
    rows = sorted((case.case_id, case.diagnosis or "", group[case.case_id]) for case in cases)
    return hashlib.sha256(json.dumps(rows, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


def make_folds(cases: Iterable[Case], n_splits: int = 5, seed: int = 0, validation_share: float = 0.15) -> Folds:
    """Split cases into folds, stratified by diagnosis; the images of a patient, or of a lesion, stay together.

    The order of the cases does not matter. The validation part is cut from each fold's training cases by the same
    rule; its share is ``validation_share``, rounded to a fraction that leaves a case of the rarest diagnosis in it.

    Args:
        cases: each with a diagnosis.
        n_splits: number of folds, at least 2.
        seed: of the shuffles.
        validation_share: from 0 (no validation part) to below 1.

    Raises:
        FoldsError: for a case without diagnosis, or a diagnosis with too few lesions (or patients) for the folds.
    """
    ordered = sorted(cases, key=lambda case: case.case_id)
    if n_splits < 2:
        raise FoldsError(f"n_splits is {n_splits}; use at least 2")
    if not 0 <= validation_share < 1:
        raise FoldsError(f"validation_share is {validation_share}; use a value from 0 to below 1")
    _check_splittable(ordered, n_splits)
    folds = []
    for test in _parts(ordered, n_splits, seed):
        rest = sorted(set(range(len(ordered))) - set(test))
        validation = _validation([ordered[i] for i in rest], validation_share, seed)
        held = {rest[i] for i in validation}
        train = [i for i in rest if i not in held]
        ids = [tuple(ordered[i].case_id for i in part) for part in (test, train, sorted(held))]
        folds.append(Fold(**dict(zip(_PARTS, ids, strict=True))))
    made = Folds(
        seed=seed,
        n_splits=n_splits,
        validation_share=validation_share,
        source_sha256=table_sha256(ordered),
        folds=tuple(folds),
    )
    made.check(ordered)
    return made


def _groups(cases: Sequence[Case]) -> dict[str, str]:
    """Group of each case id: :attr:`Case.group`, joined where cases of one lesion have different ones.

    That happens when the patient is recorded for some images of a lesion only. A group is named without its source
    where no other source has one of that name: folds of such a table are what they were before ids had sources.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for case in cases:
        if case.lesion_key:
            parent[root(case.lesion_key)] = root(case.group)
    groups: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        groups[case.group_in_source].add(root(case.group))
    name: dict[str, str] = {}
    for case in cases:
        joined = root(case.group)
        own = case.group_in_source if len(groups[case.group_in_source]) == 1 else case.group
        name[joined] = min(name.get(joined, own), own)
    return {case.case_id: name[root(case.group)] for case in cases}


def _groups_by_diagnosis(cases: Sequence[Case]) -> dict[str, set[str]]:
    group, found = _groups(cases), defaultdict[str, set[str]](set)
    for case in cases:
        found[case.diagnosis or ""].add(group[case.case_id])
    return found


def _check_splittable(cases: Sequence[Case], n_splits: int) -> None:
    if unknown := [case.case_id for case in cases if not case.diagnosis]:
        raise FoldsError(f"{len(unknown)} cases have no diagnosis ({_some(unknown)}); fill it in or remove them")
    if repeated := _repeated([case.case_id for case in cases]):
        raise FoldsError(f"case ids occur more than once: {_some(repeated)}; give each case its own")
    few = {name: len(groups) for name, groups in _groups_by_diagnosis(cases).items() if len(groups) < n_splits}
    if few or not cases:
        counts = ", ".join(f"{name} has {count}" for name, count in sorted(few.items())) or "there are no cases"
        raise FoldsError(
            f"{n_splits} folds need at least {n_splits} lesions (or patients) of every diagnosis, but {counts}; "
            "use fewer folds, merge rare diagnoses, or remove them"
        )


def _parts(cases: Sequence[Case], n_parts: int, seed: int) -> list[list[int]]:
    """Indices of each of ``n_parts`` stratified, group-respecting parts."""
    splitter = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
    diagnoses = np.array([case.diagnosis for case in cases])
    group = _groups(cases)
    groups = np.array([group[case.case_id] for case in cases])
    return [[int(i) for i in part] for _, part in splitter.split(np.zeros(len(cases)), diagnoses, groups)]


def _validation(cases: Sequence[Case], share: float, seed: int) -> list[int]:
    """Indices of the validation part of a fold's training cases."""
    if share == 0:
        return []
    smallest = min(_groups_by_diagnosis(cases).items(), key=lambda item: (len(item[1]), item[0]))
    if len(smallest[1]) < 2:
        raise FoldsError(
            f"a training part has only {len(smallest[1])} lesion (or patient) of {smallest[0]!r}, which cannot be cut "
            "into training and validation; use more folds or validation_share=0, or merge rare diagnoses"
        )
    parts = min(20, len(smallest[1]))
    fraction = min(max(Fraction(share).limit_denominator(parts), Fraction(1, parts)), Fraction(parts - 1, parts))
    pieces = _parts(cases, fraction.denominator, seed)
    return sorted(i for piece in pieces[: fraction.numerator] for i in piece)


def _repeated(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _some(values: Iterable[str]) -> str:
    """The first few of the values, sorted, for a message."""
    ordered = sorted(values)
    return ", ".join(ordered[:_SHOWN]) + (", ..." if len(ordered) > _SHOWN else "") if ordered else "none"
