"""What the traits of a view may be set to; whatever else is refused in a sentence, and the old value stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets

from ..errors import SettingError
from ..logprobs.table import Logprobs


class Checks(traitlets.HasTraits):
    """The checks of a view's settings, wherever they come from."""

    @property
    def shown(self) -> Logprobs:
        """The table on the screen."""
        raise NotImplementedError

    @traitlets.validate("selected")
    def _position(self, proposal: Mapping[str, Any]) -> int | None:
        value = proposal["value"]
        if value is not None and not 0 <= value < len(self.shown):
            last = len(self.shown) - 1
            allowed = f"None or a position from 0 to {last}" if last >= 0 else "None where there are no tokens"
            raise refusal("selected", allowed, value)
        return value

    @traitlets.validate("selection")
    def _range(self, proposal: Mapping[str, Any]) -> list[int]:
        value = list(proposal["value"])
        whole = all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in value)
        if value and not (whole and len(value) == 2 and 0 <= value[0] < value[1] <= len(self.shown)):
            allowed = f"empty or [start, stop] with 0 <= start < stop <= {len(self.shown)}"
            raise refusal("selection", allowed, value)
        return [int(one) for one in value]

    @traitlets.validate("pinned")
    def _positions(self, proposal: Mapping[str, Any]) -> list[int]:
        value = list(proposal["value"])
        if not all(isinstance(one, int) and 0 <= one < len(self.shown) for one in value):
            raise refusal("pinned", f"positions from 0 to {len(self.shown) - 1}", value)
        return value

    @traitlets.validate("threshold")
    def _share(self, proposal: Mapping[str, Any]) -> float:
        value = proposal["value"]
        if not 0 < value <= 1:
            raise refusal("threshold", "a probability above 0 and at most 1", value)
        return value

    @traitlets.validate("limits")
    def _ends(self, proposal: Mapping[str, Any]) -> list[float]:
        value = [float(one) for one in proposal["value"]]
        if value and not (len(value) == 2 and value[0] <= value[1]):
            raise refusal("limits", "empty or two values, the lower one first", value)
        return value

    @traitlets.validate("temperature")
    def _heat(self, proposal: Mapping[str, Any]) -> float:
        value = proposal["value"]
        if not 0 <= value <= 100:
            raise refusal("temperature", "from 0 to 100", value)
        return value


def refusal(name: str, allowed: str, value: Any) -> SettingError:
    """What is raised where a setting has a value that it cannot have."""
    return SettingError(f"{name} must be {allowed}, not {value!r}.", setting=name, value=value)
