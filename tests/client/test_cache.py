"""Answers that are kept: by whom they are found again, and by whom not."""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import warnings
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import (
    APIResponse,
    Cache,
    Conversation,
    LLMClient,
    Logprobs,
    RawPrompt,
    RequestError,
    SamplingParams,
    SettingError,
    Tool,
)
from deluge_nb.client.cache.codec import encode_completion
from deluge_nb.dialects.base import Ask, Completion
from deluge_nb.logprobs.splice import truncate_alternatives
from tests.openai_server import ChatServer, Reply, chat, chunks, error, says

pytestmark = pytest.mark.slow

WIDE = {"a": 0.5, "b": 0.3, "c": 0.15}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "answers.sqlite3"


def client(file: Path, k: int | None = 2, **options: Any) -> LLMClient:
    params = SamplingParams(logprobs=k is not None, top_logprobs=k)
    return LLMClient("gpt-4o-mini", sampling_params=params, cache=file, **options)


def ask(asked: LLMClient, *prompts: Any, **options: Any) -> list[APIResponse]:
    return asked.process_prompts_sync(list(prompts) or ["?"], show_progress=False, **options)


def facts_of(response: APIResponse) -> tuple[Any, ...]:
    return response.completion, response.logprobs, response.usage, response.finish_reason, response.raw_response


def test_a_second_call_sends_nothing_and_is_told_the_same(server: ChatServer, file: Path) -> None:
    server.always(("a", WIDE), ("b", WIDE))
    (first,), (second,) = ask(client(file)), ask(client(file))
    assert len(server.seen) == 1
    assert facts_of(second) == facts_of(first)
    assert (first.from_cache, second.from_cache) == (False, True)


def test_an_answer_with_more_alternatives_answers_for_fewer(server: ChatServer, file: Path) -> None:
    server.always(("b", WIDE))
    ask(client(file, 3))
    (fewer,), (none,), (without,) = ask(client(file, 2)), ask(client(file, 0)), ask(client(file, None))
    assert len(server.seen) == 1
    assert fewer.logprobs is not None
    assert none.logprobs is not None
    assert [one["token"] for one in fewer.logprobs[0]["top_logprobs"]] == ["a", "b"]
    assert none.logprobs[0]["top_logprobs"] == []
    assert none.logprobs[0]["logprob"] == pytest.approx(math.log(0.3))
    assert without.logprobs is None
    assert without.completion == "b"


def test_an_answer_with_fewer_alternatives_does_not_answer_for_more(server: ChatServer, file: Path) -> None:
    server.always(("b", WIDE))
    for k in (None, 1, 3):
        ask(client(file, k))
    assert len(server.seen) == 3
    assert len(Cache(file)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"sampling_params": SamplingParams(logprobs=True, top_logprobs=2, temperature=0.5)},
        {"sampling_params": SamplingParams(logprobs=True, top_logprobs=2, extra_body={"x": 1})},
        {"tools": [Tool("f", "does", {"type": "object"})]},
        {"output_schema": {"type": "object"}},
        {"prompts": ["??"]},
        {"prompts": [Conversation().system("Be brief.").user("?")]},
    ],
    ids=["temperature", "body", "tools", "schema", "prompt", "system"],
)
def test_another_request_is_another_answer(server: ChatServer, file: Path, other: dict[str, Any]) -> None:
    ask(client(file))
    ask(client(file), *other.pop("prompts", ["?"]), **other)
    assert len(server.seen) == 2


def test_another_model_or_server_is_another_answer(server: ChatServer, file: Path) -> None:
    for url in (None, f"{server.url}/other"):
        ask(client(file, base_url=url))
        ask(LLMClient("gpt-4o", logprobs=True, top_logprobs=2, cache=file, base_url=url))
    assert len(server.seen) == 4


def test_the_same_prompt_asked_several_times_is_several_draws(server: ChatServer, file: Path) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says(f"draw {number}")))
    first = [one.completion for one in ask(client(file), "?", "?", "?")]
    again = [one.completion for one in ask(client(file), "?", "?", "?", "?")]
    assert len(set(first)) == 3
    assert again[:3] == first
    assert len(server.seen) == 4


