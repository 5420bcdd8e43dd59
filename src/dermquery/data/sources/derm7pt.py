"""Derm7pt (Kawahara et al. 2018): 1,011 cases with the seven-point checklist, in the layout of ``release_v0``.

Label groups: melanoma (every diagnosis that starts with "melanoma"), nevus (every one that contains "nevus") and bkl
(seborrheic keratosis and melanosis). On the release that gives 888 = 252 + 575 + 61, the paper's number; it is the
only grouping with a keratosis-like third class that does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.data.sources.prepare import PrepareError, read_records
from dermquery.data.sources.source import Reading

__all__ = ["SOURCE", "group_diagnosis", "read_release"]

_WHERE = (
    "The authors give Derm7pt for academic research: ask for the data set at http://derm.cs.sfu.ca, and "
    "unpack it so that release_v0/meta/meta.csv and release_v0/images exist"
)
_BKL = {"seborrheic keratosis", "melanosis"}
_COLUMNS = (
    "case_num", "diagnosis", "seven_point_score", *CRITERIA, "level_of_diagnostic_difficulty", "elevation", "location",
    "sex", "derm",
)  # fmt: skip
_TERMS = {"licence": "academic research", "attribution": "G. Argenziano; Kawahara et al. 2018, http://derm.cs.sfu.ca"}
_PUBLISHED, _GROUPED = 1011, 888
"""Cases of the release, and those of the paper's three groups."""
_SPLITS = ("train", "valid", "test")
_SAME_LESION = {36: 32}
"""Case numbers that show the lesion of an earlier case.

Found by matching key points (ORB, similarity transform) between each image and its nearest neighbours under ImageNet
features, for the dermoscopic and the clinical images, and by looking at every match. No two images are identical.
"""


@dataclass(frozen=True)
class _Derm7pt:
    """The :class:`~dermquery.data.sources.source.Source`."""

    name: str = "derm7pt"
    title: str = "Derm7pt: the 888 cases of the paper (252 mel, 575 nv, 61 bkl), or all 1,011."
    flags: Mapping[str, str] = field(
        default_factory=lambda: {
            "all": "All 1,011 cases with their full diagnoses.",
            "clinical": "Each lesion's clinical photograph too, as a case of its own.",
        }
    )

    def recognises(self, header: Collection[str]) -> bool:
        return set(_COLUMNS) <= set(header)

    def read(
        self,
        folder: Path,
        tables: Sequence[Path] = (),
        *,
        flags: Collection[str] = (),
        skip_bad: bool = False,
        without: Path | None = None,
    ) -> Reading:
        """As every source.

        Raises:
            PrepareError: if ``folder`` is not a release, or disagrees with itself.
        """
        if tables:
            raise PrepareError(f"Derm7pt's table is its own meta/meta.csv; leave {tables[0]} out")
        cases = tuple(read_release(folder, all_diagnoses="all" in flags, clinical="clinical" in flags))
        dermoscopic = sum(case.image_type == "dermoscopic" for case in cases)
        published = _PUBLISHED if "all" in flags else _GROUPED
        counted = "as published" if dermoscopic == published else f"of {published:,} published ones"
        return Reading(cases, notes=(f"{dermoscopic:,} lesions, {counted}",))


SOURCE = _Derm7pt()


def read_release(release: Path, *, all_diagnoses: bool = False, clinical: bool = False) -> list[Case]:
    """The release's dermoscopic cases, with :attr:`Case.image` in the release.

    With ``clinical``, each is followed by the clinical photograph of its lesion, without the checklist, which tells
    what dermoscopy shows.

    The column ``management`` is left out, because the treatment of a lesion gives its diagnosis away. So does the level
    of difficulty; it is kept as ``difficulty`` in ``extra``, which is never encoded.

    Raises:
        PrepareError: if ``release`` is not a release, or its scores disagree with its checklist.
    """
    root = _find_root(Path(release))
    meta = read_records(root / "meta" / "meta.csv", _COLUMNS, f"unpack the release again. {_WHERE}")
    splits = _official_splits(root / "meta", len(meta))
    images = root / "images"
    # The table and the disk disagree in upper and lower case, which matters on Linux.
    on_disk = {path.relative_to(images).as_posix().lower(): path for path in images.rglob("*")}
    cases = []
    for position, values in enumerate(meta):
        diagnosis = values["diagnosis"] if all_diagnoses else group_diagnosis(values["diagnosis"])
        checklist = {name: values[name] for name in CRITERIA}
        _check_score(values, checklist)
        if diagnosis is None:
            continue
        number = int(values["case_num"])
        case = Case(
            case_id=_case_id(number),
            image=on_disk.get(values["derm"].lower(), images / values["derm"]),
            diagnosis=diagnosis,
            fine_diagnosis=values["diagnosis"],
            lesion_id=_case_id(_SAME_LESION.get(number, number)),
            sex=values["sex"] or None,
            site=values["location"] or None,
            elevation=values["elevation"] or None,
            source="Derm7pt",
            image_type="dermoscopic",
            **_TERMS,
            checklist=checklist,
            extra={
                "difficulty": values["level_of_diagnostic_difficulty"],
                "official_split": splits.get(position, ""),
            },
        )
        cases.append(case)
        if clinical and values["clinic"].lower() not in ("", values["derm"].lower()):  # nine rows name one file twice
            other = on_disk.get(values["clinic"].lower(), images / values["clinic"])
            changes = {"case_id": f"{case.case_id}-clinical", "image": other, "image_type": "clinical: close-up"}
            cases.append(case.model_copy(update={**changes, "checklist": {}}))
    return cases


def _case_id(number: int) -> str:
    return f"derm7pt-{number:04d}"


def group_diagnosis(diagnosis: str) -> str | None:
    """The group of one of the release's twenty diagnoses: "mel", "nv", "bkl", or None for the ones left out."""
    if diagnosis.startswith("melanoma"):
        return "mel"
    if "nevus" in diagnosis:
        return "nv"
    return "bkl" if diagnosis in _BKL else None


def _find_root(release: Path) -> Path:
    for root in (release, release / "release_v0"):
        if (root / "meta" / "meta.csv").is_file() and (root / "images").is_dir():
            return root
    if not release.is_dir():
        raise PrepareError(f"{release}: no such folder. {_WHERE}")
    raise PrepareError(
        f"{release} is not a Derm7pt release: looked for meta/meta.csv and images/ in it and in its release_v0/. "
        f"{_WHERE}"
    )


def _official_splits(folder: Path, n_rows: int) -> dict[int, str]:
    """Split by 0-based row of the table. The index files hold row positions, not case numbers."""
    splits: dict[int, str] = {}
    for split in _SPLITS:
        path = folder / f"{split}_indexes.csv"
        if not path.is_file():
            continue
        for row in read_records(path, ["indexes"], "unpack the release again"):
            index = row["indexes"]
            if not index.isdecimal() or int(index) >= n_rows or int(index) in splits:
                raise PrepareError(f"{path}: row {index!r} is out of range or in two splits; unpack the release again")
            splits[int(index)] = split
    return splits


def _check_score(values: dict[str, str], checklist: dict[str, str]) -> None:
    """The release's score must follow from its checklist by our function, or one of the two is misunderstood."""
    try:
        score = seven_point_score(checklist)
    except ValueError as error:
        raise PrepareError(f"meta.csv, case_num {values['case_num']}: {error}") from error
    if str(score) != values["seven_point_score"]:
        raise PrepareError(
            f"meta.csv, case_num {values['case_num']}: seven_point_score is {values['seven_point_score']}, but the "
            f"checklist gives {score}; the table was changed, unpack the release again"
        )
