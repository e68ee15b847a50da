"""``EventPicker``: check boxes that put outcomes into an event, and the probability of the event."""

from __future__ import annotations

import html
from typing import Any, ClassVar

import numpy as np
import traitlets

from ...errors import invalid_argument
from ...interop.readers import as_logprobs
from ...render.scale import percent
from ...text.glyphs import label
from ...widget.fallback import FallbackWidget
from ..texts import names_of

_LISTED = 20


class EventPicker(FallbackWidget):
    """Check boxes for the likeliest next tokens; the ticked ones are an event whose probability is shown.

    "Everything else" is a line of its own: it cannot be left out of the space of outcomes, and goes into the event or
    its complement as a whole. The sum is made in the page, so it also follows in a saved page.

    Parameters
    ----------
    logprobs
        A table of one token, as :func:`deluge_nb.next_token` returns it.
    count
        The number of tokens to list.

    Raises
    ------
    LogprobsMissingError
        If there are no log-probabilities.
    SettingError
        If `count` is not from 1 to 50.

    Examples
    --------
    >>> from deluge_nb.lab import EventPicker
    >>> top = [{"token": "heads", "logprob": -0.7}, {"token": "tails", "logprob": -1.6}]
    >>> picker = EventPicker([{"token": "heads", "logprob": -0.7, "top_logprobs": top}])
    >>> picker.pick("heads", "tails")
    >>> round(picker.probability, 3)
    0.698
    """

    kind = traitlets.Unicode("event").tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shares = traitlets.List(traitlets.Unicode()).tag(sync=True)
    probabilities = traitlets.List(traitlets.Float()).tag(sync=True)
    ticked = traitlets.List(traitlets.Int()).tag(sync=True)

    _script: ClassVar[str] = "lab.js"
    _page_assets: ClassVar[tuple[str, str]] = ("lab_page.js", "lab.css")
    title = "An event"

    def __init__(self, logprobs: Any, count: int = _LISTED) -> None:
        table = as_logprobs(logprobs)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 50:
            raise invalid_argument("count", count, "a number from 1 to 50")
        self._tokens = names_of(table, count)
        listed = np.exp(table.top_logprob(0)[:count]).tolist()
        probabilities = [*listed, max(1.0 - sum(listed), 0.0)]
        super().__init__(
            texts=[*(label(token.encode()) for token in self._tokens), "everything else"],
            shares=[percent(probability) for probability in probabilities],
            probabilities=probabilities,
        )

    @property
    def probability(self) -> float:
        """The probability of the event."""
        return float(sum(self.probabilities[index] for index in self._in_event()))

    def pick(self, *texts: str) -> None:
        """Tick tokens, by their text; leading spaces do not matter.

        Parameters
        ----------
        *texts
            The texts.

        Raises
        ------
        SettingError
            If a text is no listed token.

        Examples
        --------
        >>> from deluge_nb.lab import EventPicker
        >>> heads = {"token": "heads", "logprob": -0.7}
        >>> picker = EventPicker([{**heads, "top_logprobs": [heads]}])
        >>> picker.pick("heads")
        >>> round(picker.probability, 3)
        0.497
        """
        for text in texts:
            matches = [index for index, token in enumerate(self._tokens) if token.strip() == text.strip()]
            if not matches:
                raise invalid_argument("texts", text, "tokens of the list")
            self.ticked = sorted({*self.ticked, *matches})

    def __repr__(self) -> str:
        return f"EventPicker({self._sum()})"

    def _in_event(self) -> list[int]:
        """Return the indices of the outcomes in the event; the page may send others."""
        return [index for index in range(len(self.texts)) if index in self.ticked]

    def _sum(self) -> str:
        event = self.probability
        return f"P(event) = {event:.3f}, P(not the event) = {max(1 - event, 0.0):.3f}"

    def _page_state(self) -> tuple[dict[str, Any], str]:
        return {}, self._sum()

    def _static_forms(self) -> dict[str, str]:
        inside = self._in_event()
        parts = {"In the event": inside, "Not in it": [n for n in range(len(self.texts)) if n not in inside]}
        lines = [
            f"{name}: {', '.join(f'{self.texts[index]} {self.shares[index]}' for index in indices)}"
            for name, indices in parts.items()
            if indices
        ]
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in (self._sum(), *lines))
        return {
            "text/html": f'<div class="mathjax_ignore">{paragraphs}</div>',
            "text/plain": "\n".join([self._sum(), *lines]),
        }