def test_failures_are_not_kept(server: ChatServer, file: Path) -> None:
    server.answer = lambda seen, number: error("no", status=400)
    assert ask(client(file))[0].is_error
    server.always(("a", WIDE))
    assert ask(client(file))[0].completion == "a"


def test_an_answer_without_the_log_probabilities_asked_for_is_not_kept(server: ChatServer, file: Path) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("a"), finish="stop") | {"logprobs": None})

    def dropping(seen: Any, number: int) -> Reply:
        body = chat(seen, says("a"))
        body["choices"][0]["logprobs"] = None
        return Reply(body)

    server.answer = dropping
    for _ in range(2):
        with pytest.warns(UserWarning, match="without the log-probabilities"):
            ask(client(file))
    assert len(server.seen) == 2


def test_tool_calls_are_kept(server: ChatServer, file: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    server.answer = lambda seen, number: Reply(chat(seen, [], finish="tool_calls", content=None, tool_calls=[call]))
    tools = [Tool("f", "does", {"type": "object"})]
    (first,), (second,) = ask(client(file), tools=tools), ask(client(file), tools=tools)
    assert len(server.seen) == 1
    assert first.tool_calls == second.tool_calls
    assert second.tool_calls[0].arguments == {"a": 1}


def test_what_is_kept_is_not_counted_as_used(server: ChatServer, file: Path) -> None:
    asked = client(file)
    ask(asked)
    ask(asked)
    assert (asked.usage.answered, asked.usage.from_cache, asked.usage.prompt_tokens) == (2, 1, 9)


def test_one_call_can_ask_anew_and_keep_nothing(server: ChatServer, file: Path) -> None:
    asked = client(file)
    ask(asked, use_cache=False)
    assert len(Cache(file)) == 0
    ask(asked)
    ask(asked, use_cache=False)
    assert len(server.seen) == 3


def test_streams_are_kept_and_found(server: ChatServer, file: Path) -> None:
    server.answer = lambda seen, number: Reply(pieces=chunks(seen, says("a", "b")))
    asked = client(file)
    list(asked.stream("?"))
    stream = asked.stream("?")
    assert [token.text for token in stream] == ["a", "b"]
    assert stream.response is not None
    assert stream.response.from_cache
    assert len(server.seen) == 1


def test_a_stream_that_was_ended_is_not_kept(server: ChatServer, file: Path) -> None:
    server.answer = lambda seen, number: Reply(
        pieces=chunks(seen, says("a", "b")), held=lambda place: place > 1 and len(server.seen) < 2
    )
    asked = client(file)
    with asked.stream("?") as stream:
        next(stream)
    assert len(Cache(file)) == 0
    assert "".join(token.text for token in asked.stream("?")) == "ab"


def test_a_prompt_is_not_in_the_file_and_neither_is_a_key(server: ChatServer, file: Path) -> None:
    ask(client(file), "a most private question")
    found = b"".join(part.read_bytes() for part in file.parent.iterdir())
    assert b"private" not in found
    assert b"sk-test" not in found


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_the_file_is_its_owners_only(server: ChatServer, file: Path) -> None:
    ask(client(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_true_means_the_folder_for_caches(server: ChatServer, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("DELUGE_NB_CACHE", str(tmp_path))
    asked = LLMClient("gpt-4o-mini", cache=True)
    ask(asked)
    ask(asked)
    assert len(server.seen) == 1
    assert (tmp_path / "responses.sqlite3").exists()


@pytest.mark.parametrize("value", [3, b"x", ""])
def test_what_is_no_file_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="cache must be True, False, a file's path"):
        LLMClient("local", cache=value)


def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    no_database = tmp_path / "notes.txt"
    no_database.write_text("not a database, but long enough to be looked at" * 10)
    for path in (tmp_path, no_database, no_database / "inside"):
        with pytest.raises(SettingError, match="cannot be used as a cache"):
            LLMClient("local", cache=path)
    assert no_database.read_text().startswith("not a database")


def test_a_file_that_is_lost_on_the_way_costs_no_answer(server: ChatServer, file: Path) -> None:
    asked = client(file)
    ask(asked)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE responses_v1")
    with pytest.warns(UserWarning, match="Answers are not cached"):
        assert ask(asked)[0].completion == "Hello there"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ask(asked)[0].completion == "Hello there"


def test_a_damaged_answer_is_asked_for_again(server: ChatServer, file: Path) -> None:
    asked = client(file)
    ask(asked)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE responses_v1 SET answer = x'00'")
    assert not ask(asked)[0].from_cache
    assert ask(asked)[0].from_cache


def test_answers_used_longest_ago_are_dropped_when_there_are_too_many(tmp_path: Path, server: ChatServer) -> None:
    cache = Cache(tmp_path / "small", max_bytes=60_000)
    server.always(*[("b", WIDE)] * 50)
    asked = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=3, cache=cache, max_concurrent_requests=1)
    ask(asked, *(f"question {i}" for i in range(301)))
    kept = len(cache)
    assert 0 < kept < 301
    assert ask(asked, "question 300")[0].from_cache
    cache.clear()
    assert len(cache) == 0


def test_several_processes_share_one_file(server: ChatServer, file: Path) -> None:
    script = f"""
        from deluge_nb import LLMClient
        client = LLMClient("gpt-4o-mini", base_url={server.url!r}, cache={str(file)!r}, logprobs=True, top_logprobs=2)
        found = client.process_prompts_sync([f"question {{i}}" for i in range(200)], show_progress=False)
        assert not any(one.is_error for one in found), found
        assert [one.completion for one in found] == ["Hello there"] * 200
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    running = [subprocess.Popen(command, env={**os.environ, "OPENAI_API_KEY": "sk-test"}) for _ in range(4)]
    assert [one.wait(120) for one in running] == [0] * 4
    assert len(Cache(file)) == 200
    sent = len(server.seen)
    assert subprocess.run(command, check=False, env={**os.environ, "OPENAI_API_KEY": "sk-test"}).returncode == 0
    assert len(server.seen) == sent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_can_go_on_with_it(server: ChatServer, file: Path) -> None:
    script = f"""
        import os
        from deluge_nb import LLMClient
        client = LLMClient("gpt-4o-mini", base_url={server.url!r}, cache={str(file)!r})
        def kept():
            return client.process_prompts_sync(["?"], show_progress=False)[0].from_cache
        assert not kept()
        child = os.fork()
        if not child:
            os._exit(0 if kept() else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert kept()
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=60, check=False)
    assert ended.returncode == 0


PROBABILITY = st.floats(-20, 0) | st.none()
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "token": st.text(max_size=3),
            "logprob": PROBABILITY,
            "bytes": st.none() | st.lists(st.integers(0, 255), max_size=4),
            "top_logprobs": st.lists(
                st.fixed_dictionaries(
                    {"token": st.text(max_size=3), "logprob": PROBABILITY},
                    optional={"bytes": st.lists(st.integers(0, 255), max_size=4), "id": st.integers(0, 9)},
                ),
                max_size=5,
            ),
        }
    ),
    max_size=5,
)


