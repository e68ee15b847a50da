"""A scene as PNG. Each letter is rasterised once and put where it belongs: a hundredth of the time of a whole SVG, and
with a palette of a few colours an eighth of the size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...errors import SettingError
from ...extras import import_extra
from ...text.lines import display_width, graphemes
from ..colors import RGB
from .grid import Face
from .png import from_palette, to_pixels
from .scene import BOTTOM, CELL, LINE, ROUND, TOP, Fill, Scene, Word, frame, line_below, stepped, written_on

# So many heats and so many shades of a letter's edge are told apart: fine, and where every byte counts.
FINE, COARSE = (16, 8), (12, 5)
# Colours kept for pictographs.
_PICTURED = 64
_LARGEST = 2**27
_SHEET, _SHEET_WIDTH = 512, 1024
_KEPT = 8192

# What is rasterised as one, and how: its text, face, cells, and whether it runs from right to left.
_Key = tuple[str, Face, int, bool]


_LETTER = ("mono", 1, False)


class _Mask(NamedTuple):
    """How much of each pixel a letter covers, from 0 to 255, and its own colours where it has any."""

    cover: Any
    colors: Any


# Letters as they were rasterised, by the pixels of a cell.
_masks: dict[tuple[int, _Key], _Mask] = {}


def png(scene: Scene, scale: float, steps: tuple[int, int] = FINE) -> bytes:
    """The scene as a PNG, about `scale` pixels for each of its own: a cell has a whole number of them.

    Raises
    ------
    SettingError
        When it would be too large for anyone to look at.
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
    """Pixels as places in a palette, in which a ground and an ink are a run of shades from the one to the other."""

    def __init__(self, scene: Scene, unit: int, shape: tuple[int, int], steps: tuple[int, int]) -> None:
        self.scene, self.unit, (self.heats, shades) = scene, unit, steps
        self.masks = _masks_of({key for word in scene.words for key in _keys(word)}, unit)
        pictured = any(mask.colors is not None for mask in self.masks.values())
        inks = scene.inks
        pairs = dict.fromkeys([(inks.ground, inks.text), (inks.ground, inks.soft)])
        for one in scene.fills:
            pairs |= dict.fromkeys(self._pairs(one.heat, soft=one.marked))
        self.shades = min(shades, (254 - _PICTURED * pictured) // len(pairs))
        self.start = {pair: at * self.shades for at, pair in enumerate(pairs)}
        self.palette: list[RGB] = [
            _between(ground, ink, at / (self.shades - 1)) for ground, ink in pairs for at in range(self.shades)
        ]
        self.line, self.edge = len(self.palette), len(self.palette) + 1
        self.palette += [inks.line, inks.edge]
        self.pixels = np.full(shape, self.start[inks.ground, inks.text], np.uint8)
        self.ascii = np.zeros((128, LINE * unit // CELL, unit), np.uint8)
        for key, mask in self.masks.items():
            if key[1:] == _LETTER and key[0].isascii():
                self.ascii[ord(key[0])] = self._shaded(mask.cover)
        self.covers = {key: self._shaded(mask.cover) for key, mask in self.masks.items()}

    def draw(self) -> None:
        """Everything, what is in front last."""
        self._frame()
        for fill in self.scene.fills:
            self._fill(fill)
        pictures: list[tuple[int, int, _Mask]] = []
        for word in self.scene.words:
            pictures += self._word(word)
        for fill in self.scene.fills:
            self._line_below(fill)
        self._pictures(pictures)

    def _at(self, value: float) -> int:
        return round(value * self.unit / CELL)

    def _pairs(self, heat: float | None, *, soft: bool) -> list[tuple[RGB, RGB]]:
        """The grounds that a token has, each with what is written on it: two where it is hatched."""
        inks = self.scene.inks
        if heat is None or math.isnan(heat):
            ink = inks.soft if soft else inks.text
            return [(inks.ground, ink)] if heat is None else [(inks.ground, ink), (inks.line, ink)]
        heat = stepped(heat, self.heats)
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
        # A quarter of a ring, turned to each corner.
        far = np.hypot(*(corner - 0.5 - np.indices((corner, corner))))
        ring = (far <= corner) & (far > corner - thick)
        for rows, columns, part in (
            (slice(corner), slice(corner), ring),
            (slice(corner), slice(-corner, None), ring[:, ::-1]),
            (slice(-corner, None), slice(corner), ring[::-1]),
            (slice(-corner, None), slice(-corner, None), ring[::-1, ::-1]),
        ):
            inner[rows, columns][part] = self.line

    def _fill(self, one: Fill) -> None:
        left, top, right, bottom = self._sides(one)
        pairs = self._pairs(one.heat, soft=one.marked)
        ground = self.pixels[top:bottom, left:right]
        corners = ground[:: len(ground) - 1, :: ground.shape[1] - 1].copy()
        ground[:] = self.start[pairs[0]]
        if len(pairs) > 1:
            rows, columns = np.indices(ground.shape)
            period = self._at(CELL * 0.75)
            ground[(rows + columns + top + left) % period < max(1, self._at(1.5))] = self.start[pairs[1]]
        ground[:: len(ground) - 1, :: ground.shape[1] - 1] = corners

    def _sides(self, one: Fill) -> tuple[int, int, int, int]:
        left = self._at(one.x)
        return left, self._at(one.y + TOP), left + one.cells * self.unit, self._at(one.y + BOTTOM)

    def _line_below(self, one: Fill) -> None:
        thick = line_below(one.heat) if not math.isnan(one.heat) else 0
        left, _, right, bottom = self._sides(one)
        tall = math.ceil(thick * self.unit / CELL - 0.25)
        if tall > 0:
            self.pixels[bottom - tall : bottom, left + 1 : right - 1] = self.edge

    def _word(self, word: Word) -> Iterator[tuple[int, int, _Mask]]:
        """Put a word over its ground; what has colours of its own is left for the end."""
        x, y = self._at(word.x), self._at(word.y)
        if word.heat is None and word.soft:
            inks = self.scene.inks
            self.pixels[y : y + LINE * self.unit // CELL, x : x + word.cells * self.unit] = self.start[
                inks.ground, inks.soft
            ]
        if word.face == "mono" and word.text.isascii():
            # Nearly all there is, in one go.
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
        """Pictographs over what is there, in the colours that are most of them."""
        if not pictures:
            return
        known = np.array(self.palette)
        blended = []
        for x, y, mask in pictures:
            below = known[self.pixels[y : y + len(mask.cover), x : x + mask.cover.shape[1]]]
            share = mask.cover[..., None] / 255
            blended.append(np.rint(below * (1 - share) + mask.colors * share).astype(int) // 17)
        packed = [part @ (256, 16, 1) for part in blended]
        shown = [mask.cover > 0 for _, _, mask in pictures]
        counts = np.bincount(np.concatenate([part[seen] for part, seen in zip(packed, shown, strict=True)]))
        kept = np.argsort(-counts, kind="stable")[:_PICTURED]
        kept = kept[counts[kept] > 0]
        colors = np.stack([kept // 256, kept // 16 % 16, kept % 16], axis=1)
        first = len(self.palette)
        self.palette += [(red, green, blue) for red, green, blue in (colors * 17).tolist()]
        for (x, y, _), part, seen in zip(pictures, blended, shown, strict=True):
            nearest = ((part[seen][:, None] - colors) ** 2).sum(axis=2).argmin(axis=1)
            self.pixels[y : y + len(seen), x : x + seen.shape[1]][seen] = first + nearest


def _keys(word: Word) -> list[_Key]:
    """What of a word is rasterised by itself: each letter, but letters together that may be written together."""
    if word.turned or word.face == "sans":
        return [(word.text, word.face, word.cells, word.turned)]
    parts = word.text if word.text.isascii() else graphemes(word.text)
    return [(part, word.face, display_width(part), False) for part in parts]


def _masks_of(keys: Iterable[_Key], unit: int) -> dict[_Key, _Mask]:
    missing = [key for key in keys if (unit, key) not in _masks]
    if len(_masks) + len(missing) > _KEPT:
        _masks.clear()
        missing = list(keys)
    for start in range(0, len(missing), _SHEET):
        _masks.update(_rasterised(missing[start : start + _SHEET], unit))
    return {key: _masks[unit, key] for key in keys}


def _rasterised(keys: list[_Key], unit: int) -> Iterator[tuple[tuple[int, _Key], _Mask]]:
    """Letters in black on nothing, each in a row of its own cells, cut apart again."""
    vl_convert = import_extra("vl_convert", "A picture")

    places: list[tuple[int, int]] = []
    x = y = CELL
    for _, _, cells, _ in keys:
        if x > CELL and x + (cells + 1) * CELL > _SHEET_WIDTH:
            x, y = CELL, y + 2 * LINE
        places.append((x, y))
        x += (cells + 2) * CELL
    width = max(x + cells * CELL for (x, _), (_, _, cells, _) in zip(places, keys, strict=True)) + CELL
    drawn = written_on(
        (
            (Word(x, y, cells, told, face, turned, None, soft=False), x, y, None)
            for (x, y), (told, face, cells, turned) in zip(places, keys, strict=True)
        ),
        "#000",
    )
    sheet = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 2 * LINE}">{drawn}</svg>'
    pixels = to_pixels(vl_convert.svg_to_png(sheet, scale=unit / CELL))
    tall = LINE * unit // CELL
    for (x, y), key in zip(places, keys, strict=True):
        left, top = x * unit // CELL, y * unit // CELL
        part = pixels[top : top + tall, left : left + key[2] * unit]
        colored = bool(part[..., :3].any())
        yield (unit, key), _Mask(part[..., 3].copy(), part[..., :3].astype(int) if colored else None)


def _between(one: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(one, other, strict=True))
    return red, green, blue
