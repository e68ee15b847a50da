"""Whatever crashes, and whenever: afterwards there is one right answer for each row, in order."""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deluge_nb import Conversation, LLMClient, MissingKeyError, SettingError, score_frame
from deluge_nb.jobs.engines.base import Done, Worker
from deluge_nb.jobs.engines.here import Here
from tests.fault_server import FaultServer, cut, good, reply
from tests.fault_server import running as running_fault_server
from tests.jobs import driver
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, ask, check, row_server, rows
from tests.openai_server import Reply

pytestmark = pytest.mark.filterwarnings("ignore:.* failed, :UserWarning", "ignore:.* rows failed:UserWarning")

ROWS, PART_ROWS = 23, 5
PARTS = 5


@pytest.fixture
def server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


class Died(BaseException):
    """The end of a driver."""


class FakeEngine:
    """Engine that runs parts as often as a plan says, in its order, and dies after a number of steps.

    A step is ``(part, torn)``: where ``torn`` is true, the file of the part is cut after it was written, as by a disk
    that lost its last blocks, and the engine dies.
    """

    def __init__(self, plan: Sequence[tuple[int, bool]], dies_after: int | None) -> None:
        self.plan, self.dies_after = plan, dies_after

    def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
        for step, (part, torn) in enumerate(self.plan):
            if step == self.dies_after:
                raise Died
            if part not in parts:
                continue
            report = worker(part)
            if torn:
                file = Path(worker.folder) / "parts" / f"part-{part:06d}.parquet"
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
                raise Died
            yield report


class AllOf(FakeEngine):
    """Engine that runs every part, the last one first, and half of them twice."""

    def __init__(self) -> None:
        super().__init__([(part, False) for part in [4, 3, 2, 1, 0, 4, 2]], None)


steps = st.lists(st.tuples(st.integers(0, PARTS - 1), st.sampled_from([False] * 7 + [True])), max_size=8)
runs = st.lists(st.tuples(steps, st.none() | st.integers(0, 8)), max_size=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=runs)
def test_each_row_has_one_answer_whatever_an_engine_does_and_wherever_it_dies(
    server: RowServer, runs: list[tuple[list[tuple[int, bool]], int | None]]
) -> None:
    client = server.client()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for plan, dies_after in runs:
            with suppress(Died, RuntimeError):
                ask(client, ROWS, out, part_rows=PART_ROWS, on=FakeEngine(plan, dies_after))
        server.server.seen.clear()
        job = ask(client, ROWS, out, part_rows=PART_ROWS, on=AllOf())
        check(job, ROWS)
        assert job.progress.rows_done == ROWS
        assert max(server.counts.values(), default=1) == 1


def test_an_engine_that_leaves_out_a_part_is_reported(server: RowServer, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"FakeEngine has not run the parts \[1, 2, 3, 4\]"):
        ask(server.client(), ROWS, tmp_path, part_rows=PART_ROWS, on=FakeEngine([(0, False)], None))


# Processes that are killed --------------------------------------------------------------------------------------------


def _no_lock(file: Any) -> None:
    """Answer as a file system without locks."""


def kill_after(process: BaseProcess, server: RowServer, requests: int) -> None:
    """Kill a driver once the server has seen a number of requests, or let it end."""
    while process.is_alive() and server.requests < requests:
        time.sleep(0.005)
    process.kill()
    process.join(10)


@pytest.mark.slow
def test_a_driver_that_is_killed_again_and_again_loses_at_most_two_parts_each_time(
    server: RowServer, tmp_path: Path
) -> None:
    count, part_rows, draws = 1000, 100, random.Random(16)
    server.delay = 0.02
    kills = 2
    for _ in range(kills):
        kill_after(
            driver.start(server.url, tmp_path, count, part_rows), server, server.requests + draws.randint(80, 420)
        )
    check(ask(server.client(), count, tmp_path, part_rows=part_rows), count)
    asked = server.counts
    assert set(asked) == set(range(count))
    twice = sum(number - 1 for number in asked.values())
    assert twice <= kills * 2 * part_rows
    assert not list(tmp_path.rglob("*.tmp"))
    check(ask(server.client(), count, tmp_path), count)
    assert sum(asked.values()) == server.requests


