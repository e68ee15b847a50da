"""Rasterise a scene as PNG.

Each letter is rasterised once and copied to its positions, which takes a hundredth of the time of a whole SVG. A
palette of a few colours makes the file an eighth of the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...errors import SettingError
from ...extras import import_extra
from ...text.lines import display_width, graphemes
from ..colors import ONLY_HERE, RGB
from .grid import Face
from .png import from_palette, to_pixels
from .scene import (
    BOTTOM,
    CELL,
    DASH,
    DASH_HEIGHT,
    LINE,
    RAIL_HEIGHT,
    RAIL_TOP,
    ROUND,
    TOP,
    Fill,
    Scene,
    Word,
    frame,
    line_at_edge,
    quantize,
    text_group,
)

# Distinct heats, and shades from background to text: in full quality, and where every byte counts.
FINE, COARSE = (16, 8), (12, 5)
# Colours of the palette reserved for pictographs.
_PICTOGRAPH_COLORS = 64
# Pixels of the largest picture.
_LARGEST = 2**27
# Letters that are rasterised at a time, and the width in pixels of the SVG that they are drawn in.
_SHEET, _SHEET_WIDTH = 512, 1024
# Letters in the cache.
_CACHE_SIZE = 8192

# Unit of rasterisation: text, face, cells, and True if it runs from right to left.
_Key = tuple[str, Face, int, bool]


_LETTER = ("mono", 1, False)


class _Mask(NamedTuple):
    """Coverage of each pixel by a letter, from 0 to 255, and its colours if it is a pictograph, else None."""

    cover: Any
    colors: Any


# Cache of rasterised letters, by the width of a cell in pixels.
_masks: dict[tuple[int, _Key], _Mask] = {}


def png(scene: Scene, scale: float, steps: tuple[int, int] = FINE) -> bytes:
    """Return the scene as a PNG with about `scale` pixels per pixel of the scene, and cells of whole pixels.

    Raises
    ------
    SettingError
        When the picture would have more than 134 million pixels.
    """
    unit = max(1, round(CELL * scale))
    width, height = (round(side * unit / CELL) for side in (scene.width, scene.height))
    if width * height > _LARGEST:
        raise SettingError(
            f"A picture of {width} × {height} pixels is too large: show fewer tokens with limit=, or use to_svg.",
            setting="limit",
            value=None,
        )
    canvas = _Canvas(scene, unit, (height, width), steps)
    canvas.draw()
    return from_palette(canvas.pixels, canvas.palette)


class _Canvas:
    """Pixels as indices into a palette, where each pair of background and text colour is a run of shades."""

    def __init__(self, scene: Scene, unit: int, shape: tuple[int, int], steps: tuple[int, int]) -> None:
        self.scene, self.unit, (self.heats, shades) = scene, unit, steps
        self.masks = _masks_of({key for word in scene.words for key in _keys(word)}, unit)
        has_pictographs = any(mask.colors is not None for mask in self.masks.values())
        inks = scene.inks
        pairs = dict.fromkeys([(inks.ground, inks.text), (inks.ground, inks.soft)])
        for fill in scene.fills:
            pairs |= dict.fromkeys(self._pairs(fill.heat, soft=fill.marked))
        self.bars = [(bar, length, color) for bar in scene.bars for length, color in bar.parts(inks)]
        colors = list(dict.fromkeys(color for _, _, color in self.bars))
        reserved = 4 + len(colors) + _PICTOGRAPH_COLORS * has_pictographs
        self.shades = min(shades, (256 - reserved) // len(pairs))
        self.start = {pair: index * self.shades for index, pair in enumerate(pairs)}
        self.palette: list[RGB] = [
            _interpolate(ground, ink, shade / (self.shades - 1))
            for ground, ink in pairs
            for shade in range(self.shades)
        ]
        first = len(self.palette)
        self.line, self.edge, self.surer_edge, self.dash = range(first, first + 4)
        self.palette += [inks.line, inks.edge, inks.surer_edge, inks.soft, *colors]
        self.bar_start = {color: first + 4 + index for index, color in enumerate(colors)}
        self.pixels = np.full(shape, self.start[inks.ground, inks.text], np.uint8)
        self.ascii = np.zeros((128, LINE * unit // CELL, unit), np.uint8)
        for key, mask in self.masks.items():
            if key[1:] == _LETTER and key[0].isascii():
                self.ascii[ord(key[0])] = self._shaded(mask.cover)
        self.covers = {key: self._shaded(mask.cover) for key, mask in self.masks.items()}

    def draw(self) -> None:
        """Draw the scene from back to front."""
        self._frame()
        for fill in self.scene.fills:
            self._fill(fill)
        for bar, length, color in self.bars:
            left, top = self._at(bar.x), self._at(bar.y + RAIL_TOP)
            right, bottom = left + max(1, self._at(length)), top + self._at(RAIL_HEIGHT)
            self.pixels[top:bottom, left:right] = self.bar_start[color]
        pictures: list[tuple[int, int, _Mask]] = []
        for word in self.scene.words:
            pictures += self._word(word)
        for fill in self.scene.fills:
            self._edge_line(fill)
        self._pictures(pictures)

    def _at(self, value: float) -> int:
        return round(value * self.unit / CELL)

    def _pairs(self, heat: float | None, *, soft: bool) -> list[tuple[RGB, RGB]]:
        """Return the background colours of a token, each with the text colour on it: two if the token is hatched."""
        inks = self.scene.inks
        if heat is None or math.isnan(heat):
            ink = inks.soft if soft else inks.text
            return [(inks.ground, ink)] if heat is None else [(inks.ground, ink), (inks.line, ink)]
        heat = quantize(heat, self.heats)
        return [(inks.fill(heat), inks.mark(heat) if soft else inks.text)]

    def _shaded(self, cover: Any) -> Any:
        return ((cover.astype(np.uint16) * (self.shades - 1) + 127) // 255).astype(np.uint8)

    def _frame(self) -> None:
        left, top, wide, tall = map(self._at, frame(self.scene))
        thick = max(1, self._at(1))
        inner = self.pixels[top : top + tall, left : left + wide]
        corner = self._at(ROUND)
        inner[corner:-corner, :thick] = inner[corner:-corner, -thick:] = self.line
        inner[:thick, corner:-corner] = inner[-thick:, corner:-corner] = self.line
        # A quarter of a ring, mirrored to each corner.
        far = np.hypot(*(corner - 0.5 - np.indices((corner, corner))))
        ring = (far <= corner) & (far > corner - thick)
        for rows, columns, part in (
            (slice(corner), slice(corner), ring),
            (slice(corner), slice(-corner, None), ring[:, ::-1]),
            (slice(-corner, None), slice(corner), ring[::-1]),
            (slice(-corner, None), slice(-corner, None), ring[::-1, ::-1]),
        ):
            inner[rows, columns][part] = self.line

    def _fill(self, fill: Fill) -> None:
        left, top, right, bottom = self._sides(fill)
        pairs = self._pairs(fill.heat, soft=fill.marked)
        ground = self.pixels[top:bottom, left:right]
        corners = ground[:: len(ground) - 1, :: ground.shape[1] - 1].copy()
        ground[:] = self.start[pairs[0]]
        if len(pairs) > 1:
            rows, columns = np.indices(ground.shape)
            period = self._at(CELL * 0.75)
            ground[(rows + columns + top + left) % period < max(1, self._at(1.5))] = self.start[pairs[1]]
        ground[:: len(ground) - 1, :: ground.shape[1] - 1] = corners

    def _sides(self, fill: Fill) -> tuple[int, int, int, int]:
        left = self._at(fill.x)
        return left, self._at(fill.y + TOP), left + fill.cells * self.unit, self._at(fill.y + BOTTOM)

    def _edge_line(self, fill: Fill) -> None:
        left, top, right, bottom = self._sides(fill)
        if fill.heat == ONLY_HERE:
            below = self.pixels[bottom - max(1, self._at(DASH_HEIGHT)) : bottom, left:right]
            below[:, np.arange(below.shape[1]) // max(1, self._at(DASH)) % 2 == 0] = self.dash
            return
        thick = line_at_edge(fill.heat) if not math.isnan(fill.heat) else 0
        tall = math.ceil(thick * self.unit / CELL - 0.25)
        if tall > 0:
            rows, color = (
                (slice(top, top + tall), self.surer_edge)
                if fill.heat < 0
                else (slice(bottom - tall, bottom), self.edge)
            )
            self.pixels[rows, left + 1 : right - 1] = color

    def _word(self, word: Word) -> Iterator[tuple[int, int, _Mask]]:
        """Draw a word on its background, and yield its pictographs, whose colours are chosen when all are known."""
        x, y = self._at(word.x), self._at(word.y)
        if word.heat is None and word.soft:
            inks = self.scene.inks
            self.pixels[y : y + LINE * self.unit // CELL, x : x + word.cells * self.unit] = self.start[
                inks.ground, inks.soft
            ]
        if word.face == "mono" and word.text.isascii():
            # Nearly all words; indexing draws all of their letters at once.
            letters = self.ascii[np.frombuffer(word.text.encode(), np.uint8)]
            tall = letters.shape[1]
            self.pixels[y : y + tall, x : x + word.cells * self.unit] += letters.swapaxes(0, 1).reshape(tall, -1)
            return
        for key in _keys(word):
            mask, cover = self.masks[key], self.covers[key]
            wide = key[2] * self.unit
            if mask.colors is not None:
                yield x, y, mask
            else:
                self.pixels[y : y + len(cover), x : x + wide] += cover
            x += wide

    def _pictures(self, pictures: list[tuple[int, int, _Mask]]) -> None:
        """Draw pictographs over the rest, in their most frequent colours."""
        if not pictures:
            return
        palette = np.array(self.palette)
        blended = []
        for x, y, mask in pictures:
            below = palette[self.pixels[y : y + len(mask.cover), x : x + mask.cover.shape[1]]]
            share = mask.cover[..., None] / 255
            blended.append(np.rint(below * (1 - share) + mask.colors * share).astype(int) // 17)
        packed = [part @ (256, 16, 1) for part in blended]
        covered = [mask.cover > 0 for _, _, mask in pictures]
        counts = np.bincount(np.concatenate([part[inside] for part, inside in zip(packed, covered, strict=True)]))
        frequent = np.argsort(-counts, kind="stable")[:_PICTOGRAPH_COLORS]
        frequent = frequent[counts[frequent] > 0]
        colors = np.stack([frequent // 256, frequent // 16 % 16, frequent % 16], axis=1)
        first = len(self.palette)
        self.palette += [(red, green, blue) for red, green, blue in (colors * 17).tolist()]
        for (x, y, _), part, inside in zip(pictures, blended, covered, strict=True):
            nearest = ((part[inside][:, None] - colors) ** 2).sum(axis=2).argmin(axis=1)
            self.pixels[y : y + len(inside), x : x + inside.shape[1]][inside] = first + nearest


def _keys(word: Word) -> list[_Key]:
    """Return the units of a word that are rasterised alone: its letters, or the whole word if letters may be joined."""
    if word.turned or word.face == "sans":
        return [(word.text, word.face, word.cells, word.turned)]
    parts = word.text if word.text.isascii() else graphemes(word.text)
    return [(part, word.face, display_width(part), False) for part in parts]


def _masks_of(keys: Iterable[_Key], unit: int) -> dict[_Key, _Mask]:
    missing = [key for key in keys if (unit, key) not in _masks]
    if len(_masks) + len(missing) > _CACHE_SIZE:
        _masks.clear()
        missing = list(keys)
    for start in range(0, len(missing), _SHEET):
        _masks.update(_rasterise(missing[start : start + _SHEET], unit))
    return {key: _masks[unit, key] for key in keys}


def _rasterise(keys: list[_Key], unit: int) -> Iterator[tuple[tuple[int, _Key], _Mask]]:
    """Yield the masks of letters, drawn in black on a transparent sheet and cut out of it."""
    vl_convert = import_extra("vl_convert", "A picture")

    corners: list[tuple[int, int]] = []
    x = y = CELL
    for _, _, cells, _ in keys:
        if x > CELL and x + (cells + 1) * CELL > _SHEET_WIDTH:
            x, y = CELL, y + 2 * LINE
        corners.append((x, y))
        x += (cells + 2) * CELL
    width = max(x + cells * CELL for (x, _), (_, _, cells, _) in zip(corners, keys, strict=True)) + CELL
    letters = text_group(
        (
            (Word(x, y, cells, text, face, turned, None, soft=False), x, y, None)
            for (x, y), (text, face, cells, turned) in zip(corners, keys, strict=True)
        ),
        "#000",
    )
    sheet = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 2 * LINE}">{letters}</svg>'
    pixels = to_pixels(vl_convert.svg_to_png(sheet, scale=unit / CELL))
    tall = LINE * unit // CELL
    for (x, y), key in zip(corners, keys, strict=True):
        left, top = x * unit // CELL, y * unit // CELL
        part = pixels[top : top + tall, left : left + key[2] * unit]
        is_colored = bool(part[..., :3].any())
        yield (unit, key), _Mask(part[..., 3].copy(), part[..., :3].astype(int) if is_colored else None)


def _interpolate(first: RGB, second: RGB, share: float) -> RGB:
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(first, second, strict=True))
    return red, green, blue
