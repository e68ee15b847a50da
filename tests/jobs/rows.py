"""A server whose answers depend on the row, so that a lost, doubled or swapped row is seen; and checks of results."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from deluge_nb import Job, LLMClient, score_frame
from tests.openai_server import ChatServer, Reply, Seen, chat, running

TEMPLATE = "Row {number} : {text}"
LABELS = ["yes", "no"]


def share(row: int) -> float:
    """Return P(yes) as the server answers it for a row."""
    return (row % 97 + 1) / 99


def row_of(seen: Seen) -> int:
    """Return the row that a request asks about."""
    return int(seen.question.split()[1])


class RowServer:
    """Server that answers each row with its own probability, and counts the requests of each row."""

    def __init__(self, server: ChatServer) -> None:
        self.server = server
        self.bad: dict[int, Reply] = {}
        """Replies in place of the answers of some rows."""
        self.delay = 0.0
        server.answer = self._answer

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def counts(self) -> Counter[int]:
        """Requests by row."""
        return Counter(map(row_of, self.server.seen))

    @property
    def requests(self) -> int:
        return len(self.server.seen)

    def client(self, **settings: Any) -> LLMClient:
        given: dict[str, Any] = {"base_url": self.url, "max_attempts": 1}
        return LLMClient("vllm/x", **(given | settings))

    def _answer(self, seen: Seen, number: int) -> Reply:
        row = row_of(seen)
        if row in self.bad:
            return self.bad[row]
        yes = share(row)
        likeliest = "yes" if yes > 0.5 else "no"
        return Reply(chat(seen, [(likeliest, {"yes": yes, "no": 1 - yes})]), delay=self.delay)


class Unpicklable:
    """Pace that holds what belongs to this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    async def turn(self) -> None: ...

    def charge(self, tokens: float) -> None: ...

    def hold(self, seconds: float) -> None: ...


@contextmanager
def row_server() -> Iterator[RowServer]:
    """Run a server of rows."""
    with running() as server:
        yield RowServer(server)


def rows(count: int) -> pa.Table:
    """Return rows to ask about."""
    return pa.table({"number": list(range(count)), "text": [f"text {row % 7}" for row in range(count)]})


def ask(client: LLMClient, count: int, out: Path, **settings: Any) -> Job:
    """Score rows with the template and the labels of these tests."""
    given: dict[str, Any] = {"labels": LABELS, "out": out, "show_progress": False}
    return score_frame(rows(count), TEMPLATE, client, **(given | settings))


def check(job: Job, count: int, failed: set[int] | None = None) -> None:
    """Assert one right answer for each row, in order, and failures where they belong."""
    check_table(job.table, count, failed)


def check_table(table: pa.Table, count: int, failed: set[int] | None = None) -> None:
    """Assert the same of a table of rows with their results."""
    table.validate(full=True)
    assert table["number"].to_pylist() == list(range(count))
    bad = failed or set()
    for row, (found, error) in enumerate(zip(table["p_yes"].to_pylist(), table["error"].to_pylist(), strict=True)):
        assert (error is not None) == (row in bad), (row, error)
        assert (found is None) == (row in bad)
        assert found is None or math.isclose(found, share(row), rel_tol=1e-9), (row, found)
