"""The image archive, in a folder and on an S3 server on loopback."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dermquery.data.image import load_image
from dermquery.store.archive import ArchiveError, ImageArchive, small_copy, thumbnail_of
from dermquery.store.casebase import CaseBase
from tests.store.conftest import draw_lesion, make_cases
from tests.store.encoder import ProjectionEncoder


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """URL of a bucket of a server that this module starts."""
    server_package = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_package.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # fsspec keeps filesystems: one of an earlier server of this process would be met again.
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().makedirs("lesions", exist_ok=True)
        yield "s3://lesions/archive"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "archive")
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


def put(archive: ImageArchive, path: Path) -> str:
    data = path.read_bytes()
    name = hashlib.sha256(data).hexdigest()
    archive.put(name, data, thumbnail_of(small_copy(load_image(data))))
    archive.flush()
    return name


def test_what_is_put_comes_back(url: str, tmp_path: Path) -> None:
    archive = ImageArchive(url)
    path = draw_lesion(tmp_path / "a.png", 1, size=400)
    name = put(archive, path)
    assert name in archive
    assert archive.original(name) == path.read_bytes()
    with Image.open(io.BytesIO(archive.thumbnail(name))) as small:
        assert (small.format, small.size) == ("JPEG", (256, 256))
    assert put(archive, path) == name
    assert list(archive.names()) == [name]


def test_sweeping_leaves_what_is_named(url: str, tmp_path: Path) -> None:
    archive = ImageArchive(url)
    assert archive.sweep([]) == 0
    names = [put(archive, draw_lesion(tmp_path / f"{i}.png", i)) for i in range(3)]
    assert archive.sweep(names[:1]) == 2
    assert list(archive.names()) == names[:1]
    assert archive.thumbnail(names[0])


def test_an_image_that_is_not_there(url: str) -> None:
    with pytest.raises(ArchiveError, match="does not hold the image 0000"):
        ImageArchive(url).original("0" * 64)


def test_a_damaged_image_is_not_given_out(tmp_path: Path) -> None:
    archive = ImageArchive(tmp_path / "archive")
    name = put(archive, draw_lesion(tmp_path / "a.png", 1))
    where = archive.local_path(name)
    assert where is not None
    where.write_bytes(b"something else")
    with pytest.raises(ArchiveError, match=r"is damaged; restore it from a backup"):
        archive.original(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_only_a_hash_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="is no SHA-256"):
        ImageArchive(tmp_path).original(name)


def test_a_base_keeps_its_images_on_s3(s3: str, tmp_path: Path, encoder: ProjectionEncoder) -> None:
    cases = make_cases(tmp_path / "own", 6)
    base = CaseBase.create(tmp_path / "base", encoder, images=f"{s3}/base")
    base.add(cases)
    question = cases[2].image.read_bytes()
    for case in cases:
        case.image.unlink()
    again = CaseBase.open(tmp_path / "base", encoder)
    result = again.search(image=question, top_k=1)
    assert result.picture(result.hits[0]) == question


def test_an_archive_that_cannot_be_written_stops_the_ingest(tmp_path: Path, encoder: ProjectionEncoder) -> None:
    cases = make_cases(tmp_path / "own", 6)
    (tmp_path / "file").write_text("in the way")
    base = CaseBase.create(tmp_path / "base", encoder, images=str(tmp_path / "file" / "images"))
    with pytest.raises(ArchiveError, match="cannot be written"):
        base.add(cases)
    assert base.count() == 0


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "https://example.org", "ftp://x/y", "memory://x", "github://a:b@c/d"]
)
def test_images_are_never_fetched_from_elsewhere(url: str) -> None:
    with pytest.raises(ArchiveError, match="in a folder or on S3, and never fetched from elsewhere"):
        ImageArchive(url)
