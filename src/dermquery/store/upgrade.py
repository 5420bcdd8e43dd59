"""A base of an earlier version of dermquery brought to the current schema, and to the present artifact of its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dermquery.store.base_manifest import Manifest
from dermquery.store.home import Home
from dermquery.store.model_source import ModelSource, load_source
from dermquery.store.places import home_of
from dermquery.store.row_transfer import Tell, verify_rows, write_missing

__all__ = ["Upgraded", "upgrade"]


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did.

    Attributes:
        before, after: the manifests; equal if there was nothing to do.
        rows: in the new version, each verified against the old one; 0 where only the manifest changed.
        written: of them, those that an upgrade that was cut off had not written yet.
        unhashed: of them, those without a perceptual hash, because their image is gone.
        model_unknown: why the model could not be looked at; None if it was.
    """

    before: Manifest
    after: Manifest
    rows: int = 0
    written: int = 0
    unhashed: int = 0
    model_unknown: str | None = None


def upgrade(uri: str | Path, model: ModelSource | None = None, *, tell: Tell | None = None) -> Upgraded:
    """Bring a base to the current schema, and let it name the present artifact of its model; nothing is encoded.

    Rows are written beside the old ones, each is read back and compared, and then they take their place in one step.
    Wherever the process is killed before, the base is the old one; run again, the upgrade goes on where it stopped.
    The old version stays until ``tidy``.

    Args:
        uri: the base.
        model: its model, or the name or path of it; the one that the manifest names if not given.
        tell: progress in rows.

    Raises:
        ManifestError: no base there, or one of images composed with findings.
        ModelMismatchError: ``model`` is another one than the base's.
        SnapshotError: something wrote to the base meanwhile.
        BaseBusyError: another process is writing.
    """
    home = home_of(uri)
    home.manifest().check_plain(home.uri)  # also so that nothing is made where there is no base
    with home.writing():
        before = home.manifest()
        after, model_unknown = _with_present_artifact(before.current(), model)
        if after == before:
            return Upgraded(before, after, model_unknown=model_unknown)
        if home.manifest_alone and not before.outdated:
            home.switch(after)
            return Upgraded(before, after, model_unknown=model_unknown)
        after = after.current(version=before.version + 1)
        rows, written, unhashed = _carry(home, before, after, tell)
        home.switch(after)
    return Upgraded(before, after, rows, written, unhashed, model_unknown)


def _with_present_artifact(manifest: Manifest, given: ModelSource | None) -> tuple[Manifest, str | None]:
    """The manifest with the hash of the artifact that replaces its own, and why that is not known if so."""
    source = manifest.model_reference if given is None else given
    if source is None:
        return manifest, "the base does not say where its model lies"
    try:
        model, reference = load_source(source)
        manifest.check(model)
    except (OSError, ValueError) as error:
        if given is not None:
            raise
        return manifest, str(error)
    if model.artifact_hash == manifest.model_hash:
        return manifest, None
    present = Manifest.of(model, reference or manifest.model_reference)
    fields = ("model_name", "model_hash", "model_reference", "preprocessing", "presets")
    return manifest.current(**{name: getattr(present, name) for name in fields}), None


def _carry(home: Home, before: Manifest, after: Manifest, tell: Tell | None) -> tuple[int, int, int]:
    """Write the next version; returns its rows, those written now and those without a perceptual hash."""
    old, new, archive = home.store(before), home.begin(after), home.archive(before)
    ids: list[str] = []
    written, total = 0, old.count()
    for rows in old.scan():
        ids += [row.case.case_id for row in rows]
        written += write_missing(new, rows, archive)
        if tell:
            tell(len(ids), total)
    new.delete(set(new.ids()) - set(ids))  # of a beginning before an earlier version of dermquery deleted cases
    verify_rows(new, ids, old.scan())
    new.compact()
    unhashed = sum(not row.stamp.phash for rows in new.scan(vectors=False) for row in rows)
    return len(ids), written, unhashed
