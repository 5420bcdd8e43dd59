"""Vectors in a file, quantised, of which those with a large inner product are found fast (FAISS).

Two stages, the second of fewer vectors and more digits. An inverted file (k-means) says which lists to read. There
every two numbers of a vector are one of 16 points (product quantisation, residual to the list's centre), and tables in
registers give a first score (André et al. 2015, "Cache locality is not enough"). The best are scored again with the
numbers as the table holds them, in half precision, so the index has no need of the table to give them to a search.

No stage turns or mixes the numbers of a vector, as random rotations and PCA do. So a query whose weights zero some of
them loses nothing to the others, and one index serves all weights. At some numbers the lists do not look
(:attr:`IndexShape.apart`): those of findings, of which many are 0 or 1. Their points are then those very values, and
cases that have a finding lie in the lists of their other numbers, by which a search ranks them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.model.alignment import Vectors

__all__ = [
    "DAMAGED",
    "IndexShape",
    "VectorIndex",
    "faiss_library",
    "read_keys",
    "write_index",
]

REFINED = 1000
"""Candidates of the first stage that are scored again with all of their digits."""
FEW = 8_000
"""Vectors that a filter lets through up to which each is scored so: faster than the lists, and misses none."""
_PARTS = 4
"""Threads that share one search, where there are as many; more would each find too few of the best."""
_COPIES = 3
"""Of findings. The tables of the first stage have 256 steps for all pairs of numbers together: a finding that was asked
for alone would take all of them and leave none to tell apart the cases that have it."""
_PER_CENTRE = 64
_TRAINING = 32_768
_VECTORS_AT_ONCE = 20_000
_VECTORS, _KEYS, _SHAPE = "vectors.faiss", "keys.npy", "index.json"


DAMAGED = (OSError, RuntimeError, ValueError, TypeError, KeyError, EOFError, MemoryError)
"""What opening an index raises whose files are damaged or gone."""


def faiss_library() -> Any:
    """The library, whose import takes a moment that commands without an index should not pay."""
    return import_module("faiss")


def read_keys(folder: Path) -> NDArray[np.int64]:
    """Keys of the vectors of an index, (n,) int64, mapped into memory.

    A wrong key would stand for another row, or for a serial beyond all that are given out, so they carry a digest.

    Raises:
        OSError, ValueError, KeyError, EOFError: the file cannot be read, or is not the one that was written.
    """
    keys = np.load(folder / _KEYS, mmap_mode="r")
    if keys.dtype != np.int64 or keys.ndim != 1 or not len(keys) or _digest(keys) != _facts(folder)["keys_sha256"]:
        raise ValueError(f"{folder / _KEYS} does not hold the keys that were written")
    return np.asanyarray(keys)


def _digest(keys: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(keys).data).hexdigest()


def _facts(folder: Path) -> dict[str, Any]:
    facts = json.loads((folder / _SHAPE).read_text(encoding="utf-8"))
    return {"shape": dict(facts["shape"]), "keys_sha256": str(facts["keys_sha256"])}


def _shape(folder: Path) -> IndexShape:
    facts = _facts(folder)["shape"]
    first, last = facts.pop("apart")
    return IndexShape(**facts, apart=(int(first), int(last)))


@dataclass(frozen=True)
class IndexShape:
    """How an index is built.

    Attributes:
        size: length of a vector.
        lists: of the inverted file.
        probes: lists that a search reads.
        trained_on: vectors that there were when the quantisers were trained.
        apart: first and last of the numbers that the lists do not look at, as in a slice; they stand in the index
            :data:`_COPIES` times.
    """

    size: int
    lists: int
    probes: int
    trained_on: int
    apart: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, size: int, n: int, apart: tuple[int, int] = (0, 0)) -> IndexShape:
        """The shape for n vectors: about 2·√n lists; the share of them that is read falls with √n to a quarter."""
        lists = max(1, min(2 ** round(math.log2(2 * math.sqrt(n))), n // 39))
        return cls(size, lists, math.ceil(lists * min(1.0, max(0.25, math.sqrt(40_000 / n)))), n, apart)

    @property
    def width(self) -> int:
        """Numbers of a vector in the index: two and two are quantised together."""
        whole = self.size + (_COPIES - 1) * (self.apart[1] - self.apart[0])
        return whole + whole % 2

    def inside(self, vectors: Vectors) -> Vectors:
        """Vectors (n, size) as they stand in the index, (n, width): the copies behind them."""
        found = np.zeros((len(vectors), self.width), np.float32)
        found[:, : self.size] = vectors
        for part in self._copies:
            found[:, part] = vectors[:, slice(*self.apart)]
        return found

    def asked(self, vectors: Vectors) -> Vectors:
        """Query vectors (n, size) as they are asked of it, each copy with its share, so that products stay the same."""
        found = self.inside(vectors)
        for part in self.hidden:
            found[:, part] /= np.float32(_COPIES)
        return found

    @property
    def hidden(self) -> list[slice]:
        """What the lists do not look at."""
        return [slice(*self.apart), *self._copies]

    @property
    def _copies(self) -> list[slice]:
        length = self.apart[1] - self.apart[0]
        return [slice(self.size + i * length, self.size + (i + 1) * length) for i in range(_COPIES - 1)]

    @property
    def sample(self) -> int:
        """Vectors to train on."""
        return max(_TRAINING, _PER_CENTRE * self.lists)


class VectorIndex:
    """An index in a folder, mapped into memory, so that opening it reads nothing and processes share it.

    Attributes:
        folder: where it lies.
        keys: of the vectors in it, (n,) int64.
        shape: how it was built.

    Raises:
        DAMAGED: its files are damaged, or gone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shape = _shape(folder)
        self.keys = read_keys(folder)
        self._index: Any = faiss_library().read_index(str(folder / _VECTORS), faiss_library().IO_FLAG_MMAP_IFC)
        if (self._index.ntotal, self._index.d) != (len(self.keys), self.shape.width):
            raise ValueError(
                f"{folder} holds {self._index.ntotal} vectors of length {self._index.d} for {len(self.keys)} keys and "
                f"length {self.shape.size}"
            )

    def nearest(self, vector: Vectors, k: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Positions in :attr:`keys` of about the ``k`` greatest inner products with ``vector``, greatest first.

        Args:
            vector: (size,) float32, weighted or not.
            k: candidates wanted; fewer come back where fewer are allowed.
            allowed: (n,) which vectors may be found; all if not given. Of few, each is scored; else half as many
                lists more are read, for each holds fewer that count.
        """
        faiss, query = faiss_library(), self.shape.asked(vector[None])
        chosen, probes = {}, self.shape.probes
        if allowed is not None:
            if int(np.count_nonzero(allowed)) <= FEW:
                return _best(_in_threads(self._fine.search, query, k, _shares_of(allowed)), k)
            chosen = {"sel": _selector(allowed)}
            probes = min(self.shape.lists, probes * 3 // 2)
        options = [
            faiss.IndexRefineSearchParameters(
                k_factor=max(1.0, REFINED / len(self._shares) / k),
                base_index_params=faiss.SearchParametersIVF(
                    # FAISS's scores are lost where it is to read more lists than there are.
                    nprobe=min(lists, math.ceil(probes / len(self._shares))),
                    quantizer_params=share,
                    **chosen,
                ),
            )
            for lists, share in self._shares
        ]
        return _best(_in_threads(self._index.search, query, k, options), k)

    def vectors(self, positions: NDArray[np.int64]) -> Vectors:
        """The vectors at these positions, (n, size), to the last digit of half precision."""
        if not len(positions):
            return np.empty((0, self.shape.size), np.float32)
        return np.asarray(self._fine.reconstruct_batch(positions)[:, : self.shape.size])

    @cached_property
    def _fine(self) -> Any:
        """The vectors in half precision."""
        return faiss_library().downcast_index(self._index.refine_index)

    @cached_property
    def _shares(self) -> list[tuple[int, Any]]:
        """For each thread that shares a search, how many lists are its own, and which: of two, one has the odd numbers.

        The lists nearest to a query are spread over all alike, for k-means numbers its lists at random.
        """
        faiss, lists = faiss_library(), np.arange(self.shape.lists)
        parts = min(_parts(), len(lists))
        own = [lists % parts == part for part in range(parts)]
        return [(int(mine.sum()), faiss.SearchParameters(sel=_selector(mine))) for mine in own]


def _parts() -> int:
    """Threads that share one search here."""
    return min(_PARTS, int(faiss_library().omp_get_max_threads()))


def _selector(allowed: NDArray[np.bool_]) -> Any:
    """Positions that a search may give back, for FAISS."""
    return faiss_library().IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def _shares_of(allowed: NDArray[np.bool_]) -> list[Any]:
    """Parameters for each thread that shares a search: as many of the allowed positions, one behind the other."""
    faiss, found = faiss_library(), []
    for share in np.array_split(np.flatnonzero(allowed), _parts()):
        mine = np.zeros_like(allowed)
        mine[share] = True
        found.append(faiss.SearchParameters(sel=_selector(mine)))
    return found


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads that search, as many as FAISS would use (OMP_NUM_THREADS); each is one, and starts no others."""
    faiss = faiss_library()
    return ThreadPoolExecutor(
        int(faiss.omp_get_max_threads()),
        thread_name_prefix="search",
        initializer=faiss.omp_set_num_threads,  # one query is work for one of its threads; waking the others costs
        initargs=(1,),
    )


def _in_threads(search: Callable[..., Any], query: Vectors, k: int, options: Sequence[Any]) -> list[tuple[Any, Any]]:
    """What one search found with each of its options: (scores, positions), both (1, k)."""
    return [running.result() for running in [_threads().submit(search, query, k, params=each) for each in options]]


def _best(found: Sequence[tuple[Any, Any]], k: int) -> NDArray[np.int64]:
    """Positions of the ``k`` greatest scores of some searches, greatest first."""
    scores, places = (np.concatenate([part[i][0] for part in found]) for i in range(2))
    ordered = np.argsort(-scores, kind="stable")
    return np.asarray(places[ordered][places[ordered] >= 0][:k], np.int64)


def write_index(
    folder: Path,
    shape: IndexShape,
    sample: Vectors | None,
    parts: Iterable[tuple[NDArray[np.int64], Vectors]],
    old: VectorIndex | None = None,
) -> None:
    """Write an index, new or a longer one, into an empty folder.

    Args:
        folder: where to.
        shape: as it should be; that of ``old`` if there is one.
        sample: vectors to train on, (m, size); None if ``old`` is given.
        parts: keys (n,) and vectors (n, size), a bounded number at a time.
        old: what to add to; its quantisers and vectors are kept.
    """
    faiss = faiss_library()
    if old is None:
        assert sample is not None  # noqa: S101 - the caller keeps to the contract
        index, keys = _trained(shape, sample), []
    else:
        index, keys = faiss.read_index(str(old.folder / _VECTORS)), [np.asarray(old.keys)]
    for part, vectors in parts:
        for start in range(0, len(part), _VECTORS_AT_ONCE):
            index.add(shape.inside(vectors[start : start + _VECTORS_AT_ONCE]))
        keys.append(part)
    faiss.write_index(index, str(folder / _VECTORS))
    written = np.concatenate(keys).astype(np.int64)
    np.save(folder / _KEYS, written)
    facts = {"shape": asdict(shape), "keys_sha256": _digest(written)}
    (folder / _SHAPE).write_text(json.dumps(facts), encoding="utf-8")


def _trained(shape: IndexShape, sample: Vectors) -> Any:
    faiss = faiss_library()
    layout = f"IVF{shape.lists},PQ{shape.width // 2}x4fsr,Refine(SQfp16)"
    index = faiss.index_factory(shape.width, layout, faiss.METRIC_INNER_PRODUCT)
    centres = faiss.Kmeans(shape.width, shape.lists, niter=10, seed=0, max_points_per_centroid=_PER_CENTRE)
    inside = shape.inside(sample)
    seen = inside.copy()
    for part in shape.hidden:
        seen[:, part] = 0
    centres.train(seen)
    coarse = faiss.downcast_index(index.base_index).quantizer
    coarse.train(centres.centroids)
    coarse.add(centres.centroids)
    with _one_thread(faiss):
        index.train(inside[:_TRAINING])
    return index


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Hundreds of small k-means: on a busy machine, threads that wait for one another make them twenty times slower."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
