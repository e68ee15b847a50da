"""Derive the colours of charts from the palettes of the view: the same hues, legible on light and dark pages."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, cast

import altair as alt

from ..render.colors import PALETTES, RGB, Palette, inks_for, luminance, mix, to_css

# Relative luminances. From 0.117 to 0.3, the contrast with both white and #111 is at least 3.
_LIGHT, _MIDDLE, _DARK = 0.285, 0.175, 0.125
# A scale mixes its colours in steps, because Vega mixes them in RGB.
_STEPS = (0, 0.25, 0.5, 0.75, 1)


class ChartColors(NamedTuple):
    """Colours of the data in a chart."""

    sure: str
    """Likely tokens, and whatever needs no emphasis."""
    unsure: str
    """Unlikely tokens, in the hue of the palette."""
    line: str
    """A second measure over the bars, and the outline of a selected bar."""
    heat: tuple[str, ...]
    """From sure to unsure, evenly spaced."""

    @property
    def scale(self) -> alt.Scale:
        """The scale from heat to colour."""
        return alt.Scale(domain=list(_STEPS), range=list(self.heat), interpolate="rgb")


def palette_of(source: Any) -> Palette:
    """Return the palette of a view; amber for anything but a view."""
    palette = getattr(source, "palette", None)
    return cast(Palette, palette) if palette in PALETTES else "amber"


@cache
def colors_for(palette: Palette = "amber") -> ChartColors:
    """Return the colours of charts in a palette of the view."""
    light, dark = inks_for(palette, "light"), inks_for(palette, "dark")
    sure = _of_luminance(dark.soft, light.soft, _LIGHT)
    unsure = _of_luminance(light.heat, light.edge, _MIDDLE)
    other = inks_for("amber" if palette == "blue" else "blue", "light")
    line = _of_luminance(other.heat, other.edge, _DARK)
    heat = tuple(to_css(mix(unsure, sure, step)) for step in _STEPS)
    return ChartColors(to_css(sure), to_css(unsure), to_css(line), heat)


def _of_luminance(light: RGB, dark: RGB, wanted: float) -> RGB:
    """Return the mixture of a lighter and a darker colour that has a relative luminance."""
    low, high = 0.0, 1.0
    for _ in range(12):
        share = (low + high) / 2
        low, high = (share, high) if luminance(mix(light, dark, share)) < wanted else (low, share)
    return mix(light, dark, low)
