"""Encoding on a Ray cluster, for archives of millions: the same code in many processes, and one process that writes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from dermquery.store.archive import ImageArchive
from dermquery.store.base_manifest import ModelMismatchError
from dermquery.store.encoding import LocalExecutor, Outcome
from dermquery.store.examine import Known
from dermquery.store.protocol import Encoder

__all__ = ["RayExecutor"]

_AHEAD = 2
"""Batches that each worker has before it, so that none waits for the driver."""


class _Worker:
    """One process of the cluster, with a model of its own."""

    def __init__(self, load: Callable[[], Encoder], *, images: str | None, batch_size: int) -> None:
        archive = None if images is None else ImageArchive(images)
        self._model = load()
        self._local = LocalExecutor(self._model, archive=archive, batch_size=batch_size)

    def artifact_hash(self) -> str:
        return self._model.artifact_hash

    def pid(self) -> int:
        return os.getpid()

    def run(self, work: list[Known]) -> list[Outcome]:
        return [outcome for batch in self._local.run(work) for outcome in batch]


class RayExecutor:
    """An :class:`~dermquery.store.encoding.Executor` whose work is done by the processes of a Ray cluster.

    Images and archive must have the same paths on every machine. A worker that dies is started again and its batch
    repeated; batches come back in any order. Only the caller writes to the base.

    Args:
        address: of the cluster (``host:6379``, ``ray://host:10001``, ``auto``), or ``local`` to start one here.
        load: gives a worker its model; pickled to it by Ray.
        artifact_hash: that every worker's model must have.
        images, batch_size: as for :class:`~dermquery.store.encoding.LocalExecutor`; ``images`` is a URL.
        workers: processes; one for each processor of the cluster if not given.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ConnectionError: no cluster at the address.
        ModelMismatchError: a worker has another model.
    """

    def __init__(
        self,
        address: str,
        load: Callable[[], Encoder],
        artifact_hash: str,
        *,
        images: str | None = None,
        batch_size: int = 32,
        workers: int | None = None,
    ) -> None:
        self._ray = ray = _connected(address)
        n = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        worker = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(_Worker)
        self.workers = [worker.remote(load, images=images, batch_size=batch_size) for _ in range(n)]
        others = set(ray.get([worker.artifact_hash.remote() for worker in self.workers])) - {artifact_hash}
        if others:
            raise ModelMismatchError(
                f"a worker loads a model with artifact {min(others)}, and the base is of {artifact_hash}; give every "
                "machine of the cluster the same model"
            )
        self._batch_size = batch_size

    def run(self, work: Iterable[Known]) -> Iterator[list[Outcome]]:
        """Outcomes as they come, a batch at a time; at most :data:`_AHEAD` batches for each worker are under way.

        Raises:
            ArchiveError, ValueError: as a worker raised it.
        """
        source = iter(work)
        running: dict[Any, Any] = {}
        idle = [worker for worker in self.workers for _ in range(_AHEAD)]
        while True:
            while idle and (batch := list(islice(source, self._batch_size))):
                worker = idle.pop()
                running[worker.run.remote(batch)] = worker
            if not running:
                return
            ready, _ = self._ray.wait(list(running), num_returns=1)
            idle.append(running.pop(ready[0]))
            yield self._result(ready[0])

    def close(self) -> None:
        """Let go of the workers, and of a cluster that was started here."""
        self._ray.shutdown()

    def _result(self, reference: Any) -> list[Outcome]:
        try:
            found: list[Outcome] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        return found


def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else a cluster that is started here would report its use
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("--ray needs Ray: pip install 'dermquery[ray]'") from error
    started: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, ignore_reinit_error=True, logging_level=logging.ERROR, **started)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({error}); check the address, or use --ray local"
        ) from error
    return ray
