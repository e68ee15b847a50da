"""The child process that runs one llama.cpp server.

It reads settings as a line of JSON from standard input, and writes the address as a line of JSON to standard output. It
exits when its input ends or its parent changes, so that a kernel that dies in any way leaves no process behind. It is
started by its file path and imports nothing from the package.
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


def exit_with_parent(parent: int, log: str) -> None:
    """Exit after the parent, even if a fork of it still holds the other end of the pipe."""
    while os.name == "nt" or os.getppid() == parent:
        time.sleep(0.5)
    remove_log_and_exit(log)


def remove_log_and_exit(log: str) -> None:
    """Remove the log and its folder, which a killed parent cannot do, and exit.

    The server's destructor is not run: it would wait for requests that are still being processed.
    """
    with contextlib.suppress(OSError):
        Path(log).unlink()
        Path(log).parent.rmdir()
    os._exit(0)


def wait_for_log() -> None:
    """Wait until the runtime's log thread has written the reason of a failure; exiting does not wait for it."""
    deadline, size = time.monotonic() + 1.5, 0
    while time.monotonic() < deadline:
        time.sleep(0.1)
        # Standard error is the log.
        before, size = size, os.fstat(2).st_size
        if size and size == before:
            return


def parameters(xllamacpp: Any, settings: dict[str, Any]) -> Any:
    """Return the settings as parameters of the runtime."""
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["alias"]}
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    # With one cache for all slots, a log-probability would depend on concurrent requests.
    params.kv_unified = False
    # By default the runtime keeps every prompt, up to gigabytes.
    params.cache_ram_mib = 0
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["batch_threads"]
    params.api_keys = [settings["key"]]
    # An origin that no page can have: by default any page in the user's browser could send requests.
    params.cors_origins = "http://nobody.invalid"
    params.cors_credentials = False
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    return params


def main() -> None:
    """Start the server, report its address, and wait until the input ends."""
    # The runtime's prints go to the log, because the pipe is not read after the reply.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(**fields: object) -> None:
        pipe.write(json.dumps(fields) + "\n")
        pipe.flush()

    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=exit_with_parent, args=(os.getppid(), settings["log"]), daemon=True).start()
    try:
        # Imported by name, because the package has no type information.
        xllamacpp = importlib.import_module("xllamacpp")
    except ImportError as error:
        reply(missing=str(error))
        os._exit(1)
    try:
        server = xllamacpp.Server(parameters(xllamacpp, settings))
        address = server.listening_address
    except Exception as error:
        reply(error=f"{error}".rstrip("."))
        wait_for_log()
        os._exit(1)
    reply(address=address)
    sys.stdin.read()
    remove_log_and_exit(settings["log"])


if __name__ == "__main__":
    main()
