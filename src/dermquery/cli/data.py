"""`dermquery data`: prepare and check case tables."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermquery.cli.bars import bar
from dermquery.cli.expected_errors import expected_errors

if TYPE_CHECKING:
    from dermquery.data.sources.prepare import PrepareReport

__all__ = ["app", "print_counts"]

app = typer.Typer(help="Prepare and check case tables.", no_args_is_help=True)
prepare = typer.Typer(help="Images beside a case table, as they came or as the paper has them.", no_args_is_help=True)
app.add_typer(prepare, name="prepare")

OutOption = Annotated[Path, typer.Option("--out", help="Folder to write to; an interrupted run is continued.")]
SizeOption = Annotated[
    int | None,
    typer.Option("--size", help="Remove the borders and make squares of so many pixels; the paper has 512."),
]
CropOption = Annotated[bool, typer.Option("--crop", help="Remove black frames and other borders.")]
SiteKeyOption = Annotated[
    Path | None, typer.Option("--site-key", help="File of the key for pseudonyms; made at the first use.")
]
KeepIdentityOption = Annotated[
    bool, typer.Option("--keep-identity", help="Do not de-identify: ids, UIDs and dates stay.")
]
AllowOption = Annotated[
    list[str] | None, typer.Option("--allow", help="Pixels with burned-in text or faces: burned-in, faces.")
]
ClinicOption = Annotated[str, typer.Option("--source", help="Recorded as the source of the cases.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Leave out what cannot be used, and report how many.")]


@prepare.command()
@expected_errors
def derm7pt(
    release: Annotated[Path, typer.Argument(metavar="RELEASE_DIR", help="release_v0, or the folder that holds it.")],
    out: OutOption,
    all_diagnoses: Annotated[bool, typer.Option("--all", help="All 1,011 cases with their full diagnoses.")] = False,
    size: SizeOption = None,
    crop: CropOption = False,
    skip_bad: SkipOption = False,
) -> None:
    """Derm7pt: the 888 cases of the paper (252 mel, 575 nv, 61 bkl), or all 1,011."""
    from dermquery.data.sources.derm7pt import prepare_derm7pt

    with bar("Derm7pt") as step:
        report = prepare_derm7pt(
            release, out, size=size, crop=crop, all_diagnoses=all_diagnoses, skip_bad=skip_bad, progress=step
        )
    _finish(report, skip_bad=skip_bad)


@prepare.command()
@expected_errors
def ham10000(
    images: Annotated[Path, typer.Argument(metavar="IMAGES_DIR", help="Folder with the images, at any depth.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA_CSV", help="HAM10000_metadata.csv")],
    out: OutOption,
    size: SizeOption = None,
    crop: CropOption = False,
    skip_bad: SkipOption = False,
) -> None:
    """HAM10000, or another release in the ISIC layout."""
    from dermquery.data.sources.ham10000 import prepare_ham10000

    with bar("HAM10000") as step:
        report = prepare_ham10000(images, metadata, out, size=size, crop=crop, skip_bad=skip_bad, progress=step)
    _finish(report, skip_bad=skip_bad)


@prepare.command()
@expected_errors
def folder(
    images: Annotated[Path, typer.Argument(metavar="IMAGES_DIR", help="Folder with the images, at any depth.")],
    out: OutOption,
    table: Annotated[Path | None, typer.Option("--table", help="CSV or Parquet table of the images.")] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="Name of a column: THEIRS=OURS, for example dx=diagnosis.")
    ] = None,
    label_from_folder: Annotated[
        bool, typer.Option("--label-from-folder", help="The name of an image's folder is its diagnosis.")
    ] = False,
    size: SizeOption = None,
    crop: CropOption = False,
    skip_bad: SkipOption = False,
) -> None:
    """Any folder of images, with or without a table."""
    from dermquery.data.sources.folder import prepare_folder

    with bar("images") as step:
        report = prepare_folder(
            images, out, table=table, columns=_mapping(column or []), label_from_folder=label_from_folder,
            size=size, crop=crop, skip_bad=skip_bad, progress=step,
        )  # fmt: skip
    _finish(report, skip_bad=skip_bad)


@prepare.command()
@expected_errors
def dicom(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder, file, DICOMDIR or ZIP archive.")],
    out: OutOption,
    site_key: SiteKeyOption = None,
    keep_identity: KeepIdentityOption = False,
    allow: AllowOption = None,
    objects: Annotated[
        Path | None, typer.Option("--objects", help="Folder for de-identified copies of the objects.")
    ] = None,
    name_files: Annotated[
        bool, typer.Option("--name-files", help="Call files by their names, which may name patients.")
    ] = False,
    clinic: ClinicOption = "DICOM",
    size: SizeOption = None,
    crop: CropOption = False,
    skip_bad: SkipOption = False,
) -> None:
    """DICOM photographs of a clinic, de-identified."""
    from dermquery.data.sources.dicom import prepare_dicom

    with bar("DICOM") as step:
        report = prepare_dicom(
            source, out, site_key=site_key, keep_identity=keep_identity, allow=frozenset(allow or ()), objects=objects,
            name_files=name_files, clinic=clinic, size=size, crop=crop, skip_bad=skip_bad, progress=step,
        )  # fmt: skip
    _finish(report, skip_bad=skip_bad)


@app.command()
@expected_errors
def dicomweb(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="DICOMweb services, for example https://pacs.example.org/dicom-web")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to, or to add what is new to.")],
    modality: Annotated[str, typer.Option("--modality", help="Modalities of the series, with commas.")] = "DMS,XC",
    since: Annotated[
        datetime.datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="First day of the studies.")
    ] = None,
    token: Annotated[
        Path | None, typer.Option("--token-file", help="File with a bearer token, or with 'Basic …'.")
    ] = None,
    most_mib: Annotated[int, typer.Option("--most-mib", min=1, help="Largest object, in MiB.")] = 512,
    site_key: SiteKeyOption = None,
    keep_identity: KeepIdentityOption = False,
    allow: AllowOption = None,
    clinic: ClinicOption = "DICOM",
) -> None:
    """Photographs of a picture archive that are not yet in the folder, de-identified."""
    from dermquery.data.sources.dicomweb import Wanted, prepare_dicomweb

    modalities = tuple(filter(None, (part.strip().upper() for part in modality.split(","))))
    wanted = Wanted(url, modalities, since.date() if since else None, token, most_mib << 20)
    with bar("DICOMweb") as step:
        report = prepare_dicomweb(
            wanted, out, site_key=site_key, keep_identity=keep_identity, allow=frozenset(allow or ()), clinic=clinic,
            progress=step,
        )  # fmt: skip
    if report.table is None and not report.bad:
        typer.echo(report.note or "the archive has no such photograph")
        return
    _finish(report, skip_bad=True)


@app.command()
@expected_errors
def check(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Case table.")],
    need: Annotated[list[str] | None, typer.Option("--need", help="Column that every row must have.")] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help="Name of a column: THEIRS=OURS.")] = None,
    skip_bad: SkipOption = False,
) -> None:
    """Validate a case table and count what it holds."""
    from dermquery.data.case_table import read_cases

    read = read_cases(table, need=need or (), columns=_mapping(column or []) or None, skip_bad=skip_bad)
    if read.note:
        typer.echo(f"note: {read.note}", err=True)
    for row in read.skipped:
        typer.echo(f"left out: line {row.line} ({row.case_id or 'no id'}): {'; '.join(row.problems)}", err=True)
    print_counts([case.diagnosis for case in read])
    lesions = len({case.group for case in read})
    typer.echo(f"{lesions} patients or lesions, {len(read.skipped)} rows left out")


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        theirs, equals, ours = (part.strip() for part in pair.partition("="))
        if not (theirs and equals and ours):
            raise ValueError(f"cannot read --column {pair!r}; write THEIRS=OURS, for example dx=diagnosis")
        mapping[theirs] = ours
    return mapping


def print_counts(diagnoses: Sequence[str | None]) -> None:
    """Print how many cases there are of each diagnosis, the most frequent first."""
    typer.echo(f"{len(diagnoses)} cases")
    for name, count in Counter(name or "(no diagnosis)" for name in diagnoses).most_common():
        typer.echo(f"{count:6d} {name}")


def _finish(report: PrepareReport, *, skip_bad: bool) -> None:
    """Report the outcome; exit with 1 if a bad image was not to be left out, or no image is left."""
    if report.note:
        typer.echo(f"note: {report.note}", err=True)
    for bad in report.bad:
        typer.echo(f"bad: {bad.case_id or 'no id'}: {bad.reason}", err=True)
    print_counts([case.diagnosis for case in report.cases])
    typer.echo(f"{report.made} images made, {report.kept} kept from before, {len(report.bad)} bad")
    if report.table is not None:
        typer.echo(report.table)
        return
    remedy = "" if skip_bad else ", or leave them out with --skip-bad"
    typer.echo(f"no table was written: correct the images listed above{remedy}", err=True)
    raise typer.Exit(1)
