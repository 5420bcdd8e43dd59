"""``dermquery base``: case bases as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from dermquery.cli.base_check import check
from dermquery.cli.counts import counted
from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.index import progress_bar, show_progress
from dermquery.cli.plain_text import Console

if TYPE_CHECKING:
    from dermquery.store.transfer import Transferred

__all__ = ["app"]

app = typer.Typer(help="Case bases as a whole.", no_args_is_help=True)
app.command()(check)
BaseArgument = Annotated[str, typer.Argument(metavar="BASE", help="Folder, or milvus://host:port/name.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SHOWN = 20


@contextmanager
def _telling(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, and what moves it: takes cases done and cases in all."""
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None, speed="", left="")
        yield lambda n, total: bar.update(task, completed=n, total=total)


def _print_transferred(target: str, done: Transferred) -> None:
    verified = f"{target}: {counted(done.rows, 'case')} verified, {done.written} of them written now; {done.images}."
    Console(soft_wrap=True).print(Text(verified))


@app.command()
@expected_errors
def info(base: BaseArgument, as_json: JsonFlag = False) -> None:
    """Which model made the vectors, how they are laid out, and what is in the base."""
    from dermquery.store.casebase import CaseBase

    case_base = CaseBase.open(base)
    manifest = case_base.manifest
    counts, sources = case_base.store.value_counts("diagnosis"), case_base.store.value_counts("source")
    if as_json:
        found = {"uri": str(case_base.uri), "count": len(case_base), "manifest": manifest.model_dump(mode="json")}
        diagnoses = [{"diagnosis": name, "count": n} for name, n in counts.items()]
        found |= {"diagnoses": diagnoses, "read_only": case_base.read_only}
        found["sources"] = [{"source": name, "count": n} for name, n in sources.items()]
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    shown, owners = (
        ", ".join(f"{'not recorded' if name is None else name} {n}" for name, n in counted.items())
        for counted in (counts, sources)
    )
    levels = f"levels {', '.join(manifest.levels)}"
    made = f"{manifest.created:%Y-%m-%d %H:%M %Z} by dermquery {manifest.dermquery_version}"
    lines = [
        f"{case_base.uri}: {counted(len(case_base), 'case')}{f' ({shown})' if shown else ''}",
        *([f"sources: {owners}"] if any(sources) else []),
        f"model {manifest.model_name}, artifact {manifest.model_hash}",
        f"loaded from {manifest.model_reference or 'nowhere that it knows; name it by --model'}",
        f"vectors of {manifest.layout.size} numbers: local and global, {levels}, width {manifest.width}",
        f"images kept in {case_base.archive.url}"
        if case_base.archive
        else "images stay in the files that the cases name",
        f"version {manifest.version}, made {made}, schema {manifest.schema_version}",
    ]
    lines += [case_base.read_only] if case_base.read_only else []
    Console(soft_wrap=True).print(Text("\n".join(lines)))


@app.command("index")
@expected_errors
def build_index(base: BaseArgument) -> None:
    """Build the index for approximate search now; `dermquery index` does it from 10,000 cases."""
    from dermquery.store.casebase import CaseBase

    n = CaseBase.open(base).build_index()
    Console(soft_wrap=True).print(Text(f"{base}: {counted(n, 'case')} in the index."))


@app.command()
@expected_errors
def copy(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Folder, or milvus://host:port/name.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Likewise; empty, or an earlier copy of the same base.")],
    images: Annotated[
        str | None, typer.Option("--images", help="Where the copy keeps its images; none leaves them where they are.")
    ] = None,
) -> None:
    """Copy a case base to another place, folder or server, and verify every row; nothing is encoded again."""
    from dermquery.store.transfer import copy_base

    place = True if images is None else False if images == "none" else images
    with _telling("copying") as tell:
        done = copy_base(source, target, images=place, tell=tell)
    _print_transferred(target, done)


