"""A small service behind the real chain, for tests of the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Request, UploadFile, WebSocket
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from dermquery.serve import security
from dermquery.serve.audit_chain import read_lines
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.identity import Principal, principal_of, require
from dermquery.serve.security.users import UserFile
from dermquery.serve.settings import ServeSettings

HOST = "127.0.0.1:8420"
PASSWORD = "correct horse battery"  # noqa: S105


@dataclass
class Service:
    """The app, its settings and what its log says."""

    app: FastAPI
    settings: ServeSettings
    audit: AuditLog

    @property
    def keys(self) -> KeyFile:
        return KeyFile(self.settings.keys_file)

    @property
    def users(self) -> UserFile:
        return UserFile(self.settings.users_file)

    def client(
        self, *, base: str = f"http://{HOST}", address: str = "127.0.0.1", headers: Mapping[str, str] | None = None
    ) -> TestClient:
        return TestClient(
            self.app, base_url=base, client=(address, 50000), headers=dict(headers or {}), follow_redirects=False
        )

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        return [line for line in read_lines(self.settings.audit_folder) if event in (None, line["event"])]


def make_service(state: Path, *, user: str | None = None, **settings: Any) -> Service:
    """A service with routes that show what the chain lets through; ``user`` is added first, with scope write."""
    chosen = ServeSettings(base="base", state=state, **settings)
    if user is not None:
        UserFile(chosen.users_file).add(user, "write", PASSWORD)
    audit = AuditLog(chosen.audit_folder, chosen.audit_bytes)
    app = FastAPI()
    for routes in (_plain_routes, _body_routes, _slow_routes, _page_routes):
        routes(app)
    security.install(app, chosen, audit)
    return Service(app, chosen, audit)


def _plain_routes(app: FastAPI) -> None:
    @app.get("/api/v1/who")
    def who(principal: Annotated[Principal, Depends(require("read"))]) -> dict[str, Any]:
        return {"name": principal.name, "scopes": sorted(principal.scopes), "method": principal.method}

    @app.post("/api/v1/change")
    def change(principal: Annotated[Principal, Depends(require("write"))]) -> dict[str, str]:
        return {"changed_by": principal.name}

    @app.get("/api/v1/cases/{case}/thumbnail")
    def thumbnail(case: str) -> dict[str, str]:
        return {"case": case}

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}


def _body_routes(app: FastAPI) -> None:
    @app.post("/api/v1/body")
    @app.post("/api/v1/jobs")
    async def body(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @app.post("/api/v1/form")
    async def form(file: Annotated[UploadFile, File()]) -> dict[str, int]:
        return {"bytes": len(await file.read())}


def _slow_routes(app: FastAPI) -> None:
    @app.get("/api/v1/slow")
    async def slow(seconds: float) -> dict[str, bool]:
        await asyncio.sleep(seconds)
        return {"done": True}


def _page_routes(app: FastAPI) -> None:
    @app.get("/")
    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(f"<p>{principal_of(request).name}</p>")

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
