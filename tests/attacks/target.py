"""The service that is attacked: `dermquery serve` in a process of its own, and what can be seen of it from outside."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.users import UserFile
from dermquery.store.casebase import CaseBase
from tests.store.conftest import make_cases

__all__ = ["PASSWORD", "Target", "attacked"]

PASSWORD = "correct horse battery"  # noqa: S105


@dataclass(frozen=True)
class Target:
    """A running service with a key for each of an attacker and a colleague, and an account."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    image: bytes
    keys: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str | None = None, address: str = "127.0.0.1", seconds: float = 60) -> httpx.Client:
        """A client with a key, from one of this machine's own addresses."""
        headers = {"X-API-Key": self.keys[key]} if key else {}
        transport = httpx.HTTPTransport(local_address=address, limits=httpx.Limits(max_connections=1000))
        return httpx.Client(base_url=self.url, headers=headers, timeout=seconds, transport=transport, trust_env=False)

    def search(self, key: str, image: bytes | None = None, seconds: float = 60, **form: Any) -> tuple[int, float]:
        """Status and seconds of a search; 0 for no answer."""
        begun = time.monotonic()
        files = {"image": ("image", self.image if image is None else image)}
        with suppress(httpx.HTTPError), self.client(key, seconds=seconds) as client:
            return client.post("/api/v1/searches", files=files, data=form).status_code, time.monotonic() - begun
        return 0, time.monotonic() - begun

    def ready(self) -> str:
        """What /readyz says."""
        with suppress(httpx.HTTPError), self.client(seconds=20) as client:
            answer = client.get("/readyz")
            return "ok" if answer.status_code == 200 else str(answer.json()["detail"])
        return "no answer"

    def end(self, limit: float = 60) -> float:
        """Seconds from SIGTERM to the end; ``limit`` if it takes longer, and then it is killed."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return limit
        return time.monotonic() - begun

    def megabytes(self) -> float:
        """Memory of the process and its children."""
        return sum(map(_megabytes, [self.process.pid, *_children(self.process.pid)]))

    def held(self) -> dict[str, float]:
        """What the process and its children hold now."""
        pids = [self.process.pid, *_children(self.process.pid)]
        return {
            "megabytes": sum(map(_megabytes, pids)),
            "files": sum(_entries(pid, "fd") for pid in pids),
            "threads": sum(_entries(pid, "task") for pid in pids),
            "processes": float(len(pids)),
        }

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Memory above what it is now, sampled while the block runs."""
        seen, over, first = [0.0], threading.Event(), self.megabytes()

        def look() -> None:
            while not over.wait(0.03):
                seen.append(self.megabytes() - first)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()


def _megabytes(pid: int) -> float:
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) / 1024
    return 0.0


def _entries(pid: int, folder: str) -> float:
    with suppress(OSError):
        return float(len(list(Path(f"/proc/{pid}/{folder}").iterdir())))
    return 0.0


def _children(pid: int) -> list[int]:
    """Ids of the processes that one started; not every kernel lists them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(folder.name))
    return found


@contextmanager
def attacked(folder: Path, **settings: Any) -> Iterator[Target]:
    """Run the service over two dozen drawn lesions until the block ends."""
    cases = make_cases(folder / "cases", 24)
    if not (folder / "base").exists():
        CaseBase.create(folder / "base", "demo").add(cases)
    state = folder / "state"
    keys = {name: KeyFile(state / "keys.json").create(name, "read") for name in ("attacker", "colleague")}
    keys["curator"] = KeyFile(state / "keys.json").create("curator", "write")
    UserFile(state / "users.json").add("ann", "read", PASSWORD)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    lines = "\n".join(f"{name} = {value!r}" for name, value in {"rate_per_minute": 100_000, **settings}.items())
    (folder / "serve.toml").write_text(f"[serve]\n{lines}\n")
    command = [sys.executable, "-m", "dermquery", "serve", "--no-page", "--config", str(folder / "serve.toml")]
    command += ["--base", str(folder / "base"), "--state", str(state), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    image = cases[0].image.read_bytes()
    target = Target(port, process, folder, image, keys)
    try:
        for _ in range(600):
            if target.ready() == "ok":
                break
            time.sleep(0.1)
        else:
            raise TimeoutError((folder / "log").read_text())
        target.search("colleague")
        yield target
    finally:
        process.kill()
        process.wait()
