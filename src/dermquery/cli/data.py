"""`dermquery data`: prepare and check case tables."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from dermquery.cli.bars import bar
from dermquery.cli.columns import column_mapping
from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import say
from dermquery.cli.sources import CropOption, OutOption, SizeOption, SkipOption, SourceGroup, finish, print_counts
from dermquery.cli.width import in_columns, terminal_width

if TYPE_CHECKING:
    from dermquery.data.sources.inspecting import ColumnSeen
    from dermquery.data.vocabulary.ages_days import DayOrder

__all__ = ["OutOption", "app", "print_counts"]

DateOrderOption = Annotated[
    str | None,
    typer.Option("--date-order", help="Of dates such as 03/04/2024: dmy or mdy; needed where no date settles it."),
]
SiteKeyOption = Annotated[
    Path | None, typer.Option("--site-key", help="File of the key for pseudonyms; made at the first use.")
]
KeepIdentityOption = Annotated[
    bool, typer.Option("--keep-identity", help="Do not de-identify: ids, UIDs and dates stay.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", help="Pixels with burned-in text or faces: burned-in,faces, or one of them."),
]
ClinicOption = Annotated[str, typer.Option("--source", help="Recorded as the source of the cases.")]
_SHOWN = 10
"""Values of a column that are named."""

app = typer.Typer(help="Prepare and check case tables.", no_args_is_help=True)
prepare = typer.Typer(
    cls=SourceGroup,
    help="Images beside a case table, as they came or as the paper has them: your own folder, or a published release.",
    no_args_is_help=True,
)
app.add_typer(prepare, name="prepare")


@prepare.command()
@expected_errors
def folder(
    images: Annotated[Path, typer.Argument(metavar="IMAGES_DIR", help="Folder with the images, at any depth.")],
    out: OutOption,
    table: Annotated[
        Path | None, typer.Option("--table", help="Table of the images: CSV, Parquet, .xlsx, .xls or .ods.")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Of a spreadsheet, the sheet to read.")] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="Name of a column: THEIRS=OURS, for example dx=diagnosis.")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", help="Column of the table to leave out; those that may name a person are."),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--map", help="What a word means: COLUMN:THEIRS=OURS, for example diagnosis:Basaliom=bcc."),
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map-file", help="The same as a table with the columns column, value, becomes.")
    ] = None,
    label_from_folder: Annotated[
        bool,
        typer.Option(
            "--label-from-folder",
            help="The name of the folder that holds an image is its diagnosis, of several levels the innermost.",
        ),
    ] = False,
    clinic: Annotated[str, typer.Option("--source", help="Recorded as the source of cases that name none.")] = "",
    size: SizeOption = None,
    crop: CropOption = False,
    date_order: DateOrderOption = None,
    skip_bad: SkipOption = False,
) -> None:
    """Any folder of images, with or without a table."""
    from dermquery.data.sources.folder import prepare_folder
    from dermquery.data.sources.map_files import read_value_maps
    from dermquery.data.value_maps import in_our_names

    columns = column_mapping(column or [])
    values = in_our_names(read_value_maps(map_file) if map_file else {}, columns)
    for name, mapped in in_our_names(_value_maps(value or []), columns).items():
        own = values.setdefault(name, {})
        for theirs, ours in mapped.items():
            if own.get(theirs, ours) != ours:
                say(f"note: --map {name}:{theirs}={ours} overrules {own[theirs]!r} of {map_file}", err=True)
        own.update(mapped)
    with bar("images") as step:
        report = prepare_folder(
            images, out, table=table, columns=columns, values=values, ignore=ignore or (), sheet=sheet,
            label_from_folder=label_from_folder, clinic=clinic, size=size, crop=crop, skip_bad=skip_bad,
            date_order=_order(date_order), progress=step,
        )  # fmt: skip
    finish(report, skip_bad=skip_bad)


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
    from dermquery.data.dicom.container import need_libraries

    need_libraries()
    from dermquery.data.sources.dicom import prepare_dicom

    with bar("DICOM") as step:
        report = prepare_dicom(
            source, out, site_key=site_key, keep_identity=keep_identity, allow=_allowed(allow), objects=objects,
            name_files=name_files, clinic=clinic, size=size, crop=crop, skip_bad=skip_bad, progress=step,
        )  # fmt: skip
    finish(report, skip_bad=skip_bad)


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
    from dermquery.data.dicom.container import need_libraries

    need_libraries()
    from dermquery.data.sources.dicomweb import Wanted, prepare_dicomweb

    modalities = tuple(filter(None, (part.strip().upper() for part in modality.split(","))))
    wanted = Wanted(url, modalities, since.date() if since else None, token, most_mib << 20)
    with bar("DICOMweb") as step:
        report = prepare_dicomweb(
            wanted, out, site_key=site_key, keep_identity=keep_identity, allow=_allowed(allow), clinic=clinic,
            progress=step,
        )  # fmt: skip
    if report.table is None and not report.bad:
        say("; ".join(report.notes) or "the archive has no such photograph")
        return
    finish(report, skip_bad=True)


@app.command()
@expected_errors
def check(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Case table.")],
    need: Annotated[list[str] | None, typer.Option("--need", help="Column that every row must have.")] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help="Name of a column: THEIRS=OURS.")] = None,
    date_order: DateOrderOption = None,
    skip_bad: SkipOption = False,
) -> None:
    """Validate a case table and count what it holds."""
    from dermquery.data.case_table import read_cases

    read = read_cases(
        table,
        need=need or (),
        columns=column_mapping(column or []) or None,
        skip_bad=skip_bad,
        date_order=_order(date_order),
    )
    for note in read.notes:
        say(f"note: {note}", err=True)
    for row in read.skipped:
        say(f"left out: line {row.line} ({row.case_id or 'no id'}): {'; '.join(row.problems)}", err=True)
    print_counts([case.diagnosis for case in read])
    lesions = len({case.group for case in read})
    say(f"{lesions} patients or lesions, {len(read.skipped)} rows left out")


@app.command()
@expected_errors
def inspect(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV, Parquet, .xlsx, .xls or .ods.")],
    images: Annotated[
        Path | None, typer.Argument(metavar="IMAGES_DIR", help="Folder of its images; with it, the proposal is tried.")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Of a spreadsheet, the sheet to read.")] = None,
    write_map: Annotated[
        Path | None,
        typer.Option("--write-map", help="Write the values that need another word, or have none, to this CSV file."),
    ] = None,
) -> None:
    """Say what a table holds, and with which command it is prepared."""
    from dermquery.data.sources.inspecting import inspect_table
    from dermquery.data.sources.map_files import write_value_maps
    from dermquery.data.sources.source import recognised

    seen = inspect_table(table, images, sheet=sheet)
    say(f"{table}: {seen.rows:,} rows, {len(seen.columns)} columns")
    header = ("column", "taken for", "holds", "filled", "values")
    for line in in_columns([header, *map(_row_of, seen.columns)], terminal_width()):
        say(line)
    kinds = {"not to be used as": seen.unknown, "kept as written, and in no vocabulary of": seen.strange}
    for what, found in kinds.items():
        for name, values in found.items():
            counts = ", ".join(f"{value!r} {count}" for value, count in values.most_common(_SHOWN))
            place = f"all are in {write_map}" if write_map else "--write-map FILE writes all"
            more = f" and {len(values) - _SHOWN} more; {place}" if len(values) > _SHOWN else ""
            say(f"{what} {name}: {counts}{more}")
    for note in seen.notes:
        say(f"note: {note}")
    if known := recognised([column.name for column in seen.columns]):
        say(f"its columns are those of a known release; for that, use: dermquery data prepare {'|'.join(known)}")
    if write_map:
        write_value_maps(seen.maps, write_map)
    if seen.proposal:
        say(f"\n{seen.proposal.command(table, images, write_map)}")


def _row_of(column: ColumnSeen) -> tuple[str, ...]:
    from dermquery.data.case_table import COLUMNS

    taken = column.taken_for if column.taken_for != column.name or column.taken_for in COLUMNS else "(kept beside)"
    values = ", ".join(f"{value} {count:,}" for value, count in column.frequent)
    values = f"may name a person: {column.why_not}" if column.why_not else values
    values = "another column has this name" if column.is_double else values
    return column.name, taken or "(left out)", column.kind, f"{column.filled:,}", values


@app.command()
@expected_errors
def overlap(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="Case tables, at least two.")],
) -> None:
    """Say which images several case tables have in common: by their ids of the ISIC Archive, and by their content."""
    from dermquery.data.sources.overlap import find_overlaps

    if len(tables) < 2:
        raise ValueError("give at least two case tables")
    for found in find_overlaps(tables):
        say(found.sentence)


def _allowed(written: list[str] | None) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for one in written or () for part in one.split(","))))


def _order(written: str | None) -> DayOrder | None:
    from dermquery.data.vocabulary.ages_days import ORDERS

    if written is not None and written not in ORDERS:
        raise ValueError(f"cannot read --date-order {written!r}; use one of: {', '.join(ORDERS)}")
    return cast("DayOrder | None", written)


def _value_maps(written: list[str]) -> dict[str, dict[str, str]]:
    """COLUMN:THEIRS=OURS; the last ``=`` counts, for a word may hold one, and OURS may be empty."""
    maps: dict[str, dict[str, str]] = {}
    for one in written:
        column, colon, rest = one.partition(":")
        theirs, equals, ours = rest.rpartition("=")
        if not (column.strip() and colon and equals and theirs.strip()):
            raise ValueError(f"cannot read --map {one!r}; write COLUMN:THEIRS=OURS, for example diagnosis:Basaliom=bcc")
        mapped = maps.setdefault(column.strip(), {})
        if mapped.setdefault(theirs.strip(), ours.strip()) != ours.strip():
            raise ValueError(
                f"--map makes {theirs.strip()!r} of {column.strip()} {mapped[theirs.strip()]!r} and {ours.strip()!r}; "
                "give one"
            )
    return maps
