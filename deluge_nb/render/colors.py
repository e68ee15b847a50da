"""Colours of the stylesheet, read from it and mixed as a browser mixes them, for pictures."""

from __future__ import annotations

import math
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
_PALETTE = re.compile(r'\.deluge\[data-palette="?(\w+)"?\]')
_VARIABLE = re.compile(r"--deluge-([\w-]+)\s*:\s*light-dark\(\s*(#[0-9a-fA-F]{3,6})\s*,\s*(#[0-9a-fA-F]{3,6})\s*\)")
_CUE = re.compile(r"max\(0px,\s*\(var\(--u\)\s*-\s*([\d.]+)\)\s*\*\s*([\d.]+)px\)")

# Matrices from linear RGB to cone responses, and from their cube roots to OKLab:
# https://bottosson.github.io/posts/oklab
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


# Heat of text that only one of the compared responses has.
ONLY_HERE = math.inf
# Share of the colour of lines in the background of such text, as in compare.css.
_ONLY_SHARE = 0.45


class Inks(NamedTuple):
    """Colours of one palette in one theme, each as red, green and blue from 0 to 255.

    In a comparison the heat is negative where a response is surer than the other, and :data:`ONLY_HERE` where there is
    nothing to compare.
    """

    text: RGB
    soft: RGB
    ground: RGB
    line: RGB
    heat: RGB
    edge: RGB
    surer: RGB
    surer_edge: RGB
    bar_fill: RGB

    def fill(self, heat: float) -> RGB:
        """Return the background of a token of a heat from -1 to 1."""
        if heat == ONLY_HERE:
            return mix(self.line, self.ground, _ONLY_SHARE)
        return mix(self.surer, self.ground, -heat) if heat < 0 else mix(self.heat, self.ground, heat)

    def mark(self, heat: float) -> RGB:
        """Return the colour of a mark on such a token: fainter than text, but legible on strong colours too."""
        share = 0 if heat == ONLY_HERE else abs(heat)
        red, green, blue = (
            round(soft + (text - soft) * share) for text, soft in zip(self.text, self.soft, strict=True)
        )
        return red, green, blue


@cache
def inks_for(palette: Palette, theme: Theme) -> Inks:
    """Return the colours of a palette in a theme.

    Raises
    ------
    SettingError
        When there is no such palette or theme.
    """
    check_palette(palette)
    if theme not in THEMES:
        raise SettingError(f"theme must be light or dark, not {theme!r}.", setting="theme", value=theme)
    by_palette = css_variables(read_asset(VIEW_STYLESHEET))
    variables = {**by_palette[""], **by_palette.get(palette, {})}
    return Inks(*(parse_color(variables[name][THEMES.index(theme)]) for name in Inks._fields))


def check_palette(palette: object) -> None:
    """Raise a :class:`SettingError` unless there is such a palette."""
    if palette not in PALETTES:
        raise SettingError(
            f"palette must be one of {', '.join(PALETTES)}, not {palette!r}.", setting="palette", value=palette
        )


def css_variables(css: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Return the colour variables of a stylesheet by palette, each with its light and its dark value.

    Variables that all palettes share are under ``""``. Names have underscores in place of hyphens.
    """
    by_palette: dict[str, dict[str, tuple[str, str]]] = {}
    for selector, body in _RULE.findall(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)):
        palette = _PALETTE.fullmatch(selector.strip())
        if palette or selector.strip() == ".deluge":
            variables = by_palette.setdefault(palette[1] if palette else "", {})
            variables |= {name.replace("-", "_"): (light, dark) for name, light, dark in _VARIABLE.findall(body)}
    return by_palette


@cache
def cue_thresholds() -> tuple[float, float]:
    """Return the heat from which a token has a line below it, and the growth of the line in pixels per unit of heat."""
    match = _CUE.search(read_asset(VIEW_STYLESHEET))
    if match is None:
        raise DelugeError("The stylesheet has no rule for the line below a token; install the package again.")
    return float(match[1]), float(match[2])


def parse_color(color: str) -> RGB:
    """Return red, green and blue of ``#rrggbb`` or ``#rgb``."""
    digits = color.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def to_css(color: RGB) -> str:
    """Return a colour as ``#rrggbb``."""
    return "#" + bytes(color).hex()


def luminance(color: RGB) -> float:
    """Return the relative luminance of a colour from 0 to 1, as WCAG defines it for contrasts."""
    return float(_to_linear(color) @ (0.2126, 0.7152, 0.0722))


@cache
def mix(first: RGB, second: RGB, share: float) -> RGB:
    """Return two colours mixed in OKLab with a share of the first from 0 to 1, as ``color-mix(in oklab, …)`` does."""
    lab = share * _to_oklab(first) + (1 - share) * _to_oklab(second)
    light = np.linalg.solve(_CONES, np.linalg.solve(_LAB, lab) ** 3).clip(0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    red, green, blue = np.rint(encoded * 255).astype(int).tolist()
    return red, green, blue


def _to_oklab(color: RGB) -> np.ndarray:
    return _LAB @ np.cbrt(_CONES @ _to_linear(color))


def _to_linear(color: RGB) -> np.ndarray:
    encoded = np.array(color) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
