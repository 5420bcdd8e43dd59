"""The case base: a manifest, a store and a model behind three verbs, ``create``, ``open`` and ``search``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dermquery.data.case import Case
from dermquery.store.base_manifest import Manifest, ManifestError
from dermquery.store.earlier_schemas import UpgradeNeededError, upgrade_command
from dermquery.store.encoding import Executor, LocalExecutor
from dermquery.store.home import Home
from dermquery.store.ingest import IngestProgress, IngestReport, index_cases
from dermquery.store.many_searches import ManySearches
from dermquery.store.model_source import ModelSource, load_named_model, load_source
from dermquery.store.places import home_of, images_place
from dermquery.store.protocol import CaseStore, Encoder, PreparingEncoder
from dermquery.store.searchable_base import EmptyBaseError, QueryError

__all__ = ["CaseBase", "EmptyBaseError", "QueryError"]


class CaseBase(ManySearches):
    """Cases that can be searched, in a place that knows the model of their vectors.

    Use :meth:`create`, :meth:`open` or :meth:`open_or_create`.
    """

    def __init__(self, home: Home, manifest: Manifest, store: CaseStore, model: Encoder | None = None) -> None:
        super().__init__(home.uri, manifest, store, home.archive(manifest), model)
        self._home = home

    @classmethod
    def create(
        cls,
        uri: str | Path,
        model: ModelSource,
        *,
        reference: str | None = None,
        images: str | bool = True,
    ) -> CaseBase:
        """Make an empty case base.

        Args:
            uri: a folder, made if there is none, or ``milvus://host:port/name`` (:mod:`.home`).
            model: a loaded model, or the name or path of one.
            reference: name or path by which a model that is already loaded can be loaded again; without it, later
                openings must name the model.
            images: where to keep the images and their thumbnails: a folder or a URL such as ``s3://bucket/prefix``;
                True for the place's own (a folder inside a folder, none on a server), False to keep none.

        Raises:
            ManifestError: if there is a case base already, or something else in the way.
            ArchiveError: images cannot be kept there.
        """
        home = home_of(uri)
        loaded, known_as = load_source(model)
        manifest = Manifest.of(loaded, reference or known_as, images=images_place(images, home))
        home.archive(manifest)
        return cls(home, manifest, home.create(manifest), loaded)

    @classmethod
    def open(cls, uri: str | Path, model: ModelSource | None = None, *, ahead: bool = False) -> CaseBase:
        """Open a case base.

        Args:
            uri: its folder, or ``milvus://host:port/name``.
            model: the model to encode queries with; without it, the manifest's own is loaded at the first query.
            ahead: let the model prepare itself while the rows are opened, for a search that follows at once.

        Raises:
            ManifestError: if there is no case base, or one of another version, or of images composed with findings.
            ModelMismatchError: if the model is not the one that made the base's vectors.
        """
        home = home_of(uri)
        manifest = home.manifest()
        manifest.check_plain(home.uri)
        loaded = None if model is None else load_source(model)[0]
        if loaded is None and ahead and manifest.model_reference is not None:
            loaded = load_named_model(manifest, uri)
        if loaded is not None:
            manifest.check(loaded)
        if ahead and isinstance(loaded, PreparingEncoder):
            loaded.prepare()
        return cls(home, manifest, home.store(manifest), loaded)

    @classmethod
    def open_or_create(
        cls, uri: str | Path, model: ModelSource | None = None, *, images: str | bool = True
    ) -> CaseBase:
        """Open the case base in a folder, or make one: what a command that can be interrupted and repeated needs.

        Args are those of :meth:`create`; ``images=True`` agrees with any base that is there. Without ``model`` a base
        that is there takes its own.

        Raises:
            ManifestError: as :meth:`open` and :meth:`create`, or the base that is there keeps its images elsewhere,
                or there is neither a base nor a model.
        """
        if not home_of(uri).exists():
            if model is None:
                raise ManifestError(f"{uri} is no case base yet; name the model of a new one with --model")
            return cls.create(uri, model, images=images)
        base = cls.open(uri, model)
        place = images if images is True else images_place(images, home_of(uri))
        base.manifest.check_images(base.uri, place)
        return base

    @property
    def read_only(self) -> str | None:
        """Why the base can only be read, and the remedy; None if it can be written to.

        An earlier artifact of the model is noticed where the model can be loaded; one that is lost forbids no writing.
        """
        manifest = self.manifest
        if self._model is None:
            with suppress(ManifestError):
                self._model = load_named_model(manifest, self.uri)
        if manifest.outdated:
            return (
                f"{self.uri} has schema {manifest.schema_version}, of an earlier version of dermquery, and is "
                f"read-only until it is upgraded: {upgrade_command(self.uri)}"
            )
        if self._model is not None and self._model.artifact_hash != manifest.model_hash:
            named = "" if manifest.model_reference else " --model MODEL"
            return (
                f"{self.uri} names an earlier artifact of its model, {manifest.model_hash[:12]}, with the same "
                f"vectors, and is read-only until it is upgraded: {upgrade_command(self.uri)}{named}"
            )
        return None

    def check_writable(self) -> None:
        """UpgradeNeededError for a base that is read-only."""
        if reason := self.read_only:
            raise UpgradeNeededError(reason)

    def add(
        self,
        cases: Iterable[Case],
        *,
        batch_size: int = 32,
        executor: Executor | None = None,
        replacing: bool = False,
        progress: Callable[[IngestProgress], None] | None = None,
    ) -> IngestReport:
        """Encode cases and put them in, in the places of those with the same ids; see :func:`~.ingest.index_cases`.

        Args:
            cases: each with its own ``case_id``.
            batch_size: images that go through the model and into the store at once.
            executor: where images are read and encoded; in this process if not given.
            replacing: also in those of another source's cases.
            progress: called after every write.

        Raises:
            ValueError: an id occurs twice, or is another source's.
            BaseBusyError: another process is writing.
            UpgradeNeededError: the base is read-only.
            ManifestError: the base was encoded again since it was opened.
        """
        if executor is None:
            executor = LocalExecutor(self.model, archive=self.archive, batch_size=batch_size)
        with self._writing():
            return index_cases(cases, self.store, executor, replacing=replacing, progress=progress)

    def delete(self, case_ids: Collection[str]) -> int:
        """Remove cases; returns how many there were. Their images stay until ``dermquery base tidy``.

        Raises:
            BaseBusyError: another process is writing.
            UpgradeNeededError: the base is read-only.
            ManifestError: the base was encoded again since it was opened.
        """
        with self._writing():
            return self.store.delete(case_ids)

    def build_index(self) -> int:
        """Build the index for approximate search now, whatever the number of cases; returns the number in it.

        Raises:
            ValueError: for too few cases.
            BaseBusyError: another process is writing.
            UpgradeNeededError: the base is read-only.
            ManifestError: the base was encoded again since it was opened.
        """
        with self._writing():
            return self.store.build_index()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The right to write, to the version that readers get: what goes into an older one is lost with it."""
        self.check_writable()
        with self._home.writing():
            current = self._home.manifest().version
            if current != self.manifest.version:
                raise ManifestError(
                    f"{self.uri} was encoded again or upgraded since it was opened: it is at version {current}, this "
                    f"is {self.manifest.version}; open it again (restart what serves it), then write"
                )
            yield
