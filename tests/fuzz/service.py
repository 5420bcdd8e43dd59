"""The target that sends bodies to the service: first line the address, second the type, then the body."""

from __future__ import annotations

import asyncio
import atexit
import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from PIL import Image

from dermquery.serve.app import create_app
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from tests.fuzz.target import FindingError, Reader, Target
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

__all__ = ["MULTIPART", "seeds"]


def _multipart(folder: Path) -> Reader:
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    base.add(make_cases(folder / "cases", 3))
    settings = ServeSettings(
        base=str(folder / "base"), state=folder / "state", rate_per_minute=10**9, request_seconds=600
    )
    app = create_app(settings, base, page=False)
    atexit.register(app.state.service.close)
    # In a thread of its own: a browser test before it leaves its loop running in this one.
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    atexit.register(loop.call_soon_threadsafe, loop.stop)

    def read(data: bytes) -> None:
        path, _, rest = data.partition(b"\n")
        kind, _, body = rest.partition(b"\n")
        status = asyncio.run_coroutine_threadsafe(_asked(app, path, kind, body), loop).result()
        if not 200 <= status < 500 and status != 503:
            raise FindingError(f"the service answers {status}")

    return read


async def _asked(app: Any, path: bytes, kind: bytes, body: bytes) -> int:
    """The status of the answer to a POST request."""
    statuses: list[int] = []
    sent = False
    address = b"/api/v1/" + path.replace(b"?", b"%3F")
    headers = [(b"host", b"127.0.0.1:8420"), (b"content-type", kind), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": unquote_to_bytes(address).decode(errors="replace"), "raw_path": address, "query_string": b"",
        "root_path": "", "headers": headers, "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8420), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.sleep(3600)  # a client that waits for its answer
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def seeds() -> Sequence[bytes]:
    """Requests of every kind, in the form that the target reads."""
    form = b"multipart/form-data; boundary=b"
    png = make_png()
    search = _body(
        (b'name="image"; filename="a.png"\r\nContent-Type: image/png', png), (b'name="text"', b"atypical network")
    )
    words = _body((b'name="text"', b"blue veil"), (b'name="where"', b"site=back"), (b'name="top_k"', b"3"))
    case = _body(
        (b'name="image"; filename="a.png"', png),
        (b'name="case"', b'{"case_id": "new", "age": 40}'),
        (b'name="update"', b"true"),
    )
    tree = _body((b'name="text"', b"veil"), (b'name="filter"', b'{"kind":"equals","field":"site","value":"back"}'))
    job = _body(
        (b'name="table"; filename="cases.csv"', b"case_id,image\nj,a.png\n"), (b'name="images"; filename="a.png"', png)
    )
    bodies = ((b"searches", search), (b"searches", words), (b"searches", tree), (b"cases", case), (b"jobs", job))
    return [
        *(b"\n".join((path, form, body)) for path, body in bodies),
        b'cases/case-001/similar\napplication/json\n{"top_k": 3, "where": ["site=back"], "exclude_case": ["x"]}',
        b'searches/x/feedback\napplication/json\n{"relevant": ["case-001"], "irrelevant": []}',
        b"searches\napplication/x-www-form-urlencoded\ntext=veil&where=age%3E%3D40&where=sex%3Dmale",
    ]


def _body(*fields: tuple[bytes, bytes]) -> bytes:
    made = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + value + b"\r\n" for head, value in fields
    )
    return made + b"--b--\r\n"


def make_png() -> bytes:
    """A small image."""
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).save(stream, "PNG")
    return stream.getvalue()


_WORDS = (
    b"\r\n--b\r\n", b"\r\n--b--\r\n", b"Content-Disposition: form-data; ", b'name="', b'filename="',
    b"filename*=UTF-8''%ff",
    b"Content-Transfer-Encoding: base64", b"; charset=utf-16", b"boundary=", b"%00", b"%2F..", b'"filter"',
    b'"weights"', b"\0",
)  # fmt: skip
MULTIPART = Target(_multipart, seeds, _WORDS)
