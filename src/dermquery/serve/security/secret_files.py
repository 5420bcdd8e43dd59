"""JSON files with hashes of secrets: readable by their owner only, replaced atomically, read again on change."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dermquery.data.files import make_folder, replacing

__all__ = ["Entry", "SecretFile"]


class Entry(BaseModel):
    """An entry of such a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


E = TypeVar("E", bound=Entry)


class SecretFile(Generic[E]):
    """Entries by name; the file need not exist."""

    def __init__(self, path: Path, entry: type[E]) -> None:
        self.path = path
        self._adapter: TypeAdapter[dict[str, E]] = TypeAdapter(dict[str, entry])  # type: ignore[valid-type]
        self._seen: tuple[int, int, int] | None = None
        self._entries: Mapping[str, E] = {}
        self._reading = threading.Lock()

    def entries(self) -> Mapping[str, E]:
        """The current entries; reads the file only if it changed.

        Raises:
            ValueError: the file is not valid. Then nobody is let in, not even those of its earlier version.
        """
        with self._reading:
            try:
                stat = self.path.stat()
            except FileNotFoundError:
                if self._seen is not None:
                    self._seen, self._entries = None, {}
                return self._entries
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._entries = self._read()
                self._seen = seen
            return self._entries

    @contextmanager
    def changing(self) -> Iterator[dict[str, E]]:
        """A copy of the entries to change, which replaces them if the block succeeds. One process at a time."""
        from filelock import FileLock

        make_folder(self.path.parent, mode=0o700)
        with FileLock(self.path.with_name(f"{self.path.name}.lock"), mode=0o600):
            entries = dict(self._read()) if self.path.exists() else {}
            yield entries
            with replacing(self.path) as part:
                file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(file, "wb") as stream:
                    stream.write(self._adapter.dump_json(entries, indent=2) + b"\n")

    def _read(self) -> dict[str, E]:
        try:
            return self._adapter.validate_json(self.path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            # Never the value: it may be a hash.
            raise ValueError(f"{self.path} cannot be used: {where}: {first['msg']}") from None