@app.command()
@expected_errors
def snapshot(base: BaseArgument, file: Annotated[Path, typer.Argument(help="Parquet file to write.")]) -> None:
    """Write a case base to one file; images are not in it, it says where they are kept."""
    from dermquery.store.transfer import write_snapshot

    with _telling("writing") as tell:
        images = write_snapshot(base, file, tell=tell)
    Console(soft_wrap=True).print(
        Text(f"{file}: {counted(images.cases, 'case')}, {file.stat().st_size / 1e6:.1f} MB; {images}.")
    )


@app.command()
@expected_errors
def restore(
    file: Annotated[Path, typer.Argument(help="A snapshot.")],
    base: Annotated[str, typer.Argument(metavar="BASE", help="Folder, or milvus://host:port/name.")],
) -> None:
    """Make a case base of a snapshot and verify every row; a restoration that was cut off goes on."""
    from dermquery.store.transfer import restore_snapshot

    with _telling("restoring") as tell:
        done = restore_snapshot(file, base, tell=tell)
    _print_transferred(base, done)


@app.command()
@expected_errors
def upgrade(
    base: BaseArgument,
    model: Annotated[
        str | None, typer.Option("--model", help="Its model, where the base does not say or it was moved.")
    ] = None,
) -> None:
    """Bring a base of an earlier version to this one; nothing is encoded, and it can be interrupted and run again.

    The new rows take the place of the old ones in one step, when every one of them is verified.
    """
    from dermquery.store.upgrade import upgrade as upgrade_base

    with _telling("upgrading") as tell:
        done = upgrade_base(base, model, tell=tell)
    before, after = done.before, done.after
    lines = []
    if before == after:
        lines.append(f"{base} has schema {after.schema_version} already; there was nothing to upgrade.")
    if before.schema_version != after.schema_version:
        lines.append(f"{base}: schema {before.schema_version} to {after.schema_version}.")
    if before.model_hash != after.model_hash:
        lines.append(f"{base}: artifact {before.model_hash[:12]} to {after.model_hash[:12]}, with the same vectors.")
    if before.version != after.version:
        lines.append(
            f"{counted(done.rows, 'case')} verified, {done.written} of them written now (version {after.version})."
        )
        lines.append(f"The old version is still there; remove it with: dermquery base tidy {base}")
    if done.unhashed:
        lines.append(f"{done.unhashed} images are gone, so `base duplicates` cannot compare them with others.")
    if done.model_unknown:
        lines.append(f"Whether a new artifact replaces the model's own is not known: {done.model_unknown}")
    Console(soft_wrap=True).print(Text("\n".join(lines)))


@app.command()
@expected_errors
def export(
    base: BaseArgument,
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder to write to: new, empty, or an export that goes on. With --vectors a file."),
    ],
    without_images: Annotated[
        bool, typer.Option("--without-images", help="Write the table only; it names the images where they came from.")
    ] = False,
    vectors: Annotated[
        bool,
        typer.Option(
            "--vectors", help="Write the vectors instead, to a file .npy (ids in a .json beside it) or .parquet."
        ),
    ] = False,
) -> None:
    """Write a base as a case table, cases.csv, and its images, as they were put in.

    `dermquery index` makes an equal base of them. Fails if a case has no image any more, when all else is written.
    """
    if vectors:
        from dermquery.store.casebase import CaseBase
        from dermquery.store.export_vectors import export_vectors

        n = export_vectors(opened := CaseBase.open(base), out)
        numbers = f"{n} vectors of {opened.manifest.layout.size} numbers"
        Console(soft_wrap=True).print(Text(f"{out}: {numbers}, model {opened.manifest.model_name}."))
        return
    from dermquery.store.export_base import export_base

    with _telling("exporting") as tell:
        done = export_base(base, out, images=not without_images, tell=tell)
    Console(soft_wrap=True).print(
        Text(f"{done.table}: {counted(done.cases, 'case')}, {counted(done.images, 'image')} beside it.")
    )
    if done.lost:
        lines = [f"{len(done.lost)} cases have no image that can be reached; the table names where it was:"]
        lines += [f"  {item.case_id}: {item.reason}" for item in done.lost[:_SHOWN]]
        lines += [f"  and {len(done.lost) - _SHOWN} more"] if len(done.lost) > _SHOWN else []
        Console(stderr=True, soft_wrap=True).print(Text("\n".join(lines), style="yellow"))
        raise typer.Exit(1)


