"""Jobs on Dask: the same rows as in this process, whatever dies."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client, Future, Worker

from deluge_nb import LLMClient, MissingKeyError, SettingError
from deluge_nb.jobs.engines import base
from deluge_nb.jobs.engines.choice import choose_engine
from deluge_nb.jobs.engines.clusters import remote
from deluge_nb.jobs.engines.clusters.dask import Dask
from deluge_nb.jobs.engines.clusters.dask_cluster import start_cluster
from deluge_nb.jobs.inputs.frames import Frame
from deluge_nb.jobs.run import prepare, run
from deluge_nb.jobs.spec import make_spec
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, Unpicklable, ask, check, row_server, rows
from tests.openai_server import Reply, Seen

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.* failed, :UserWarning")]
COUNT, PART_ROWS = 400, 40
SERVER = str(Path("deluge_nb", "local", "child.py"))


@pytest.fixture
def server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    """A cluster that all tests of this module share, as the engine starts one."""
    with start_cluster(2, 2) as client:
        yield client


def wait_for(condition: Callable[[], bool], driver: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a condition holds; pytest's own limit ends a test that hangs."""
    while not condition():
        assert driver is None or driver.poll() is None, "the driver has ended"
        time.sleep(0.005)


def is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended, also where nobody has asked for its status yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# What a job on Dask does ----------------------------------------------------------------------------------------------


