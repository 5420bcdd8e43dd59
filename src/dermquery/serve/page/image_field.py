"""The field for the query's image; :mod:`.routes` receives and serves the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dermquery.serve.page import texts
from dermquery.serve.page.dom import Element
from dermquery.serve.uploads import Crop

__all__ = ["ImageField"]


class ImageField(Element, component="static/image.js"):
    """A field for one image, with tools to turn and crop it.

    Args:
        upload: address that receives images.
        token: CSRF token for that address.
        limit: largest file, in bytes.
        on_upload: called with the server's answer to an upload.
        on_refused: called with a message.
        on_edit: called with quarter turns and crop.
        on_remove: called when the image is removed.
    """

    def __init__(
        self,
        *,
        upload: str,
        token: str,
        limit: int,
        on_upload: Callable[[dict[str, Any]], Any],
        on_refused: Callable[[str], Any],
        on_edit: Callable[[int, Crop | None], Any],
        on_remove: Callable[[], Any],
        alt: str = texts.IMAGE_ALT,
    ) -> None:
        super().__init__()
        self.props["upload"] = upload
        self.props["token"] = token
        self.props["limit"] = limit
        self.props["texts"] = {
            "name": texts.IMAGE,
            "alt": alt,
            "drop": texts.IMAGE_DROP,
            "choose": texts.IMAGE_CHOOSE,
            "camera": texts.IMAGE_CAMERA,
            "other": texts.IMAGE_OTHER,
            "remove": texts.IMAGE_REMOVE,
            "loading": texts.IMAGE_LOADING,
            "formats": texts.IMAGE_FORMATS.format(megabytes=limit // 2**20),
            "left": texts.TURN_LEFT,
            "right": texts.TURN_RIGHT,
            "crop": texts.CROP,
            "whole": texts.CROP_OFF,
            "box": texts.CROP_BOX,
            "handle": texts.CROP_HANDLE,
            "failed": texts.IMAGE_FAILED,
            "too_large": texts.IMAGE_TOO_LARGE,
            "refused": texts.IMAGE_REFUSED,
        }
        self.on("uploaded", lambda event: on_upload(dict(event.args)))
        self.on("refused", lambda event: on_refused(str(event.args)))
        self.on("edited", lambda event: self._edited(event.args, on_edit))
        self.on("removed", on_remove, args=[])

    def show(self, address: str | None, turn: int = 0, crop: Crop | None = None, *, fixed: bool = False) -> None:
        """Show an image, or the empty field; ``fixed`` hides the tools."""
        self.props.update(shown=address, turn=turn, crop=None if crop is None else list(crop), fixed=fixed)

    def _edited(self, said: Any, on_edit: Callable[[int, Crop | None], Any]) -> None:
        # Tells the browser which of its changes the next image includes: it may have made newer ones.
        self.props["edit"] = int(said["edit"])
        on_edit(*_edit(said))


def _edit(said: Any) -> tuple[int, Crop | None]:
    crop = said.get("crop")
    numbers = [min(max(float(part), 0.0), 1.0) for part in crop] if crop else None
    return int(said["turn"]) % 4, None if numbers is None else (numbers[0], numbers[1], numbers[2], numbers[3])
