"""Record what was odd in a reply, for the note of the response."""

from __future__ import annotations

from ...errors import MalformedResponseError
from ...printable import printable

# Paths that a note lists; a table may have thousands of odd entries.
_MOST_PATHS = 3
# Last names of the fields that hold the answer itself.
_ANSWER_FIELDS = frozenset(
    {
        "candidates",
        "choices",
        "content",
        "function",
        "message",
        "name",
        "output",
        "parts",
        "refusal",
        "response",
        "text",
        "tool_calls",
    }
)


class Faults:
    """Fields of a reply that did not fit, and remarks on those that did.

    ``error`` is the error of the strict decode, to be raised if no answer can be read.
    """

    __slots__ = ("_paths", "error", "remarks")

    def __init__(self) -> None:
        self.error: MalformedResponseError | None = None
        self.remarks: list[str] = []
        self._paths: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, name: str) -> bool:
        """Return whether a field whose path contains this name did not fit."""
        return any(name in path for path in self._paths)

    def add(self, path: str) -> None:
        """Record a field that did not fit."""
        self._paths[path] = None

    def forget(self, count: int) -> None:
        """Keep only the first ``count`` fields: the attempt that found the others was given up."""
        for path in list(self._paths)[count:]:
            del self._paths[path]

    def check_answer(self, *, is_empty: bool) -> None:
        """Raise an error if there is no answer because a field that holds it did not fit.

        Raises
        ------
        MalformedResponseError
            When there is neither text nor a tool call.
        """
        if not is_empty:
            return
        for path in self._paths:
            if path.rpartition(".")[2].partition("[")[0] in _ANSWER_FIELDS:
                sentence = f"The server's answer cannot be read: its {path} does not fit."
                raise self.error or MalformedResponseError(printable(sentence), field=path)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the note of the response."""
        paths = list(self._paths)
        if not paths:
            return tuple(self.remarks)
        names = ", ".join(paths[:_MOST_PATHS])
        more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
        return (printable(f"the server's {names}{more} did not fit and was left out"), *self.remarks)