def falling(entries: list[Any]) -> list[float]:
    return sorted((-1e9 if one["logprob"] is None else one["logprob"] for one in entries), reverse=True)


@given(ENTRIES, st.integers(0, 6))
def test_fewer_alternatives_are_the_likeliest_in_the_order_they_had(entries: list[Any], most: int) -> None:
    table = Logprobs.from_entries(entries)
    for before, after in zip(table, truncate_alternatives(table, most), strict=True):
        had, kept = before["top_logprobs"], after["top_logprobs"]
        assert len(kept) == min(most, len(had))
        rest = list(had)
        for one in kept:  # in order, and each of them is one it had
            while rest and rest[0] != one:
                rest.pop(0)
            assert rest
            rest.pop(0)
        values = sorted((-1e9 if one["logprob"] is None else one["logprob"] for one in had), reverse=True)
        assert (
            sorted((-1e9 if one["logprob"] is None else one["logprob"] for one in kept), reverse=True) == values[:most]
        )
        assert (before["token"], before["logprob"]) == (after["token"], after["logprob"])


@given(ENTRIES)
def test_a_table_comes_back_as_it_was(entries: list[Any]) -> None:
    from deluge_nb.client.cache.codec import _pack_table, _unpack_table

    table = Logprobs.from_entries(entries, vocab_size=10)
    back = _unpack_table(_pack_table(table.compact()))
    assert back == table
    assert list(back) == list(table)
    assert back.vocab_size == 10


