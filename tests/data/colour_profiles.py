"""ICC profiles made by hand, and what they mean by the textbook's formulas."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

Chromaticity = tuple[float, float]
D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
PRO_PHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])


def to_d50(primaries: Sequence[Chromaticity], white: Chromaticity = D65) -> np.ndarray:
    """The matrix from linear red, green, blue to XYZ under D50, by colorimetry's textbook formulas."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    light = np.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ light))
    matrix: np.ndarray = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ (xyz * np.linalg.solve(xyz, light))
    return matrix


def rgb_profile(primaries: Sequence[Chromaticity], gamma: float = 563 / 256, white: Chromaticity = D65) -> bytes:
    """An ICC profile (version 2) of three primaries and a power."""

    def xyz(values: np.ndarray) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    matrix = to_d50(primaries, white)
    parts = [(b"wtpt", xyz(_D50)), *((b"rgb"[i : i + 1] + b"XYZ", xyz(matrix[:, i])) for i in range(3))]
    return profile(b"RGB ", [*parts, *((b"rgb"[i : i + 1] + b"TRC", curve) for i in range(3))])


def profile(space: bytes, parts: Sequence[tuple[bytes, bytes]]) -> bytes:
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    head = b"\0\0\0\0" + b"\x02\x40\0\0" + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += illuminant + bytes(48)
    at, tags, body = 128 + 4 + 12 * len(parts), b"", b""
    for name, data in parts:
        tags += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    whole = head + struct.pack(">I", len(parts)) + tags + body
    return struct.pack(">I", len(whole) + 4) + whole


def in_srgb(
    values: np.ndarray, primaries: Sequence[Chromaticity], gamma: float, white: Chromaticity = D65
) -> np.ndarray:
    linear = (values / 255.0) ** (round(gamma * 256) / 256)
    linear = (linear @ to_d50(primaries, white).T @ np.linalg.inv(to_d50(SRGB)).T).clip(0, 1)
    curved: np.ndarray = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear) * 255
    return curved


def grey_for_all_inks() -> bytes:
    """An ICC profile (version 2, one 8-bit table) after which every CMYK value without K is the grey L* = 50."""
    nodes = bytes((round(50 * 2.55), 128, 128)) + bytes((0, 128, 128))  # K varies fastest
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + nodes * 8 + ramp * 3
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    head = b"\0\0\0\0" + b"\x02\x40\0\0" + b"prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28) + illuminant + bytes(48)
    tags = struct.pack(">I4sII", 1, b"A2B0", 128 + 16, len(table))
    body = head + tags + table
    return struct.pack(">I", len(body) + 4) + body
