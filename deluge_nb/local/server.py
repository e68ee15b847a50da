"""A llama.cpp server in a child process: started on first use, one per model file, gone when this process goes.

In a child, because a bad file or parameter aborts the process that loads it, and that must not be the kernel.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LocalModelError
from ..extras import has_extra, missing_extra
from ..models.spec import Address
from .gguf import read_header
from .uninterrupted import run_uninterrupted

_SLOTS = 4
_LOG = "server.log"
# Loading takes a second; a slow disk may take many.
_START_LIMIT = 120.0
# Dying this often within so many seconds is no accident.
_CRASHES, _WITHIN = 3, 60.0
# An idle child ends at once when its input does; one in the middle of a computation is not waited for.
_END_LIMIT = 2.0
# Waits are this short so that an interrupt is noticed on every platform.
_TICK = 0.2

_lock = threading.Lock()
_servers: weakref.WeakValueDictionary[tuple[str, int, int, int], LlamaServer] = weakref.WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class _Child:
    """A running server and the folder of its log."""

    process: subprocess.Popen[str]
    folder: Path

    def end(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(timeout=_END_LIMIT)
        except BaseException as error:
            self.process.kill()
            self.process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> Path:
        return self.folder / _LOG

    def log_tail(self) -> str:
        """The end of a sentence about what went wrong."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "."
        return f"; the end of its log: {' | '.join(lines[-3:])[-500:]}" if lines else "."


