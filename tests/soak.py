"""Use a service for minutes and watch what it holds: ``python -m tests.soak --minutes 10``.

Searches, uploads, changes, jobs and requests of every bad kind at once, from several keys. Memory, files, threads and
processes are looked at all the while; what still grows when everything was warm, or an answer 500, fails it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.attacks.images import LARGE, many_scans, photograph, tiny_jpeg2000
from tests.attacks.target import Target, attacked
from tests.fuzz.mutation import mutated
from tests.fuzz.service import seeds as bodies

_API = "/api/v1"
_WARM = 0.4
"""Share of the time after which caches are full."""
MAY_GROW = {"megabytes": 60.0, "files": 12.0, "threads": 8.0, "processes": 2.0}
"""From the median of the third fifth to that of the last; a leak of 100 kB a search is ten times as much."""

Step = Callable[[httpx.Client, random.Random], httpx.Response]
Sample = dict[str, float]


class Soak:
    """The requests to one service, and what came of them."""

    def __init__(self, target: Target, seconds: float) -> None:
        self.target, self.until = target, time.monotonic() + seconds
        self.answers: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.defects: list[str] = []
        self._bodies = bodies()
        self._photograph = photograph(640, 480)

    def run(self) -> None:
        """Every kind of user at once until the time is over."""
        kinds: dict[str, Sequence[Step]] = {
            "colleague": (self._search, self._search, self._words, self._again, self._read),
            "curator": (self._add, self._add, self._delete, self._job, self._search),
            "attacker": (self._malformed, self._malformed, self._hostile, self._half, self._filter),
        }
        users = [
            threading.Thread(target=self._use, args=(key, steps, number))
            for number, (key, steps) in enumerate([*kinds.items(), ("colleague", kinds["colleague"])])
        ]
        for user in users:
            user.start()
        while time.monotonic() < self.until:
            self.samples.append(self.target.held())
            time.sleep(1)
        for user in users:
            user.join()

    def _use(self, key: str, steps: Sequence[Step], seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        with self.target.client(key) as client:
            while time.monotonic() < self.until:
                step = chance.choice(steps)
                try:
                    status = step(client, chance).status_code
                except httpx.HTTPError as error:
                    self.answers[f"{key} {step.__name__} {type(error).__name__}"] += 1
                    continue
                self.answers[f"{key} {step.__name__.strip('_')} {status}"] += 1
                if status == 500:
                    self.defects.append(step.__name__)
                time.sleep(0.01)

    def _search(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        image = chance.choice((self.target.image, self._photograph))
        return client.post(f"{_API}/searches", files={"image": image}, data={"top_k": chance.choice((1, 5, 24))})

    def _words(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        text = chance.choice(("atypical network", "no streaks, blue veil", "unregelmäßige Streifen"))
        return client.post(f"{_API}/searches", data={"text": text, "where": chance.choice(("site=back", "age>=40"))})

    def _again(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        made = self._words(client, chance)
        if made.status_code != 200:
            return made
        key, first = made.json()["search"], [hit["case"]["case_id"] for hit in made.json()["hits"][:1]]
        client.post(f"{_API}/searches/{key}", json={"local_weight": chance.random(), "offset": 2})
        return client.post(f"{_API}/searches/{key}/feedback", json={"relevant": first or ["case-001"]})

    def _read(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        case = f"case-{chance.randrange(26):03d}"
        ends = ("", "/image", "/thumbnail")
        return client.get(f"{_API}/cases/{case}{chance.choice(ends)}")

    def _add(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        fields = {"case_id": f"new-{chance.randrange(40)}", "diagnosis": "nv", "age": chance.randrange(90)}
        data = {"case": json.dumps(fields), "update": "true"}
        return client.post(f"{_API}/cases", files={"image": self._drawn(chance)}, data=data)

    def _delete(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        return client.delete(f"{_API}/cases/new-{chance.randrange(40)}")

    def _job(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        name = f"job-{chance.randrange(20)}"
        table = f"case_id,image\n{name},a.png\n".encode()
        files = {"table": ("cases.csv", table), "images": ("a.png", self._drawn(chance))}
        made = client.post(f"{_API}/jobs", files=files, data={"update": "true"})
        if made.status_code == 202:
            client.post(f"{_API}/jobs/{made.json()['id']}/undo")
        return made

    def _drawn(self, chance: random.Random) -> bytes:
        return LARGE["PNG"](chance.randrange(40, 200))

    def _malformed(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        path, _, rest = mutated(chance.choice(self._bodies), [], chance).partition(b"\n")
        kind, _, body = rest.partition(b"\n")
        address = "".join(c if c.isalnum() or c in "/-" else "_" for c in path.decode(errors="replace"))[:200]
        headers = {"Content-Type": "".join(c for c in kind.decode("latin-1") if " " <= c <= "~")}
        return client.post(f"{_API}/{address}", content=body, headers=headers)

    def _hostile(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        cut = self._photograph[: chance.randrange(len(self._photograph))]
        image = chance.choice((cut, many_scans(300, 64), tiny_jpeg2000(), os.urandom(2000), b""))
        return client.post(f"{_API}/searches", files={"image": image})

    def _half(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        """Half a request on a connection of its own, which is dropped; then what the service says of its health."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.target.port), 5) as connection:
            head = f"POST {_API}/searches HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {self.target.keys['attacker']}\r\n"
            whole = f"{head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\n"
            connection.sendall(whole.encode()[: chance.randrange(20, len(whole))])
        return client.get("/healthz")

    def _filter(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        tree: dict[str, Any] = {"kind": "one_of", "field": "lesion_id", "values": ["x" * 200] * chance.randrange(3000)}
        for _ in range(chance.randrange(40)):
            tree = {"kind": "not", "condition": tree}
        return client.post(f"{_API}/searches", data={"text": "veil", "filter": json.dumps(tree)})


def grown(samples: Sequence[Sample]) -> dict[str, float]:
    """How much more the last fifth holds than the third, by what it is; the first two fill the caches."""
    fifth = max(1, len(samples) // 5)
    first = samples[int(len(samples) * _WARM) :][:fifth]
    return {
        name: round(statistics.median(s[name] for s in samples[-fifth:]) - statistics.median(s[name] for s in first), 1)
        for name in samples[0]
    }


def main() -> None:
    """Exits with 1 for growth or a defect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, attacked(Path(folder)) as target:
        soak = Soak(target, 60 * chosen.minutes)
        soak.run()
        ended = target.end()
        errors = (Path(folder) / "log").read_text(errors="replace").count("unexpected ")
    more = grown(soak.samples)
    said = {
        "minutes": chosen.minutes, "requests": sum(soak.answers.values()),
        "answers": dict(sorted(soak.answers.items())),
        "at_last": {name: round(value, 1) for name, value in soak.samples[-1].items()}, "grown": more,
        "defects": len(soak.defects) + errors, "ends_s": round(ended, 1),
    }  # fmt: skip
    print(json.dumps(said, indent=2))  # noqa: T201
    if chosen.out:
        chosen.out.write_text(json.dumps(said, indent=2) + "\n")
    leaks = [name for name, most in MAY_GROW.items() if more[name] > most]
    if leaks or soak.defects or errors or ended > 10:
        sys.exit(
            f"grows: {', '.join(leaks) or 'nothing'}; defects: {len(soak.defects) + errors}; ends in {ended:.1f} s"
        )


if __name__ == "__main__":
    main()