def test_a_given_client_runs_the_job_and_stays_open(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    server.bad = {7: Reply({"error": {"message": "no"}}, 400)}
    job = ask(server.client(), 50, tmp_path, part_rows=8, on=cluster)
    check(job, 50, {7})
    assert server.counts == Counter(range(50))
    assert cluster.submit(sum, [1, 2]).result() == 3
    check(ask(server.client(), 50, tmp_path, on=cluster), 50, {7})
    assert server.requests == 50
    assert job.logprobs(3).text == ask(server.client(), 50, tmp_path / "here").logprobs(3).text


def test_progress_moves_within_the_parts_of_workers(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    server.delay = 0.1
    spec = make_spec(TEMPLATE, server.client(max_concurrent_requests=4), labels=LABELS)
    folder = prepare(Frame(rows(80)), spec, tmp_path, 20, None, print)
    seen: list[int] = []
    progress = run(folder, spec, Dask(cluster), lambda counts: seen.append(counts.rows_seen), print)
    assert {*seen} - {0, 20, 40, 60, 80}
    assert (progress.rows_seen, progress.under_way) == (80, {})


def test_workers_of_an_own_cluster_spend_nothing_on_profiles_and_on_objects_that_stay(cluster: Client) -> None:
    def spending(dask_worker: Worker) -> tuple[bool, int]:
        return "profile" in dask_worker.periodic_callbacks, gc.get_freeze_count()

    for has_profile, skipped in cluster.run(spending).values():
        assert not has_profile
        assert skipped > 10_000
    # This process and clusters that it starts later are as they were.
    assert dask.config.get("distributed.worker.profile.enabled")
    assert gc.get_freeze_count() == 0


def test_the_address_of_this_run_counts(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    lost = LLMClient("vllm/x", base_url="http://127.0.0.1:9/v1", max_attempts=1)
    job = ask(lost, 20, tmp_path, part_rows=8, on=cluster)
    assert job.progress.failed == 20
    # The folder is the same job, and its transient failures are asked at the address given now.
    found = ask(server.client(), 20, tmp_path, on=cluster)
    check(found.retry(show_progress=False), 20)


def test_an_address_that_workers_do_not_know_is_reported_before_anything_is_sent(
    server: RowServer, cluster: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-here")
    with pytest.raises(SettingError, match=r"nothing was sent.*has the address .* here, and .*give base_url="):
        ask(LLMClient("gpt-4o-mini"), 20, tmp_path, on=cluster)
    assert server.requests == 0


def test_a_worker_without_a_key_is_reported_before_anything_is_sent(
    server: RowServer, cluster: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-" + "w4" * 12
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(
        MissingKeyError, match=r"2 of 2 workers cannot work.*nothing was sent.*OPENAI_API_KEY"
    ) as caught:
        ask(LLMClient("gpt-4o-mini", max_attempts=1), 20, tmp_path, on=cluster)
    assert secret not in str(caught.value)
    assert "a key that is given as api_key= does not travel" in str(caught.value)
    assert caught.value.variable == "OPENAI_API_KEY"
    assert server.requests == 0


def test_workers_with_another_version_are_reported_before_anything_is_sent(
    server: RowServer, cluster: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "version", lambda: "0.0.1")
    with pytest.raises(SettingError, match=r"nothing was sent.* and 0\.0\.1 where the job was started"):
        ask(server.client(), 20, tmp_path, on=cluster)
    assert server.requests == 0


def test_packages_that_a_worker_lacks_are_reported(
    server: RowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(TEMPLATE, server.client(), labels=LABELS)
    folder = prepare(Frame(rows(4)), spec, tmp_path, 20, None, print)
    packed = remote.pack(base.Worker(str(folder.path), folder.manifest.fingerprint, spec))
    assert remote.find_trouble(packed) is None
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    with pytest.raises(SettingError, match=r"nothing was sent. w says: .*needs pyarrow, which is not installed"):
        remote.require_able({"w": remote.find_trouble(packed)})
    lost = Exception("ModuleNotFoundError(\"No module named 'deluge_nb'\")")  # as Dask passes it on
    with pytest.raises(SettingError, match="Install deluge-nb where the workers run"):
        remote.require_able({"w": lost})


def test_a_folder_that_workers_do_not_see_is_reported(
    server: RowServer, cluster: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(server.client(), 20, tmp_path, part_rows=8)
    (tmp_path / "parts" / "part-000001.parquet").unlink()
    engine = Dask(cluster)
    hidden = tmp_path.with_name("hidden")

    class Hiding:
        def run(self, parts: Any, worker: Any) -> Any:
            tmp_path.rename(hidden)
            try:
                yield from engine.run(parts, worker)
            finally:
                hidden.rename(tmp_path)

    with pytest.raises(SettingError, match="2 of 2 workers cannot work on this job, so nothing was sent"):
        ask(server.client(), 20, tmp_path, on=Hiding())
    assert server.requests == 20


def test_an_error_of_a_part_is_raised_and_nothing_is_asked_twice(
    server: RowServer, cluster: Client, tmp_path: Path
) -> None:
    ask(server.client(), 20, tmp_path, part_rows=5)
    (tmp_path / "parts" / "part-000002.parquet").unlink()
    # The answers cannot be written, for a folder has their name.
    (tmp_path / "parts" / "part-000002.parquet").mkdir()
    with pytest.raises(SettingError, match=r"part-000002.* cannot be written"):
        ask(server.client(), 20, tmp_path, on=cluster)
    assert max(server.counts.values()) == 2


def test_an_interrupt_ends_the_requests_under_way(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    server.delay = 0.05
    client = server.client(max_concurrent_requests=4)

    def interrupt() -> None:
        wait_for(lambda: server.requests >= PART_ROWS)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        ask(client, COUNT, tmp_path, part_rows=PART_ROWS, on=cluster)
    assert any("0 of 10 parts are done" in note for note in caught.value.__notes__)
    wait_for(lambda: not any(cluster.processing().values()))
    # Four parts were under way.
    assert server.requests < 4 * PART_ROWS
    server.delay = 0
    check(ask(client, COUNT, tmp_path, on=cluster), COUNT)


def test_a_part_that_the_cluster_cancels_is_reported(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    server.delay = 0.05
    client = server.client(max_concurrent_requests=4)

    def cancel() -> None:
        wait_for(lambda: server.requests >= PART_ROWS)
        keys = [key for worker in cluster.processing().values() for key in worker]
        cluster.cancel([Future(key, cluster) for key in keys], force=True)

    threading.Thread(target=cancel).start()
    with pytest.raises(RuntimeError, match=r"Part \d was cancelled"):
        ask(client, COUNT, tmp_path, part_rows=PART_ROWS, on=cluster)
    server.delay = 0
    check(ask(client, COUNT, tmp_path, on=cluster), COUNT)


def test_a_scheduler_that_is_lost_is_reported_and_loses_no_row(server: RowServer, tmp_path: Path) -> None:
    code = (
        "import sys; from distributed import LocalCluster; cluster = LocalCluster(n_workers=1, threads_per_worker=1, "
        "processes=False, protocol='tcp', dashboard_address=None); "
        "print(cluster.scheduler_address, flush=True); sys.stdin.read()"
    )
    scheduler = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert scheduler.stdout is not None
        address = scheduler.stdout.readline().strip()
        with Client(address, set_as_default=False, timeout=5) as client:
            server.delay = 0.05

            def kill() -> None:
                wait_for(lambda: server.requests >= 20)
                scheduler.kill()

            threading.Thread(target=kill).start()
            with pytest.raises(RuntimeError, match="its scheduler was lost") as caught:
                ask(server.client(max_concurrent_requests=4), 80, tmp_path, part_rows=20, on=client)
        assert any("of 4 parts are done" in note for note in caught.value.__notes__)
    finally:
        scheduler.kill()
        scheduler.communicate()
    server.delay = 0
    check(ask(server.client(), 80, tmp_path), 80)


def test_a_client_that_cannot_travel_is_refused(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot be pickled \(.*lock.*leave out the client's argument"):
        ask(server.client(pace=Unpicklable()), 20, tmp_path, on=cluster)
    assert server.requests == 0


def test_clients_that_cannot_be_used_are_refused(cluster: Client) -> None:
    assert isinstance(choose_engine(cluster), Dask)
    with pytest.raises(SettingError, match=r"not LocalCluster.*pass on=cluster\.get_client"):
        choose_engine(cluster.cluster)
    assert cluster.scheduler is not None
    with Client(cluster.scheduler.address, set_as_default=False) as closed:
        pass
    with pytest.raises(SettingError, match="client of Dask that is closed; make a new one"):
        choose_engine(closed)


async def test_an_asynchronous_client_is_refused(cluster: Client) -> None:
    assert cluster.scheduler is not None
    async with Client(cluster.scheduler.address, asynchronous=True, set_as_default=False) as client:
        with pytest.raises(SettingError, match="asynchronous client of Dask"):
            choose_engine(client)


def test_workers_share_the_limit_of_their_client(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    client = server.client(max_requests_per_minute=60 * 100)
    begun = time.monotonic()
    job = ask(client, 160, tmp_path, part_rows=20, on=cluster)
    # Each with a limit of its own, they would take half as long; a slow machine takes longer.
    assert time.monotonic() - begun >= 1.5
    check(job, 160)


# Processes that are killed --------------------------------------------------------------------------------------------


def test_workers_that_are_killed_lose_no_row(server: RowServer, cluster: Client, tmp_path: Path) -> None:
    server.delay = 0.02
    draws, kills = random.Random(6), 2
    goals = {draws.randrange(COUNT * number // kills, COUNT * (number + 1) // kills) for number in range(kills)}
    usual = server.server.answer

    def answer_unless_killed(seen: Seen, number: int) -> Reply:
        if number in goals:  # the answer to this request is lost, whatever else the worker is at
            find_sender(seen).kill()
        return usual(seen, number)

    server.server.answer = answer_unless_killed
    job = ask(server.client(max_concurrent_requests=8), COUNT, tmp_path, part_rows=PART_ROWS, on=cluster)
    check(job, COUNT)
    asked = server.counts
    assert set(asked) == set(range(COUNT))
    twice = sum(number - 1 for number in asked.values())
    # Both parts of a worker were under way, or all four where the scheduler had given it more.
    assert kills <= twice <= kills * 4 * PART_ROWS
    assert not list(tmp_path.rglob("*.tmp"))


def find_sender(seen: Seen) -> psutil.Process:
    """Return the process below this one that sent a request."""
    for process in psutil.Process().children(recursive=True):
        if any(end.laddr.port == seen.port for end in process.net_connections("inet") if end.laddr):
            return process
    raise AssertionError("no process has this connection")


def test_a_driver_that_is_killed_loses_no_row_and_leaves_no_process(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.02
    arguments = [server.url, str(tmp_path), str(COUNT), str(PART_ROWS)]
    driver = subprocess.Popen([sys.executable, "-m", "tests.jobs.dask_driver", *arguments])
    goal = random.Random(7).randint(PART_ROWS, COUNT // 2)
    try:
        wait_for(lambda: server.requests >= goal, driver)
        family = psutil.Process(driver.pid).children(recursive=True)
    finally:
        driver.kill()
    driver.wait()
    assert len(family) >= 2
    wait_for(lambda: all(map(is_gone, family)))
    server.delay = 0
    check(ask(server.client(), COUNT, tmp_path), COUNT)
    twice = sum(number - 1 for number in server.counts.values())
    assert twice <= 4 * PART_ROWS  # none, if the kill fell between two parts


def offspring(word: str) -> set[psutil.Process]:
    """Return the processes below this one that run and have a word in their command."""
    found: set[psutil.Process] = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if not is_gone(process) and word in " ".join(process.cmdline()):
                found.add(process)
    return found


@pytest.mark.model
def test_each_worker_has_one_embedded_server_and_no_process_is_left(tmp_path: Path) -> None:
    # An earlier test may have started a server in this process.
    before, others = offspring("spawn_main"), offspring(SERVER)
    engine, servers, processes = Dask(workers=2), dict[psutil.Process, int](), set[psutil.Process]()

    class Looking:
        def run(self, parts: Any, worker: Any) -> Any:
            for report in engine.run(parts, worker):
                servers.update({server: server.ppid() for server in offspring(SERVER) - others})
                processes.update(offspring("spawn_main") - before)
                for process in processes:  # as a terminal and a notebook interrupt all processes of theirs
                    process.send_signal(signal.SIGINT)
                yield report

    client = LLMClient("local", max_new_tokens=1)
    job = ask(client, 6, tmp_path, part_rows=1, on=Looking())
    assert job.progress.failed == 0
    assert len(processes) == 2
    workers = set(servers.values())
    assert 1 <= len(servers) == len(workers) <= 2
    assert os.getpid() not in workers
    wait_for(lambda: all(map(is_gone, servers)))
    assert offspring("spawn_main") <= before
