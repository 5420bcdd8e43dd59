"""A real picture archive for the tests: Debian's Orthanc with its DICOMweb plugin, one process on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

__all__ = ["Archive", "orthanc"]

_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_SECONDS = 30


class Archive:
    """An Orthanc; its REST interface beside DICOMweb, whose answers are so held against something else.

    Attributes:
        url: of its DICOMweb services.
    """

    def __init__(self, root: str) -> None:
        self.root, self.url = root, f"{root}/dicom-web"

    def ask(self, path: str, data: bytes | None = None, method: str | None = None) -> bytes:
        """Ask the REST interface."""
        request = urllib.request.Request(f"{self.root}{path}", data, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body

    def store(self, path: Path) -> str:
        """Store an object; returns Orthanc's own id of it."""
        return str(json.loads(self.ask("/instances", path.read_bytes()))["ID"])

    def read(self, own_id: str) -> Dataset:
        """Read an object back."""
        from io import BytesIO

        return dcmread(BytesIO(self.ask(f"/instances/{own_id}/file")))

    def clear(self) -> None:
        """Delete everything."""
        for patient in json.loads(self.ask("/patients")):
            self.ask(f"/patients/{patient}", method="DELETE")


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An empty archive; skipped where Debian's packages orthanc and orthanc-dicomweb are not installed."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None or not _PLUGIN.is_file():
        pytest.skip("needs Orthanc: apt-get install --no-install-recommends orthanc orthanc-dicomweb")
    folder, port = tmp_path_factory.mktemp("orthanc"), _free_port()
    settings = {
        "Name": "tests", "StorageDirectory": str(folder / "objects"), "IndexDirectory": str(folder / "index"),
        "HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "Plugins": [str(_PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    archive = Archive(f"http://127.0.0.1:{port}")
    try:
        for _ in range(_START_SECONDS * 10):
            try:
                archive.ask("/system")
                break
            except OSError:
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.1)
        yield archive
    finally:
        process.kill()
        process.wait(timeout=30)
