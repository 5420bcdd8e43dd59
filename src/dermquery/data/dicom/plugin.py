"""DICOM as a format of Pillow's, so that whatever reads an image reads it: searches, uploads, the bounded decoder.

pydicom is loaded when the first DICOM file is opened, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile

from dermquery.data.dicom.container import is_dicom, need_libraries

if TYPE_CHECKING:
    from dermquery.data.dicom.header import Header
    from dermquery.data.dicom.layout import Layout

__all__ = ["DicomImageFile"]


class DicomImageFile(ImageFile.ImageFile):
    """A DICOM object whose header is read; its pixels are decoded by :meth:`load`.

    Attributes:
        white, inverted: see :class:`~dermquery.data.dicom.pixels.Frame`; known once it is loaded.
        mended: what was taken otherwise than the attributes say.
        n_frames: how many frames it has.
    """

    format = "DICOM"
    format_description = "DICOM"
    white: float | None = None
    inverted = False
    _header: Header
    _layout: Layout

    def _open(self) -> None:
        stream = cast("BinaryIO", self.fp)
        head = stream.read(256)
        if not is_dicom(head):
            raise SyntaxError("no DICOM file")  # so that Pillow takes it for another format
        need_libraries()
        from dermquery.data.dicom.header import read_header
        from dermquery.data.dicom.layout import layout_of
        from dermquery.data.dicom.pixels import profile_of
        from dermquery.data.dicom.quiet import quiet

        with quiet():
            self._header = read_header(stream)
            self._layout = layout_of(self._header)
            profile = profile_of(self._header)
        self.n_frames, self._frame, self._loaded = self._layout.frames, 1, False
        self._size = (self._layout.columns, self._layout.rows)
        self._mode = "RGB" if self._layout.samples == 3 else "L"
        self.mended = self._layout.mended
        if profile:
            self.info["icc_profile"] = profile

    def seek(self, frame: int) -> None:
        if not 0 <= frame < self.n_frames:
            raise EOFError(f"it has {self.n_frames} frames")
        self._frame, self._loaded = frame + 1, False

    def tell(self) -> int:
        return self._frame - 1

    def load(self) -> Any:
        if not self._loaded:
            from dermquery.data.dicom.pixels import decoded_frame

            frame = decoded_frame(self._header, self._layout, self._frame)
            self.im, self._mode, self._loaded = frame.image.im, frame.image.mode, True
            self.white, self.inverted = frame.white, frame.inverted
        return Image.Image.load(self)

    def getexif(self) -> Image.Exif:
        return Image.Exif()  # an object is upright; what its encoded pixels say besides does not count

    def bytes_beside(self) -> int:
        """The greatest memory that decoding takes beside Pillow's pixels."""
        from dermquery.data.dicom.pixels import bytes_to_decode

        return bytes_to_decode(self._header, self._layout)


Image.register_open(DicomImageFile.format, DicomImageFile)
Image.register_extension(DicomImageFile.format, ".dcm")
