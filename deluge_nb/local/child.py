"""The child process: one llama.cpp server.

Settings come as a line of JSON on standard input, the address goes out as a line of JSON on standard output. The
process ends when its input does, or when its parent changes: a kernel may die in any way and leave nothing behind. It
is run by its path and imports nothing of the package.
"""

import contextlib
import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any


def follow(parent: int, log: str) -> None:
    """End with the parent, even where a fork of it still holds the other end of the pipe."""
    while os.name == "nt" or os.getppid() == parent:
        time.sleep(0.5)
    end(log)


def end(log: str) -> None:
    """Leave nothing behind: a parent that was killed cannot.

    Without the server's destructor, which would wait for what is under way.
    """
    with contextlib.suppress(OSError):
        Path(log).unlink()
        Path(log).parent.rmdir()
    os._exit(0)


def await_log() -> None:
    """Let what went wrong be written: the runtime has a thread for that, which no end of the process waits for."""
    deadline, size = time.monotonic() + 1.5, 0
    while time.monotonic() < deadline:
        time.sleep(0.1)
        # Both outputs are the log.
        before, size = size, os.fstat(2).st_size
        if size and size == before:
            return


def parameters(xllamacpp: Any, settings: dict[str, Any]) -> Any:
    """The settings in the runtime's own terms."""
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["alias"]}
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    # One cache for all slots would make a log-probability depend on what else is being asked.
    params.kv_unified = False
    # Else every prompt ever sent is kept, up to gigabytes.
    params.cache_ram_mib = 0
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["batch_threads"]
    params.api_keys = [settings["key"]]
    # An origin that no page can have: without it any page in the user's browser might ask.
    params.cors_origins = "http://nobody.invalid"
    params.cors_credentials = False
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    return params


def main() -> None:
    """Start the server, say where it is, and wait for the end."""
    # Whatever the runtime prints goes to the log: nobody reads the pipe once the address has been said.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(**said: object) -> None:
        answer.write(json.dumps(said) + "\n")
        answer.flush()

    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=follow, args=(os.getppid(), settings["log"]), daemon=True).start()
    try:
        # By name: the package comes without types.
        xllamacpp = importlib.import_module("xllamacpp")
    except ImportError as error:
        tell(missing=str(error))
        os._exit(1)
    try:
        server = xllamacpp.Server(parameters(xllamacpp, settings))
        address = server.listening_address
    except Exception as error:
        tell(error=f"{error}".rstrip("."))
        await_log()
        os._exit(1)
    tell(address=address)
    sys.stdin.read()
    end(settings["log"])


if __name__ == "__main__":
    main()