def test_an_answer_as_bytes_is_smaller_than_its_json() -> None:
    table = Logprobs.from_entries(
        [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": t, "logprob": -1.0} for t in "abcdefghij"]}] * 100
    )
    assert len(encode_completion(Completion("a" * 100, logprobs=table))) < len(str(list(table))) / 10


@pytest.mark.model
def test_the_embedded_model_is_kept_as_well(file: Path) -> None:
    asked = LLMClient("local", logprobs=True, top_logprobs=5, max_new_tokens=5, cache=file)
    (first,) = ask(asked, RawPrompt("One, two,"))
    (second,) = asyncio.run(asked.process_prompts_async([RawPrompt("One, two,")], show_progress=False))
    assert second.from_cache
    assert facts_of(second) == facts_of(first)
    (scored,) = asked.score_continuations_sync([("One, two,", " three")], show_progress=False)
    (again,) = asked.score_continuations_sync([("One, two,", " three")], show_progress=False)
    assert again.from_cache
    assert again.logprobs == scored.logprobs


def test_an_error_names_no_key(server: ChatServer, file: Path) -> None:
    server.answer = lambda seen, number: error("bad key sk-test-0123456789", status=401)
    (response,) = ask(client(file))
    assert isinstance(response.error, RequestError)
    assert "sk-test" not in repr(response) + str(response.error)


# What a cache cannot hold -------------------------------------------------------------------------------------------


DEEP = '{"a": ' + "[" * 900 + "]" * 900 + "}"


@pytest.mark.parametrize(
    "arguments",
    ['{"a": "\\ud800"}', '{"a": 123456789012345678901234567890}', '{"\\udfff": [1e400]}', DEEP],
    ids=["surrogate", "integer", "infinity", "depth"],
)
def test_an_answer_that_cannot_be_stored_is_that_without_a_cache(
    server: ChatServer, file: Path, arguments: str
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    server.answer = lambda seen, number: Reply(chat(seen, says("a"), tool_calls=[call]))
    (without,) = ask(LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=2))
    for _ in range(2):
        (cached,) = ask(client(file))
        assert not cached.is_error
        assert cached.tool_calls == without.tool_calls
        assert cached.completion == without.completion


@pytest.mark.parametrize("body", [{"x": {1: 2, "a": 3}}, {"x": [{1: {None: 3}}]}], ids=["mixed", "deep"])
def test_a_request_of_any_keys_costs_no_answer(server: ChatServer, file: Path, body: Any) -> None:
    params = SamplingParams(logprobs=True, top_logprobs=2, extra_body=body)
    asked = LLMClient("gpt-4o-mini", sampling_params=params, cache=file)
    without = LLMClient("gpt-4o-mini", sampling_params=params)
    assert [r.completion for r in ask(asked, "a", "b")] == [r.completion for r in ask(without, "a", "b")]


def test_a_request_that_cannot_be_written_is_refused_with_a_cache_as_without(server: ChatServer, file: Path) -> None:
    for cache in (file, None):
        asked = LLMClient("gpt-4o-mini", extra_body={"a": {1}}, cache=cache)
        with pytest.raises(SettingError, match="'a' of the request"):
            ask(asked, "a", "b")
    assert not server.seen


NO_CACHES = {"text": b"garbage " * 100, "header": b"SQLite format 3\0" + b"\xff" * 5000}


@pytest.mark.parametrize("content", NO_CACHES.values(), ids=NO_CACHES)
def test_a_file_that_is_no_cache_may_be_deleted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.sqlite3"
    path.write_bytes(content)
    with pytest.raises(SettingError, match="may be deleted") as caught:
        Cache(path)
    assert str(path) in str(caught.value)
    path.unlink()
    assert len(Cache(path)) == 0


@pytest.mark.parametrize("path", ["a\0b", "\udcff\ud800", "~nobody-of-that-name/x", "x" * 5000])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(SettingError, match="cannot be used as a cache"):
        LLMClient("gpt-4o-mini", cache=path)


@pytest.mark.parametrize("change", ["deleted", "read-only", "replaced", "garbage"])
def test_a_cache_that_is_lost_under_way_gives_one_warning_and_all_answers(
    server: ChatServer, file: Path, change: str
) -> None:
    asked = client(file)
    ask(asked, "a")
    if change == "read-only":
        file.chmod(0o400)
    elif change == "replaced":
        file.rename(file.with_suffix(".old"))
        file.write_bytes(b"")
    elif change == "garbage":
        file.unlink()
        file.write_bytes(b"garbage" * 500)
    else:
        file.unlink()
    with pytest.warns(UserWarning, match="Answers are not cached in") as caught:
        responses = ask(asked, "a", "b", "c")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        responses += ask(asked, "d")
    assert [warning.category for warning in caught].count(UserWarning) == 1  # others may come from what is collected
    assert [response.completion for response in responses] == ["Hello there"] * 4


@pytest.mark.parametrize("change", ["read-only", "held by another program"])
def test_an_answer_that_was_kept_is_found_though_nothing_can_be_written(
    server: ChatServer, file: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deluge_nb.client.cache.store._LOCK_TIMEOUT", 0.01)
    asked = client(file)
    ask(asked, "a")
    holder = sqlite3.connect(file, isolation_level=None)
    if change == "read-only":
        file.chmod(0o400)
    else:
        holder.execute("BEGIN IMMEDIATE")
    with pytest.warns(UserWarning, match="Answers are not cached in"):
        kept, new = ask(asked, "a", "b")
    holder.close()
    assert (kept.from_cache, new.from_cache) == (True, False)
    assert new.completion == "Hello there"


def test_only_one_answer_waits_for_a_lock_that_is_not_released(
    server: ChatServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(cache: Cache) -> int:
        statement = "PRAGMA busy_timeout"
        return int(cache._worker().submit(lambda: cache._connect().execute(statement).fetchone()[0]).result())

    monkeypatch.setattr("deluge_nb.client.cache.store._LOCK_TIMEOUT", 0.2)
    kept = Cache(file)
    asked = LLMClient("gpt-4o-mini", cache=kept)
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.warns(UserWarning, match="Answers are not cached in"):
            responses = ask(asked, "a", "b")
        assert [response.completion for response in responses] == ["Hello there"] * 2
        assert waits(kept) == 0
    ask(asked, "c")
    assert waits(kept) == 200
    assert ask(asked, "c")[0].from_cache


class Untrusty(Cache):
    """Cache of a user's own whose methods fail."""

    def __init__(self, file: Path, failing: str, error: BaseException) -> None:
        super().__init__(file)
        self._failing, self._error = failing, error

    def _fail(self, method: str) -> None:
        if method == self._failing:
            raise self._error

    async def get(self, key: bytes, ask: Ask) -> Completion | None:
        self._fail("get")
        return await super().get(key, ask)

    async def put(self, key: bytes, ask: Ask, answer: Completion) -> None:
        self._fail("put")
        await super().put(key, ask, answer)

    def take_trouble(self) -> str | None:
        self._fail("take_trouble")
        return super().take_trouble()


@pytest.mark.parametrize("failing", ["get", "put", "take_trouble"])
@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_whatever_a_cache_of_one_s_own_raises_costs_no_answer(
    server: ChatServer, file: Path, failing: str, kind: type[BaseException]
) -> None:
    if failing == "take_trouble" and not issubclass(kind, Exception):
        kind = ValueError  # it runs in the thread of the call, where an interrupt is one
    asked = LLMClient("gpt-4o-mini", cache=Untrusty(file, failing, kind("no")))
    assert [response.completion for response in ask(asked, "a", "b", "c")] == ["Hello there"] * 3


def test_a_cache_that_is_deleted_under_way_is_begun_anew(server: ChatServer, file: Path) -> None:
    asked = client(file)
    ask(asked, "a")
    file.unlink()
    with pytest.warns(UserWarning, match="a new one has been begun"):
        ask(asked, "a")
    ask(asked, "a")
    assert ask(asked, "a")[0].from_cache
    assert file.exists()


def test_a_lost_cache_is_no_failure_where_warnings_are_errors(server: ChatServer, file: Path) -> None:
    asked = client(file)
    file.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="Answers are not cached"):
            ask(asked, "a", "b")
    assert [response and response.completion for response in asked.interrupted] == ["Hello there"] * 2


@pytest.mark.parametrize("word", ["error", "network_error", "failed", "aborted", "cancelled"])
def test_an_answer_that_failed_is_never_kept(server: ChatServer, file: Path, word: str) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("The capital of Fra"), finish=word))
    ask(client(file, max_attempts=1))
    server.always(("a", WIDE))
    (again,) = ask(client(file))
    assert not again.from_cache
    assert again.completion == "a"


