from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase
from dermquery.store.protocol import CaseStore
from tests.store.encoder import ProjectionEncoder

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_DIAGNOSES = ("nv", "mel", "bkl", None)
_SITES = ("back", "chest", "upper limbs", None)
_NETWORKS = ("typical", "atypical", "absent", None)


def draw_lesion(path: Path, seed: int, size: int = 48) -> Path:
    """A plain blob on a plain ground, different for every seed."""
    rng = np.random.default_rng(seed)
    skin, pigment = rng.integers(150, 240, 3), rng.integers(20, 140, 3)
    image = Image.new("RGB", (size, size), tuple(int(v) for v in skin))
    left, top, right, bottom = (int(v) for v in rng.integers(size // 10, size // 3, 4))
    fill = tuple(int(v) for v in pigment)
    ImageDraw.Draw(image).ellipse((left, top, size - right, size - bottom), fill=fill)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def make_cases(folder: Path, n: int) -> list[Case]:
    """Cases with every field given for some and missing for others."""
    cases = []
    for i in range(n):
        network = _NETWORKS[i % 4]
        checklist = {"streaks": "irregular" if i % 3 else "absent"} | ({"pigment_network": network} if network else {})
        cases.append(
            Case(
                case_id=f"case-{i:03d}",
                image=draw_lesion(folder / "images" / f"{i:03d}.png", i),
                diagnosis=_DIAGNOSES[i % 4],
                fine_diagnosis="clark nevus" if i % 4 == 0 else None,
                lesion_id=f"lesion-{i // 2}",
                patient_id=f"patient-{i // 4}" if i % 5 else None,
                sex=("female", "male", None)[i % 3],
                age=None if i % 6 == 0 else float(20 + i % 60),
                site=_SITES[(i // 2) % 4],
                text="raised border" if i % 2 else None,
                checklist=checklist,
                extra={"camera": f"model {i}", "note": 'quote " and \u2028 line'},
            )
        )
    return cases


@pytest.fixture
def encoder() -> ProjectionEncoder:
    return ProjectionEncoder()


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Case]:
    return make_cases(tmp_path_factory.mktemp("cases"), 24)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, cases: Sequence[Case]) -> CaseBase:
    """An indexed base that no test may change."""
    filled = CaseBase.create(tmp_path_factory.mktemp("base") / "base", ProjectionEncoder())
    filled.add(cases, batch_size=7)
    return filled


MakeStore = Callable[[int], CaseStore]
"""Makes an empty store of vectors of a length."""

_NUMBERS = itertools.count()
"""Of collections: one row of them in a process, for a fixture of a module is made anew whenever its store changes, and
a server takes a second collection of a name for the first."""


@pytest.fixture(scope="session")
def milvus_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``milvus://host:port`` of a server that one test process starts for all, because a small machine holds only one.

    Whoever uses it holds a shared lock until the end; who started it waits for all others, then stops it.
    """
    server_package: Any = pytest.importorskip(
        "milvus", reason="the package of the Milvus server cannot be installed here"
    )
    import fcntl

    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    address, server = folder / "milvus.address", None
    with (folder / "milvus.users").open("w") as users:
        with (folder / "milvus.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not address.exists():
                server = server_package.MilvusServer(wait_for_started=False)
                server.config.set("rootCoord.dmlChannelNum", 1)  # each channel is told the time five times a second
                server.set_base_dir(str(tmp_path_factory.mktemp("milvus")))
                server.start()
                server.wait_started(600_000)  # milliseconds; its own three minutes are over soon on a busy machine
                address.write_text(f"milvus://127.0.0.1:{server.listen_port}")
            fcntl.flock(users, fcntl.LOCK_SH)
        yield address.read_text()
        if server is not None:
            with (folder / "milvus.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_EX)
                address.unlink()
                server.stop()


@contextmanager
def _milvus_name(address: str) -> Iterator[tuple[MilvusClient, str]]:
    """A client, and how collections may begin that are dropped at the end: a server works for each that it holds."""
    client, own = milvus_client(address), f"test_{os.getpid()}_{next(_NUMBERS)}_"
    yield client, own
    for name in client.list_collections():
        if name.startswith(own):
            for alias in client.list_aliases(name)["aliases"]:
                client.drop_alias(alias)
            client.drop_collection(name)
    client.close()


def milvus_client(address: str) -> MilvusClient:
    """A client of the server of an address, whatever collection it names."""
    from pymilvus import MilvusClient

    return MilvusClient(uri=f"http://{urlsplit(address).netloc}")


@pytest.fixture
def milvus_uri(milvus_address: str) -> Iterator[str]:
    """The address of a base that is not there yet."""
    with _milvus_name(milvus_address) as (_, own):
        yield f"{milvus_address}/{own}base"


@pytest.fixture(scope="module", params=["lance", "milvus"])
def make_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStore]:
    """Every test that asks for it runs on both stores."""
    if request.param == "lance":
        from dermquery.store.lance.lance_store import LanceStore

        yield lambda size: LanceStore(tmp_path_factory.mktemp("lance"), size)
        return
    from dermquery.store.milvus.columns import collection_schema
    from dermquery.store.milvus.milvus_store import MilvusStore

    with _milvus_name(request.getfixturevalue("milvus_address")) as (client, own):

        def make(size: int) -> CaseStore:
            name = f"{own}{next(_NUMBERS)}"
            schema, index = collection_schema(client, size, "")
            client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong", num_shards=1)
            return MilvusStore(client, name, size)

        yield make
