"""``EventPicker``: check boxes that put outcomes into an event, and the probability of the event."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np

from ...errors import invalid_argument
from ...interop.readers import as_logprobs
from ...text.glyphs import label
from ..texts import names_of

_LISTED = 20


class EventPicker(ipywidgets.VBox):
    """Check boxes for the likeliest next tokens; the ticked ones are an event whose probability is shown.

    "Everything else" is a line of its own: it cannot be left out of the space of outcomes, and goes into the event or
    its complement as a whole.

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

    def __init__(self, logprobs: Any, count: int = _LISTED) -> None:
        table = as_logprobs(logprobs)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 50:
            raise invalid_argument("count", count, "a number from 1 to 50")
        self._texts = names_of(table, count)
        self._probabilities = np.exp(table.top_logprob(0)[:count])
        self._rest = max(1.0 - float(self._probabilities.sum()), 0.0)
        layout = ipywidgets.Layout(width="auto", margin="0")
        self._boxes = [
            ipywidgets.Checkbox(description=f"{label(text.encode())}  {share:.1%}", indent=False, layout=layout)
            for text, share in zip(self._texts, self._probabilities, strict=True)
        ]
        self._everything_else = ipywidgets.Checkbox(
            description=f"everything else  {self._rest:.1%}", indent=False, layout=layout
        )
        self._result = ipywidgets.HTML()
        grid = ipywidgets.GridBox(
            [*self._boxes, self._everything_else],
            layout=ipywidgets.Layout(grid_template_columns="repeat(auto-fill, minmax(11em, 1fr))", grid_gap="0 12px"),
        )
        super().__init__([grid, self._result])
        for box in (*self._boxes, self._everything_else):
            box.observe(self._update, "value")
        self._update()

    @property
    def probability(self) -> float:
        """The probability of the event."""
        ticked = [box.value for box in self._boxes]
        return float(self._probabilities[ticked].sum()) + self._rest * self._everything_else.value

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
            matches = [
                box for box, token in zip(self._boxes, self._texts, strict=True) if token.strip() == text.strip()
            ]
            if not matches:
                raise invalid_argument("texts", text, "tokens of the list")
            for box in matches:
                box.value = True

    def _update(self, _: Any = None) -> None:
        event = self.probability
        bar = (
            '<div aria-hidden="true" style="height:12px;max-width:480px;border:1px solid;border-radius:3px">'
            f'<div style="height:100%;width:{100 * event:.2f}%;background:#5a82b4"></div></div>'
        )
        self._result.value = (
            f'<div role="status">P(event) = <strong>{event:.3f}</strong>, P(not the event) = {1 - event:.3f}</div>{bar}'
        )
