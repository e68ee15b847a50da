"""Tables of log-probabilities as plain JSON, in the documented structure, without a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import SettingError

if TYPE_CHECKING:
    from ..logprobs.columns import RawBytes
    from ..logprobs.table import Logprobs

# As in protobuf's JSON, because JSON has no such numbers.
_INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf}
_NAMES = {number: name for name, number in _INFINITE.items()}


def table_to_plain(table: Logprobs) -> dict[str, Any]:
    """Return a table as plain JSON: the documented list of dicts, with the tokens' ids where they are known."""
    vocabulary = table.vocabulary
    chosen, logprob, alternative, alternative_logprob, offsets = (column.tolist() for column in table.columns)
    tokens = {index: _token(*vocabulary.entry(index)) for index in {*chosen, *alternative}}
    top = [
        {**tokens[index], "logprob": _number(number)}
        for index, number in zip(alternative, alternative_logprob, strict=True)
    ]
    rows = [
        {**tokens[index], "logprob": _number(number), "top_logprobs": top[offsets[row] : offsets[row + 1]]}
        for row, (index, number) in enumerate(zip(chosen, logprob, strict=True))
    ]
    plain = {"content": rows, "vocab_size": table.vocab_size, "rounding": table.rounding}
    return plain if table.matches_text else {**plain, "matches_text": False}


def table_from_plain(value: Any, where: str) -> Logprobs | None:
    """Return the table of :func:`table_to_plain`.

    Raises
    ------
    SettingError
        When the value has another structure; names the place.
    """
    if value is None:
        return None
    import numpy as np

    from ..logprobs.columns import Vocabulary
    from ..logprobs.table import Logprobs

    vocabulary = Vocabulary()

    def read(entry: Mapping[str, Any]) -> tuple[int, float]:
        index = vocabulary.add(str(entry["token"]), _bytes(entry), entry.get("id"))
        number = entry["logprob"]
        return index, math.nan if number is None else _INFINITE[number] if isinstance(number, str) else float(number)

    try:
        chosen = [read(entry) for entry in value["content"]]
        lists = [entry.get("top_logprobs") or [] for entry in value["content"]]
        alternatives = [read(entry) for entries in lists for entry in entries]
        offsets = np.cumsum([0, *map(len, lists)])
        return Logprobs(
            vocabulary,
            np.array([index for index, _ in chosen], np.int32),
            np.array([number for _, number in chosen], np.float64),
            np.array([index for index, _ in alternatives], np.int32),
            np.array([number for _, number in alternatives], np.float64),
            offsets.astype(np.int32),
            vocab_size=value.get("vocab_size"),
            rounding=value.get("rounding"),
            matches_text=value.get("matches_text", True) is not False,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SettingError(
            f"{where} is no table of to_dict(): {type(error).__name__}: {error}.", setting=where, value=value
        ) from None


def _token(text: str, raw: RawBytes, token_id: int | None) -> dict[str, Any]:
    token: dict[str, Any] = {"token": text, "logprob": None}
    if raw is not ...:
        token["bytes"] = list(raw) if isinstance(raw, bytes) else None
    if token_id is not None:
        token["id"] = token_id
    return token


def _bytes(entry: Mapping[str, Any]) -> RawBytes:
    raw = entry.get("bytes", ...)
    return raw if raw is None or raw is ... else bytes(raw)


def _number(value: float) -> float | str | None:
    return None if math.isnan(value) else _NAMES.get(value, value)