def with_column(place: int, octets: bytes) -> Callable[[list[Any]], object]:
    """Return damage to a column of a cached table: chosen, logprob, alternative, its logprob, offsets."""
    return lambda answer: answer[3][3].__setitem__(place, octets)


def with_part(place: int, value: Any) -> Callable[[list[Any]], object]:
    return lambda answer: answer.__setitem__(place, value)


def with_field(name: str, value: Any) -> Callable[[list[Any]], object]:
    return lambda answer: answer[0].__setitem__(name, value)


@pytest.mark.parametrize(
    "damage",
    [
        with_column(0, b"\xff\xff\xff\x7f"),
        with_column(0, b"\xff\xff\xff\xff"),
        with_column(2, b"\x09\0\0\0" * 2),
        with_column(4, b"\0\0\0\0\x63\0\0\0"),
        with_column(4, b""),
        with_column(1, b"123"),
        with_field("text", 5),
        with_field("usage", [1]),
        with_part(1, [[1, 2]]),
        with_part(3, "table"),
        with_part(2, b"\0" * (300 << 20)),
    ],
    ids=[
        "large",
        "negative",
        "alternative",
        "offsets",
        "no offsets",
        "logprob",
        "text",
        "usage",
        "call",
        "table",
        "size",
    ],
)
def test_an_entry_that_contradicts_itself_is_a_miss(server: ChatServer, file: Path, damage: Any) -> None:
    server.always(("a", WIDE))
    ask(client(file))
    with sqlite3.connect(file) as connection:
        (packed,) = connection.execute("SELECT answer FROM responses_v1").fetchone()
        answer = msgspec.msgpack.decode(zlib.decompress(packed))
        damage(answer)
        packed = zlib.compress(msgspec.msgpack.encode(answer), 1)
        connection.execute("UPDATE responses_v1 SET answer = ?", (packed,))
    (response,) = ask(client(file))
    assert not response.from_cache
    assert response.completion == "a"
    assert response.logprobs is not None
    assert response.logprobs[0]["token"] == "a"


@pytest.mark.parametrize("table", ["moz_places(id, url)", "responses_v1(x)"])
def test_nothing_is_written_into_a_database_of_another_program(tmp_path: Path, table: str) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"CREATE TABLE {table}")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(SettingError, match=r"cannot be used as a cache: .*(another program|no such column)"):
        Cache(path)
    assert "moz" not in table or path.read_bytes() == before


def test_a_file_of_another_version_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite3"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE responses_v99(x)")
        other.commit()
    assert len(Cache(path)) == 0
