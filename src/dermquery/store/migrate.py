"""A case base encoded again with another model: a new version beside the old one, which it replaces in one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dermquery.store.base_manifest import Manifest, ManifestError
from dermquery.store.casebase import CaseBase
from dermquery.store.earlier_schemas import UpgradeNeededError, upgrade_command
from dermquery.store.encoding import LocalExecutor
from dermquery.store.ingest import IngestProgress, IngestReport, index_cases
from dermquery.store.model_source import ModelSource, load_source
from dermquery.store.places import home_of
from dermquery.store.protocol import CaseStore, StoredCase

_LOOKS = 10
"""How often a base that is written to all the while is gone over before a migration gives up."""

__all__ = ["MigrationError", "migrate", "tidy"]


class MigrationError(ManifestError):
    """A migration cannot be finished; the base is as it was, and the message says what to do."""


def migrate(
    uri: str | Path,
    model: ModelSource,
    *,
    skip_bad: bool = False,
    batch_size: int = 32,
    progress: Callable[[IngestProgress], None] | None = None,
) -> tuple[CaseBase, IngestReport]:
    """Encode all cases of a base with another model, and let the result take the base's place.

    Until the last step, and wherever the process is killed, the base is the old one; run again, the migration goes on
    where it stopped. A server takes writes meanwhile: what they changed is encoded too, until a look at every row finds
    nothing new. Only what is written after that look stays in the old version. Readers that are open keep the old
    version, whose rows stay until ``tidy``. Images come from the base's archive, without one from the files that the
    cases name.

    Args:
        uri: the base.
        model: the new model, or its name or path.
        skip_bad: leave out the cases whose images cannot be read any more, rather than refuse to switch.
        batch_size: images that go through the model at once.
        progress: called after every write.

    Raises:
        ManifestError: no base there, or one that has these vectors already.
        MigrationError: images are missing, or the base never stops changing.
        BaseBusyError: another process is writing.
    """
    home = home_of(uri)
    home.manifest()  # so that nothing is made where there is no base
    loaded, reference = load_source(model)
    with home.writing():
        current = home.manifest()
        manifest = Manifest.of(loaded, reference, version=current.version + 1, images=current.images)
        if current.same_vectors(manifest):
            raise ManifestError(f"{home.uri} was encoded with model {loaded.name!r} already; there is nothing to do")
        old, new, archive = home.store(current), home.begin(manifest), home.archive(current)

        def encode(rows: Sequence[StoredCase]) -> IngestReport:
            held = None if archive is None else {row.case.case_id: row.stamp for row in rows}
            executor = LocalExecutor(loaded, archive=archive, batch_size=batch_size, held=held)
            return index_cases([row.case for row in rows], new, executor, replacing=True, progress=progress)

        report = _until_nothing_changes(old, encode)
        _check(old, new, report, skip_bad=skip_bad)
        home.switch(manifest)
    return CaseBase(home, manifest, new, loaded), report


def tidy(uri: str | Path) -> tuple[int, int]:
    """Remove old versions, and the images that no case of the current one names; returns how many of each.

    Images that other bases may name, because the archive lies outside the base, are left.

    Raises:
        ManifestError: no base there.
        UpgradeNeededError: it has an earlier schema.
        BaseBusyError: another process is writing.
    """
    home = home_of(uri)
    home.manifest()  # so that nothing is made where there is no base
    with home.writing():
        manifest = home.manifest()
        if manifest.outdated:
            raise UpgradeNeededError(
                f"{home.uri} has schema {manifest.schema_version} and is read-only; upgrade it, then tidy it: "
                f"{upgrade_command(home.uri)}"
            )
        versions = home.tidy()
        archive = home.archive(manifest)
        if archive is None or manifest.images != home.images:
            return versions, 0
        kept = {row.stamp.sha256 for page in home.store(manifest).scan(vectors=False) for row in page}
        return versions, archive.sweep(kept)


def _until_nothing_changes(old: CaseStore, encode: Callable[[Sequence[StoredCase]], IngestReport]) -> IngestReport:
    """Encode every case, then those that writers changed meanwhile, until there are none.

    Raises:
        MigrationError: there are some again and again.
    """
    seen: dict[str, StoredCase] = {}
    report: IngestReport | None = None
    for _ in range(_LOOKS):
        changed = list(_changed(old, seen))
        if report is not None and not changed:
            return report
        seen.update((row.case.case_id, row) for row in changed)
        report = _both(report, encode(changed), {row.case.case_id for row in changed})
    raise MigrationError(
        f"cases changed again during each of {_LOOKS} looks at the base, which is as it was; stop what writes to it, "
        "and run the command again"
    )


def _changed(store: CaseStore, seen: dict[str, StoredCase]) -> Iterator[StoredCase]:
    """Rows that are not as they were seen: new, with another image or another description."""
    for page in store.scan(vectors=False):
        for row in page:
            before = seen.get(row.case.case_id)
            if before is None or (before.case, before.stamp) != (row.case, row.stamp):
                yield row


def _both(first: IngestReport | None, then: IngestReport, again: set[str]) -> IngestReport:
    """The report of two runs, of which the second went over some cases ``again``."""
    if first is None:
        return then
    return replace(
        first,
        added=first.added + then.added,
        bad=(*(item for item in first.bad if item.case_id not in again), *then.bad),
        repeated=first.repeated + then.repeated,
        repeats=first.repeats + then.repeats,
        seconds=first.seconds + then.seconds,
    )


def _check(old: CaseStore, new: CaseStore, report: IngestReport, *, skip_bad: bool) -> None:
    """Nothing is switched unless every case is there."""
    if report.bad and not skip_bad:
        raise MigrationError(
            f"{len(report.bad)} cases cannot be encoded again, the first: {report.bad[0].reason}. The base is as it "
            "was. Bring the images back, or leave these cases out with --skip-bad, and run the command again"
        )
    left_out = {item.case_id for item in report.bad}
    wanted, held = set(old.ids()) - left_out, set(new.ids())
    new.delete(held - wanted)  # of a beginning before cases were deleted
    if missing := wanted - held:
        raise MigrationError(
            f"{len(missing)} cases are not in the new version (for instance {min(missing)!r}): was the base written to "
            "meanwhile? It is as it was; run the command again"
        )
