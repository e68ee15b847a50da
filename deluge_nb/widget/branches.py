"""The branches of one view: asked for while the kernel goes on, kept as a tree, walked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..client.continuation import Branch, Continuer, whole_or_table
from ..errors import DelugeError, SettingError
from ..logprobs.splice import alternative_at, find, logprob_of, octets_of
from ..logprobs.table import Logprobs
from ..response import APIResponse
from ..text import glyphs
from .codec import pack
from .packer import CHUNK, EAGER, Packer, pack_measures

if TYPE_CHECKING:
    from .view import LogprobView

_END = "the end"


class Branches:
    """What a view knows of its branches.

    Parameters
    ----------
    view
        The view; its traits ``tree``, ``node``, ``branched`` and ``branching`` are kept here.
    answer
        What it shows, as it was given.
    continuer
        Who goes on with it; None where nobody can.
    reason
        Why nobody can; None where nothing need be said.
    """

    def __init__(self, view: LogprobView, answer: Any, continuer: Continuer | None, reason: str | None) -> None:
        self._view = view
        self._continuer = continuer
        self._reason = reason
        self._answer = whole_or_table(answer)
        self._packers: dict[int, Packer] = {}
        self._blocks: dict[str, Any] = {}
        self._pinned: dict[int, list[int]] = {}
        self._made = 0
        self.all: list[Branch] = []
        """In the order in which they were made."""

    @property
    def why_not(self) -> str | None:
        """What the cards say: why there is no branching, empty where there is, None where nobody has asked."""
        return self._reason if self._continuer is None else self._continuer.why_not(self._answer)

    def renew(self, answer: Any, *, grown: bool, continuer: Continuer | None) -> None:
        """Another answer is shown, or the same one `grown`. A `continuer` takes the place of the old one."""
        self._answer = whole_or_table(answer)
        if continuer is not None:
            self._continuer = continuer
        elif not grown and self._continuer is not None:
            self._continuer = None
            self._reason = "This text has taken the place of another, and its prompt is not known: update(…, prompt=…)."
        if not grown:
            for kept in (self.all, self._blocks, self._packers, self._pinned):
                kept.clear()

    def table(self, node: int) -> Logprobs:
        """The rows that a node shows."""
        found = None if node == 0 else self._ready(node).table
        return self._view.table if found is None else found

    def chunk(self, node: int, chunk: int) -> bytes:
        """The alternatives of a stretch of a branch."""
        table = self.table(node)
        return self._packers[node].alternatives(table, chunk * CHUNK, min((chunk + 1) * CHUNK, len(table)))

    # Walking ----------------------------------------------------------------------------------------------------------

    def check(self, node: int) -> int:
        """A node that can be shown.

        Raises
        ------
        SettingError
            When it cannot.
        """
        if node != 0:
            self._ready(node)
        return node

    def walked(self, change: Any) -> None:
        """Another node is shown: what is chosen stays where it has its place there."""
        view, size = self._view, len(self.table(change["new"]))
        pinned: Any = view.pinned
        self._pinned[change["old"]] = pinned
        with view.hold_sync():
            if view.selected is not None and view.selected >= size:
                view.selected = None
            selection: Any = view.selection
            if max(selection, default=0) > size:
                view.selection = []
            kept = self._pinned.get(change["new"], pinned)
            view.pinned = [token for token in kept if token < size]

    def _ready(self, node: int) -> Branch:
        branch = self._named(node)
        if branch is None or branch.status != "ready":
            ready = [str(one.id) for one in self.all if one.status == "ready"]
            there = f"or a branch that is ready ({', '.join(ready)})" if ready else "for no branch is ready"
            raise SettingError(
                f"node must be 0 for the original, {there}; not {node!r}.",
                setting="node",
                value=node,
            )
        return branch

    def _named(self, node: int) -> Branch | None:
        return next((one for one in self.all if one.id == node), None)

    # Making -----------------------------------------------------------------------------------------------------------

    def make(self, position: int, alternative: str | int, node: int) -> Branch:
        """Make a branch and wait for it.

        Raises
        ------
        SettingError
            When there is no such alternative, or the model cannot go on from there.
        """
        self.check(node)
        reason = self.why_not
        if self._continuer is None or reason:
            raise SettingError(
                reason
                or "To branch, a view needs to know whom to ask and what: LogprobView(response, client=…, prompt=…).",
                setting="client",
            )
        at, place = find(self.table(node), position, alternative)
        branch = self._added(node, at, place)
        try:
            response = self._continuer.go_on(self._base(branch.parent), at, place)
        except BaseException:
            self.all.remove(branch)
            raise
        self._settle(branch, response)
        self._show(branch, move_from=None)
        return branch

    def asked(self, content: Any) -> None:
        """The browser asks for a branch: it comes when it is there."""
        if not isinstance(content, dict):
            return
        given = [content.get(name) for name in ("node", "token", "place")]
        node, position, place = (one if isinstance(one, int) and not isinstance(one, bool) else -1 for one in given)
        try:
            position, place = find(
                self.table(self.check(node)), position if position >= 0 else len(self._view.table), place
            )
        except SettingError:  # what it asks about has gone
            return
        continuer = self._continuer
        if continuer is None or self.why_not:
            return
        parent = self._parent(node, position)
        same = [one for one in self.all if (one.parent, one.position, one.place) == (parent, position, place)]
        if any(one.status == "asking" for one in same):
            return
        for one in same:
            if one.status == "failed":
                self.all.remove(one)
        branch = self._added(node, position, place)
        self._tell()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        answer = self._base(branch.parent)

        def work() -> None:
            try:
                response = continuer.go_on(answer, position, place)
            except Exception as error:
                told = str(error) if isinstance(error, DelugeError) else f"internal error: {type(error).__name__}"
                response = APIResponse("", is_error=True, error_message=told, error=error)
            # At once: a cell may be waiting for it, and the kernel's loop for the cell.
            self._settle(branch, response)
            if loop is None:
                self._show(branch, move_from=node)
                return
            with contextlib.suppress(RuntimeError):  # the kernel has ended
                loop.call_soon_threadsafe(lambda: self._show(branch, move_from=node))

        threading.Thread(target=work, name="deluge-nb-branch", daemon=True).start()

    def _base(self, parent: Branch | None) -> Any:
        return self._answer if parent is None else parent.response

    def _parent(self, node: int, position: int) -> Branch | None:
        """Whose rows they are: a branch has those before its alternative from its parent."""
        branch = self._named(node)
        while branch is not None and branch.position >= position:
            branch = branch.parent
        return branch

    def _added(self, node: int, position: int, place: int) -> Branch:
        parent = self._parent(node, position)
        table = self.table(0 if parent is None else parent.id)
        token, instead = table.top(position)[place]["token"], table[position : position + 1].tokens[0]
        self._made += 1
        branch = Branch(self._made, parent, position, place, token, instead, logprob_of(table, position, place))
        self.all.append(branch)
        return branch

    def _settle(self, branch: Branch, response: APIResponse) -> None:
        branch.response = response
        if response.is_error:
            branch.message = response.error_message or "The model was asked, and no reason came for its failure."
        branch.status = "failed" if response.is_error else "ready"

    # Telling ----------------------------------------------------------------------------------------------------------

    def _show(self, branch: Branch, *, move_from: int | None) -> None:
        """Let the browser know; from the node where it was asked for it goes there, unless the reader went on."""
        if branch not in self.all:  # another text is shown by now
            return
        view, table = self._view, branch.table
        with view.hold_sync():
            if table is not None:
                packer = self._packers[branch.id] = Packer()
                self._blocks[f"data{branch.id}"] = _octets(packer.tokens(table))
                packer.keep()
                last = len(table) if len(table) <= EAGER else CHUNK
                self._blocks[f"alternatives{branch.id}"] = _octets(packer.alternatives(table, 0, last))
                self._blocks[f"measures{branch.id}"] = _octets(pack_measures(table))
                view.branched = pack({}, self._blocks)
            self._tell()
            if table is not None and move_from is not None and view.node == move_from:
                view.node = branch.id

    def _tell(self) -> None:
        self._view.tree = [self._told(branch) for branch in self.all]

    def _told(self, branch: Branch) -> dict[str, Any]:
        parent = 0 if branch.parent is None else branch.parent.id
        # One row: to spell all of a long table's tokens takes long.
        row = self.table(parent)[branch.position : branch.position + 1]
        whole = branch.table
        return {
            "id": branch.id,
            "parent": parent,
            "position": branch.position,
            "place": branch.place,
            "label": _called(octets_of(*alternative_at(row, 0, branch.place)[:2])),
            "instead": _called(row.token_bytes[0]),
            "logprob": branch.logprob,
            "total": None if whole is None else whole.total_logprob,
            "tokens": None if whole is None else len(whole),
            "status": branch.status,
            "message": branch.message,
        }

    def clear(self) -> None:
        """Have the browser forget the branches of a text that is gone."""
        self._view.node = 0
        self._view.tree = []
        self._view.branched = b""


class Branching(traitlets.HasTraits):
    """What a view with branches has for whoever uses it."""

    node: Any
    _branches: Branches
    _stale: bool
    _send_all: Callable[[], None]

    @property
    def branches(self) -> list[Branch]:
        """The answers that went on from other tokens, in the order in which they were begun."""
        return list(self._branches.all)

    @property
    def shown(self) -> Logprobs:
        """The table on the screen: that of the original, which is :attr:`table`, or of the branch ``node``."""
        return self._branches.table(self.node)

    def branch(self, position: int, alternative: str | int, *, node: int | None = None) -> Branch:
        """Let the model go on from another token, and wait for it.

        What is shown stays; ``view.node = branch.id`` shows the branch.

        Parameters
        ----------
        position
            Where the other token is to stand; from the end where it is negative.
        alternative
            Its text, or its place among the alternatives listed there, 0 for the first.
        node
            What it leaves: a branch's ``id``, 0 for the original; what is shown if left out.

        Returns
        -------
        Branch
            Its ``response`` is the whole answer. A request that failed is told in ``status`` and ``message``.

        Raises
        ------
        SettingError
            When there is no such alternative, or the model cannot go on from there; says why.
        LogprobsNotSupportedError, MissingKeyError, LocalModelError
            When the model cannot be asked at all.
        """
        return self._branches.make(position, alternative, self.node if node is None else node)

    @traitlets.validate("node")
    def _walkable(self, proposal: Mapping[str, Any]) -> int:
        return self._branches.check(proposal["value"])

    @traitlets.observe("node")
    def _walked(self, change: Any) -> None:
        self._branches.walked(change)
        if change["new"] == 0 and self._stale:  # what came meanwhile was not for the branch on the screen
            self._send_all()


def _called(octets: bytes) -> str:
    return glyphs.label(octets) if octets else _END


def _octets(block: bytes) -> Any:
    return np.frombuffer(block, np.uint8)
