"""The files of the page: read and packed once, at an address that changes with their content."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from dermquery.serve.security.paths import STATIC

__all__ = ["StaticFiles"]

_FOLDER = Path(__file__).parent / "static"
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


class StaticFiles:
    """The files under one version."""

    def __init__(self) -> None:
        held = {file.name: file.read_bytes() for file in sorted(_FOLDER.iterdir()) if file.is_file()}
        self._files = {name: (data, gzip.compress(data, 9, mtime=0)) for name, data in held.items()}
        self.version = hashlib.sha256(b"".join(name.encode() + data for name, data in held.items())).hexdigest()[:12]

    def path(self, name: str) -> str:
        """Address of a file."""
        return f"{STATIC}{self.version}/{name}"

    def answer(self, request: Request, name: str) -> Response:
        """A file; 404 for none."""
        if name not in self._files:
            return Response("there is no such file", 404, media_type="text/plain")
        plain, packed = self._files[name]
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "text/plain"
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, media_type=kind, headers={**_HEADERS, "Content-Encoding": "gzip"})
        return Response(plain, media_type=kind, headers=_HEADERS)
