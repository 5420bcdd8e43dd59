"""ICC profiles of the colours that a PNG gives by its chunks ``gAMA`` and ``cHRM``, as numbers and without a profile.

Programs of rendering and of measurement write linear values so. What nearly every other program writes, the power of
1/2.2 with the primaries of sRGB, means sRGB.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

__all__ = ["implied_profile"]

_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""Chromaticities x, y of white, red, green and blue."""
_NEAR = 0.005
"""Chromaticities that differ by less are the same."""
_USUAL, _ABOUT = 1 / 2.2, 0.05
"""The power of sRGB in PNG, and the share by which another one counts as that; libpng's own."""
_POWERS = (0.25, 1.1)
"""No display or camera has others; 1.8 and 2.2 are those of programs that write the inverse by mistake."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
"""White of ICC profiles, XYZ."""
_NODES = np.arange(256) / 255


def implied_profile(info: Mapping[Any, Any], *, grey: bool) -> bytes | None:
    """The profile of ``gamma`` and ``chromaticity`` as Pillow gives them; None if they are of sRGB, or senseless.

    Args:
        info: of an opened image; one with ``srgb`` is sRGB whatever else it says.
        grey: whether the profile is for values of grey in place of RGB.
    """
    gamma, given = info.get("gamma"), info.get("chromaticity")
    given = given if isinstance(given, tuple) and len(given) == 8 else None
    power = gamma if isinstance(gamma, float) and _POWERS[0] <= gamma <= _POWERS[1] else None
    matrix = None if given is None or np.allclose(given, _SRGB, rtol=0, atol=_NEAR) else _to_d50(given)
    usual = power is None or abs(power / _USUAL - 1) < _ABOUT
    if "srgb" in info or (usual and (matrix is None or grey)):
        return None
    curve = _curve(power)
    if grey:
        return _profile(b"GRAY", {b"kTRC": curve})
    columns = cast("np.ndarray", _to_d50(_SRGB) if matrix is None else matrix).T
    tags = {b"%cXYZ" % colour: _xyz(column) for colour, column in zip(b"rgb", columns, strict=True)}
    return _profile(b"RGB ", tags | {b"%cTRC" % colour: curve for colour in b"rgb"})


def _to_d50(chromaticities: Sequence[float]) -> np.ndarray | None:
    """Matrix from linear red, green, blue to XYZ under D50, shape (3, 3); None if no such colours exist."""
    x, y = np.reshape(chromaticities, (4, 2)).T
    if (y <= 0).any() or (x + y > 1).any():
        return None
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    white, primaries = xyz[:, 0], xyz[:, 1:]
    if np.linalg.cond(primaries * y[1:]) > 1000:  # on a line
        return None
    amounts = np.linalg.solve(primaries, white)
    cones = _BRADFORD @ white
    if (amounts <= 0).any() or (cones <= 0).any():  # a white outside its primaries
        return None
    matrix: np.ndarray = (
        np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / cones) @ _BRADFORD @ (primaries * amounts)
    )
    return matrix


def _curve(power: float | None) -> bytes:
    """Light of the 256 values that a file encodes with a power, or as sRGB."""
    low, high = _NODES / 12.92, ((_NODES + 0.055) / 1.055) ** 2.4
    light = np.where(_NODES <= 0.04045, low, high) if power is None else _NODES ** (1 / power)
    return struct.pack(">4s4xI256H", b"curv", 256, *np.rint(light * 65535).astype(int))


def _xyz(values: np.ndarray) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *np.rint(values * 65536).astype(int))


def _profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """A display's profile of version 2.1 with what it must have beside its colours."""
    described = struct.pack(">4s4xI8s8x2xB67x", b"desc", 8, b"of PNG\0\0", 0)
    must = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(_D50)}
    table, body = b"", b""
    for name, data in (must | dict(tags)).items():
        table += struct.pack(">4sII", name, 132 + 12 * (len(must) + len(tags)) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    rest = table + body
    head = struct.pack(">I4xI4s4s4s12x4s", 132 + len(rest), 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    head += bytes(28) + _xyz(_D50)[8:] + bytes(48)
    return head + struct.pack(">I", len(must) + len(tags)) + rest
