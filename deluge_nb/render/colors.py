"""The stylesheet's colours for what is drawn without a browser: read from it, and mixed as it mixes them."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np

from ..errors import DelugeError, SettingError
from .assets import VIEW_STYLESHEET, read_asset

Palette = Literal["amber", "blue", "green", "grey"]
Theme = Literal["light", "dark"]
PALETTES: tuple[Palette, ...] = get_args(Palette)
THEMES: tuple[Theme, ...] = get_args(Theme)

RGB = tuple[int, int, int]

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_NAMED = re.compile(r'\.deluge\[data-palette="?(\w+)"?\]')
_VARIABLE = re.compile(r"--deluge-(\w+)\s*:\s*light-dark\(\s*(#[0-9a-fA-F]{3,6})\s*,\s*(#[0-9a-fA-F]{3,6})\s*\)")
_CUE = re.compile(r"max\(0px,\s*\(var\(--u\)\s*-\s*([\d.]+)\)\s*\*\s*([\d.]+)px\)")

# From linear light to the cones, and from their cube roots to OKLab: https://bottosson.github.io/posts/oklab
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


class Inks(NamedTuple):
    """The colours of one palette in one theme, each as red, green and blue from 0 to 255."""

    text: RGB
    soft: RGB
    ground: RGB
    line: RGB
    heat: RGB
    edge: RGB

    def fill(self, heat: float) -> RGB:
        """What a token of some heat stands on."""
        return mix(self.heat, self.ground, heat)

    def mark(self, heat: float) -> RGB:
        """What a mark on such a token is written in: fainter than text, but not where it could not be read."""
        red, green, blue = (round(soft + (text - soft) * heat) for text, soft in zip(self.text, self.soft, strict=True))
        return red, green, blue


@cache
def inks_for(palette: Palette, theme: Theme) -> Inks:
    """The colours of a palette in a theme.

    Raises
    ------
    SettingError
        When there is no such palette or theme.
    """
    check_palette(palette)
    if theme not in THEMES:
        raise SettingError(f"theme must be light or dark, not {theme!r}.", setting="theme", value=theme)
    found = css_variables(read_asset(VIEW_STYLESHEET))
    known = {**found[""], **found.get(palette, {})}
    return Inks(*(parse_color(known[name][THEMES.index(theme)]) for name in Inks._fields))


def check_palette(palette: object) -> None:
    """Raise a :class:`SettingError` when there is no such palette."""
    if palette not in PALETTES:
        raise SettingError(
            f"palette must be one of {', '.join(PALETTES)}, not {palette!r}.", setting="palette", value=palette
        )


def css_variables(css: str) -> dict[str, dict[str, tuple[str, str]]]:
    """The colours that a stylesheet names, in light and in dark: those of all under ``""``, and by palette."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for selector, body in _RULE.findall(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)):
        named = _NAMED.fullmatch(selector.strip())
        if named or selector.strip() == ".deluge":
            block = found.setdefault(named[1] if named else "", {})
            block |= {name: (light, dark) for name, light, dark in _VARIABLE.findall(body)}
    return found


@cache
def cue_thresholds() -> tuple[float, float]:
    """From which heat there is a line below a token, and how many pixels it grows by with a heat of 1."""
    found = _CUE.search(read_asset(VIEW_STYLESHEET))
    if found is None:
        raise DelugeError("The stylesheet does not say how thick the line below a token is.")
    return float(found[1]), float(found[2])


def parse_color(color: str) -> RGB:
    """``#rrggbb``, or ``#rgb`` for short, as numbers."""
    digits = color.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def to_css(color: RGB) -> str:
    """As ``#rrggbb``."""
    return "#" + bytes(color).hex()


@cache
def mix(one: RGB, other: RGB, share: float) -> RGB:
    """Two colours mixed in OKLab, with a share of the first from 0 to 1, as ``color-mix(in oklab, …)`` does."""
    lab = share * _to_oklab(one) + (1 - share) * _to_oklab(other)
    light = np.linalg.solve(_CONES, np.linalg.solve(_LAB, lab) ** 3).clip(0, 1)
    shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    red, green, blue = np.rint(shown * 255).astype(int).tolist()
    return red, green, blue


def _to_oklab(color: RGB) -> np.ndarray:
    shown = np.array(color) / 255
    light = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    return _LAB @ np.cbrt(_CONES @ light)