class LlamaServer:
    """One model file being served.

    Parameters
    ----------
    path
        A GGUF file.
    name
        What the server calls the model, so that no path shows in its answers.
    context
        Tokens that a prompt and its completion may have together.

    Raises
    ------
    LocalModelError
        When the file is missing, truncated, or no GGUF.
    """

    def __init__(self, path: Path, name: str, context: int) -> None:
        self.path = path
        self._vocab_size = read_header(path).vocab_size
        self._name = name
        self._context = context
        self._lock = threading.RLock()
        self._child: _Child | None = None
        self._address: Address | None = None
        self._finalizer: weakref.finalize[..., LlamaServer] | None = None
        self._died: list[float] = []
        _known.add(self)

    @property
    def fingerprint(self) -> str:
        """What tells the model's file from others."""
        found = self.path.stat()
        return f"{self.path.name}:{found.st_size}:{found.st_mtime_ns}:{self._context}"

    def address(self) -> Address:
        """Where it listens; starts it, or starts it again if it died.

        Raises
        ------
        LocalModelError
            When it cannot be started, or keeps dying; with the end of its log.
        MissingDependencyError
            When the runtime is not installed.
        """
        with self._lock:
            if self._child is not None and self._child.process.poll() is not None:
                tail = self._child.log_tail()
                self.stop()
                now = time.monotonic()
                self._died = [moment for moment in self._died if now - moment < _WITHIN] + [now]
                if len(self._died) >= _CRASHES:
                    self._died.clear()
                    raise LocalModelError(
                        f"The server of the embedded model ended {_CRASHES} times in a row{tail}", path=str(self.path)
                    )
            return self._address or self._start()

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        child = self._child
        return child.process.pid if child is not None and child.process.poll() is None else None

    def stop(self) -> None:
        """End the child, if there is one; it is started again when needed."""
        with self._lock:
            finalizer, self._finalizer, self._child, self._address = self._finalizer, None, None, None
        if finalizer is not None:
            finalizer()

    def _start(self) -> Address:
        if not has_extra("xllamacpp"):
            raise missing_extra("xllamacpp", "The embedded model")
        key = secrets.token_hex(16)
        try:
            child = run_uninterrupted(self._launch)
            said = self._greeted(child, key)
            if "address" not in said:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    # What is still to come in the log may be the reason.
                    child.process.wait(timeout=_END_LIMIT)
                raise LocalModelError(self._problem(said) + child.log_tail(), path=str(self.path))
            self._address = Address(said["address"], key, self._vocab_size)
            return self._address
        except OSError as error:
            self.stop()
            raise LocalModelError(
                f"No process could be started for the embedded model: {error}.", path=str(self.path)
            ) from None
        except BaseException:
            self.stop()
            raise

    def _launch(self) -> _Child:
        child = self._child = self._launched()
        # Also runs when the interpreter exits, and when nobody holds this object any more.
        self._finalizer = weakref.finalize(self, child.end)
        return child

    def _launched(self) -> _Child:
        folder = Path(tempfile.mkdtemp(prefix="deluge-nb-"))
        # Read by libgomp as it is loaded: threads that spin while they wait starve all else on a busy machine.
        env = {**os.environ, "GOMP_SPINCOUNT": "1000", "GGML_NO_BACKTRACE": "1"}
        # A session of its own, so that interrupting the kernel does not end it.
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        try:
            with (folder / _LOG).open("w", encoding="utf-8") as log:
                process = subprocess.Popen(
                    [sys.executable, "-P", str(Path(__file__).with_name("child.py"))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=env,
                    text=True,
                    **apart,
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _Child(process, folder)

    def _greeted(self, child: _Child, key: str) -> dict[str, Any]:
        """Hand the settings over and wait for the child's answer."""
        cores, process = _cores(), child.process
        settings = {
            "model": str(self.path.resolve()),
            "alias": self._name,
            "context": self._context,
            "slots": _SLOTS,
            "threads": max(1, min(4, cores // 2)),
            "batch_threads": max(1, min(4, cores)),
            "key": key,
            "log": str(child.log),
        }
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            return {}
        with contextlib.suppress(OSError):
            stdin.write(json.dumps(settings) + "\n")
            stdin.flush()
        answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: answers.put(stdout.readline()), daemon=True).start()
        deadline = time.monotonic() + _START_LIMIT
        while True:
            try:
                answer = answers.get(timeout=_TICK)
                break
            except queue.Empty:
                if time.monotonic() > deadline:
                    process.kill()
                    return {"error": f"it did not answer within {_START_LIMIT:g} seconds"}
        if not answer:
            return {"error": f"its process ended with {process.wait()}"}
        said = json.loads(answer)
        return said if isinstance(said, dict) else {}

    def _problem(self, said: dict[str, Any]) -> str:
        if "missing" not in said:
            return f"The embedded model could not be started from {self.path}: {said.get('error', 'it gave no reason')}"
        remedy = "install it with: apt-get install libgomp1" if "libgomp" in said["missing"] else "reinstall xllamacpp"
        return f"xllamacpp cannot be loaded ({said['missing']}); {remedy}"

    def disown(self) -> None:
        """Leave the child to the process that started it: this one is a fork of that."""
        self._lock = threading.RLock()
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._child is not None:
            # Not ours to wait for; and kept, for closing a pipe whose lock another thread held would never return.
            self._child.process.returncode = 0
            _inherited.append(self._child)
        self._finalizer, self._child, self._address = None, None, None


_known: weakref.WeakSet[LlamaServer] = weakref.WeakSet()
_inherited: list[_Child] = []


def server_for(path: Path, name: str, context: int) -> LlamaServer:
    """The server of a file; the same one for the same file, while the file stays as it is and someone holds it.

    Raises
    ------
    LocalModelError
        When the file is missing, truncated, or no GGUF.
    """
    try:
        state = path.stat()
    except OSError:
        read_header(path)
        raise
    mark = (str(path.resolve()), state.st_size, state.st_mtime_ns, context)
    with _lock:
        found = _servers.get(mark)
        if found is None:
            _servers[mark] = found = LlamaServer(path, name, context)
        return found


def _cores() -> int:
    """How many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _forget() -> None:
    """A forked child has servers of its own: those of its parent are neither its to use nor to end."""
    global _lock
    _lock = threading.Lock()
    for server in list(_known):
        server.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