@pytest.mark.slow
def test_two_drivers_on_one_folder_ask_each_row_once(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.02
    drivers = [driver.start(server.url, tmp_path, 400, 50) for _ in range(2)]
    for running in drivers:
        running.join(60)
    assert [running.exitcode for running in drivers] == [0, 0]
    check(ask(server.client(), 400, tmp_path), 400)
    assert server.counts == Counter(range(400))


def ask_in_threads(client: LLMClient, folder: Path, threads: int) -> None:
    """Run the same job of 60 rows in several threads at once."""
    running = [
        threading.Thread(target=ask, args=(client, 60, folder), kwargs={"part_rows": 10}) for _ in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)


def test_two_threads_on_one_folder_ask_each_row_once(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.02
    client = server.client()
    ask_in_threads(client, tmp_path, 3)
    check(ask(client, 60, tmp_path), 60)
    assert server.counts == Counter(range(60))


def test_two_drivers_without_a_lock_are_harmless(
    server: RowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a file system that has no locks.
    monkeypatch.setattr("deluge_nb.jobs.storage.files._try_lock", _no_lock)
    server.delay = 0.01
    client = server.client()
    ask_in_threads(client, tmp_path, 2)
    check(ask(client, 60, tmp_path), 60)
    assert max(server.counts.values()) <= 2


def test_an_interrupt_ends_the_requests_under_way_and_keeps_the_parts_that_are_done(
    server: RowServer, tmp_path: Path
) -> None:
    server.delay = 0.05

    class Interrupting:
        def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
            for number, report in enumerate(Here().run(parts, worker)):
                yield report
                if number == 1:
                    raise KeyboardInterrupt

    client = server.client(max_concurrent_requests=8)
    with pytest.raises(KeyboardInterrupt) as caught:
        ask(client, 200, tmp_path, part_rows=20, on=Interrupting())
    assert any("2 of 10 parts are done" in note for note in caught.value.__notes__)
    asked = server.requests
    assert asked < 100
    check(ask(client, 200, tmp_path), 200)
    assert sum(count - 1 for count in server.counts.values()) <= 40


# Files ----------------------------------------------------------------------------------------------------------------


def part_file(out: Path, part: int = 1) -> Path:
    return out / "parts" / f"part-{part:06d}.parquet"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_torn_part_is_asked_again(server: RowServer, tmp_path: Path, share: float) -> None:
    ask(server.client(), 20, tmp_path, part_rows=5)
    file = part_file(tmp_path)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    server.server.seen.clear()
    check(ask(server.client(), 20, tmp_path), 20)
    assert server.counts == Counter(range(5, 10))


def test_a_damaged_part_is_reported_with_the_cure(server: RowServer, tmp_path: Path) -> None:
    job = ask(server.client(), 20, tmp_path, part_rows=5)
    file = part_file(tmp_path)
    content = bytearray(file.read_bytes())
    content[100:140] = bytes(byte ^ 0x5A for byte in content[100:140])
    file.write_bytes(content)
    with pytest.raises(SettingError, match=r"part-000001.parquet.*delete the file and run the job again"):
        _ = job.table
    file.unlink()
    check(ask(server.client(), 20, tmp_path), 20)


def test_what_killed_writers_left_is_removed_and_no_other_file(server: RowServer, tmp_path: Path) -> None:
    ask(server.client(), 20, tmp_path, part_rows=5)
    left = [
        tmp_path / f"{name}.0123456789ab.tmp" for name in ("job.json", "input.parquet", "parts/part-000000.parquet")
    ]
    others = [tmp_path / "notes.tmp", tmp_path / "parts" / "mine.parquet.tmp"]
    for file in (*left, *others):
        file.write_bytes(b"PAR1")
    part_file(tmp_path).unlink()
    check(ask(server.client(), 20, tmp_path), 20)
    assert sorted(tmp_path.rglob("*.tmp")) == sorted(others)


def test_a_file_of_the_users_is_not_replaced(server: RowServer, tmp_path: Path) -> None:
    pq.write_table(rows(20), tmp_path / "input.parquet")
    with pytest.raises(SettingError, match=r"input.parquet is no job's.*choose another folder"):
        score_frame(tmp_path / "input.parquet", TEMPLATE, server.client(), out=tmp_path, show_progress=False)
    assert pq.read_table(tmp_path / "input.parquet").equals(rows(20))


@pytest.mark.parametrize("lost", ["input.parquet", "job.json", "both"])
def test_an_input_or_a_description_that_is_gone_is_written_anew_and_answers_are_kept(
    server: RowServer, tmp_path: Path, lost: str
) -> None:
    job = ask(server.client(), 20, tmp_path, part_rows=5)
    for name in ("input.parquet", "job.json") if lost == "both" else (lost,):
        (tmp_path / name).unlink()
    with pytest.raises(SettingError, match="run the call that made the job again"):
        job.retry(show_progress=False) if lost == "job.json" else job.table
    part_file(tmp_path).unlink()
    server.server.seen.clear()
    check(ask(server.client(), 20, tmp_path, part_rows=5), 20)
    assert server.counts == Counter(range(5, 10))


def test_a_damaged_input_is_never_read_as_other_rows(server: RowServer, tmp_path: Path) -> None:
    job = ask(server.client(), 20, tmp_path, part_rows=5)
    file = tmp_path / "input.parquet"
    content = file.read_bytes()
    for place in range(4, len(content), 97):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :])
        vars(job).pop("table", None)
        with suppress(SettingError):
            check(job, 20)
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(SettingError, match="delete the file and run the call that made the job again"):
        ask(server.client(), 20, tmp_path).table  # noqa: B018 - reads it


@pytest.mark.parametrize("field", [{"part_rows": 0}, {"rows": 25}, {"made_of": "x"}, {"version": "1"}])
def test_a_description_that_does_not_fit_is_refused_with_the_cure(
    server: RowServer, tmp_path: Path, field: dict[str, Any]
) -> None:
    ask(server.client(), 20, tmp_path, part_rows=5)
    file = tmp_path / "job.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | field))
    with pytest.raises(SettingError, match=r"job.json cannot be read .*; delete it and run the call"):
        ask(server.client(), 20, tmp_path)


def test_a_part_that_cannot_be_written_costs_no_more_than_two_parts(server: RowServer, tmp_path: Path) -> None:
    server.delay = 0.15  # more than the time between two looks at the parts
    server.bad = dict.fromkeys(range(15, 20), Reply({}, 400, delay=9))  # still under way when the part before fails
    part_file(tmp_path, 2).mkdir(parents=True)
    with pytest.raises(SettingError, match=r"part-000002.parquet cannot be written"):
        ask(server.client(), 60, tmp_path, part_rows=5)
    done = [file for file in (tmp_path / "parts").iterdir() if file.is_file()]
    assert server.requests - 5 * len(done) <= 10


def test_a_part_of_another_job_is_refused(server: RowServer, tmp_path: Path) -> None:
    ask(server.client(), 20, tmp_path / "a", part_rows=5)
    ask(server.client(temperature=1), 20, tmp_path / "b", part_rows=5)
    part_file(tmp_path / "a").replace(part_file(tmp_path / "b"))
    with pytest.raises(SettingError, match=r"part-000001.parquet belongs to another job"):
        ask(server.client(temperature=1), 20, tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"template": "Line {number} : {text}"}, "the template"),
        ({"labels": ["yes", "maybe"]}, r"the labels \(\['yes', 'no'\] there, \['yes', 'maybe'\] here\) differ\b"),
        ({"labels": {"yes": ["yes", "y"], "no": ["no"]}}, r"the labels \({'yes': \['yes'\], .* there, .*'y'.* here\)"),
        ({"template": Conversation.user("{number}")}, r"the template \('Row .* there, .*'user'.*… here\) differs"),
        (
            {"client": {"temperature": 0.7}},
            r"the models or their settings \(settings.temperature 0.0 there, 0.7",
        ),
        ({"client": {"model": "vllm/y"}}, "the models or their settings"),
        ({"data": 21}, "the rows of the input"),
        ({"keep": "all"}, "keep="),
        ({"precision": "float32"}, "precision="),
        ({"dedup": False}, "dedup="),
    ],
)
def test_another_job_in_the_folder_is_refused_with_what_differs(
    server: RowServer, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    ask(server.client(), 20, tmp_path)
    asked = server.requests
    arguments: dict[str, Any] = {"template": TEMPLATE, "labels": LABELS, **change}
    data = rows(arguments.pop("data", 20))
    settings = dict(arguments.pop("client", {}))
    client = LLMClient(settings.pop("model", "vllm/x"), base_url=server.url, **settings)
    with pytest.raises(SettingError, match=f"holds another job: {named}.*; choose another folder"):
        score_frame(data, client=client, out=tmp_path, show_progress=False, **arguments)
    assert server.requests == asked


@pytest.mark.parametrize(
    "change",
    [{"api_key": "another"}, {"max_concurrent_requests": 3}, {"timeout": 9}, {"max_attempts": 2}, {"pace": None}],
)
def test_keys_and_limits_are_no_part_of_a_job(server: RowServer, tmp_path: Path, change: dict[str, Any]) -> None:
    ask(server.client(api_key="one"), 20, tmp_path)
    assert "one" not in (tmp_path / "job.json").read_text().replace("None", "").split('"')
    ask(server.client(**change), 20, tmp_path)
    assert server.requests == 20


def test_a_server_that_moved_is_asked_at_its_new_address(server: RowServer, tmp_path: Path) -> None:
    ask(server.client(), 20, tmp_path, part_rows=5)
    part_file(tmp_path).unlink()
    with row_server() as moved:
        check(ask(moved.client(), 20, tmp_path), 20)
        assert moved.requests == 5
    assert server.url not in (tmp_path / "job.json").read_text()


def test_an_input_that_changes_under_the_job_changes_nothing(server: RowServer, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(rows(20), path)

    class Changing(AllOf):
        def run(self, parts: Sequence[int], worker: Worker) -> Iterator[Done]:
            for report in super().run(parts, worker):
                pq.write_table(rows(20).slice(3), path)
                yield report

    settings: dict[str, Any] = {"labels": LABELS, "out": tmp_path / "job", "show_progress": False}
    check(score_frame(path, TEMPLATE, server.client(), part_rows=5, on=Changing(), **settings), 20)
    with pytest.raises(SettingError, match="the rows of the input"):
        score_frame(path, TEMPLATE, server.client(), **settings)


def test_a_pinned_input_that_was_changed_is_noticed(server: RowServer, tmp_path: Path) -> None:
    ask(server.client(), 20, tmp_path, part_rows=5)
    pinned = pq.read_table(tmp_path / "input.parquet")
    changed = pinned.set_column(1, "text", pa.array(["other"] * 20))
    pq.write_table(changed, tmp_path / "input.parquet", row_group_size=5)
    part_file(tmp_path).unlink()
    with pytest.raises(SettingError, match="was changed after the job began"):
        ask(server.client(), 20, tmp_path)


def test_a_manifest_of_a_newer_version_or_without_sense_is_refused(server: RowServer, tmp_path: Path) -> None:
    ask(server.client(), 5, tmp_path)
    file = tmp_path / "job.json"
    plain = json.loads(file.read_text())
    file.write_text(json.dumps({**plain, "version": 99}))
    with pytest.raises(SettingError, match="newer version"):
        ask(server.client(), 5, tmp_path)
    file.write_text("{")
    with pytest.raises(SettingError, match="cannot be read"):
        ask(server.client(), 5, tmp_path)


# Failures -------------------------------------------------------------------------------------------------------------


def test_every_class_of_failure_is_a_row(tmp_path: Path) -> None:
    def answers(seen: Any, number: int) -> Any:
        row = int(seen.question.split()[1])
        return {
            1: reply({"error": {"message": "no"}}, 400),
            2: reply({"error": {"message": "busy"}}, 429),
            3: reply({"error": {"message": "down"}}, 503),
            4: ["reset"],
            5: cut(good(seen), 0.5),
            6: reply(b"<html>", kind="text/html"),
            7: reply({"choices": []}),
            8: reply({"error": {"message": "\ud800 half"}}, 422),
        }.get(row, good(seen))

    with running_fault_server() as server:
        assert isinstance(server, FaultServer)
        server.answer = answers
        client = LLMClient("vllm/x", base_url=server.url, max_attempts=1)
        job = score_frame(rows(30), TEMPLATE, client, out=tmp_path, part_rows=10, show_progress=False)
    errors = job.table["error"].to_pylist()
    assert [row for row, error in enumerate(errors) if error is not None] == list(range(1, 9))
    assert job.table["status_code"].to_pylist()[1:4] == [400, 429, 503]
    assert job.table["completion"].to_pylist()[9:] == [TEMPLATE.format(**row) for row in rows(30).to_pylist()[9:]]
    assert sum(job.progress.failures.values()) == 8


def test_an_error_that_concerns_every_row_is_raised_and_the_job_goes_on_later(
    server: RowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingKeyError):
        ask(LLMClient("gpt-4o-mini"), 5, tmp_path / "job")
    assert not list((tmp_path / "job" / "parts").iterdir())


def test_a_server_that_refuses_every_key_fails_rows_which_retry_asks_again(server: RowServer, tmp_path: Path) -> None:
    server.bad = {row: Reply({"error": {"message": "wrong key"}}, 401) for row in range(20)}
    job = ask(server.client(), 20, tmp_path, part_rows=5)
    check(job, 20, set(range(20)))
    server.bad = {}
    check(job.retry(show_progress=False), 20)
