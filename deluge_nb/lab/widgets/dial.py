"""``Dial``: a named slider whose chart follows it."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import traitlets

from ...errors import invalid_argument
from ...printable import printable
from ...widget.fallback import FallbackWidget
from .pictures import draw

# More steps than this are too many to walk by the arrow keys, and to draw beforehand.
_MOST_STEPS = 1000


class Dial(FallbackWidget):
    """A named slider with a button for each direction, and below it a chart that follows the value.

    Tab reaches it, the arrow keys move it, and screen readers hear its name, its value and the chart in words.

    Parameters
    ----------
    label
        The name of the value, such as ``"temperature"``.
    low, high, step
        The range of the slider.
    value
        The value at first.
    show
        A function from a value to an Altair chart, which is called in Python when the slider has moved.
    frames
        The same, or a list with a chart for each step; all charts are drawn beforehand, so that the slider moves its
        chart without Python, also in a saved page.
    values
        The values of the steps, in place of `low`, `high` and `step`: they need not be even.
    format
        The way values are written, as a format of Python: ``".1f"``, ``".0%"``, ``",d"``. By default they have as many
        decimals as the finest step.

    Raises
    ------
    SettingError
        If the range has no steps or more than a thousand, or the value is none of them.
    MissingDependencyError
        If there is a chart, and the extra ``pictures`` is not installed.

    Examples
    --------
    >>> from deluge_nb.lab import Dial
    >>> dial = Dial("temperature", 0.5, 2, 0.5, 1)
    >>> dial.value = 1.5
    >>> dial
    Dial(temperature=1.5)
    """

    kind = traitlets.Unicode("dial").tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    steps = traitlets.List(traitlets.Float()).tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    frames = traitlets.List(traitlets.Dict()).tag(sync=True)
    picture = traitlets.Dict().tag(sync=True)
    drawn = traitlets.Int(-1).tag(sync=True)
    value = traitlets.Float()
    """The current value. If you set it, the nearest step is taken."""

    _script: ClassVar[str] = "lab.js"
    _page_assets: ClassVar[tuple[str, str]] = ("lab_page.js", "lab.css")

    def __init__(
        self,
        label: str,
        low: float | None = None,
        high: float | None = None,
        step: float | None = None,
        value: float | None = None,
        show: Callable[[float], Any] | None = None,
        *,
        frames: Callable[[float], Any] | Sequence[Any] | None = None,
        values: Sequence[float] | None = None,
        format: str | None = None,
    ) -> None:
        if not isinstance(label, str) or not label.strip():
            raise invalid_argument("label", label, "a name that is not empty")
        if show is not None and frames is not None:
            raise invalid_argument("show", show, "None where `frames` has the charts")
        steps = _steps(low, high, step) if values is None else _given(values, (low, high, step))
        start = steps[0] if value is None else value
        position = _position(steps, start)
        self._show = show
        super().__init__(label=printable(label), steps=steps, texts=_written(steps, format), position=position)
        self.value = steps[position]
        self.frames = [draw(chart) for chart in _charts(frames, steps)]
        self.observe(self._on_position, "position")
        self.observe(self._on_value, "value")
        self._draw()

    @property
    def title(self) -> str:
        """The title of a saved page."""
        return self.label

    def __repr__(self) -> str:
        return f"Dial({self.label}={self.texts[self.position]})"

    def _on_position(self, change: Any) -> None:
        position = min(max(change["new"], 0), len(self.steps) - 1)
        self.value = self.steps[position]
        self._draw()

    def _on_value(self, change: Any) -> None:
        position = min(range(len(self.steps)), key=lambda index: abs(self.steps[index] - change["new"]))
        self.position = position
        self.value = self.steps[position]

    def _draw(self) -> None:
        """Draw the chart of the current value, if it was not drawn beforehand."""
        if self._show is None:
            return
        position = self.position
        picture = draw(self._show(self.steps[position]))
        with self.hold_sync():
            self.picture = picture
            self.drawn = position

    def _current(self) -> dict[str, Any]:
        return self.frames[self.position] if self.frames else self.picture

    def _page_state(self) -> tuple[dict[str, Any], str]:
        return {}, self._text()

    def _text(self) -> str:
        return ": ".join(filter(None, (f"{self.label} {self.texts[self.position]}", self._current().get("text"))))

    def _static_forms(self) -> dict[str, str]:
        picture = self._current()
        image = ""
        if picture.get("svg"):
            # As an image it has no page whose ink it could take.
            content = base64.b64encode(picture["svg"].replace("currentColor", "#3c444d").encode()).decode()
            words = html.escape(picture["text"], quote=True)
            image = (
                f'<img alt="{words}" style="max-width:100%;background:white" src="data:image/svg+xml;base64,{content}">'
            )
        value = html.escape(f"{self.label}: {self.texts[self.position]}")
        return {"text/html": f'<div class="mathjax_ignore"><p>{value}</p>{image}</div>', "text/plain": self._text()}


def _steps(low: float | None, high: float | None, step: float | None) -> list[float]:
    """Return the values from `low` to `high`, each rounded so that steps of 0.1 are the numbers one writes."""
    if low is None or high is None or step is None or not all(map(math.isfinite, (low, high, step))):
        raise invalid_argument("low, high, step", (low, high, step), "three numbers, or `values` a list of steps")
    if step <= 0 or high <= low:
        raise invalid_argument("low, high, step", (low, high, step), "a range that rises in positive steps")
    count = math.floor((high - low) / step + 1e-9) + 1
    if not 2 <= count <= _MOST_STEPS:
        raise invalid_argument("step", step, f"one that gives 2 to {_MOST_STEPS} values")
    return [float(f"{low + index * step:.12g}") for index in range(count)]


def _given(values: Sequence[float], ends: tuple[float | None, ...]) -> list[float]:
    if any(end is not None for end in ends):
        raise invalid_argument("low, high, step", ends, "left out where `values` has the steps")
    steps = [float(value) for value in values]
    if not 2 <= len(steps) <= _MOST_STEPS or sorted(set(steps)) != steps or not all(map(math.isfinite, steps)):
        raise invalid_argument("values", values, f"two to {_MOST_STEPS} numbers in rising order")
    return steps


def _position(steps: Sequence[float], value: float) -> int:
    for index, step in enumerate(steps):
        if math.isclose(step, value, rel_tol=1e-9, abs_tol=1e-12):
            return index
    raise invalid_argument("value", value, f"one of the steps from {steps[0]:g} to {steps[-1]:g}")


def _written(steps: Sequence[float], format: str | None) -> list[str]:
    """Return the steps as they are written: in a format, or with the decimals of the finest of them."""
    if format is None:
        format = f",.{max(len(f'{step:.6f}'.rstrip('0').partition('.')[2]) for step in steps)}f"
    try:
        return [f"{int(step) if format.endswith('d') else step:{format}}" for step in steps]
    except ValueError:
        raise invalid_argument("format", format, "a format for numbers, such as '.1f'") from None


def _charts(frames: Callable[[float], Any] | Sequence[Any] | None, steps: Sequence[float]) -> list[Any]:
    if frames is None:
        return []
    if callable(frames):
        return [frames(step) for step in steps]
    if len(frames) != len(steps):
        raise invalid_argument("frames", f"{len(frames)} charts", f"a chart for each of the {len(steps)} steps")
    return list(frames)
