"""What a search reads of the rows that it found beside their vectors, which the index has, mapped into memory.

A read of a few rows from the table takes longer than finding them: it goes through another thread, a plan and a handful
of files. Here it is a look into pages that the operating system keeps.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["HitRows", "adopt", "written"]

_PREFIX, _SUFFIX = "rows-", ".arrow"


class HitRows:
    """Rows in the order in which they were written, in one file of Arrow's for each time that some were added.

    Args:
        folder: where the files lie.

    Raises:
        OSError, ValueError: a file is damaged, or there is none.
    """

    def __init__(self, folder: Path) -> None:
        readers = [pa.ipc.open_file(pa.memory_map(str(path))) for path in _files(folder)]
        if not readers:
            raise FileNotFoundError(f"{folder} holds no rows")
        self._schema = readers[0].schema
        self._batches = [reader.get_batch(i) for reader in readers for i in range(reader.num_record_batches)]
        self._ends = np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def take(self, positions: NDArray[np.int64]) -> pa.Table:
        """The rows at these positions, in ascending order of position."""
        ordered = np.sort(positions)
        within = np.searchsorted(self._ends, ordered, side="right")
        parts = []
        for number in np.unique(within):
            first = 0 if number == 0 else int(self._ends[number - 1])
            parts.append(self._batches[number].take(pa.array(ordered[within == number] - first)))
        return pa.Table.from_batches(parts, self._schema)


@contextmanager
def written(folder: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """What writes tables to a new file of the folder, one after the other."""
    path = folder / f"{_PREFIX}{len(_files(folder)):06d}{_SUFFIX}"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        yield writer.write_table


def adopt(folder: Path, old: Path) -> None:
    """Put the files of an older folder into a new one, without copying them where the file system allows it."""
    for path in _files(old):
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copyfile(path, folder / path.name)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))