@app.command()
@expected_errors
def migrate(
    base: BaseArgument,
    model: Annotated[str, typer.Option("--model", help="The new model: a shipped name, or the folder of an artifact.")],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out cases whose images cannot be read any more.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images encoded and written at once.")] = 32,
) -> None:
    """Encode a base again with another model; it takes the base's place when it is whole, in one step.

    Can be interrupted and run again. Open readers keep the old version until they open the base again.
    """
    from dermquery.store.migrate import migrate as migrate_base

    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("encoding", total=None, speed="", left="")
        done, report = migrate_base(
            base,
            model,
            skip_bad=skip_bad,
            batch_size=batch_size,
            progress=lambda state: show_progress(bar, task, state),
        )
    now = f"{done.uri}: {counted(len(done), 'case')}, encoded with {done.manifest.model_name}"
    now += f" (version {done.manifest.version})"
    left_out = f", {len(report.bad)} left out" if report.bad else ""
    old = f"The old version is still there; remove it with: dermquery base tidy {base}"
    Console(soft_wrap=True).print(Text(f"{now}{left_out}. {old}"))


@app.command()
@expected_errors
def tidy(base: BaseArgument) -> None:
    """Remove old versions, and the images that no case names."""
    from dermquery.store.migrate import tidy as tidy_base

    versions, images = tidy_base(base)
    Console(soft_wrap=True).print(
        Text(f"{base}: {counted(versions, 'old version')} and {counted(images, 'image')} removed.")
    )


@app.command()
@expected_errors
def duplicates(
    base: BaseArgument,
    near: Annotated[
        int | None, typer.Option("--near", help="Bits of 256 that may differ, 40 by default; 0 for equal pictures.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the cases that show the same image: the same file, or nearly the same picture."""
    from dermquery.data.perceptual_hash import NEAR
    from dermquery.store.duplicates import find_duplicates
    from dermquery.store.places import home_of

    home = home_of(base)
    rows = home.store(home.manifest()).scan(vectors=False, whole=False)
    groups = find_duplicates((row for page in rows for row in page), near=NEAR if near is None else near)
    if as_json:
        typer.echo(json.dumps([group.to_dict() for group in groups], indent=2, ensure_ascii=False))
        return
    out = Console(soft_wrap=True)
    out.print(Text(f"{base}: {counted(len(groups), 'group')} of cases with the same or nearly the same image."))
    for group in groups:
        names = ", ".join(case.case_id for case in group.cases)
        differs = f"; different {' and '.join(group.conflicts)}".replace("_id", "") if group.conflicts else ""
        out.print(Text(f"  {group.kind:5} {names}{differs}"), style="yellow" if group.conflicts else "")


@app.command()
@expected_errors
def delete(
    base: BaseArgument,
    case: Annotated[list[str], typer.Option("--case", help="Case to remove; repeatable.")],
) -> None:
    """Remove cases; their images stay until `dermquery base tidy`."""
    from dermquery.store.casebase import CaseBase

    case_base = CaseBase.open(base)
    there = set(case_base.store.get(case, vectors=False))
    missing = sorted(set(case) - there.union(*(damage.case_ids for damage in case_base.store.damage())))
    if missing:
        raise ValueError(f"{base} has no case {', '.join(missing)}; nothing was removed")
    case_base.delete(case)
    Console(soft_wrap=True).print(Text(f"{base}: {counted(len(set(case)), 'case')} removed, {len(case_base)} left."))
