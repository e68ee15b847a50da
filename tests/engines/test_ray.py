"""Jobs on Ray: the same rows as in this process, whatever dies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
import ray

from deluge_nb import LLMClient, MissingKeyError, RawPrompt, SettingError, score_frame
from deluge_nb.jobs.engines.clusters.ray import Ray
from tests.engines.family import descendants, embedded_servers
from tests.jobs.rows import RowServer, ask, check
from tests.openai_server import Reply

pytestmark = pytest.mark.filterwarnings("ignore:.* failed, :UserWarning", "ignore:.* prompts failed:UserWarning")
COUNT, PART_ROWS = 400, 40


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray that the tests of this module share."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def wait_for(condition: Callable[[], bool], driver: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a condition holds; pytest's own limit ends a test that hangs."""
    while not condition():
        assert driver is None or driver.poll() is None, "the driver has ended"
        time.sleep(0.005)


def workers() -> list[psutil.Process]:
    """Return the processes of Ray that run a part."""
    return descendants("ray::_run_part")


def twice(server: RowServer) -> int:
    return sum(number - 1 for number in server.counts.values())


# What a job on Ray does -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cluster")
def test_a_ray_that_is_running_runs_the_job_and_stays(server: RowServer, tmp_path: Path) -> None:
    server.bad = {7: Reply({"error": {"message": "no"}}, 400)}
    job = ask(server.client(), 50, tmp_path, part_rows=8, on="ray")
    check(job, 50, {7})
    assert server.counts == Counter(range(50))
    assert ray.is_initialized()
    check(ask(server.client(), 50, tmp_path, on="ray"), 50, {7})
    assert server.requests == 50
    assert job.logprobs(3).text == ask(server.client(), 50, tmp_path / "here").logprobs(3).text


@pytest.mark.usefixtures("cluster")
def test_the_address_of_this_run_counts(server: RowServer, tmp_path: Path) -> None:
    lost = LLMClient("vllm/x", base_url="http://127.0.0.1:9/v1", max_attempts=1)
    job = ask(lost, 20, tmp_path, part_rows=8, on="ray")
    assert job.progress.failed == 20
    found = ask(server.client(), 20, tmp_path, on="ray")
    check(found.retry(show_progress=False), 20)


@pytest.mark.usefixtures("cluster")
def test_a_worker_without_a_key_is_reported_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-" + "w4" * 12
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    with pytest.raises(
        MissingKeyError, match=r"1 of 1 workers cannot work.*nothing was sent.*OPENAI_API_KEY"
    ) as caught:
        ask(LLMClient("gpt-4o-mini", max_attempts=1), 20, tmp_path, on="ray")
    assert secret not in str(caught.value)


