"""A llama.cpp server in a child process: started on first use, one per model file, and ended with this process.

It runs in a child, because an invalid file or parameter aborts the process that loads it, which must not be the kernel.
"""

from __future__ import annotations

import contextlib
import http.client
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
from urllib.parse import urlsplit

from ..errors import LocalModelError
from ..extras import has_extra, missing_extra
from ..models.spec import Address
from .environment import child_environment
from .gguf import read_header
from .uninterrupted import run_uninterrupted

_SLOTS = 4
_LOG = "server.log"
# Seconds; loading takes one, but a slow disk can take many.
_START_LIMIT = 120.0
# This many crashes within so many seconds are not a coincidence: the server is not started again.
_MAX_CRASHES, _CRASH_WINDOW = 3, 60.0
# Seconds; an idle child exits at once when its input ends, and a computation of a busy one is not waited for.
_END_LIMIT = 2.0
# Seconds for the answer to a health check, which needs no computation.
_HEALTH_LIMIT = 2.0
# Seconds; waits are short so that interrupts are noticed on every platform.
_TICK = 0.2

_lock = threading.Lock()
_servers: weakref.WeakValueDictionary[tuple[str, int, int, int], LlamaServer] = weakref.WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class _ServerProcess:
    """Running child process and the folder of its log."""

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
        """Return the last lines of the log as the end of an error sentence."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "."
        return f"; the end of its log: {' | '.join(lines[-3:])[-500:]}" if lines else "."


class LlamaServer:
    """Server of one model file.

    Parameters
    ----------
    path
        A GGUF file.
    name
        Name of the model in the server's replies, which would otherwise show the path.
    context
        Maximum number of tokens of a prompt and its completion together.

    Raises
    ------
    LocalModelError
        When the file is missing, truncated, or not GGUF.
    """

    def __init__(self, path: Path, name: str, context: int) -> None:
        self.path = path
        self._vocab_size = read_header(path).vocab_size
        self._name = name
        self._context = context
        self._lock = threading.RLock()
        self._child: _ServerProcess | None = None
        self._address: Address | None = None
        self._finalizer: weakref.finalize[..., LlamaServer] | None = None
        self._crash_times: list[float] = []
        _instances.add(self)

    @property
    def fingerprint(self) -> str:
        """Text that identifies the model's file and the length of its context.

        Raises
        ------
        LocalModelError
            When the file is gone.
        """
        try:
            state = self.path.stat()
        except OSError as error:
            raise LocalModelError(
                f"The model file {str(self.path)!r} cannot be read any more: {error.strerror}.", path=str(self.path)
            ) from None
        return f"{self.path.name}:{state.st_size}:{state.st_mtime_ns}:{self._context}"

    def address(self) -> Address:
        """Return the server's address; start the server if it does not run.

        Raises
        ------
        LocalModelError
            When the server cannot be started, or crashes repeatedly; the message has the end of its log.
        MissingDependencyError
            When the runtime is not installed.
        """
        with self._lock:
            if self._child is not None and self._child.process.poll() is not None:
                tail = self._child.log_tail()
                self.stop()
                now = time.monotonic()
                self._crash_times = [moment for moment in self._crash_times if now - moment < _CRASH_WINDOW] + [now]
                if len(self._crash_times) >= _MAX_CRASHES:
                    self._crash_times.clear()
                    raise LocalModelError(
                        f"The server of the embedded model ended {_MAX_CRASHES} times in a row{tail}",
                        path=str(self.path),
                    )
            return self._address or self._start()

    def restart_if_hung(self, address: Address) -> bool:
        """End the process that listens at an address, unless it answers its health check; one that is busy does.

        Parameters
        ----------
        address
            Address of a request that was not answered in time.

        Returns
        -------
        bool
            True if that process does not run any more, so that :meth:`address` starts another.
        """
        with self._lock:
            if self._child is None or self._address != address:
                return True
            if _is_healthy(address.base_url):
                return False
            self._crash_times.append(time.monotonic())
            self._child.process.kill()
            self.stop()
            return True

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while it does not run."""
        child = self._child
        return child.process.pid if child is not None and child.process.poll() is None else None

    def stop(self) -> None:
        """End the child process, if it runs; it is started again when needed."""
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
            reply = self._handshake(child, key)
            if "address" not in reply:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    # The child writes the reason to its log before it exits.
                    child.process.wait(timeout=_END_LIMIT)
                raise LocalModelError(self._start_failure(reply) + child.log_tail(), path=str(self.path))
            self._address = Address(reply["address"], key, self._vocab_size)
            return self._address
        except OSError as error:
            self.stop()
            raise LocalModelError(
                f"No process could be started for the embedded model: {error}.", path=str(self.path)
            ) from None
        except BaseException:
            self.stop()
            raise

    def _launch(self) -> _ServerProcess:
        child = self._child = self._spawn()
        # Also runs at the exit of the interpreter, and when this object is garbage-collected.
        self._finalizer = weakref.finalize(self, child.end)
        return child

    def _spawn(self) -> _ServerProcess:
        """Start the child process."""
        folder = Path(tempfile.mkdtemp(prefix="deluge-nb-"))
        # libgomp reads this when it is loaded. Threads that spin while they wait would starve a busy machine.
        env = child_environment(GOMP_SPINCOUNT="1000", GGML_NO_BACKTRACE="1")
        # A separate session, so that an interrupt of the kernel does not end the child.
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        try:
            with (folder / _LOG).open("w", encoding="utf-8") as log:
                process = subprocess.Popen(
                    [sys.executable, "-P", str(Path(__file__).with_name("child.py"))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=env,
                    text=True,
                    **options,
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _ServerProcess(process, folder)

    def _handshake(self, child: _ServerProcess, key: str) -> dict[str, Any]:
        """Send the settings to the child and return its reply."""
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
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        deadline = time.monotonic() + _START_LIMIT
        while True:
            try:
                line = lines.get(timeout=_TICK)
                break
            except queue.Empty:
                if time.monotonic() > deadline:
                    process.kill()
                    return {"error": f"it did not answer within {_START_LIMIT:g} seconds"}
        if not line:
            return {"error": f"its process ended with exit code {process.wait()}"}
        reply = json.loads(line)
        return reply if isinstance(reply, dict) else {}

    def _start_failure(self, reply: dict[str, Any]) -> str:
        """Return the sentence for a child that reports no address, without a full stop."""
        if "missing" not in reply:
            reason = reply.get("error", "it gave no reason")
            return f"The embedded model could not be started from {self.path}: {reason}"
        remedy = "install it with: apt-get install libgomp1" if "libgomp" in reply["missing"] else "reinstall xllamacpp"
        return f"xllamacpp cannot be loaded ({reply['missing']}); {remedy}"

    def disown(self) -> None:
        """Forget the child in a fork: it belongs to the process that started it."""
        self._lock = threading.RLock()
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._child is not None:
            # A set return code keeps this process from waiting for the child. The object is kept alive, because closing
            # a pipe whose lock another thread held at the fork would block forever.
            self._child.process.returncode = 0
            _inherited.append(self._child)
        self._finalizer, self._child, self._address = None, None, None


_instances: weakref.WeakSet[LlamaServer] = weakref.WeakSet()
_inherited: list[_ServerProcess] = []


def server_for(path: Path, name: str, context: int) -> LlamaServer:
    """Return the server of a file; the same one as before, if it is still referenced and the file has not changed.

    Raises
    ------
    LocalModelError
        When the file is missing, truncated, or not GGUF.
    """
    try:
        state = path.stat()
    except OSError:
        read_header(path)
        raise
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns, context)
    with _lock:
        server = _servers.get(key)
        if server is None:
            _servers[key] = server = LlamaServer(path, name, context)
        return server


def _is_healthy(base_url: str) -> bool:
    """Return True if a server answers anything; it does so in a thread that computes nothing."""
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_HEALTH_LIMIT)
    try:
        connection.request("GET", "/health")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _cores() -> int:
    """Return the number of processors that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _forget() -> None:
    """Disown all servers in a forked child, which must neither use nor end those of its parent."""
    global _lock
    _lock = threading.Lock()
    for server in list(_instances):
        server.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
