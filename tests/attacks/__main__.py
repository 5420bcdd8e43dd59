"""Attack a service and print what it cost: ``python -m tests.attacks [--only NAME] [--out FILE]``.

The service is the one that is imported, so an earlier version is measured with its own sources on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.attacks.images import float_tiff, many_scans, photograph, tiny_jpeg2000
from tests.attacks.target import PASSWORD, Target, attacked

Attack = Callable[[Target], dict[str, Any]]


def ordinary(target: Target) -> dict[str, Any]:
    """Nothing hostile: what an upload of a usual size takes."""
    image = photograph(1022, 767)
    times = [target.search("colleague", image)[1] for _ in range(25)]
    return {"median_ms": round(1000 * statistics.median(times[3:])), "fastest_ms": round(1000 * min(times[3:]))}


def scans(target: Target) -> dict[str, Any]:
    """Six JPEGs of 2 MB and 20,000 scans from one read key; a colleague searches, and the service is stopped."""
    hostile = many_scans(20_000)
    return _crowd(target, hostile, 6) | {"megabytes": round(len(hostile) / 1e6, 1)}


def _crowd(target: Target, hostile: bytes, times: int) -> dict[str, Any]:
    threads = [
        threading.Thread(target=target.search, args=("attacker", hostile, 90), daemon=True) for _ in range(times)
    ]
    for thread in threads:
        thread.start()
    time.sleep(1)
    said = Counter(target.ready() for _ in range(1))
    found = [target.search("colleague", seconds=40) for _ in range(4)]
    said.update(target.ready() for _ in range(1))
    return {
        "colleague": dict(Counter(str(status) for status, _ in found)),
        "slowest_s": round(max(seconds for _, seconds in found), 1),
        "readyz": dict(said),
        "ends_s": round(target.end(), 1),
    }


def ending(target: Target) -> dict[str, Any]:
    """The same six JPEGs, a stalled upload and half a request; two seconds later the service is told to end."""
    hostile = many_scans(20_000)
    for _ in range(6):
        threading.Thread(target=target.search, args=("attacker", hostile, 90), daemon=True).start()
    stalled = socket.create_connection(("127.0.0.1", target.port))
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {target.keys['curator']}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b"
    stalled.sendall(head.encode())
    time.sleep(2)
    return {"ends_s": round(target.end(limit=300), 1)}


def slow_images(target: Target) -> dict[str, Any]:
    """Six images that take as long as they may, within all limits of the header: 95 scans of 64 megapixels."""
    return _crowd(target, many_scans(95), 6)


def tiffs(target: Target) -> dict[str, Any]:
    """Five TIFFs of 64 megapixels of 32 bits at once."""
    image = float_tiff()
    with target.watched() as memory, ThreadPoolExecutor(5) as pool:
        statuses = Counter(
            str(status) for status, _ in pool.map(lambda _: target.search("attacker", image, 120), range(5))
        )
    return {"bytes": len(image), "peak_mb": round(max(memory)), "answers": dict(statuses)}


def jpeg2000(target: Target) -> dict[str, Any]:
    """A JPEG 2000 of 260 bytes."""
    with target.watched() as memory:
        status, seconds = target.search("attacker", tiny_jpeg2000(), 120)
    return {"status": status, "seconds": round(seconds, 2), "peak_mb": round(max(memory))}


def job_bodies(target: Target) -> dict[str, Any]:
    """A body of 500 MB to /jobs with a key that may only read: what is taken of it before the answer."""
    size, sent, begun = 500_000_000, 0, time.monotonic()
    with socket.create_connection(("127.0.0.1", target.port)) as connection:
        head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {target.keys['attacker']}\r\n"
        head += f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {size}\r\n\r\n"
        part = b'--b\r\nContent-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\n'
        connection.sendall(head.encode() + part)
        connection.settimeout(0.0001)
        answer = b""
        while sent < size:
            try:
                answer = connection.recv(100)
                break
            except (TimeoutError, BlockingIOError):
                pass
            connection.settimeout(60)
            try:
                sent += connection.send(b"x" * (1 << 20))
            except OSError:
                break
            connection.settimeout(0.0001)
        seconds = time.monotonic() - begun
    return {"megabytes_taken": round(sent / 1e6), "seconds": round(seconds, 2), "answer": answer[9:12].decode()}


def filters(target: Target) -> dict[str, Any]:
    """A hundred thousand values, and one of ten megabytes."""
    values = [f"back{number}" for number in range(1000)]
    tree = {"kind": "all_of", "conditions": [{"kind": "one_of", "field": "lesion_id", "values": values}] * 100}
    many = {"filter": tree}
    long = {"filter": {"kind": "equals", "field": "lesion_id", "value": "x" * 10_000_000}}
    found: dict[str, Any] = {}
    with target.client("attacker") as client:
        key = client.post("/api/v1/searches", data={"text": "atypical network"}).json()["search"]
        for name, body in (("many", many), ("long", long)):
            with target.watched() as memory:
                begun = time.monotonic()
                answer = client.post(f"/api/v1/searches/{key}", json=body)
            found |= {
                f"{name}_status": answer.status_code,
                f"{name}_s": round(time.monotonic() - begun, 2),
                f"{name}_mb": round(max(memory)),
            }
    return found


def json_bodies(target: Target) -> dict[str, Any]:
    """JSON of 1.2 million keys that nobody knows, and a condition of a million blanks; a colleague searches."""
    keys = b"{" + b",".join(b'"k%d":1' % number for number in range(1_200_000)) + b"}"
    blanks = json.dumps({"where": [" " * 1_000_000 + "x"]}).encode()
    return _beside(target, "keys", keys) | _beside(target, "blanks", blanks)


def _beside(target: Target, name: str, body: bytes) -> dict[str, Any]:
    statuses: list[int] = []
    with target.client("attacker", seconds=90) as client:
        search = client.post("/api/v1/searches", data={"text": "atypical network"}).json()["search"]
        begun = time.monotonic()

        def send() -> None:
            with suppress(httpx.HTTPError):
                said = {"Content-Type": "application/json"}
                statuses.append(client.post(f"/api/v1/searches/{search}", content=body, headers=said).status_code)

        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(0.3)
        status, seconds = target.search("colleague", seconds=60)
        sending.join()
    return {
        f"{name}_status": statuses,
        f"{name}_s": round(time.monotonic() - begun, 2),
        f"{name}_colleague": status,
        f"{name}_colleague_s": round(seconds, 2),
    }


def half_open(target: Target) -> dict[str, Any]:
    """Six hundred connections from one address that send half a request; another address asks."""
    held = []
    for number in range(600):
        connection = socket.socket()
        connection.bind(("127.0.0.2", 0))
        connection.settimeout(5)
        try:
            connection.connect(("127.0.0.1", target.port))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + str(number).encode())
        except OSError:
            continue
        held.append(connection)
    time.sleep(1)
    with target.client("colleague", seconds=10) as client:
        statuses = Counter(str(client.get("/api/v1/info").status_code) for _ in range(5))
    time.sleep(20)
    left = sum(_is_open(connection) for connection in held)
    return {"colleague": dict(statuses), "open_after_20_s": left}


def _is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def lock_out(target: Target) -> dict[str, Any]:
    """Fifteen wrong passwords for an account; then its owner signs in from elsewhere, and from her own browser."""
    own, found = _Browser(target, "127.0.0.2"), dict[str, Any]()
    found["before"] = own.sign_in(PASSWORD)
    attacker = _Browser(target, "127.0.0.2")  # behind the same address
    found["attacker"] = dict(Counter(str(attacker.sign_in(f"wrong password {n}")) for n in range(15)))
    found["owner_elsewhere"] = _Browser(target, "127.0.0.3").sign_in(PASSWORD)
    found["owner_in_her_browser"] = own.sign_in(PASSWORD)
    return found


class _Browser:
    def __init__(self, target: Target, address: str) -> None:
        self._target, self._address, self._cookies = target, address, dict[str, str]()

    def sign_in(self, password: str) -> int:
        """The status; 303 is signed in."""
        token = re.search(r'name="csrf" value="([^"]+)"', self._ask("GET", "")[1])
        assert token
        body = f"csrf={token[1]}&next=/&name=ann&password={password.replace(' ', '+')}"
        return self._ask("POST", body)[0]

    def _ask(self, method: str, body: str) -> tuple[int, str]:
        host = f"127.0.0.1:{self._target.port}"
        connection = http.client.HTTPConnection(host, timeout=60, source_address=(self._address, 0))
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items() if name != "dermquery-session")
        headers = {"Cookie": cookies, "Origin": f"http://{host}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, "/sign-in", body, headers)
        answer = connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                pair = value.partition(";")[0].partition("=")
                self._cookies[pair[0]] = pair[2]
        text = answer.read().decode()
        connection.close()
        return answer.status, text


ATTACKS: dict[str, tuple[Attack, dict[str, Any]]] = {
    attack.__name__: (attack, settings)
    for attack, settings in (
        (ordinary, {}), (scans, {}), (ending, {}), (slow_images, {}), (tiffs, {"request_seconds": 120}),
        (jpeg2000, {"request_seconds": 120}), (job_bodies, {}), (filters, {"request_seconds": 120}), (json_bodies, {}),
        (half_open, {}),
        (lock_out, {}),
    )
}  # fmt: skip


def main() -> None:
    """Run the attacks, each on a service of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=ATTACKS, action="append")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    found = {}
    for name in chosen.only or ATTACKS:
        attack, settings = ATTACKS[name]
        with tempfile.TemporaryDirectory() as folder, attacked(Path(folder), **settings) as target:
            found[name] = attack(target)
        print(f"{name}: {json.dumps(found[name])}", flush=True)  # noqa: T201
        if chosen.out:
            chosen.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
