"""A llama.cpp server in a child process: started on first use, one per model file, gone when this process goes.

In a child, because a bad file or parameter aborts the process that loads it, and that must not be the kernel.
"""

from __future__ import annotations

import atexit
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import LocalModelError, MissingDependencyError
from ..models import Address
from .gguf import read_header

_SLOTS = 4
# Loading takes a second; a slow disk may take many.
_START_LIMIT = 120.0
# Dying this often within so many seconds is no accident.
_CRASHES, _WITHIN = 3, 60.0

_lock = threading.Lock()
_servers: dict[tuple[str, int, int, int], LlamaServer] = {}


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
    """

    def __init__(self, path: Path, name: str, context: int) -> None:
        self.path = path
        self._vocab_size = read_header(path).vocab_size
        self._name = name
        self._context = context
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._folder: Path | None = None
        self._address: Address | None = None
        self._died: list[float] = []

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
            if self._process is not None and self._process.poll() is not None:
                now = time.monotonic()
                self._died = [moment for moment in self._died if now - moment < _WITHIN] + [now]
                if len(self._died) >= _CRASHES:
                    tail = self._log_tail()
                    self._died.clear()
                    self.stop()
                    raise LocalModelError(
                        f"The server of the embedded model ended {_CRASHES} times in a row{tail}", path=str(self.path)
                    )
                self.stop()
            if self._process is None or self._address is None:
                self._start()
            if self._address is None:
                raise LocalModelError("The server of the embedded model was stopped.", path=str(self.path))
            return self._address

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def stop(self) -> None:
        """End the child, if there is one; it is started again when needed."""
        with self._lock:
            process, self._process, self._address = self._process, None, None
            folder, self._folder = self._folder, None
        if process is not None:
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _start(self) -> None:
        if find_spec("xllamacpp") is None:
            raise MissingDependencyError(
                "The embedded model needs xllamacpp, which is not installed; pip install 'deluge-nb[local]' brings it.",
                package="xllamacpp",
                extra="local",
            )
        key = secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="deluge-nb-"))
        # Read by libgomp as it is loaded: threads that spin while they wait starve all else on a busy machine.
        env = {**os.environ, "GOMP_SPINCOUNT": "1000", "GGML_NO_BACKTRACE": "1"}
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        try:
            with self._log.open("w", encoding="utf-8") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(Path(__file__).with_name("_child.py"))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=env,
                    text=True,
                    **apart,
                )
            said = self._greeted(self._process, key)
        except BaseException:
            if self._process is not None:
                self._process.kill()
            self.stop()
            raise
        problem = None
        if "missing" in said:
            hint = (
                "install it with: apt-get install libgomp1" if "libgomp" in said["missing"] else "reinstall xllamacpp"
            )
            problem = f"xllamacpp cannot be loaded ({said['missing']}); {hint}"
        elif "address" not in said:
            problem = (
                f"The embedded model could not be started from {self.path}: {said.get('error', 'it gave no reason')}"
            )
            problem += self._log_tail()
        if problem is not None:
            self.stop()
            raise LocalModelError(problem, path=str(self.path))
        self._address = Address(said["address"], key, self._vocab_size)

    @property
    def _log(self) -> Path:
        return (self._folder or Path()) / "server.log"

    def _greeted(self, process: subprocess.Popen[str], key: str) -> dict[str, Any]:
        """Hand the settings over and wait for the child's answer."""
        cores = os.cpu_count() or 1
        settings = {
            "model": str(self.path.resolve()),
            "alias": self._name,
            "context": self._context,
            "slots": _SLOTS,
            "threads": max(1, min(4, cores // 2)),
            "batch_threads": max(1, min(4, cores)),
            "key": key,
        }
        answers: queue.Queue[str] = queue.Queue()
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            return {}
        with contextlib.suppress(OSError):
            stdin.write(json.dumps(settings) + "\n")
            stdin.flush()
        threading.Thread(target=lambda: answers.put(stdout.readline()), daemon=True).start()
        try:
            said = json.loads(answers.get(timeout=_START_LIMIT) or "{}")
        except queue.Empty:
            process.kill()
            return {"error": f"it did not answer within {_START_LIMIT:.0f} seconds"}
        except ValueError:
            return {}
        if not said:
            code = process.wait(timeout=10)
            return {"error": f"its process ended with {code}"}
        return said if isinstance(said, dict) else {}

    def _log_tail(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "."
        return f"; the end of its log: {' | '.join(lines[-3:])[-500:]}" if lines else "."


def server_for(path: Path, name: str, context: int) -> LlamaServer:
    """The server of a file; the same one for the same file, while the file stays as it is."""
    try:
        state = path.stat()
        mark = (str(path.resolve()), state.st_size, state.st_mtime_ns, context)
    except OSError:
        read_header(path)
        raise
    with _lock:
        found = _servers.get(mark)
        if found is None:
            found = _servers[mark] = LlamaServer(path, name, context)
        return found


@atexit.register
def stop_all() -> None:
    """End every server of this process."""
    with _lock:
        running = list(_servers.values())
    for server in running:
        server.stop()


def _forget() -> None:
    """A forked child has servers of its own: those of its parent are neither its to use nor to end."""
    global _lock
    _lock = threading.Lock()
    _servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
