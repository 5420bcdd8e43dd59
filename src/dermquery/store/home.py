"""Where a case base lives: a folder of this machine, or a collection of a Milvus server."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from dermquery.store.archive import ImageArchive
from dermquery.store.base_manifest import Manifest, ManifestError
from dermquery.store.protocol import CaseStore

__all__ = ["BaseBusyError", "Home"]


class BaseBusyError(ManifestError):
    """Another process is writing to the base."""


class Home(Protocol):
    """A place for one manifest and its rows, and for a next version of both that takes their place in one step.

    Attributes:
        uri: how people name the place; never with a secret in it.
        images: where a new base keeps its images if nothing else is said, as :attr:`Manifest.images`.
        manifest_alone: whether :meth:`switch` can change the manifest of a version and leave its rows as they are.
    """

    uri: str | Path
    images: str | None
    manifest_alone: bool

    def exists(self) -> bool:
        """Whether there is a case base."""

    def manifest(self) -> Manifest:
        """The manifest; ManifestError if there is none or none that can be used."""

    def create(self, manifest: Manifest) -> CaseStore:
        """An empty base; what a creation that was cut off left behind is gone over again.

        Raises:
            ManifestError: there is a case base already, or something else in the way.
        """

    def store(self, manifest: Manifest) -> CaseStore:
        """The rows of the version that a manifest of this base describes; read-only if its schema is an earlier one."""

    def archive(self, manifest: Manifest) -> ImageArchive | None:
        """The images, if the base keeps them."""

    def begin(self, manifest: Manifest) -> CaseStore:
        """Rows of a next version beside the current one: those of a beginning with equal vectors, else none."""

    def switch(self, manifest: Manifest) -> None:
        """Let the next version take the place of the current one, whose rows stay until :meth:`tidy`."""

    def tidy(self) -> int:
        """Remove the rows of all other versions, and what an index holds of deleted ones; returns how many versions."""

    def mend(self, manifest: Manifest) -> list[str]:
        """Put right the files of a version that are wrong by a single bit; returns which."""

    def writing(self) -> AbstractContextManager[None]:
        """Hold the right to write while the block runs; BaseBusyError if another process has it."""
