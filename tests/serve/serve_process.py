"""Serve a base with a slow encoder and print the address; started and killed by a test."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from PIL import Image

from dermquery.model.alignment import Vectors
from dermquery.serve.app import create_app
from dermquery.serve.server import server_options
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from tests.store.encoder import Checklists, ProjectionEncoder


class SlowEncoder(ProjectionEncoder):
    def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
        time.sleep(0.03)
        return super().encode_case(images, checklists)


def tell(server: uvicorn.Server) -> None:
    while not server.started:
        time.sleep(0.01)
    sys.stdout.write(f"{server.servers[0].sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    folder, state = map(Path, sys.argv[1:])
    settings = ServeSettings(base=str(folder), state=state, port=0, rate_per_minute=1_000_000)
    app = create_app(settings, CaseBase.open_or_create(folder, SlowEncoder()), page=False)
    server = uvicorn.Server(uvicorn.Config(app, **server_options(settings), log_level="error"))  # type: ignore[arg-type]
    threading.Thread(target=tell, args=(server,), daemon=True).start()
    server.run()
