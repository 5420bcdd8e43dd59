"""The README as package indexes show it: they know no files beside it, so its links lead to the project's address.

The address is ``Source`` of ``[project.urls]``. Without one, the README goes into the packages as it is, which is said.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<image>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_IMAGE = re.compile(
    r"!\[[^\]]*\](?:\(|\[)\s*<?(?P<markdown>[^)>\s]+)|<img\b[^>]*?\bsrc\s*=\s*[\"']?(?P<html>[^\"'\s>]+)"
)
_ABSOLUTE = re.compile(r"https?://|mailto:|#")


def absolute(text: str, files: str, images: str) -> str:
    """Lead the relative links of a page to an address.

    Args:
        text: of the page, in Markdown.
        files: the address of the folder, for people.
        images: the same, where files come as they are.

    Raises:
        ValueError: a picture is still relative, as one in HTML or by reference would be; it is named.
    """

    def led(link: re.Match[str]) -> str:
        if _ABSOLUTE.match(link["target"]):
            return link[0]
        return f"{link['image']}[{link['words']}]({images if link['image'] else files}{link['target']})"

    led_text = _LINK.sub(led, text)
    found = (image["markdown"] or image["html"] for image in _IMAGE.finditer(led_text))
    if relative := [target for target in found if not target.startswith("https://")]:
        raise ValueError(
            f"README.md: package indexes do not show {relative[0]!r}; write it as ![words](path), or https"
        )
    return led_text


class ReadmeHook(MetadataHookInterface):
    """Called by hatchling for every package; ``files`` and ``images`` are addresses of a version's files."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        source = metadata.get("urls", {}).get("Source")
        if source is None:
            sys.stderr.write("no Source in [project.urls]: the README's pictures and links stay relative\n")
        else:
            known = {"source": source.rstrip("/"), "version": metadata["version"]}
            text = absolute(text, *(self.config[name].format(**known) for name in ("files", "images")))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
