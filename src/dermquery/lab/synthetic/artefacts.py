"""Add the artefacts of a photograph: hairs, gel bubbles, glare, light, film, ruler and frame."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dermquery.lab.synthetic.brushes import Canvas, Field, Mask, Stroke, curve, smoothstep

__all__ = ["add_bubbles", "add_glare", "add_hairs", "add_ruler", "develop", "frame"]


def _mix(image: Field, share: Field, colour: Field | float) -> None:
    """Mix a colour into a linear image (height, width, 3), in place."""
    image += share[..., None] * (np.asarray(colour, dtype=np.float32) - image)


def add_hairs(canvas: Canvas, rng: np.random.Generator, image: Field) -> None:
    """Lay curved hairs of one person's colour over a linear image, in place, each with a soft shadow.

    About half the cases have none, most others a few, some are hairy.
    """
    kind = rng.random()
    count = 0 if kind < 0.45 else int(rng.poisson(5)) + 1 if kind < 0.9 else int(rng.integers(18, 40))
    if not count:
        return
    reach = max(canvas.size) / canvas.unit
    fine = rng.uniform(0.0022, 0.0055)
    drift = rng.uniform(0, np.pi)
    lines = []
    for _ in range(count):
        angle, length = drift + rng.normal(0, 0.6), rng.uniform(0.15, 0.95) * reach
        middle = rng.uniform(-0.5, 0.5, 2) * np.array(canvas.size) / canvas.unit
        half = length / 2 * np.array([np.cos(angle), np.sin(angle)])
        width = fine * rng.uniform(0.7, 1.3)
        bend = rng.normal(0, 0.16)
        lines.append(Stroke(curve(middle - half, middle + half, bend, 28), np.linspace(width, 0.45 * width, 28)))
    cover = canvas.strokes(lines)
    dark = np.array([0.030, 0.018, 0.012]) if rng.random() < 0.8 else np.array([0.55, 0.42, 0.26])
    away = max(1, round(canvas.pixels(0.006)))
    shadow = np.roll(canvas.blurred(cover, 0.005), (away, away), axis=(0, 1))
    image *= 1 - np.float32(0.22) * shadow[..., None]
    _mix(image, np.clip(cover * np.float32(rng.uniform(0.75, 1.0)), 0, 1), dark.astype(np.float32))


def add_bubbles(canvas: Canvas, rng: np.random.Generator, image: Field) -> None:
    """Trap air bubbles in the gel (a seventh of the cases): thin bright rims, dark on one side, with a highlight."""
    if rng.random() > 0.14:
        return
    for _ in range(int(rng.integers(1, 9))):
        radius = float(np.clip(0.018 * np.exp(rng.normal(0, 0.6)), 0.006, 0.07))
        cx, cy = rng.uniform(-0.48, 0.48, 2) * np.array(canvas.size) / canvas.unit
        dx, dy = canvas.x - np.float32(cx), canvas.y - np.float32(cy)
        away = np.hypot(dx, dy) / np.float32(radius)
        rim = np.exp(-(((away - 1) / np.float32(0.10 + 0.0012 / radius)) ** 2))
        light = np.clip(0.5 - (dx + dy) / np.float32(2 * radius), 0, 1)
        spot = 1 - smoothstep(
            np.hypot(dx + np.float32(0.45 * radius), dy + np.float32(0.45 * radius)), 0.0, 0.3 * radius
        )
        _mix(image, 0.45 * rim * (1 - light), 0.10)
        _mix(image, np.clip(0.5 * rim * light + 0.7 * spot, 0, 1), 1.0)


def add_glare(canvas: Canvas, rng: np.random.Generator, image: Field) -> None:
    """Small mirror-like highlights where skin touches the glass unevenly (a third of the cases)."""
    if rng.random() > 0.33:
        return
    sparks = smoothstep(canvas.noise(rng, 0.010, 1.6) + 0.9 * canvas.noise(rng, 0.15), 3.7, 4.6)
    _mix(image, np.float32(rng.uniform(0.4, 0.9)) * sparks, 1.0)


def develop(canvas: Canvas, rng: np.random.Generator, image: Field) -> Image.Image:
    """Light, expose and develop a linear image to 8-bit sRGB, a little soft and with film grain."""
    slope, turn = rng.uniform(0, 0.10), rng.uniform(0, 2 * np.pi)
    light = 1 + np.float32(slope * np.cos(turn)) * canvas.x + np.float32(slope * np.sin(turn)) * canvas.y
    light -= np.float32(max(0.0, rng.normal(0.12, 0.22))) * (canvas.x**2 + canvas.y**2)
    cast = np.exp(rng.normal(0, 1, 3) * np.array([0.03, 0.025, 0.09]))
    exposure = rng.uniform(1.2, 1.75)
    shown = np.sqrt(np.clip(image * (light[..., None] * (cast * exposure).astype(np.float32)), 0, None))
    # The shoulder of slide film: highlights roll off instead of clipping hard.
    shown = np.where(shown > 0.8, 0.8 + 0.2 * np.tanh((shown - 0.8) / 0.2), shown)
    contrast = np.float32(rng.uniform(0.0, 0.5))
    shown = shown + contrast * shown * (1 - shown) * (2 * shown - 1)
    grey = shown.mean(axis=2, keepdims=True)
    shown = grey + np.float32(rng.uniform(0.95, 1.2)) * (shown - grey)
    soft = Image.fromarray((np.clip(shown, 0, 1) * 255).astype(np.uint8))
    soft = soft.filter(ImageFilter.GaussianBlur(canvas.pixels(rng.uniform(0.0007, 0.0022))))
    grain = canvas.noise(rng, 0.004) * np.float32(rng.uniform(0.6, 2.0))
    return Image.fromarray(np.clip(np.asarray(soft) + grain[..., None] + 0.5, 0, 255).astype(np.uint8))


def add_ruler(canvas: Canvas, rng: np.random.Generator, image: Field) -> None:
    """Print the black measuring grid of a contact plate over one edge (a twentieth of the cases)."""
    if rng.random() > 0.05:
        return
    angle = rng.choice([0, 90, 180, 270]) + rng.uniform(-25, 25)
    cos, sin = np.float32(np.cos(np.radians(angle))), np.float32(np.sin(np.radians(angle)))
    along, across = canvas.x * cos + canvas.y * sin, canvas.y * cos - canvas.x * sin
    edge, pitch, line = rng.uniform(0.40, 0.46), 0.045, 0.0045
    lines = np.minimum(np.abs((along - np.float32(edge)) % pitch), np.abs(across % pitch)) < line
    _mix(image, (lines & (along > edge)).astype(np.float32) * np.float32(0.93), 0.01)


def frame(canvas: Canvas, rng: np.random.Generator, image: Image.Image) -> tuple[Image.Image, Mask]:
    """Put a fifth of the cases into a dark frame.

    Round apertures, rounded rectangles, black bars and the slightly tilted edges of a mounted slide.

    Returns:
        The framed image, and where the skin is still visible.
    """
    width, height = canvas.size
    everywhere = np.ones((height, width), dtype=np.bool_)
    kind = rng.random()
    if kind > 0.2:
        return image, everywhere
    fine = 2
    mask = Image.new("L", (width * fine, height * fine), 0)
    draw = ImageDraw.Draw(mask)
    w, h = width * fine, height * fine
    inset = rng.uniform(0.01, 0.05, 4) * min(w, h)
    box = (inset[0], inset[1], w - inset[2], h - inset[3])
    if kind < 0.05:
        radius, shift = rng.uniform(0.50, 0.60) * min(w, h), rng.normal(0, 0.015, 2) * min(w, h)
        x, y = w / 2 + shift[0], h / 2 + shift[1]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    elif kind < 0.10:
        draw.rounded_rectangle(box, radius=rng.uniform(0.05, 0.2) * min(w, h), fill=255)
    elif kind < 0.13:
        bar = rng.uniform(0.03, 0.09) * h
        draw.rectangle((0, bar, w, h - bar), fill=255)
    else:
        draw.rounded_rectangle(box, radius=0.02 * min(w, h), fill=255)
        mask = mask.rotate(rng.uniform(-1.5, 1.5), Image.Resampling.BILINEAR)
    mask = mask.reduce(fine).filter(ImageFilter.GaussianBlur(canvas.pixels(rng.uniform(0.0005, 0.004))))
    black = Image.new("RGB", image.size, tuple(int(v) for v in rng.integers(0, 14, 3)))
    return Image.composite(image, black, mask), np.asarray(mask) > 127
