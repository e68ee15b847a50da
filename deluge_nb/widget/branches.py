"""The tree of one view: answers to one prompt by their beginnings, and answers that continue from another token.

Requests of the browser run in a thread of their own, so that the kernel stays free.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..client.continuation import Branch, Continuer, response_or_table
from ..errors import DelugeError, SettingError
from ..interop.readers import as_logprobs
from ..logprobs.splice import alternative_at, alternative_logprob, locate_alternative, token_bytes
from ..logprobs.table import Logprobs
from ..response import APIResponse
from ..response.sample_tree import SampleRow, sample_rows
from ..response.samples import Samples, are_responses, group_samples
from ..text import glyphs
from ..transport.secrecy import forget_frames
from .codec import pack
from .packer import CHUNK, EAGER, Packer, pack_measures
from .table_sync import with_small_vocabulary

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..models.spec import ServedModel
    from ..prompts import PromptLike
    from ..sampling import SamplingParams

_END = "the end"


class Host(Protocol):
    """The part of a view that its branches use."""

    @property
    def table(self) -> Logprobs:
        """The rows of the original answer."""
        ...

    @property
    def node(self) -> Any:
        """The node on the screen."""
        ...

    def set_trait(self, name: str, value: Any) -> None:
        """Set a synchronised trait."""
        ...

    def hold_sync(self) -> AbstractContextManager[Any]:
        """Send the traits that are set inside the block as one message."""
        ...


class BranchTree:
    """The branches of a view, and the traits that show them.

    Parameters
    ----------
    host
        The view; its traits ``tree``, ``node``, ``branched`` and ``branching`` are set here.
    answer
        The response or table that the view was given.
    continuer
        The object that continues the answer; None if nothing can.
    reason
        The reason why nothing can continue, for the cards; None to show none.
    samples
        The different answers that the view was given, of which ``answer`` is the first; empty for one answer. Their
        nodes are their indices, and branches come after them.
    """

    def __init__(
        self, host: Host, answer: Any, continuer: Continuer | None, reason: str | None, samples: Samples
    ) -> None:
        self._host = host
        self._continuer = continuer
        self._reason = reason
        self._packers: dict[int, Packer] = {}
        self._blocks: dict[str, Any] = {}
        self._sampled: dict[int, Branch] = {}
        self.branches: list[Branch] = []
        """All branches, in the order of their requests."""
        self._take(answer, samples)

    def _take(self, answer: Any, samples: Samples) -> None:
        self._answer = response_or_table(answer)
        self.samples = samples
        """The different answers that the view was given; empty for one answer."""
        is_one = samples.total < 2 and not samples.failed
        self.rows: list[SampleRow] = [] if is_one else sample_rows(samples)
        """The rows of their tree."""
        self._count = max(len(samples) - 1, 0)

    @property
    def why_not(self) -> str | None:
        """The reason why the view cannot branch, for the cards: empty if it can, None to show no reason."""
        return self._reason if self._continuer is None else self._continuer.why_not(self._answer)

    def replace_answer(self, answer: Any, samples: Samples, *, grown: bool, continuer: Continuer | None) -> None:
        """Take other answers, or the same one ``grown``; a ``continuer`` replaces the old one."""
        if continuer is not None:
            self._continuer = continuer
        elif not grown and self._continuer is not None:
            self._continuer = None
            self._reason = "The view shows another text now, and its prompt is not known: update(…, prompt=…)."
        if not grown:
            for collection in (self.branches, self._blocks, self._packers, self._sampled):
                collection.clear()
            self._take(answer, samples)
        else:
            self._answer = response_or_table(answer)

    def clear(self) -> None:
        """Remove the branches and answers of the replaced text from the browser."""
        self._host.set_trait("node", 0)
        self._host.set_trait("tree", [])
        self._host.set_trait("branched", b"")

    def traits(self, most_tokens: float = EAGER) -> dict[str, Any]:
        """Return the traits of the sampled answers: their tree, and the tables of its rows up to so many tokens."""
        room = most_tokens
        for node in dict.fromkeys(row.shows for row in self.rows if row.shows):
            room -= self.samples[node].stop
            if room < 0:
                break
            if node not in self._packers:
                self._pack(node)
        return {"tree": self._describe_all(), "branched": pack({}, self._blocks) if self._blocks else b""}

    def show_sample(self, content: Any) -> int | None:
        """Return the node of the answer that a message of the browser asks for; None if there is none."""
        is_node = isinstance(content, int) and not isinstance(content, bool) and 0 <= content < len(self.samples)
        return content if is_node else None

    def table(self, node: int) -> Logprobs:
        """Return the table of a node: that of the original answer for 0, else of a sampled answer or a branch."""
        if 0 < node < len(self.samples):
            return self.samples[node].table
        table = None if node == 0 else self._ready(node).table
        return self._host.table if table is None else table

    def pack_chunk(self, node: int, chunk: int) -> bytes:
        """Return the alternatives of one chunk of a branch's tokens."""
        table = self.table(node)
        return self._packers[node].alternatives(table, chunk * CHUNK, min((chunk + 1) * CHUNK, len(table)))

    # Showing ----------------------------------------------------------------------------------------------------------

    def check_node(self, node: int) -> int:
        """Return the node if it can be shown; the browser then has its tokens.

        Raises
        ------
        SettingError
            When it is neither 0, nor a sampled answer, nor a branch that is ready.
        """
        if node != 0:
            self._ready(node)
        if 0 < node < len(self.samples) and node not in self._packers:
            self._pack(node)
            self._host.set_trait("branched", pack({}, self._blocks))
        return node

    def _ready(self, node: int) -> Branch:
        branch = self._find(node)
        if branch is None or branch.status != "ready":
            ready = [str(branch.id) for branch in self.branches if branch.status == "ready"]
            choices = f"or a branch that is ready ({', '.join(ready)})" if ready else "for no branch is ready"
            last = len(self.samples) - 1
            first = f"from 0 to {last} for an answer" if last > 0 else "0 for the original"
            raise SettingError(f"node must be {first}, {choices}; not {node!r}.", setting="node", value=node)
        return branch

    def _find(self, node: int) -> Branch | None:
        if 0 < node < len(self.samples):
            response = self.samples[node].response
            # No position of its own: it shares no rows with the answer at node 0.
            return self._sampled.setdefault(node, Branch(node, None, -1, 0, "", "", None, "ready", "", response))
        return next((branch for branch in self.branches if branch.id == node), None)

    # Requesting -------------------------------------------------------------------------------------------------------

    def branch(self, position: int, alternative: str | int, node: int) -> Branch:
        """Request a branch and wait for it.

        Raises
        ------
        SettingError
            When there is no such alternative, or the model cannot continue from it.
        """
        self.check_node(node)
        reason = self.why_not
        if self._continuer is None or reason:
            raise SettingError(
                reason or "To branch, a view needs a client and the prompt: LogprobView(response, client=…, prompt=…).",
                setting="client",
            )
        position, index = locate_alternative(self.table(node), position, alternative)
        branch = self._add(node, position, index)
        try:
            response = self._continuer.continue_from(self._answer_of(branch.parent), position, index)
        except BaseException:
            self.branches.remove(branch)
            self._host.set_trait("branching", self.why_not)  # the server may have shown that it continues no answer
            raise
        self._finish(branch, response)
        self._publish(branch, move_from=None)
        return branch

    def request(self, content: Any) -> None:
        """Request a branch that the browser asks for; it is shown when it is ready."""
        address = self._read_request(content)
        continuer = self._continuer
        if address is None or continuer is None or self.why_not:
            return
        node, position, index = address
        parent = self._owner(node, position)
        key = (parent, position, index)
        same = [branch for branch in self.branches if (branch.parent, branch.position, branch.place) == key]
        if any(branch.status == "asking" for branch in same):
            return
        for earlier in same:
            if earlier.status == "failed":
                self.branches.remove(earlier)
        branch = self._add(node, position, index)
        self._send_tree()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        answer = self._answer_of(branch.parent)

        def work() -> None:
            try:
                response = continuer.continue_from(answer, position, index)
            except Exception as error:
                message = str(error) if isinstance(error, DelugeError) else f"internal error: {type(error).__name__}"
                forget_frames(error)
                response = APIResponse("", is_error=True, error_message=message, error=error)
            # In this thread: a cell may be waiting for the branch, and the kernel's loop for the cell.
            self._finish(branch, response)
            if loop is None:
                self._publish(branch, move_from=node)
                return
            with contextlib.suppress(RuntimeError):  # The kernel has ended.
                loop.call_soon_threadsafe(lambda: self._publish(branch, move_from=node))

        threading.Thread(target=work, name="deluge-nb-branch", daemon=True).start()

    def _read_request(self, content: Any) -> tuple[int, int, int] | None:
        """Return the node, the position and the alternative that a message names; None if they do not exist."""
        if not isinstance(content, dict):
            return None
        values = [content.get(name) for name in ("node", "token", "place")]
        node, position, index = (
            value if isinstance(value, int) and not isinstance(value, bool) else -1 for value in values
        )
        try:
            table = self.table(self.check_node(node))
            return node, *locate_alternative(table, position if position >= 0 else len(table), index)
        except SettingError:
            return None

    def _answer_of(self, parent: Branch | None) -> Any:
        return self._answer if parent is None else parent.response

    def _owner(self, node: int, position: int) -> Branch | None:
        """Return the branch that a position belongs to: rows before a branch's own alternative are its parent's."""
        branch = self._find(node)
        while branch is not None and branch.position >= position:
            branch = branch.parent
        return branch

    def _add(self, node: int, position: int, index: int) -> Branch:
        parent = self._owner(node, position)
        table = self.table(0 if parent is None else parent.id)
        token, instead = table.top(position)[index]["token"], table[position : position + 1].tokens[0]
        self._count += 1
        logprob = alternative_logprob(table, position, index)
        branch = Branch(self._count, parent, position, index, token, instead, logprob)
        self.branches.append(branch)
        return branch

    def _finish(self, branch: Branch, response: APIResponse) -> None:
        branch.response = response
        if response.is_error:
            branch.message = response.error_message or "The request failed, and no reason was given."
        branch.status = "failed" if response.is_error else "ready"

    # Publishing -------------------------------------------------------------------------------------------------------

    def _publish(self, branch: Branch, *, move_from: int | None) -> None:
        """Send a branch to the browser; show it if the node that it was requested from is still shown."""
        if branch not in self.branches:  # The view shows another text by now.
            return
        host, table = self._host, branch.table
        with host.hold_sync():
            if branch.status == "failed":  # It may have shown that the server continues no answer.
                host.set_trait("branching", self.why_not)
            if table is not None:
                self._pack(branch.id)
                host.set_trait("branched", pack({}, self._blocks))
            self._send_tree()
            if table is not None and move_from is not None and host.node == move_from:
                host.set_trait("node", branch.id)

    def _pack(self, node: int) -> None:
        table = with_small_vocabulary(self.table(node))
        packer = self._packers[node] = Packer()
        self._blocks[f"data{node}"] = _as_column(packer.tokens(table))
        packer.commit()
        last = len(table) if len(table) <= EAGER else CHUNK
        self._blocks[f"alternatives{node}"] = _as_column(packer.alternatives(table, 0, last))
        self._blocks[f"measures{node}"] = _as_column(pack_measures(table))

    def _send_tree(self) -> None:
        self._host.set_trait("tree", self._describe_all())

    def _describe_all(self) -> list[dict[str, Any]]:
        rows = [{**row._asdict(), "status": "ready", "message": ""} for row in self.rows]
        return [*rows, *map(self._describe, self.branches)]

    def _row_of(self, node: int) -> int:
        """Return the id of the innermost row that shows a node: many answers have no row of their own."""
        return next((row.id for row in reversed(self.rows) if row.shows == node), node)

    def _describe(self, branch: Branch) -> dict[str, Any]:
        parent = 0 if branch.parent is None else branch.parent.id
        # Slice to one row: spelling all tokens of a long table is slow.
        row = self.table(parent)[branch.position : branch.position + 1]
        table = branch.table
        return {
            "id": branch.id,
            "parent": self._row_of(parent),
            "position": branch.position,
            "place": branch.place,
            "label": _label(token_bytes(*alternative_at(row, 0, branch.place)[:2])),
            "instead": _label(row.token_bytes[0]),
            "logprob": branch.logprob,
            # Without the censored tokens the sum would make the answer look too probable.
            "total": None if table is None or table.censored.any() else table.total_logprob,
            "tokens": None if table is None else len(table),
            "status": branch.status,
            "message": branch.message,
        }


def read_answers(value: Any) -> tuple[Samples, Any, Logprobs]:
    """Return the different answers of several responses, the answer that is shown first, and its table."""
    if not are_responses(value):
        return Samples([]), value, as_logprobs(value)
    samples = group_samples(value)
    return samples, samples[0].response, samples[0].table


def resolve_continuer(
    client: LLMClient | str | ServedModel | Continuer | None, prompt: PromptLike | None, params: SamplingParams | None
) -> tuple[Continuer | None, str | None]:
    """Return the object that continues an answer, or None and the reason why nothing can."""
    if client is None:
        return None, None if prompt is None else "No client is known that could continue: LogprobView(…, client=…)."
    if prompt is None:
        if isinstance(client, Continuer):
            return client, None
        return None, "The prompt is not known, so the model cannot continue: LogprobView(…, prompt=…)."
    if isinstance(client, Continuer):
        return client.for_prompt(prompt), None
    return Continuer(client, prompt, sampling_params=params), None


def _label(octets: bytes) -> str:
    return glyphs.label(octets) if octets else _END


def _as_column(block: bytes) -> Any:
    return np.frombuffer(block, np.uint8)