@pytest.mark.usefixtures("cluster")
def test_an_address_that_workers_do_not_know_is_reported_before_anything_is_sent(
    server: RowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-here")
    with pytest.raises(SettingError, match=r"nothing was sent.*has the address .* here, and .*give base_url="):
        ask(LLMClient("gpt-4o-mini"), 20, tmp_path, on="ray")
    assert server.requests == 0


@pytest.mark.usefixtures("cluster")
def test_an_error_of_a_part_is_raised_and_nothing_is_asked_twice(server: RowServer, tmp_path: Path) -> None:
    ask(server.client(), 20, tmp_path, part_rows=5)
    (tmp_path / "parts" / "part-000002.parquet").unlink()
    # The answers cannot be written, for a folder has their name.
    (tmp_path / "parts" / "part-000002.parquet").mkdir()
    with pytest.raises(SettingError, match="part-000002"):
        ask(server.client(), 20, tmp_path, on="ray")
    assert max(server.counts.values()) == 2


@pytest.mark.usefixtures("cluster")
def test_an_interrupt_ends_the_requests_under_way(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.05
    client = server.client(max_concurrent_requests=4)

    def interrupt() -> None:
        wait_for(lambda: server.requests >= PART_ROWS)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        ask(client, COUNT, tmp_path, part_rows=PART_ROWS, on="ray")
    assert any("of 10 parts are done" in note for note in caught.value.__notes__)
    wait_for(lambda: not workers())
    # Two parts were under way, and perhaps two had just begun.
    assert server.requests <= 4 * PART_ROWS
    server.delay = 0
    check(ask(client, COUNT, tmp_path, on="ray"), COUNT)


@pytest.mark.usefixtures("cluster")
def test_workers_share_the_limit_of_their_client(server: RowServer, tmp_path: Path) -> None:
    client = server.client(max_requests_per_minute=60 * 40)
    begun = time.monotonic()
    job = ask(client, 160, tmp_path, part_rows=20, on="ray")
    # Each with a limit of its own, they would take half as long; a slow machine takes longer.
    assert time.monotonic() - begun >= 3.6
    check(job, 160)


@pytest.mark.usefixtures("cluster")
def test_each_worker_has_one_embedded_server_that_ends_with_it(tmp_path: Path) -> None:
    client = LLMClient("local", max_new_tokens=1)
    table = pa.table({"text": [f"{number} and {number} is" for number in range(12)]})
    job = score_frame(table, RawPrompt("{text}"), client, out=tmp_path, part_rows=2, on="ray", show_progress=False)
    assert job.table["error"].null_count == 12
    servers = embedded_servers()
    parents = [server.ppid() for server in servers]
    assert 1 <= len(servers) <= 3
    assert len(set(parents)) == len(parents)
    ray.shutdown()
    _, alive = psutil.wait_procs(servers, timeout=120)
    assert not alive
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")


# Processes that are killed --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cluster")
def test_workers_that_are_killed_lose_no_row(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.02
    draws, kills = random.Random(6), 2
    goals = [(number + draws.random()) * COUNT / kills for number in range(kills)]

    def kill() -> None:
        for goal in goals:
            wait_for(lambda goal=goal: server.requests >= goal and bool(workers()))
            draws.choice(workers()).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    job = ask(server.client(max_concurrent_requests=8), COUNT, tmp_path, part_rows=PART_ROWS, on="ray")
    killer.join()
    check(job, COUNT)
    assert set(server.counts) == set(range(COUNT))
    # One part was under way in each.
    assert 0 < twice(server) <= kills * PART_ROWS
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_driver_that_is_killed_loses_no_row_and_leaves_no_process(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.02
    arguments = [server.url, str(tmp_path), str(COUNT), str(PART_ROWS)]
    driver = subprocess.Popen([sys.executable, "-m", "tests.engines.ray_driver", *arguments])
    goal = random.Random(7).randint(PART_ROWS, COUNT // 2)
    family: list[Any] = []
    try:
        wait_for(lambda: server.requests >= goal, driver)
        family = psutil.Process(driver.pid).children(recursive=True)
    finally:
        driver.kill()
    driver.wait()
    assert len(family) >= 2
    # Ray's own processes notice after a while.
    _, alive = psutil.wait_procs(family, timeout=240)
    assert not alive
    server.delay = 0
    check(ask(server.client(), COUNT, tmp_path), COUNT)
    assert twice(server) <= 4 * PART_ROWS


def test_a_ray_that_was_started_for_the_run_is_shut_down(server: RowServer, tmp_path: Path) -> None:
    ray.shutdown()
    before = set(psutil.Process().children(recursive=True))
    check(ask(server.client(), 40, tmp_path, part_rows=8, on=Ray()), 40)
    assert not ray.is_initialized()
    left = [child for child in psutil.Process().children(recursive=True) if child not in before]
    _, alive = psutil.wait_procs(left, timeout=120)
    assert not alive


def test_a_ray_that_does_not_start_is_an_error_with_the_cure(
    server: RowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "no-scheme-and-no-port")
    with pytest.raises(RuntimeError, match=r"Ray did not start.*Start it with ray\.init\(\)"):
        ask(server.client(), 20, tmp_path, on="ray")
    assert server.requests == 0
    check(ask(server.client(), 20, tmp_path), 20)
