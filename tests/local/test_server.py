"""The server's child process: its start, its end, and its failures."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deluge_nb import LLMClient, LocalModel, LocalModelError, MissingDependencyError, SettingError
from deluge_nb.local import server as servers
from deluge_nb.local import weights
from deluge_nb.local.server import LlamaServer, server_for
from deluge_nb.local.uninterrupted import run_uninterrupted
from tests.processes import InterruptedStart, alive, ends, interrupt

pytestmark = pytest.mark.slow

# The negative number of the signal; Windows has none, and a code of its own.
ABORTED = r"\d+" if sys.platform == "win32" else f"-{signal.SIGABRT:d}"
EMPTY = b"GGUF" + (3).to_bytes(4, "little") + bytes(24)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A file that passes for a model until it is loaded."""
    path = tmp_path / "empty.gguf"
    path.write_bytes(EMPTY)
    return path


@pytest.fixture(scope="module")
def real() -> Path:
    return weights.locate()


@pytest.fixture
def server(real: Path) -> Iterator[LlamaServer]:
    made = LlamaServer(real, "tested", 256)
    yield made
    made.stop()


def children() -> set[int]:
    """The servers that this process started and that still run."""
    return {found.pid for found in psutil.Process().children() if is_server(found)}


def is_server(process: psutil.Process) -> bool:
    try:
        return any(Path(word).parts[-2:] == ("local", "child.py") for word in process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return False


def script(code: str, **variables: str) -> subprocess.Popen[str]:
    """Another kernel."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


# Starting that fails --------------------------------------------------------------------------------------------------


def test_a_file_that_the_runtime_cannot_load_is_reported_with_its_log(empty: Path) -> None:
    others = children()
    server = LlamaServer(empty, "empty", 256)
    with pytest.raises(
        LocalModelError, match=r"could not be started from .*empty\.gguf.*the end of its log: "
    ) as failed:
        server.address()
    assert failed.value.path == str(empty)
    assert server.pid is None
    assert children() == others


def test_a_missing_runtime_names_the_extra_to_install(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'deluge-nb\[local\]'") as failed:
        LlamaServer(empty, "empty", 256).address()
    assert (failed.value.package, failed.value.extra) == ("xllamacpp", "local")


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("libgomp.so.1: cannot open shared object file: No such file or directory", "apt-get install libgomp1"),
        ("undefined symbol: llama_decode", "reinstall xllamacpp"),
    ],
)
def test_a_runtime_that_cannot_be_imported_is_reported_with_a_remedy(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, remedy: str
) -> None:
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({reason!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LocalModelError, match=remedy) as failed:
        LlamaServer(empty, "empty", 256).address()
    assert reason in str(failed.value)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.abort()", f"its process ended with exit code {ABORTED}"),
        ("import time; time.sleep(600)", "it did not answer within 1.5 seconds"),
        ("print('loading …', flush=True); raise ImportError('no luck')", "cannot be loaded .no luck."),
        ("class CommonParams: pass", "could not be started"),
    ],
    ids=["aborts", "hangs", "chatters", "is another version"],
)
def test_a_runtime_that_misbehaves_does_not_end_the_kernel(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    others = children()
    (tmp_path / "xllamacpp.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(servers, "_START_LIMIT", 1.5 if "sleep" in code else 60.0)
    with pytest.raises(LocalModelError, match=reason):
        LlamaServer(empty, "empty", 256).address()
    assert children() == others


def test_a_python_that_cannot_be_run_is_reported(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(empty))
    with pytest.raises(LocalModelError, match="No process could be started"):
        LlamaServer(empty, "empty", 256).address()


def test_an_interrupt_while_starting_leaves_nothing_behind(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = children()
    (tmp_path / "xllamacpp.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = LlamaServer(empty, "empty", 256)

    seen: list[set[int]] = []

    def interrupt_once_it_runs() -> None:
        deadline = time.monotonic() + 60
        while not (started := children() - others) and time.monotonic() < deadline:
            time.sleep(0.05)
        seen.append(started)
        interrupt()

    threading.Thread(target=interrupt_once_it_runs, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        server.address()
    assert len(seen[0]) == 1
    assert children() == others
    assert list(tmp_path.glob("deluge-nb-*")) == []


def test_an_interrupt_before_the_process_is_known_leaves_nothing_behind(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(InterruptedStart, "pids", [], raising=False)
    monkeypatch.setattr(subprocess, "Popen", InterruptedStart)
    server = LlamaServer(empty, "empty", 256)
    with pytest.raises(KeyboardInterrupt):
        server.address()
    assert [alive(pid) for pid in InterruptedStart.pids] == [False]
    assert list(tmp_path.glob("deluge-nb-*")) == []
    assert server.pid is None


def test_uninterrupted_work_ends_before_an_interrupt_is_raised() -> None:
    done = []

    def work() -> None:
        interrupt()
        time.sleep(0.2)
        done.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_uninterrupted(work)
    assert done == [True]


def test_the_result_or_error_of_uninterrupted_work_is_passed_on() -> None:
    assert run_uninterrupted(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        run_uninterrupted(lambda: 1 / 0)


@pytest.mark.parametrize("context", [0, 1, -5, 63, 2**30, True, "2048", 2048.0])
def test_a_context_that_makes_the_runtime_abort_is_refused(context: object) -> None:
    with pytest.raises(SettingError, match="context must be an integer from 64"):
        LocalModel(context=context)  # type: ignore[arg-type]


# Running and ending ---------------------------------------------------------------------------------------------------


@pytest.mark.model
def test_nothing_runs_before_it_is_needed(real: Path) -> None:
    before = children()
    model = LocalModel(real, context=256)
    assert repr(model) == f"LocalModel({str(real)!r})"
    assert children() == before
    model.close()


@pytest.mark.model
def test_many_threads_start_one_server(server: LlamaServer) -> None:
    before, found = children(), set()
    threads = [threading.Thread(target=lambda: found.add(server.address())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert len(children() - before) == 1


@pytest.mark.model
def test_a_file_has_one_server_until_it_changes(real: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(real.read_bytes())
    first = server_for(path, "mine", 256)
    assert server_for(tmp_path / "." / "mine.gguf", "mine", 256) is first
    assert server_for(path, "mine", 512) is not first
    os.utime(path, ns=(1, 1))
    assert server_for(path, "mine", 256) is not first


@pytest.mark.model
def test_a_stopped_server_leaves_no_process_and_no_folder_and_starts_again(
    server: LlamaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = server.address()
    assert first.vocab_size == 49_152
    pid = server.pid
    assert pid is not None
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    server.stop()
    assert not alive(pid)
    assert list(tmp_path.iterdir()) == []
    assert server.address().key != first.key


@pytest.mark.model
def test_a_server_that_nobody_holds_ends(real: Path) -> None:
    model = LocalModel(real, context=320)
    model.start()
    (pid,) = {model._server.pid if model._server is not None else None}
    assert pid is not None
    assert alive(pid)
    del model
    gc.collect()
    assert not alive(pid)


@pytest.mark.model
def test_a_key_is_not_to_be_seen_by_other_users_of_the_machine(server: LlamaServer) -> None:
    key = server.address().key
    process = psutil.Process(server.pid)
    assert key not in " ".join(process.cmdline())
    assert key not in " ".join(process.environ().values())


@pytest.mark.model
def test_a_forked_process_neither_uses_nor_ends_its_parent_s_server() -> None:
    kernel = script(
        """
        import os, sys, tempfile
        from deluge_nb.local import default_server
        server = default_server()
        mine = server.address()
        if os.fork() == 0:
            assert server.pid is None
            theirs = server.address()
            assert theirs != mine
            server.stop()
            sys.exit(0)
        _, status = os.wait()
        assert status == 0, status
        assert server.pid is not None
        assert server.address() == mine
        assert os.path.exists(server._child.folder)
        """
    )
    _, err = kernel.communicate(timeout=60)
    assert (kernel.returncode, err) == (0, "")


@pytest.mark.model
def test_the_server_ends_with_its_kernel_even_while_a_fork_holds_the_pipe() -> None:
    kernel = script(
        """
        import os, time
        from deluge_nb.local import default_server
        server = default_server()
        server.address()
        fork = os.fork()
        if fork == 0:
            time.sleep(60)
            os._exit(0)
        print(server.pid, fork, flush=True)
        time.sleep(600)
        """
    )
    assert kernel.stdout is not None
    child, fork = map(int, kernel.stdout.readline().split())
    assert alive(child)
    kernel.kill()
    try:
        assert ends(child)
        assert alive(fork)
    finally:
        os.kill(fork, signal.SIGKILL)
        kernel.communicate()


@pytest.mark.model
@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "raise ValueError", "os._exit(0)", "os.abort()"])
def test_no_way_for_a_kernel_to_end_leaves_its_server_or_its_log_behind(end: str, tmp_path: Path) -> None:
    kernel = script(
        f"""
        import os, sys
        from deluge_nb.local import default_server
        default_server().address()
        print(default_server().pid, flush=True)
        {end}
        """,
        TMPDIR=str(tmp_path),
    )
    out, _ = kernel.communicate(timeout=60)
    assert ends(int(out))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_an_interrupt_of_the_kernel_does_not_reach_the_server(server: LlamaServer) -> None:
    server.address()
    pid = server.pid
    assert pid is not None
    assert os.getsid(pid) == pid


# A process that does not answer ---------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process")
@pytest.mark.parametrize("way", ["plain", "stream"])
def test_a_hung_process_is_replaced_and_the_prompts_are_asked_again(real: Path, way: str) -> None:
    client = LLMClient(LocalModel(real, context=300), max_new_tokens=1, timeout=5.0, max_attempts=1)
    client.process_prompts_sync(["Hello"], show_progress=False)
    hung = server_for(real, real.name, 300).pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    if way == "stream":
        with client.stream("Hello") as stream:
            assert [token.text for token in stream]
    else:
        responses = client.process_prompts_sync(["Hello", "Bye"], show_progress=False)
        assert [response.error_message for response in responses] == [None, None]
    assert ends(hung)


def test_a_busy_process_is_left_alone(real: Path) -> None:
    client = LLMClient(LocalModel(real, context=1024), max_new_tokens=900, timeout=0.3, max_attempts=1)
    served = server_for(real, real.name, 1024)
    served.address()
    busy = served.pid
    response = client.process_prompts_sync(["Tell a long story."], show_progress=False)[0]
    assert "no answer within 0.3 seconds" in (response.error_message or "")
    assert served.pid == busy
    served.stop()
