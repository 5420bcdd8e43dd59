"""Files that are taken for images and are none that is decoded, told by how they begin."""

from __future__ import annotations

__all__ = ["foreign_file"]

_FOREIGN = (
    (4, b"ftypheic", "a HEIC photo that cannot be decoded; convert it to JPEG"),
    (4, b"ftypmif1", "a HEIF image that cannot be decoded; convert it to PNG or JPEG"),
    (0, b"II*\0", "a TIFF of a kind that is not decoded; save it with 8 or 16 bits as grey or RGB, or as PNG"),
    (0, b"MM\0*", "a TIFF of a kind that is not decoded; save it with 8 or 16 bits as grey or RGB, or as PNG"),
    (0, b"II+\0", "a BigTIFF, which is not decoded; save it as a plain TIFF or as PNG"),
    (0, b"MM\0+", "a BigTIFF, which is not decoded; save it as a plain TIFF or as PNG"),
    (4, b"ftypavif", "an AVIF image; convert it to PNG or JPEG"),
    (0, b"%PDF", "a PDF document; export its image as PNG or JPEG"),
    (0, b"<svg", "an SVG drawing, not a photograph"),
    (0, b"<!DO", "a web page, not an image: the download may have failed"),
    (0, b"<htm", "a web page, not an image: the download may have failed"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image itself; run: git lfs pull"),
)


def foreign_file(head: bytes) -> str:
    """What a file is whose first bytes these are, with the remedy; empty if nobody knows.

    >>> foreign_file(b"%PDF-1.7")
    'a PDF document; export its image as PNG or JPEG'
    """
    return next((what for offset, magic, what in _FOREIGN if head[offset:].lower().startswith(magic.lower())), "")
